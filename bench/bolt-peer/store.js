import { Redis } from 'ioredis';

import { scripts } from './scripts.js';

const retryWindow = 3_600_000;

// Store keeps requests in Redis: a hash for each, its sealed values in a key of their own
// that expires, an index of those that wait, one of the decided, one for each project, and
// the audit trail.
export class Store {
  constructor({ redisUrl, sealer, log, retention, approvalTtl }) {
    Object.assign(this, { sealer, retention, approvalTtl });
    this.redis = new Redis(redisUrl, {
      keyPrefix: 'bolt-peer:',
      maxRetriesPerRequest: 1, // somebody waits for the answer
      scripts: Object.fromEntries(Object.entries(scripts).map(([name, lua]) => [`${name}Request`, { lua }])),
    });
    this.redis.on('error', (error) => log.error('redis', { error: error.message }));
  }

  // submit keeps a request before anybody is told that it is. It answers 'again' for one that
  // is kept already.
  async submit(request, secrets) {
    const sealed = this.sealer.seal(secrets, purpose(request));
    const { id, requester, needed, expiresAt, createdAt, type, targets, plain, masks, fingerprints, doubts, reason } =
      request;
    const keys = [...this.#keys(id), ...targets.map((project) => `project:${project.id}`)];
    return this.redis.submitRequest(
      keys.length,
      ...keys,
      id,
      createdAt,
      this.retention,
      requester,
      'submit',
      sealed,
      this.approvalTtl + retryWindow,
      expiresAt,
      'requester',
      requester,
      'needed',
      needed,
      'expires',
      expiresAt,
      'doc',
      JSON.stringify({ createdAt, type, targets, plain, masks, fingerprints, doubts, reason }),
    );
  }

  approve(id, who) {
    const keys = this.#keys(id);
    return this.redis.approveRequest(keys.length, ...keys, id, Date.now(), this.retention, who, 'approve');
  }

  // move brings a request from one of some states to another, with further fields.
  move(id, { from, to, who = '', what, allowed = 'all', retry = false, fields = {} }) {
    const keys = this.#keys(id);
    return this.redis.moveRequest(
      keys.length,
      ...keys,
      id,
      Date.now(),
      this.retention,
      who,
      what,
      `,${from},`,
      to,
      allowed,
      retry ? retryWindow : 0,
      ...Object.entries(fields).flat(),
    );
  }

  // begin takes an approved request, or a failed one for a retry, and opens its new values.
  async begin(request, from, who, what) {
    const keys = this.#keys(request.id);
    const [[failure, answer], [, sealed]] = await this.redis
      .pipeline()
      .moveRequest(
        keys.length,
        ...keys,
        request.id,
        Date.now(),
        this.retention,
        who,
        what,
        `,${from},`,
        'applying',
        'all',
        0,
      )
      .getBuffer(`sealed:${request.id}`)
      .exec();
    if (failure) throw failure;
    return { answer, secrets: answer === 'ok' ? this.#open(request, sealed) : null };
  }

  // open gives nothing for values that are gone, or that were stored for something else.
  #open(request, sealed) {
    try {
      return sealed && this.sealer.open(sealed, purpose(request));
    } catch {
      return null;
    }
  }

  // note keeps something about a request that changes no state.
  note(id, fields) {
    return this.redis.hset(`request:${id}`, fields);
  }

  refused(id, who, what, why) {
    const now = Date.now();
    const entry = { at: now, request: id, user: who, what, refused: why };
    return this.redis.xadd('audit', 'MINID', '~', now - this.retention, '*', ...Object.entries(entry).flat());
  }

  async get(id) {
    return parse(id, await this.redis.hgetall(`request:${id}`));
  }

  // waiting lists the undecided, those that expire first first.
  async waiting(most) {
    return this.#all(await this.redis.zrange('waiting', 0, most - 1));
  }

  // overdue lists the IDs of undecided requests whose time is up.
  overdue() {
    return this.redis.zrangebyscore('waiting', '-inf', Date.now(), 'LIMIT', 0, 100);
  }

  // history lists the decided, or all that named a project, newest first.
  async history(project, most) {
    return this.#all(await this.redis.zrevrange(project ? `project:${project}` : 'history', 0, most - 1));
  }

  async #all(ids) {
    if (ids.length === 0) return [];
    const pipeline = this.redis.pipeline();
    for (const id of ids) pipeline.hgetall(`request:${id}`);
    const answers = await pipeline.exec();
    return answers.map(([error, fields], i) => (error ? null : parse(ids[i], fields))).filter(Boolean);
  }

  #keys(id) {
    return [`request:${id}`, `sealed:${id}`, 'waiting', 'history', 'audit'];
  }

  ping() {
    return this.redis.ping();
  }

  close() {
    return this.redis.quit();
  }
}

// purpose is what the new values were typed for and approved for.
const purpose = ({ id, type, targets, plain, requester }) =>
  JSON.stringify([id, type, targets.map((project) => project.id), Object.entries(plain).sort(), requester]);

function parse(id, fields) {
  if (!fields.doc) return null;
  const { state, requester, needed, expires, votes, decidedBy, decidedAt, why, card, dm, results } = fields;
  return {
    id,
    state,
    requester,
    card,
    dm,
    decidedBy,
    why,
    ...JSON.parse(fields.doc),
    needed: Number(needed),
    expiresAt: Number(expires),
    votes: votes ? votes.split(',') : [],
    decidedAt: Number(decidedAt) || undefined,
    results: results ? JSON.parse(results) : {}, // by project ID: baseline, outcome, detail, shown
  };
}
