// The same bot as the one in Go, as one would write it on Slack's own framework.

import { createServer } from 'node:http';

import bolt from '@slack/bolt';

import { Atlas } from './atlas.js';
import { registerCommands } from './commands.js';
import { readConfig } from './config.js';
import { registerInteractions } from './interactions.js';
import { Logger, reason } from './logger.js';
import { People } from './people.js';
import { Requests } from './requests.js';
import { Sealer } from './sealing.js';
import { Store } from './store.js';

const expireEvery = 5000;
const patience = 10_000; // with what is still being done at the end

async function main() {
  const config = readConfig(process.env);
  const log = new Logger(config.logLevel);
  // At debug Bolt logs whatever comes in, and so the keys that people type.
  const frameworkLevel = config.logLevel === 'debug' ? 'info' : config.logLevel;
  const app = new bolt.App({
    token: config.botToken,
    appToken: config.appToken,
    socketMode: true,
    logger: new Logger(frameworkLevel),
    logLevel: frameworkLevel,
    convoStore: false,
    clientOptions: { slackApiUrl: config.slackApiUrl },
  });
  const sealer = new Sealer(config.sealingKeyset);
  const shared = { ...config, log, client: app.client, sealer };
  const store = new Store(shared);
  const atlas = new Atlas({ ...config.atlas, projects: config.projects });
  const people = new People(shared);
  const requests = new Requests({ ...shared, store, atlas, people });
  const services = { ...shared, store, atlas, people, requests };

  const busy = new Set();
  const track = (work) => {
    const done = work
      .catch((error) => log.error('unexpected', { error: reason(error), stack: error.stack }))
      .finally(() => busy.delete(done));
    busy.add(done);
    return done;
  };
  app.use(({ next }) => track(next()));
  registerCommands(app, services);
  registerInteractions(app, services);

  const health = createServer((request, response) => {
    if (request.url !== '/healthz') return response.writeHead(404).end();
    return store.ping().then(
      () => response.end('ok\n'),
      () => response.writeHead(503).end('Redis does not answer\n'),
    );
  });
  health.listen(config.http);
  const expiry = setInterval(() => track(requests.expire()), expireEvery);
  const stop = async () => {
    setTimeout(() => process.exit(1), patience).unref();
    clearInterval(expiry);
    await app.stop();
    await Promise.all(busy);
    await store.close();
    health.close();
    log.info('stopped');
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  await app.start();
  log.info('ready');
}

main().catch((error) => {
  process.stderr.write(`${JSON.stringify({ level: 'ERROR', msg: error.message })}\n`);
  process.exit(1);
});
