// The environment, by the same names as the bot in Go. Every problem is reported at once.

const required = [
  'SLACK_APP_TOKEN',
  'SLACK_BOT_TOKEN',
  'SLACK_APPROVALS_CHANNEL',
  'SLACK_APPROVERS',
  'MONGODB_ATLAS_CLIENT_ID',
  'MONGODB_ATLAS_CLIENT_SECRET',
  'SEALING_KEYSET',
];

export function readConfig(env) {
  const problems = required.filter((name) => !env[name]).map((name) => `${name} is required`);
  const read = (name, parse, fallback) => {
    try {
      return parse(env[name] || fallback);
    } catch (error) {
      problems.push(`${name}: ${error.message}`);
      return undefined;
    }
  };
  const config = {
    appToken: env.SLACK_APP_TOKEN,
    botToken: env.SLACK_BOT_TOKEN,
    slackApiUrl: env.SLACK_API_URL || 'https://slack.com/api/',
    channel: env.SLACK_APPROVALS_CHANNEL,
    approvers: list(env.SLACK_APPROVERS),
    requesters: list(env.SLACK_REQUESTERS),
    atlas: {
      baseUrl: (env.MONGODB_ATLAS_BASE_URL || 'https://cloud.mongodb.com').replace(/\/+$/, ''),
      clientId: env.MONGODB_ATLAS_CLIENT_ID,
      clientSecret: env.MONGODB_ATLAS_CLIENT_SECRET,
    },
    projects: read('MONGODB_ATLAS_PROJECTS', projects, ''),
    redisUrl: env.REDIS_URL || 'redis://localhost:6379/0',
    sealingKeyset: env.SEALING_KEYSET,
    approvalTtl: read('APPROVAL_TTL', duration, '1h'),
    approvalsRequired: read('APPROVALS_REQUIRED', count, '1'),
    retention: read('RETENTION', duration, '2160h'),
    http: read('HTTP_ADDR', address, ':8080'),
    logLevel: read('LOG_LEVEL', level, 'info'),
  };
  if (problems.length > 0) throw new Error(problems.join('; '));
  return config;
}

const list = (text = '') =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);

function projects(text) {
  return list(text).map((entry) => {
    const [, name, id] = /^(.+):([0-9a-f]{24})$/.exec(entry) ?? [];
    if (!id) throw new Error('write name:id,… where an ID has 24 hexadecimal digits');
    return { id, name };
  });
}

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

// duration reads 90s, 1h30m and the like, in milliseconds.
function duration(text) {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new Error('write a duration such as 90s or 1h30m');
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) sum += Number(number) * units[unit];
  if (sum < 1000) throw new Error('one second is the least');
  return sum;
}

function count(text) {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new Error('write a whole number, 1 or more');
  return n;
}

function address(text) {
  const [, host, port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(text) ?? [];
  if (port === undefined) throw new Error('write host:port, or :port');
  return { host: host || undefined, port: Number(port) };
}

function level(text) {
  if (!['debug', 'info', 'warn', 'error'].includes(text)) throw new Error('is debug, info, warn or error');
  return text;
}
