import { createHash } from 'node:crypto';

import { AtlasError } from './atlas.js';
import { maskOf, mismatches, payload, redact, separate, typeOf } from './catalog.js';
import { reason } from './logger.js';
import * as messages from './messages.js';

const atOnce = 4; // targets that are changed at a time

const lost =
  'The new values are no longer stored, or not those that were approved. Nothing was sent; make a new request.';
const overtaken =
  'Somebody changed it after this request was made. Nothing was written; make a new request if it is still needed.';

// Requests sees requests through, from the form to what Atlas then shows.
export class Requests {
  constructor({ store, atlas, client, sealer, people, log, channel, approvalTtl, approvalsRequired }) {
    Object.assign(this, { store, atlas, client, sealer, people, log, channel, approvalTtl, approvalsRequired });
  }

  // submit keeps what the form asks for. The same view asks once, however often it is sent.
  async submit(viewId, requester, { type, targets, values, reason: why, doubts }) {
    const { plain, secrets } = separate(type, values);
    const hidden = type.fields.filter(({ name }) => secrets[name]);
    const ofSecrets = (what) =>
      Object.fromEntries(hidden.map((field) => [field.name, what(field, secrets[field.name])]));
    const createdAt = Date.now();
    const request = {
      id: requestId(viewId),
      type: type.name,
      targets,
      plain,
      doubts,
      reason: why,
      requester,
      createdAt,
      masks: ofSecrets(maskOf),
      fingerprints: ofSecrets((_, value) => this.sealer.fingerprint(value)),
      state: 'submitted',
      needed: this.approvalsRequired,
      expiresAt: createdAt + this.approvalTtl,
      votes: [],
      results: {},
    };
    const answer = await this.store.submit(request, secrets);
    return { request, isNew: answer === 'ok' };
  }

  // prepare reads what the targets hold, and asks the approvers. The direct message is posted
  // first, so that it is known to whoever clicks on the card.
  async prepare(request) {
    const { id } = request;
    await Promise.all(request.targets.map((target) => this.#read(request, target)));
    const fields = { results: JSON.stringify(request.results) };
    if (request.targets.some((target) => request.results[target.id].outcome)) {
      request.state = 'rejected';
      request.decidedAt = fields.decidedAt = Date.now();
    } else {
      request.state = 'pending';
    }
    request.dm = await this.#post(request.requester, messages.directMessage(request));
    if (request.dm) fields.dm = request.dm;
    const answer = await this.store.move(id, { from: 'submitted', to: request.state, what: 'prepare', fields });
    if (answer !== 'ok') return; // it was taken back meanwhile
    request.card = await this.#post(this.channel, messages.card(request, this.people.mention()));
    if (request.card) await this.store.note(id, { card: request.card });
  }

  async #read(request, { id }) {
    const type = typeOf(request.type);
    try {
      request.results[id] = { baseline: redact(type, await this.atlas.integration(id, type.name)) };
    } catch (error) {
      request.results[id] = { outcome: 'refused', detail: explain(error) };
    }
  }

  // approve counts a vote, and applies the request if it was the last one needed. It
  // returns what to tell the approver, if anything.
  async approve(id, who, clicked) {
    const answer = await this.store.approve(id, who);
    if (answer === 'expired') await this.expire(); // nobody has looked yet
    const request = await this.#known(id, clicked);
    if (answer === 'ok') await this.apply(request, 'approved', who, 'apply');
    else if (answer === 'counted') await this.show(request);
    else return this.#refuse(answer, request, who, 'approve');
  }

  async retry(id, who, clicked) {
    const request = await this.#known(id, clicked);
    if (!request) return messages.refusal('missing');
    if (!messages.retryable(request)) return messages.stateIs(request);
    await this.apply(request, 'failed', who, 'retry');
  }

  async deny(id, who, why) {
    return this.#end(id, { who, to: 'denied', from: 'pending', allowed: 'others', what: 'deny', fields: { why } });
  }

  async cancel(id, who, clicked) {
    return this.#end(
      id,
      { who, to: 'cancelled', from: 'submitted,pending', allowed: 'requester', what: 'cancel' },
      clicked,
    );
  }

  // expire ends the undecided requests whose time is up.
  async expire() {
    for (const id of await this.store.overdue())
      await this.#end(id, { to: 'expired', from: 'submitted,pending', what: 'expire' });
  }

  async #end(id, { fields, ...move }, clicked) {
    const answer = await this.store.move(id, {
      ...move,
      fields: { ...fields, decidedBy: move.who ?? '', decidedAt: Date.now() },
    });
    const request = await this.#known(id, clicked);
    if (answer !== 'ok') return move.who ? this.#refuse(answer, request, move.who, move.what) : undefined;
    this.log.info(move.to, { request: id, user: move.who });
    await Promise.all([this.show(request), move.to === 'cancelled' ? undefined : this.#tell(request)]);
  }

  async #refuse(answer, request, who, what) {
    if (answer === 'own' || answer === 'foreign') await this.store.refused(request.id, who, what, answer);
    return messages.refusal(answer, request);
  }

  // known is a request as it is now. A message that was clicked may be newer than what
  // is kept of it.
  async #known(id, clicked) {
    const request = await this.store.get(id);
    if (request && clicked) {
      if (clicked.channel === this.channel) request.card ??= clicked.ref;
      else if (clicked.channel.startsWith('D')) request.dm ??= clicked.ref;
    }
    return request;
  }

  // apply changes every target that is not changed yet, and says what came of it.
  async apply(request, from, who, what) {
    const { answer, secrets } = await this.store.begin(request, from, who, what);
    if (answer !== 'ok') return; // somebody else is at it
    request.state = 'applying';
    const shown = this.#showCard(request); // without its buttons, while Atlas is at it
    const left = request.targets.filter(
      ({ id }) => request.results[id].outcome !== 'applied' && request.results[id].outcome !== 'stale',
    );
    const workers = Array.from({ length: atOnce }, async () => {
      for (let target = left.shift(); target; target = left.shift()) {
        const { baseline } = request.results[target.id];
        const result = secrets ? await this.#applyTo(request, target, secrets) : { outcome: 'refused', detail: lost };
        request.results[target.id] = { baseline, ...result };
      }
    });
    await Promise.all(workers);
    request.state = request.targets.every(({ id }) => request.results[id].outcome === 'applied') ? 'applied' : 'failed';
    request.decidedAt = Date.now();
    await this.store.move(request.id, {
      from: 'applying',
      to: request.state,
      who,
      what,
      retry: secrets !== null && messages.retryable(request),
      fields: { results: JSON.stringify(request.results), decidedAt: request.decidedAt },
    });
    this.log.info(request.state, { request: request.id, type: request.type, targets: request.targets.length });
    await shown;
    await Promise.all([this.show(request), this.#report(request), this.#tell(request)]);
  }

  // applyTo changes one target if it is still as it was at submission, and compares what
  // Atlas then shows with what was sent.
  async #applyTo(request, { id }, secrets) {
    const type = typeOf(request.type);
    const values = { ...request.plain, ...secrets };
    try {
      const before = redact(type, await this.atlas.integration(id, type.name));
      if (JSON.stringify(before) !== JSON.stringify(request.results[id].baseline)) {
        return { outcome: 'stale', detail: overtaken, shown: before };
      }
      let after = await this.atlas.update(id, type.name, payload(type, values));
      if (!after || mismatches(type, values, after).length > 0) after = await this.atlas.integration(id, type.name);
      const wrong = mismatches(type, values, after);
      const shown = redact(type, after);
      if (wrong.length === 0) return { outcome: 'applied', shown };
      return {
        outcome: 'refused',
        detail: `Atlas accepted the change but shows something else in: ${wrong.join(', ')}.`,
        shown,
      };
    } catch (error) {
      // Atlas may quote what it was sent.
      const detail = Object.values(secrets).reduce((words, secret) => words.replaceAll(secret, '••••'), explain(error));
      return { outcome: 'refused', detail };
    }
  }

  // show has the messages of a request say how it stands.
  async show(request) {
    await Promise.all([this.#showCard(request), this.#update(request.dm, messages.directMessage(request))]);
  }

  #showCard(request) {
    return this.#update(request.card, messages.card(request, this.people.mention()));
  }

  // tell has the requester notice that it is over: an edited message nobody notices.
  async #tell(request) {
    const [channel, ts] = request.dm?.split(':') ?? [];
    if (ts) await this.#post(channel, { ...messages.verdict(request), thread_ts: ts });
  }

  async #report(request) {
    const [channel, ts] = request.card?.split(':') ?? [];
    if (ts) await this.#post(channel, { ...messages.report(request), thread_ts: ts });
  }

  // What Slack does not take is logged: the request goes on without it.
  async #post(channel, message) {
    try {
      const posted = await this.client.chat.postMessage({
        channel,
        unfurl_links: false,
        unfurl_media: false,
        ...message,
      });
      return `${posted.channel}:${posted.ts}`;
    } catch (error) {
      this.log.error('post a message', { channel, error: reason(error) });
      return undefined;
    }
  }

  async #update(ref, message) {
    if (!ref) return;
    const [channel, ts] = ref.split(':');
    try {
      await this.client.chat.update({ channel, ts, ...message });
    } catch (error) {
      this.log.error('update a message', { channel, error: reason(error) });
    }
  }
}

// requestId is the same for the same view.
function requestId(viewId) {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const digest = createHash('sha256').update(viewId).digest();
  return `req_${Array.from(digest.subarray(0, 10), (byte) => digits[byte % 32]).join('')}`;
}

// parseId reads an ID as people type it.
export function parseId(typed) {
  const [, digits] = /^`?req_([0-9a-z]{10})`?$/i.exec(typed.trim()) ?? [];
  return digits && `req_${digits.toUpperCase()}`;
}

function explain(error) {
  if (!(error instanceof AtlasError)) throw error;
  if (error.status === 0) return `${error.detail} What was sent may have gone through: look in Atlas.`;
  return `Atlas answered ${error.status} ${error.code}: ${error.detail}`;
}
