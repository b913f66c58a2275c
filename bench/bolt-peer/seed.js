// node seed.js COUNT: as many decided requests in history as that, to measure what a long
// history costs. It writes what applied requests leave behind, with the bot's environment.
// Redis makes them by itself from a pattern for each project, which is much faster.

import { Atlas } from './atlas.js';
import { readConfig } from './config.js';
import { Store } from './store.js';

const batch = 5000;

// KEYS: 1 what keys of requests begin with, 2 those of projects, 3 history, 4 audit.
// ARGV: 1 first and 2 last number, 3 when the first was decided, 4 milliseconds from one to the
// next, 5 retention from the first on, 6 approval TTL, 7 channel, 8… ID, doc and results of each project.
const lua = `
local first, last, start, step, retention, ttl = unpack(ARGV, 1, 6)
local states = { 'submitted', 'pending', 'approved', 'applying', 'applied' }
for n = first, last do
  local at = string.format('%.0f', start + math.floor((n - first) * step))
  local id = string.format('req_S%09d', n)
  local i = 8 + (n % ((#ARGV - 7) / 3)) * 3
  local doc = string.gsub(ARGV[i + 1], '"AT"', at)
  redis.call('HSET', KEYS[1] .. id, 'state', 'applied', 'requester', 'U0SEED0001', 'needed', 1, 'expires', at + ttl,
    'votes', 'U0SEED0002', 'decidedAt', at, 'card', ARGV[7] .. ':' .. at .. '.000001', 'dm', 'D0SEED0001:' .. at .. '.000002',
    'doc', doc, 'results', ARGV[i + 2])
  redis.call('PEXPIRE', KEYS[1] .. id, retention + math.floor((n - first) * step))
  redis.call('ZADD', KEYS[2] .. ARGV[i], at, id)
  redis.call('ZADD', KEYS[3], at, id)
  for _, state in ipairs(states) do
    redis.call('XADD', KEYS[4], '*', 'at', at, 'request', id, 'user', 'U0SEED0001', 'what', 'seed', 'state', state)
  end
end`;

const config = readConfig(process.env);
const count = Number(process.argv[2]);
if (!Number.isInteger(count) || count < 0) throw new Error('node seed.js COUNT');
const projects = await new Atlas({ ...config.atlas, projects: config.projects }).projects();
const store = new Store({ ...config, log: console });
store.redis.defineCommand('seedRequests', { lua, numberOfKeys: 4 });

const shown = { region: 'EU', serviceKey: '••••0000' };
const patterns = projects.flatMap((project) => {
  const doc = {
    createdAt: 'AT',
    type: 'PAGER_DUTY',
    targets: [project],
    plain: { region: 'EU' },
    masks: { serviceKey: '••••0000' },
    fingerprints: { serviceKey: '00000000' },
    doubts: [],
    reason: 'The key was in a support ticket.',
  };
  const results = { [project.id]: { baseline: { ...shown, region: 'US' }, outcome: 'applied', shown } };
  return [project.id, JSON.stringify(doc), JSON.stringify(results)];
});
const now = Date.now();
const step = config.retention / 2 / Math.max(count, 1); // the oldest have half of their time left
for (let first = 0; first < count; first += batch) {
  const last = Math.min(first + batch, count) - 1;
  const age = Math.floor((count - first) * step);
  const numbers = [first, last, now - age, step, Math.floor(config.retention - age), config.approvalTtl];
  await store.redis.seedRequests('request:', 'project:', 'history', 'audit', ...numbers, config.channel, ...patterns);
}
await store.close();
