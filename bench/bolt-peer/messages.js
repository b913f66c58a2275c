// What people read: cards, direct messages, answers. Each names the state by its word.

import {
  at,
  button,
  code,
  context,
  cut,
  escape,
  header,
  mention,
  message,
  plain,
  quote,
  say,
  section,
} from './blocks.js';
import { redact, typeOf, types } from './catalog.js';

const icons = {
  submitted: ':inbox_tray:',
  pending: ':hourglass_flowing_sand:',
  approved: ':thumbsup:',
  applying: ':gear:',
  applied: ':white_check_mark:',
  failed: ':x:',
  rejected: ':no_entry:',
  denied: ':no_entry_sign:',
  cancelled: ':leftwards_arrow_with_hook:',
  expired: ':alarm_clock:',
};

const names = (projects) => cut(projects.map(({ name }) => name).join(', '), 100);

export const subject = ({ type, targets }) => `${escape(typeOf(type).title)} in ${escape(names(targets))}`;

const voters = ({ votes }) => votes.map(mention).join(', ');

// outcomes counts the targets by outcome, in words: 18 applied, 1 refused.
function outcomes({ targets, results }) {
  const counted = {};
  for (const { id } of targets) {
    const outcome = results[id]?.outcome ?? 'waiting';
    counted[outcome] = (counted[outcome] ?? 0) + 1;
  }
  return Object.entries(counted)
    .map(([outcome, n]) => `${n} ${outcome}`)
    .join(', ');
}

export const retryable = ({ state, targets, results }) =>
  state === 'failed' && targets.some(({ id }) => results[id]?.outcome === 'refused');

function standing(request) {
  const { state, votes, needed, expiresAt, decidedBy, decidedAt } = request;
  const word = `${icons[state]} *${state}*`;
  const approved = votes.length > 0 ? `\nApproved by ${voters(request)}` : '';
  switch (state) {
    case 'submitted':
      return `${word} · The bot asks Atlas what it holds now. Then the approvers are asked.`;
    case 'pending':
      return `${word} · ${votes.length} of ${needed} approvals${votes.length > 0 ? ` (${voters(request)})` : ''} · expires ${at(expiresAt)}`;
    case 'approved':
    case 'applying':
      return `${word} · Atlas is being changed.${approved}`;
    case 'applied':
      return `${word} · What Atlas shows is as asked.${approved}`;
    case 'failed':
      return `${word} · ${outcomes(request)}${approved}${retryable(request) ? '\n*Retry* sends the refused ones again, for an hour.' : ''}`;
    case 'rejected':
      return `${word} · Not every project can be updated, so nobody was asked. Nothing was changed.`;
    case 'expired':
      return `${word} · Nobody decided by ${at(expiresAt)}. Nothing was changed.`;
    default:
      return `${word} by ${mention(decidedBy)}, ${at(decidedAt)}\nNothing was changed.`;
  }
}

// changes has a line for each field, with its old value where Atlas showed one.
function changes({ type, targets, plain: values, masks, fingerprints, results }) {
  return typeOf(type)
    .fields.filter(({ name }) => values[name] || masks[name])
    .map((field) => {
      const before = new Set(targets.map(({ id }) => results[id]?.baseline?.[field.name]).filter(Boolean));
      const old =
        before.size === 0 ? '' : `${before.size === 1 ? code(cut([...before][0], 200)) : 'differing values'} → `;
      const mark = fingerprints[field.name] ? ` · fingerprint ${code(fingerprints[field.name])}` : '';
      return `*${escape(field.label)}*: ${old}${code(cut(values[field.name] ?? masks[field.name], 500))}${mark}`;
    })
    .join('\n');
}

const hasEnded = ({ state }) => !['submitted', 'pending', 'approved', 'applying'].includes(state);

function results({ targets, results: found, type }, withShown) {
  const lines = targets
    .filter(({ id }) => found[id]?.outcome)
    .map(({ id, name }) => {
      const { outcome, detail, shown } = found[id];
      const seen = withShown && shown ? `\n${settings(typeOf(type), shown)}` : '';
      return `*${outcome}*: ${escape(name)}${detail ? `\n${quote(cut(detail, 500))}` : ''}${seen}`;
    });
  return lines.map((line) => section(line)).slice(0, 20);
}

function settings(type, shown) {
  const lines = type.fields
    .filter(({ name }) => shown[name])
    .map(({ name, label }) => `• ${escape(label)}: ${code(cut(shown[name], 200))}`);
  return lines.length > 0 ? lines.join('\n') : 'Atlas shows no settings.';
}

function details(request, approvers) {
  const { state, reason, requester, why, doubts, id, createdAt, targets } = request;
  const blocks = [header(`Update ${typeOf(request.type).title} in ${names(targets)}`)];
  blocks.push(
    section(state === 'pending' && approvers ? `${standing(request)}\nWaits for ${approvers}.` : standing(request)),
  );
  if (why) blocks.push(section(`The reason for the no:\n${quote(why)}`));
  blocks.push(...results(request));
  blocks.push(section(`*Change*\n${changes(request)}`));
  if (targets.length > 1)
    blocks.push(section(`*${targets.length} projects*\n${escape(targets.map(({ name }) => name).join(', '))}`));
  blocks.push(section(`${mention(requester)} asks for this, because:\n${quote(cut(reason, 2500))}`));
  if (doubts.length > 0 && !hasEnded(request))
    blocks.push(section([':warning: *Look twice*', ...doubts.map((doubt) => `• ${escape(doubt)}`)].join('\n')));
  blocks.push(context(`${code(id)} · asked ${at(createdAt)}`));
  return blocks;
}

const actions = (elements) => (elements.length > 0 ? [{ type: 'actions', block_id: 'decision', elements }] : []);

const retryButton = (request) => button('retry', request.id, 'Retry');

// card is what approvers decide on, and afterwards the record of it.
export function card(request, approvers) {
  const buttons = [];
  if (request.state === 'pending') {
    const confirm = {
      title: plain('Approve this update?'),
      text: plain(`${typeOf(request.type).title} in ${names(request.targets)}`, 300),
      confirm: plain('Approve'),
      deny: plain('Back'),
    };
    buttons.push(
      button('approve', request.id, 'Approve', { style: 'primary', confirm }),
      button('deny', request.id, 'Deny…', { style: 'danger' }),
    );
  }
  if (retryable(request)) buttons.push(retryButton(request));
  return message([...details(request, approvers), ...actions(buttons)]);
}

// directMessage keeps the requester up to date.
export function directMessage(request) {
  const blocks = [section(`Your request to update ${subject(request)}:\n${standing(request)}`)];
  if (request.why) blocks.push(section(`The reason for the no:\n${quote(request.why)}`));
  blocks.push(...results(request));
  if (!hasEnded(request)) blocks.push(section(`*Change*\n${changes(request)}`));
  blocks.push(context(code(request.id)));
  const buttons = [];
  if (['submitted', 'pending'].includes(request.state)) buttons.push(button('cancel', request.id, 'Cancel request'));
  if (retryable(request)) buttons.push(retryButton(request));
  if (['rejected', 'expired', 'failed'].includes(request.state))
    buttons.push(button('new_update', request.id, 'New request'));
  return message([...blocks, ...actions(buttons)]);
}

// verdict tells the requester, in the thread of their message, that it is over.
export const verdict = (request) =>
  say(
    `${icons[request.state]} *${request.state}*, ${mention(request.requester)}: your request to update ${subject(request)}.`,
  );

// report is for the thread of the card: what Atlas shows now.
export function report(request) {
  return message([
    section(`What Atlas shows of ${subject(request)} now. Keys are masked, as in Atlas.`),
    ...results(request, true),
    context(code(request.id)),
  ]);
}

// kept takes the place of the form.
export const kept = (request, approvers, channel) =>
  `Your request to update ${subject(request)} is kept as ${code(request.id)}.\n` +
  `${request.needed} of ${approvers} must approve it in <#${channel}>, until ${at(request.expiresAt)}. Nothing is changed in Atlas yet.`;

export const status = (request) => message(details(request));

export const stateIs = (request) =>
  say(`Nothing was done: the request to update ${subject(request)} stands like this.\n${standing(request)}`);

function entry(request) {
  const { id, state, requester, createdAt, decidedAt } = request;
  return section(
    `${icons[state]} *${state}* · ${subject(request)}\n${code(id)} · ${mention(requester)} · ${at(decidedAt ?? createdAt)}`,
  );
}

export function requestList(title, requests) {
  const shown = requests.length > 0 ? requests.map(entry) : [section('There are none.')];
  return message([
    section(`*${escape(title)}*`),
    ...shown,
    context('`/atlas-integration status ID` shows a request in full.'),
  ]);
}

// pendingList answers `pending`: what waits for the person, what they wait for, and the rest.
export function pendingList(requests, user, approves) {
  const parts = [
    ['Waits for you', []],
    ['You wait for', []],
    ['Waits for others', []],
  ];
  for (const request of requests) {
    const forThem = approves && request.state === 'pending' && !request.votes.includes(user);
    parts[request.requester === user ? 1 : forThem ? 0 : 2][1].push(request);
  }
  const blocks = parts
    .filter(([, found]) => found.length > 0)
    .flatMap(([title, found]) => [section(`*${title}*`), ...found.map(entry)]);
  return message(blocks.length > 0 ? blocks : [section('Nothing is waiting.')]);
}

export function integrationList(project, integrations) {
  const blocks = integrations.slice(0, 40).map((shown) => {
    const type = typeOf(shown.type);
    if (!type) return section(`${code(shown.type)}\nThis bot does not know this type.`);
    return section(`*${escape(type.title)}* ${code(type.name)}\n${settings(type, redact(type, shown))}`);
  });
  return message([
    header(`Integrations of ${project.name}`),
    ...(blocks.length > 0 ? blocks : [section('None is configured.')]),
  ]);
}

export function projectList(projects) {
  const lines = projects.slice(0, 40).map(({ name }) => `• ${escape(name)}`);
  return say(
    ['Name a project to see its integrations, like `/atlas-integration list payments-prod`.', ...lines].join('\n'),
  );
}

export const help = () =>
  message([
    section(
      '*Update the third-party integrations of MongoDB Atlas projects.*\n' +
        'You fill in a form, a second person approves it, the bot changes Atlas and checks the result.',
    ),
    section(
      [
        '`/atlas-integration update [project] [TYPE]`  open the form',
        '`/atlas-integration list [project]`  what is configured',
        '`/atlas-integration pending`  what waits, for you and for others',
        '`/atlas-integration history [project]`  what was decided',
        '`/atlas-integration status ID`  one request in full',
        '`/atlas-integration cancel ID`  take back your request',
        '`/atlas-integration help`  this',
      ].join('\n'),
    ),
    section(
      `*Types:* ${types
        .filter(({ discontinued }) => !discontinued)
        .map(({ title }) => escape(title))
        .join(', ')}.`,
    ),
    context(':key: Keys belong into the form, never into the command: what you type here may be logged.'),
  ]);

// Why a click or command did nothing, by the answer of the store.
export function refusal(answer, request) {
  switch (answer) {
    case 'missing':
      return say('There is no such request. `/atlas-integration history` lists the latest.');
    case 'own':
      return say(
        `You asked to update ${subject(request)}, so somebody else has to decide. Nothing was counted.\n` +
          `To take it back: ${code(`/atlas-integration cancel ${request.id}`)}`,
      );
    case 'foreign':
      return say(`Only ${mention(request.requester)}, who made the request, can take it back. Nothing was changed.`);
    case 'again':
      return say('You have approved this one already; it counts once.');
    default:
      return stateIs(request);
  }
}
