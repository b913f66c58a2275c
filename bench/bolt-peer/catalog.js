// The types of integration and their fields: form, checks, payload and masks all follow
// from this table. A field is a text unless its kind says otherwise.

const hex32 = [/^[0-9a-f]{32}$/i, 'Atlas takes 32 characters here, only 0-9 and a-f.'];
const uuid = [
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'usually has 36 characters in the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.',
];

const choice = (name, label, choices, more) => ({
  name,
  label,
  kind: 'choice',
  choices,
  fallback: choices[0],
  required: true,
  ...more,
});
const toggle = (name, label, more) => ({
  name,
  label,
  kind: 'toggle',
  choices: ['true', 'false'],
  fallback: 'false',
  ...more,
});
const text = (name, label, more) => ({ name, label, kind: 'text', ...more });
const secret = (name, label, more) => ({ name, label, kind: 'secret', required: true, ...more });

export const types = [
  {
    name: 'PAGER_DUTY',
    title: 'PagerDuty',
    aliases: ['pd'],
    fields: [
      choice('region', 'Region', ['US', 'EU']),
      secret('serviceKey', 'Integration key', { hint: '32 characters, 0-9 and a-f.', hard: hex32 }),
    ],
  },
  {
    name: 'OPS_GENIE',
    title: 'Opsgenie',
    fields: [choice('region', 'Region', ['US', 'EU']), secret('apiKey', 'API key', { soft: uuid })],
  },
  {
    name: 'DATADOG',
    title: 'Datadog',
    aliases: ['dd'],
    fields: [
      choice('region', 'Region', ['US', 'EU', 'US3', 'US5', 'AP1', 'US1_FED'], {
        hint: 'The Datadog site of your organization.',
      }),
      toggle('sendDatabaseMetrics', 'Send database metrics'),
      toggle('sendCollectionLatencyMetrics', 'Send collection latency metrics'),
      toggle('sendQueryStatsMetrics', 'Send query shape metrics'),
      toggle('sendUserProvidedResourceTags', 'Send resource tags'),
      secret('apiKey', 'API key', {
        hint: '32 characters, 0-9 and a-f. An API key, not an application key.',
        hard: hex32,
      }),
    ],
  },
  {
    name: 'VICTOR_OPS',
    title: 'Splunk On-Call (VictorOps)',
    aliases: ['victorops', 'splunk', 'splunkoncall', 'vo'],
    fields: [
      text('routingKey', 'Routing key', { hint: 'Decides which team is paged. It is not a secret.' }),
      secret('apiKey', 'API key', { soft: uuid }),
    ],
  },
  {
    name: 'WEBHOOK',
    title: 'Webhook',
    aliases: ['webhooks', 'hook'],
    fields: [
      secret('url', 'URL', { url: true, hint: 'Handled as a secret, since tokens are often part of it.' }),
      secret('secret', 'Secret', { required: false, hint: 'Left empty, Atlas may remove the one that is set now.' }),
      secret('headersTemplate', 'Headers template', {
        required: false,
        template: true,
        maxBytes: 4096,
        hint: 'Must render to a JSON object.',
      }),
      secret('bodyTemplate', 'Body template', {
        required: false,
        template: true,
        maxBytes: 16384,
        hint: 'Must render to JSON.',
      }),
    ],
  },
  {
    name: 'MICROSOFT_TEAMS',
    title: 'Microsoft Teams',
    aliases: ['teams', 'msteams'],
    fields: [
      secret('microsoftTeamsWebhookUrl', 'Webhook URL', {
        url: true,
        hint: 'Handled as a secret: whoever has it can post into the channel.',
        soft: [
          /^https:\/\/[^/]*(\.office\.com|\.logic\.azure\.com|\.powerplatform\.com)[:/]/,
          'is usually an address at office.com, logic.azure.com or powerplatform.com.',
        ],
      }),
    ],
  },
  {
    name: 'PROMETHEUS',
    title: 'Prometheus',
    aliases: ['prom'],
    fields: [
      toggle('enabled', 'Enabled', { required: true, fallback: 'true' }),
      choice('serviceDiscovery', 'Service discovery', ['http', 'file']),
      toggle('sendUserProvidedResourceTagsEnabled', 'Send resource tags'),
      text('username', 'User name', { required: true, hint: 'As in the scrape configuration.' }),
      secret('password', 'Password', { hint: 'Atlas never shows it again.' }),
    ],
  },
  {
    name: 'SLACK',
    title: 'Slack',
    caveat: 'Atlas now connects to Slack by OAuth in its own console, and refuses most changes through its API.',
    fields: [
      text('channelName', 'Channel', {
        required: true,
        maxLength: 80,
        hint: 'Where Atlas posts its alerts, without #.',
      }),
      text('teamName', 'Team name', { hint: 'Only for a legacy Slack integration.' }),
      secret('apiToken', 'API token', { soft: [/^xox[a-z]-/, 'usually starts with xoxb- or xoxp-.'] }),
    ],
  },
  {
    name: 'NEW_RELIC',
    title: 'New Relic',
    aliases: ['nr'],
    caveat: 'New Relic switched this plugin off in 2021. Atlas still stores the values.',
    fields: [
      secret('accountId', 'Account ID'),
      secret('licenseKey', 'License key'),
      secret('readToken', 'Read token'),
      secret('writeToken', 'Write token'),
    ],
  },
  {
    name: 'HIP_CHAT',
    title: 'HipChat',
    fields: [],
    discontinued:
      'HipChat was switched off in 2019, and Atlas refuses this type. Nothing was sent. Choose the type of the service that you use now.',
  },
];

export const typeOf = (name) => types.find((type) => type.name === name);

const fold = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

// findType finds a type by its name in Atlas or one that people use.
export function findType(typed) {
  const name = fold(typed);
  return types.find(
    (type) => name && (name === fold(type.name) || name === fold(type.title) || type.aliases?.includes(name)),
  );
}

// check says what is wrong with the values of a form, by field name, and what only looks so.
export function check(type, values) {
  const errors = {};
  const doubts = [];
  for (const field of type.fields) {
    const value = values[field.name];
    if (!value) {
      if (field.required) errors[field.name] = `Fill in: ${field.label}.`;
      continue;
    }
    const refusal = refuse(field, value);
    if (refusal) errors[field.name] = refusal;
    else if (field.soft && !field.soft[0].test(value)) doubts.push(`${field.label} ${field.soft[1]}`);
  }
  for (const field of type.fields) {
    if (field.kind === 'text' && holdsSecret(type, values, values[field.name])) {
      errors[field.name] = 'This holds one of the keys below, and everybody can read it here. Take the key out.';
    }
  }
  return { errors, doubts };
}

function refuse(field, value) {
  if (/\*{4,}|•{2,}|^\*+[^*]{0,4}$/.test(value))
    return 'This is a masked value, not the real one. Paste the whole value.';
  if (field.kind === 'secret' && !field.template && value !== value.trim())
    return 'There is a space or line break at the start or end. Remove it.';
  if (field.choices && !field.choices.includes(value)) return `Choose one of: ${field.choices.join(', ')}.`;
  if (field.maxLength && [...value].length > field.maxLength) return `At most ${field.maxLength} characters.`;
  if (field.maxBytes && Buffer.byteLength(value) > field.maxBytes) return `At most ${field.maxBytes / 1024} KB.`;
  if (field.hard && !field.hard[0].test(value)) return `${field.hard[1]} This has ${value.length}.`;
  if (field.url && !(URL.canParse(value) && /^https?:\/\/[^/]/.test(value)))
    return 'This is not a complete address. It should look like https://host/path.';
  return '';
}

// holdsSecret tells whether a text holds one of the secrets.
export function holdsSecret(type, values, words = '') {
  return type.fields.some(
    ({ kind, name }) => kind === 'secret' && values[name]?.length >= 4 && words.includes(values[name]),
  );
}

// separate parts the values of a form into those that everybody may see and secrets. What
// is chosen from a list is always set.
export function separate(type, values) {
  const plain = {};
  const secrets = {};
  for (const { name, kind, fallback } of type.fields) {
    const value = values[name] || fallback;
    if (value) (kind === 'secret' ? secrets : plain)[name] = value;
  }
  return { plain, secrets };
}

// payload is the body of the PUT: the whole integration, since Atlas may replace it.
export function payload(type, values) {
  const body = { type: type.name };
  for (const { name, kind } of type.fields) {
    if (kind === 'toggle') body[name] = values[name] === 'true';
    else if (values[name]) body[name] = values[name];
  }
  return body;
}

const lastFour = (value) => (value.length >= 12 ? value.slice(-4) : '');

// maskOf is what may be shown of a new value.
export function maskOf(field, value) {
  if (field.template) return `••••, ${value.length} characters`;
  return field.url ? `${new URL(value).origin}/••••${lastFour(value)}` : `••••${lastFour(value)}`;
}

// redact keeps of what Atlas shows what everybody may see. Some secrets it shows in clear.
export function redact(type, shown) {
  const kept = { id: shown.id };
  for (const field of type.fields) {
    const value = shown[field.name];
    if (value === undefined || value === null || value === '') continue;
    if (field.kind !== 'secret') kept[field.name] = String(value);
    else if (!value.includes('****'))
      kept[field.name] = field.url && !URL.canParse(value) ? '••••' : maskOf(field, value);
    else kept[field.name] = field.template ? `••••, ${value.length} characters` : value.replace(/\*+/, '••••');
  }
  return kept;
}

// mismatches names the fields in which Atlas shows something else than was sent. Of
// masked secrets length and last four must agree; those that it never shows cannot be checked.
export function mismatches(type, values, shown) {
  return type.fields
    .filter((field) => values[field.name] && !agrees(field, values[field.name], shown[field.name]))
    .map(({ label }) => label);
}

function agrees(field, sent, shown) {
  if (field.kind === 'toggle') return String(shown ?? false) === sent;
  if (field.kind !== 'secret' || (shown && !shown.includes('****')))
    return shown === sent || (field.kind === 'secret' && !shown);
  if (!shown) return true;
  const visible = shown.slice(shown.lastIndexOf('*') + 1);
  if (!sent.endsWith(visible)) return false;
  return field.url ? shown.startsWith(`${new URL(sent).origin}/`) : [...shown].length === [...sent].length;
}
