// The parts of Block Kit that views and messages are made of, within Slack's limits.

// escape takes away the meaning that some characters have in Slack's markup.
export const escape = (words) => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export const cut = (words, most) => (words.length > most ? `${words.slice(0, most - 1)}…` : words);

export const plain = (words, most = 75) => ({ type: 'plain_text', text: cut(words, most) });

export const mention = (user) => `<@${user}>`;

export const code = (words) => `\`${escape(words).replaceAll('`', "'")}\``;

export const quote = (words) =>
  escape(words)
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');

// at is a moment as everybody's own client writes it.
export const at = (moment) =>
  `<!date^${Math.floor(moment / 1000)}^{date_short_pretty} at {time}|${new Date(moment).toISOString()}>`;

export const header = (words) => ({ type: 'header', text: plain(words, 150) });

export const section = (markup) => ({
  type: 'section',
  text: { type: 'mrkdwn', text: cut(markup, 3000), verbatim: true },
});

export const context = (markup) => ({ type: 'context', elements: [{ type: 'mrkdwn', text: cut(markup, 3000) }] });

export const input = (block_id, label, element, more) => ({
  type: 'input',
  block_id,
  label: plain(label, 2000),
  element,
  ...more,
});

export const option = (value, words = value, description) => ({
  text: plain(words),
  value,
  ...(description && { description: plain(description) }),
});

// select is a list to choose one value from.
export function select(action_id, options, chosen) {
  const initial_option = options.find(({ value }) => value === chosen);
  return {
    type: 'static_select',
    action_id,
    options,
    placeholder: plain('Choose'),
    ...(initial_option && { initial_option }),
  };
}

export const button = (action_id, value, label, more) => ({
  type: 'button',
  action_id,
  value,
  text: plain(label),
  ...more,
});

export const modal = (callback_id, title, blocks, more) => ({
  type: 'modal',
  callback_id,
  title: plain(title, 24),
  close: plain('Close'),
  blocks,
  ...more,
});

// message is what to post: blocks, and their text for notifications.
export function message(blocks) {
  const lines = blocks
    .map(({ text, elements }) => text?.text ?? elements?.[0]?.text)
    .filter((words) => typeof words === 'string');
  return { text: cut(lines.join('\n'), 3000), blocks };
}

export const say = (markup) => message([section(markup)]);
