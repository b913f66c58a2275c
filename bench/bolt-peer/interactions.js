// What happens in the form and on messages: choices, submissions, clicks.

import { say } from './blocks.js';
import { typeOf } from './catalog.js';
import { checkForm, denyView, findProjects, formView, noticeView, projectOptions, readForm, reading } from './form.js';
import { reason } from './logger.js';
import * as messages from './messages.js';

const notKept =
  'The bot cannot keep the request at the moment, so nothing was sent. What you typed is still here: send it again in a minute.';
const uncertain =
  'Something went wrong in the bot, and it is not certain that this counted. ' +
  'Look at the request before you try again: `/atlas-integration pending`';

// openForm opens the form at once, since Slack's trigger lives three seconds, and fills in
// what Atlas has when Atlas has said it, unless a choice was drawn meanwhile.
export async function openForm({ services, client, trigger, offered, projects, type, reason: why }) {
  const form = { offered, projects, type, reason: why };
  const fill = type && projects.length > 0;
  const { view } = await client.views.open({
    trigger_id: trigger,
    view: formView({ ...form, note: fill ? reading : '' }),
  });
  if (!fill) return;
  const read = await readCurrent(services.atlas, form);
  await draw({ services, client, view_id: view.id, hash: view.hash, form: { ...form, ...read } });
}

// readCurrent reads what the chosen projects have of the chosen type, as far as Atlas says it.
async function readCurrent(atlas, { projects, type }) {
  if (!type || type.discontinued || projects.length === 0) return {};
  const current = {};
  let note = '';
  await Promise.all(
    projects.map(async ({ id, name }) => {
      try {
        current[id] = await atlas.integration(id, type.name);
      } catch (error) {
        note =
          error.code === 'INTEGRATION_NOT_CONFIGURED'
            ? `${name} has no ${type.title} integration, so there is nothing to update. Set it up in Atlas first, or take the project out.`
            : `Atlas did not say what ${name} has now. The form works without; the approver will see both.`;
      }
    }),
  );
  return { current, note };
}

async function draw({ services, client, form, ...view }) {
  try {
    await client.views.update({ ...view, view: formView(form) });
  } catch (error) {
    // It was closed, or a choice was drawn meanwhile.
    if (!['not_found', 'hash_conflict'].includes(error.data?.error))
      services.log.warn('update the form', { error: reason(error) });
  }
}

export function registerInteractions(app, services) {
  const { atlas, people, requests, store, log, channel } = services;

  const chosen = (offered, ids) => offered.filter(({ id }) => ids.includes(id));

  // The newest choice in each open form: what an older one asked Atlas for is not drawn, nor
  // anything after the form was sent.
  const choices = new Map();
  const redrawForm = async ({ ack, action, body, client }) => {
    await ack();
    const { id } = body.view;
    choices.set(id, action.action_ts);
    const { type, projectIds } = readForm(body.view.state);
    const offered = await atlas.projects();
    const form = { offered, projects: chosen(offered, projectIds), type };
    Object.assign(form, await readCurrent(atlas, form));
    if (choices.get(id) !== action.action_ts) return;
    choices.delete(id);
    await draw({ services, client, view_id: id, form });
  };
  app.action('project', redrawForm);
  app.action('type', redrawForm);

  app.options('project', async ({ ack, options }) => {
    await ack({ options: projectOptions(findProjects(await atlas.projects(), options.value)) });
  });

  app.view('update_integration', async ({ ack, body, view }) => {
    choices.delete(view.id);
    const form = readForm(view.state);
    const complain = (errors) => ack({ response_action: 'errors', errors });
    let request;
    let isNew;
    try {
      const [offered, no] = await Promise.all([atlas.projects(), people.mayRequest(body.user.id)]);
      const { errors, doubts } = checkForm(form, offered);
      if (Object.keys(errors).length > 0) return complain(errors);
      if (no) return complain({ reason: no });
      ({ request, isNew } = await requests.submit(view.id, body.user.id, {
        ...form,
        doubts,
        targets: chosen(offered, form.projectIds),
      }));
    } catch (error) {
      log.error('submit', { user: body.user.id, error: reason(error) });
      return complain({ reason: notKept });
    }
    await ack({
      response_action: 'update',
      view: noticeView('Request sent', messages.kept(request, people.mention(), channel)),
    });
    log.info('submitted', { request: request.id, user: body.user.id, type: request.type });
    if (isNew) await requests.prepare(request);
  });

  // click registers a button on a message: ack, who may, the act, and its answer if there is one.
  const click = (actionId, may, act) =>
    app.action(actionId, async ({ ack, action, body, client, respond }) => {
      await ack();
      const answer = (message) => respond({ response_type: 'ephemeral', replace_original: false, ...message });
      const { channel_id, message_ts } = body.container;
      const clicked = { channel: channel_id, ref: `${channel_id}:${message_ts}` };
      try {
        const no = await may(body.user.id, action.value);
        if (no) await store.refused(action.value, body.user.id, actionId, 'not allowed');
        const said = no
          ? say(no)
          : await act({ id: action.value, user: body.user.id, clicked, client, trigger: body.trigger_id });
        if (said) await answer(said);
      } catch (error) {
        log.error(actionId, { request: action.value, user: body.user.id, error: reason(error) });
        await answer(say(uncertain));
      }
    });

  const approver = (user) => people.mayDecide(user);
  const member = (user) => people.mayAct(user);
  const requesterOrApprover = async (user, id) =>
    (await store.get(id))?.requester === user ? people.mayAct(user) : people.mayDecide(user);

  click('approve', approver, ({ id, user, clicked }) => requests.approve(id, user, clicked));
  click('cancel', member, ({ id, user, clicked }) => requests.cancel(id, user, clicked));
  click('retry', requesterOrApprover, ({ id, user, clicked }) => requests.retry(id, user, clicked));

  click('deny', approver, async ({ id, user, client, trigger }) => {
    const request = await store.get(id);
    if (!request) return messages.refusal('missing');
    if (request.requester === user) return messages.refusal('own', request);
    if (request.state !== 'pending') return messages.stateIs(request);
    await client.views.open({ trigger_id: trigger, view: denyView(request, messages.subject(request)) });
  });

  click(
    'new_update',
    (user) => people.mayRequest(user),
    async ({ id, client, trigger }) => {
      const [request, offered] = await Promise.all([store.get(id), atlas.projects()]);
      const form = { offered, projects: [] };
      if (request) {
        form.projects = chosen(
          offered,
          request.targets.map((target) => target.id),
        );
        form.type = typeOf(request.type);
        form.reason = request.reason;
      }
      await openForm({ services, client, trigger, ...form });
    },
  );

  app.view('deny_request', async ({ ack, body, view, client }) => {
    const why = view.state.values.reason.reason.value?.trim();
    if (!why)
      return ack({
        response_action: 'errors',
        errors: { reason: 'Say why, so that the requester knows what to change.' },
      });
    const no = await people.mayDecide(body.user.id);
    if (no) return ack({ response_action: 'update', view: noticeView('Not denied', no) });
    await ack();
    const refusal = await requests.deny(view.private_metadata, body.user.id, why);
    if (refusal) await client.chat.postEphemeral({ channel, user: body.user.id, ...refusal });
  });
}
