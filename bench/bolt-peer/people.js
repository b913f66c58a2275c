import { remember } from './cache.js';

const minute = 60_000;

// People knows who somebody is and which lists they are on. What Slack says holds for a
// minute; if it says nothing, nobody may do anything.
export class People {
  constructor({ client, log, approvers, requesters }) {
    this.log = log;
    this.approvers = approvers;
    this.requesters = requesters;
    this.team = remember(60 * minute, async () => (await client.auth.test()).team_id);
    this.user = remember(minute, async (user) => (await client.users.info({ user })).user);
    this.group = remember(minute, async (usergroup) => (await client.usergroups.users.list({ usergroup })).users);
  }

  // mayRequest and mayDecide say why somebody may not, or nothing.
  mayRequest(user) {
    return this.#check(user, this.requesters, this.requesters.length === 0, 'ask for updates');
  }

  mayDecide(user) {
    return this.#check(user, this.approvers, false, 'decide on requests');
  }

  // mayAct is for what requesters do to their own requests.
  mayAct(user) {
    return this.#check(user, [], true, 'do this');
  }

  async #check(user, members, everybody, what) {
    try {
      const [person, team, listed] = await Promise.all([
        this.user(user),
        this.team(),
        everybody || this.#onList(user, members),
      ]);
      if (person.is_stranger || person.team_id !== team)
        return `Only people of this workspace can ${what}. Nothing was done.`;
      if (person.deleted) return `Deactivated accounts cannot ${what}. Nothing was done.`;
      if (person.is_bot) return `Apps and bots cannot ${what}: a person has to. Nothing was done.`;
      if (person.is_restricted || person.is_ultra_restricted) return `Guests cannot ${what}. Nothing was done.`;
      if (listed) return '';
      if (members === this.approvers) return `Only ${this.mention()} can decide on this request. Nothing was counted.`;
      return 'You are not on the list of people who may ask for updates, so nothing was sent.';
    } catch (error) {
      const code = error.data?.error;
      if (code === 'user_not_found' || code === 'user_not_visible')
        return `Only people of this workspace can ${what}. Nothing was done.`;
      this.log.warn('ask slack who somebody is', { user, error: code ?? error.message });
      return `Slack does not say at the moment who may ${what}, so nobody can. Nothing was done. Try again in a minute.`;
    }
  }

  async #onList(user, members) {
    if (members.includes(user)) return true;
    for (const group of members.filter((id) => id.startsWith('S'))) {
      if ((await this.group(group)).includes(user)) return true;
    }
    return false;
  }

  mention() {
    return this.approvers.map((id) => (id.startsWith('S') ? `<!subteam^${id}>` : `<@${id}>`)).join(', ');
  }
}
