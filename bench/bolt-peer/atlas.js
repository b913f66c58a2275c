import { setTimeout as sleep } from 'node:timers/promises';

import { remember } from './cache.js';

const media = 'application/vnd.atlas.2023-01-01+json';
const tries = 5;

// AtlasError is a refusal of Atlas, or that it gave no answer.
export class AtlasError extends Error {
  constructor(status, code, detail, retryAfter) {
    super(`atlas ${status} ${code}`);
    Object.assign(this, { status, code, detail, retryAfter });
  }

  get temporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// Atlas calls the Admin API with a service account. Calls that got no answer, or one that
// says to come again, are repeated: all of them are safe to repeat. Connections are kept by fetch.
export class Atlas {
  #baseUrl;
  #login;
  #token = null; // the promise of { value, until }

  constructor({ baseUrl, clientId, clientSecret, projects }) {
    this.#baseUrl = baseUrl;
    this.#login = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
    // projects lists those that may be chosen, by name.
    this.projects = projects.length > 0 ? async () => projects : remember(60_000, () => this.#listProjects());
  }

  async integrations(project) {
    const { results } = await this.#call('GET', `groups/${project}/integrations`);
    return results.filter(Boolean);
  }

  integration(project, type) {
    return this.#call('GET', `groups/${project}/integrations/${type}`);
  }

  // update replaces an integration and returns what Atlas then shows of it, masked.
  async update(project, type, settings) {
    const { results } = await this.#call('PUT', `groups/${project}/integrations/${type}`, settings);
    return results.find((entry) => entry?.type === type);
  }

  async #listProjects() {
    const all = [];
    for (let page = 1; ; page++) {
      const { results } = await this.#call('GET', `groups?itemsPerPage=500&pageNum=${page}`);
      all.push(...results.map(({ id, name }) => ({ id, name })));
      if (results.length < 500) return all.sort((a, b) => a.name.localeCompare(b.name));
    }
  }

  async #call(method, path, body) {
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(method, path, body);
      } catch (error) {
        if (!(error instanceof AtlasError)) throw error;
        if (error.status === 401 && !renewed) {
          renewed = true; // the token may have been revoked
          this.#token = null;
          continue;
        }
        if (!error.temporary || attempt === tries) throw error;
        const backoff = 2 ** attempt * 100;
        await sleep(Math.max(error.retryAfter * 1000, backoff / 2 + (Math.random() * backoff) / 2));
      }
    }
  }

  async #once(method, path, body) {
    const token = await this.#accessToken();
    const response = await send(`${this.#baseUrl}/api/atlas/v2/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, accept: media, ...(body && { 'content-type': media }) },
      body: body && JSON.stringify(body),
    });
    return answer(response, ({ errorCode, detail }) => [errorCode, detail]);
  }

  // accessToken fetches a token once for all who wait, and anew a minute before it expires.
  async #accessToken() {
    const current = this.#token;
    const token = await current;
    if (token && Date.now() < token.until) return token.value;
    if (this.#token === current) this.#token = this.#fetchToken();
    const fetching = this.#token;
    try {
      return (await fetching).value;
    } catch (error) {
      if (this.#token === fetching) this.#token = null;
      throw error;
    }
  }

  async #fetchToken() {
    const response = await send(`${this.#baseUrl}/api/oauth/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${this.#login}`,
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'grant_type=client_credentials',
    });
    const token = await answer(response, ({ error, error_description }) => [error, error_description]);
    return { value: token.access_token, until: Date.now() + (token.expires_in - 60) * 1000 };
  }
}

async function send(url, options) {
  try {
    return await fetch(url, { ...options, redirect: 'error', signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new AtlasError(0, 'NO_ANSWER', 'Atlas did not answer.', 0);
  }
}

async function answer(response, read) {
  let body;
  try {
    body = await response.json();
  } catch {
    if (response.ok) throw new AtlasError(0, 'NO_ANSWER', 'The answer of Atlas broke off.', 0);
    body = {};
  }
  if (response.ok) return body;
  const [code = 'UNKNOWN', detail = ''] = read(body);
  throw new AtlasError(response.status, code, detail, Number(response.headers.get('retry-after')) || 0);
}
