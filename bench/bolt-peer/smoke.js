// A small app as the documentation of Bolt has it: a command opens a form, the form
// is checked and becomes a message, its button changes the message, and the Home tab
// greets. Nothing in it knows that it does not speak to Slack but the address.
import bolt from '@slack/bolt';

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  logLevel: 'warn',
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

const text = (words) => ({ type: 'plain_text', text: words });

app.command('/smoke', async ({ ack, body, client, respond }) => {
  await ack();
  if (body.text.startsWith('ping')) {
    await respond(body.text.replace('ping', 'pong'));
    return;
  }
  await client.views.open({
    trigger_id: body.trigger_id,
    view: {
      type: 'modal',
      callback_id: 'smoke',
      private_metadata: body.channel_id,
      title: text('Smoke'),
      submit: text('Send'),
      blocks: [{ type: 'input', block_id: 'words', label: text('Words'), element: { type: 'plain_text_input', action_id: 'words' } }],
    },
  });
});

app.view('smoke', async ({ ack, view, client }) => {
  const words = view.state.values.words.words.value;
  if (words === 'wrong') {
    await ack({ response_action: 'errors', errors: { words: 'Other words, please.' } });
    return;
  }
  await ack();
  await client.chat.postMessage({
    channel: view.private_metadata,
    text: words,
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: words } },
      { type: 'actions', elements: [{ type: 'button', action_id: 'press', text: text('Press'), value: words }] },
    ],
  });
});

app.action('press', async ({ ack, body, action, client }) => {
  await ack();
  const pressed = `${action.value}, pressed by <@${body.user.id}>`;
  await client.chat.update({
    channel: body.channel.id,
    ts: body.message.ts,
    text: pressed,
    blocks: [{ type: 'section', text: { type: 'mrkdwn', text: pressed } }],
  });
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({
    user_id: event.user,
    view: { type: 'home', blocks: [{ type: 'section', text: { type: 'mrkdwn', text: `Hello <@${event.user}>` } }] },
  });
});

process.on('SIGTERM', () => app.stop());
await app.start();
