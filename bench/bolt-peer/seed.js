// node seed.js COUNT: as many decided requests in history as that, to measure what a long
// history costs. It writes what an applied request leaves behind, with the bot's environment.

import { randomBytes } from 'node:crypto';

import { Atlas } from './atlas.js';
import { readConfig } from './config.js';
import { Store } from './store.js';

const batch = 1000;

const config = readConfig(process.env);
const count = Number(process.argv[2]);
if (!Number.isInteger(count) || count < 0) throw new Error('node seed.js COUNT');
const projects = await new Atlas({ ...config.atlas, projects: config.projects }).projects();
const store = new Store({ ...config, log: console });

const now = Date.now();
const step = config.retention / 2 / Math.max(count, 1); // the oldest have half of their time left
const shown = { region: 'EU', serviceKey: '••••0000' };
for (let i = 0; i < count; i += batch) {
  const pipeline = store.redis.pipeline();
  for (let n = i; n < Math.min(i + batch, count); n++) {
    const id = `req_${randomBytes(5).toString('hex').toUpperCase()}`;
    const target = projects[n % projects.length];
    const at = Math.floor(now - (count - n) * step);
    const doc = {
      createdAt: at,
      type: 'PAGER_DUTY',
      targets: [target],
      plain: { region: 'EU' },
      masks: { serviceKey: '••••0000' },
      fingerprints: { serviceKey: '00000000' },
      doubts: [],
      reason: `rotated, number ${n}`,
    };
    const results = { [target.id]: { baseline: { ...shown, region: 'US' }, outcome: 'applied', shown } };
    pipeline
      .hset(`request:${id}`, {
        state: 'applied',
        requester: 'U0SEED0001',
        needed: 1,
        expires: at + config.approvalTtl,
        votes: 'U0SEED0002',
        decidedAt: at,
        doc: JSON.stringify(doc),
        results: JSON.stringify(results),
        card: `${config.channel}:${at}.000001`,
        dm: `D0SEED0001:${at}.000002`,
      })
      .pexpire(`request:${id}`, Math.floor(config.retention - (now - at)))
      .zadd('history', at, id)
      .zadd(`project:${target.id}`, at, id);
    for (const state of ['submitted', 'pending', 'approved', 'applying', 'applied']) {
      pipeline.xadd('audit', '*', 'at', at, 'request', id, 'user', 'U0SEED0001', 'what', 'seed', 'state', state);
    }
  }
  for (const [error] of await pipeline.exec()) if (error) throw error;
}
await store.close();
