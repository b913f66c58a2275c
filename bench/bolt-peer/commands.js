// The slash command.

import { escape, say } from './blocks.js';
import { findType } from './catalog.js';
import { openForm } from './interactions.js';
import { reason } from './logger.js';
import * as messages from './messages.js';
import { parseId } from './requests.js';

const page = 10;
const mostPending = 30;

export function registerCommands(app, services) {
  app.command('/atlas-integration', async ({ ack, command, client, respond }) => {
    await ack();
    const answer = (message) => respond({ response_type: 'ephemeral', ...message });
    const words = command.text.trim().split(/\s+/);
    const verb = words.shift().toLowerCase();
    try {
      const said = await carryOut({ services, client, command, verb, words });
      if (said) await answer(said);
    } catch (error) {
      services.log.error('command', { user: command.user_id, error: reason(error) });
      await answer(say('The bot cannot do that at the moment. Nothing was changed in Atlas. Try again in a minute.'));
    }
  });
}

function carryOut({ services, client, command, verb, words }) {
  const rest = words.join(' ');
  if ([verb, ...words].some(looksLikeKey)) {
    return say(
      ':key: That looks like a key, so the command was not carried out. Slack may have kept it: ' +
        'treat the key as known to others and replace it.\n' +
        'Then type `/atlas-integration update` and put the new one into the form.',
    );
  }
  if (verb === '' || verb === 'help') return messages.help();
  if (verb === 'update') return update({ services, client, command, rest });
  if (Object.hasOwn(answers, verb)) return look({ services, user: command.user_id, rest, verb });
  return say('This is not a command of this bot, so nothing was done.\n`/atlas-integration help` lists all commands.');
}

async function update({ services, client, command, rest }) {
  const { people, atlas } = services;
  const [no, offered] = await Promise.all([people.mayRequest(command.user_id), atlas.projects()]);
  if (no) return say(no);
  const { project, type, unknown } = parseUpdate(rest, offered);
  if (unknown) {
    return say(
      `This bot knows no project or type ${escape(unknown)}, so nothing was done.\n\`/atlas-integration list\` names the projects.`,
    );
  }
  if (type?.discontinued) return say(escape(type.discontinued));
  return openForm({ services, client, trigger: command.trigger_id, offered, projects: project ? [project] : [], type });
}

// parseUpdate reads "[project] [TYPE]", in either order; each may have several words.
function parseUpdate(rest, offered) {
  const words = rest.split(/\s+/).filter(Boolean);
  for (let i = 0; i <= words.length; i++) {
    const [head, tail] = [words.slice(0, i).join(' '), words.slice(i).join(' ')];
    for (const [name, kind] of [
      [head, tail],
      [tail, head],
    ]) {
      const [project, type] = [findProject(offered, name), findType(kind)];
      if ((project || !name) && (type || !kind)) return { project, type };
    }
  }
  return { unknown: rest };
}

const findProject = (offered, typed) =>
  offered.find(({ id, name }) => id === typed || name.toLowerCase() === typed.toLowerCase());

// look answers a command that needs somebody who may make or decide requests.
async function look({ services, user, rest, verb }) {
  const approves = !(await services.people.mayDecide(user));
  const no = !approves && (await services.people.mayRequest(user));
  return no ? say(no) : answers[verb](services, rest, user, approves);
}

const answers = {
  async list({ atlas }, typed) {
    const offered = await atlas.projects();
    if (!typed) return messages.projectList(offered);
    const project = findProject(offered, typed);
    return project ? messages.integrationList(project, await atlas.integrations(project.id)) : unknownProject();
  },

  async pending({ store }, _, user, approves) {
    return messages.pendingList(await store.waiting(mostPending), user, approves);
  },

  async history({ store, atlas }, typed) {
    if (!typed) return messages.requestList('History', await store.history('', page));
    const project = findProject(await atlas.projects(), typed);
    return project
      ? messages.requestList(`History of ${project.name}`, await store.history(project.id, page))
      : unknownProject();
  },

  async status({ store }, typed) {
    const id = parseId(typed);
    const request = id && (await store.get(id));
    return request ? messages.status(request) : messages.refusal('missing');
  },

  async cancel({ requests, store }, typed, user) {
    const id = parseId(typed);
    const refusal = id ? await requests.cancel(id, user) : messages.refusal('missing');
    return refusal ?? messages.status(await store.get(id));
  },
};

const unknownProject = () => say('This bot offers no project of that name. `/atlas-integration list` names them.');

const keys = [
  /^[0-9a-f]{32,}$/i,
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  /^(xox[a-z]-|xapp-|mdb_sa_sk_)/,
  /^<?https?:\/\//i,
];

const looksLikeKey = (word) => keys.some((form) => form.test(word.replace(/^.*=/, '')));
