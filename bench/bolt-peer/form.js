// The form for an update: drawing it, and reading what was put into it.

import { context, escape, input, modal, option, plain, section, select } from './blocks.js';
import { typeOf, types, check, holdsSecret, redact } from './catalog.js';

export const mostProjects = 20;
const mostOptions = 100;

export const reading = 'Reading what Atlas has now…';

// formView draws the form. The fields of a type come when there is a type and a project;
// plain ones are filled with what Atlas has, which current holds by project ID.
export function formView({ offered, projects = [], type, current, note, reason }) {
  const blocks = [projectInput(offered, projects), typeInput(type)];
  if (type?.discontinued) blocks.push(section(`:no_entry: ${escape(type.discontinued)}`));
  if (type?.caveat) blocks.push(section(`:warning: ${escape(type.caveat)}`));
  if (note) blocks.push(section(`:information_source: ${escape(note)}`));
  const fields = current ? type.fields : [];
  blocks.push(
    ...fields.filter(({ kind }) => kind !== 'secret').map((field) => fieldInput(type, field, projects, current)),
  );
  blocks.push(
    input(
      'reason',
      'Reason',
      {
        type: 'plain_text_input',
        action_id: 'reason',
        multiline: true,
        max_length: 3000,
        ...(reason && { initial_value: reason }),
      },
      {
        hint: plain('For the person who approves it: why now, and which ticket. No keys here.', 2000),
      },
    ),
  );
  const secrets = fields.filter(({ kind }) => kind === 'secret');
  if (secrets.length > 0)
    blocks.push(context(':eyes: Slack cannot hide what you type: the fields below show it on your screen.'));
  blocks.push(...secrets.map((field) => fieldInput(type, field, projects, current)));
  return modal('update_integration', 'Update integration', blocks, {
    submit: plain('Request'),
    close: plain('Cancel'),
  });
}

function projectInput(offered, chosen) {
  const element = { action_id: 'project', placeholder: plain('Choose projects'), max_selected_items: mostProjects };
  if (offered.length === 0 || offered.length > mostOptions)
    Object.assign(element, { type: 'multi_external_select', min_query_length: 0 });
  else Object.assign(element, { type: 'multi_static_select', options: projectOptions(offered) });
  if (chosen.length > 0) element.initial_options = projectOptions(chosen);
  return input('project', 'Projects', element, {
    dispatch_action: true,
    hint: plain('The same values go to every project you choose.', 2000),
  });
}

export const projectOptions = (projects) => projects.map(({ id, name }) => option(id, name));

// findProjects are those to offer for what was typed into the search.
export function findProjects(offered, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return offered
    .filter(({ id, name }) => words.every((word) => name.toLowerCase().includes(word) || id.includes(word)))
    .slice(0, mostOptions);
}

function typeInput(type) {
  const options = types.map(({ name, title, discontinued }) =>
    option(name, discontinued ? `${title} (discontinued)` : title),
  );
  return input('type', 'Type', select('type', options, type?.name), { dispatch_action: true });
}

// A block keeps what was typed as long as its ID stays, so the ID names the type: another
// type's key must not stay behind.
const blockId = (type, field) => `${type.name}.${field.name}`;

function fieldInput(type, field, projects, current) {
  const now = projects
    .filter(({ id }) => current[id])
    .map(({ id, name }) => ({ name, value: redact(type, current[id])[field.name] }));
  const hints = [field.hint];
  let element;
  if (field.choices) {
    const options = field.choices.map((value) => option(value, { true: 'on', false: 'off' }[value]));
    element = select(field.name, options, now.length > 0 ? (now[0].value ?? field.fallback) : undefined);
  } else {
    element = { type: 'plain_text_input', action_id: field.name, multiline: field.template ?? false };
    if (field.maxLength) element.max_length = field.maxLength;
    if (field.kind === 'text' && now[0]?.value) element.initial_value = now[0].value;
  }
  if (field.kind === 'secret' || new Set(now.map(({ value }) => value)).size > 1) {
    const shown = now
      .filter(({ value }) => value)
      .slice(0, 3)
      .map(({ name, value }) => `${value} in ${name}`);
    if (shown.length > 0) hints.push(`Now ${shown.join(', ')}${now.length > 3 ? ' and others' : ''}.`);
  }
  const hint = hints.filter(Boolean).join(' ');
  return input(blockId(type, field), field.label, element, {
    optional: !field.required && !field.choices,
    ...(hint && { hint: plain(hint, 2000) }),
  });
}

// readForm reads the form's state: IDs of projects, type, values by field name, reason.
export function readForm({ values }) {
  const type = typeOf(values.type?.type?.selected_option?.value);
  const typed = {};
  for (const field of type?.fields ?? []) {
    const found = values[blockId(type, field)]?.[field.name];
    const value = found?.selected_option?.value ?? found?.value ?? '';
    typed[field.name] = field.kind === 'secret' ? value : value.trim();
  }
  return {
    type,
    projectIds: (values.project?.project?.selected_options ?? []).map(({ value }) => value),
    values: typed,
    reason: (values.reason?.reason?.value ?? '').trim(),
    shown: type?.fields.some((field) => values[blockId(type, field)]) ?? false,
  };
}

// checkForm says what keeps the form from being sent, by block ID, and what only looks wrong.
export function checkForm({ type, projectIds, values, reason, shown }, offered) {
  const errors = {};
  if (projectIds.length === 0) errors.project = 'Choose at least one project.';
  else if (projectIds.length > mostProjects) errors.project = `At most ${mostProjects} projects in one request.`;
  else if (!projectIds.every((id) => offered.some((project) => project.id === id)))
    errors.project = 'This bot may not, or no longer, change one of these projects.';
  if (!reason) errors.reason = 'Say why, for the person who approves it.';
  if (!type) return { errors: { ...errors, type: 'Choose the type of the integration.' } };
  if (type.discontinued)
    return { errors: { ...errors, type: 'Atlas no longer has integrations of this type. Choose another.' } };
  if (!shown)
    return {
      errors: {
        ...errors,
        type: 'The form does not show the fields of this type yet. Wait a moment, then send it again.',
      },
    };
  if (holdsSecret(type, values, reason))
    errors.reason = 'This holds one of the keys below, and everybody can read it here. Take the key out.';
  const { errors: wrong, doubts } = check(type, values);
  for (const field of type.fields) if (wrong[field.name]) errors[blockId(type, field)] = wrong[field.name];
  return { errors, doubts };
}

export function denyView(request, subject) {
  return modal(
    'deny_request',
    'Deny request',
    [
      section(
        `<@${request.requester}> asks to update ${subject}.\nIf you deny it, nothing is changed in Atlas, and the new values are wiped.`,
      ),
      input(
        'reason',
        'Reason',
        { type: 'plain_text_input', action_id: 'reason', multiline: true, max_length: 1000, focus_on_load: true },
        {
          hint: plain('The requester and the approvals channel see it.', 2000),
        },
      ),
    ],
    { submit: plain('Deny'), close: plain('Back'), private_metadata: request.id },
  );
}

export const noticeView = (title, markup) => modal('notice', title, [section(markup)]);
