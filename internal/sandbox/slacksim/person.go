package slacksim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Person is somebody at a Slack client: they see what is meant for them and do
// what the client lets them.
type Person struct {
	s  *Server
	id string
}

// Person is somebody by user ID.
func (s *Server) Person(id string) *Person { return &Person{s: s, id: id} }

// ID is the person's user ID.
func (p *Person) ID() string { return p.id }

// DM is the channel of the direct messages between the person and the bot.
func (p *Person) DM() string { return dmOf(p.id) }

// A ClientError is what the client says by itself, before anything is sent.
type ClientError struct {
	Errors map[string]string // by block ID
}

func (e *ClientError) Error() string {
	var all []string
	for block, say := range e.Errors {
		all = append(all, block+": "+say)
	}
	slices.Sort(all)
	return "the client does not send the view: " + strings.Join(all, "; ")
}

// A DeliveryError is what a person sees when the app did not answer: an error
// below the command, or a warning sign at the button.
type DeliveryError struct {
	Type string // of the envelope
	Err  error
}

func (e *DeliveryError) Error() string {
	return fmt.Sprintf("the app did not answer (%s): %v", e.Type, e.Err)
}

// Unwrap gives the reason.
func (e *DeliveryError) Unwrap() error { return e.Err }

// ask sends a payload and waits for the ack.
func (p *Person) ask(ctx context.Context, kind string, payload object, accepts bool) (*envelope, object, error) {
	e := p.s.send(kind, payload, accepts, nil)
	answer, err := p.s.await(ctx, e)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errClosed) {
		err = &DeliveryError{Type: kind, Err: err}
	}
	return e, answer, err
}

// CommandResult is what came of a command.
type CommandResult struct {
	Message *Message // from the ack; nil if there was none
	AckTime time.Duration
}

// Command types a command into a channel and waits for its ack. An open view covers
// the channel, so the person closes it first. What the app does after the ack, such
// as opening a view, is to be waited for.
func (p *Person) Command(ctx context.Context, channelID, command, words string) (CommandResult, error) {
	if err := p.CloseAll(ctx); err != nil {
		return CommandResult{}, err
	}
	payload, err := p.command(channelID, command, words)
	if err != nil {
		return CommandResult{}, err
	}
	e, answer, err := p.ask(ctx, "slash_commands", payload, true)
	if err != nil {
		return CommandResult{}, err
	}
	result := CommandResult{AckTime: e.took}
	if len(answer) == 0 {
		return result, nil
	}
	result.Message, err = p.reply(e, channelID, answer)
	return result, err
}

func (p *Person) command(channelID, command, words string) (object, error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, u := s.channel(channelID), s.users[p.id]
	switch {
	case u == nil:
		return nil, fmt.Errorf("there is no user %s", p.id)
	case ch == nil || ch.Private && !ch.has(p.id):
		return nil, fmt.Errorf("%s does not see a channel %s", p.id, channelID)
	case !slices.Contains(s.scopes, "commands"):
		return nil, errors.New("the app has no commands")
	}
	name := ch.Name
	if ch.Private && !isDM(ch.ID) {
		name = "privategroup"
	}
	s.record(Event{Kind: "command", Actor: p.id, Method: command, Summary: command + " " + words})
	return object{
		"token": "ignored", "team_id": TeamID, "team_domain": domain, "channel_id": ch.ID, "channel_name": name,
		"user_id": u.ID, "user_name": u.Name, "command": command, "text": words, "api_app_id": AppID,
		"is_enterprise_install": "false", "trigger_id": s.newTrigger(p.id),
		"response_url": s.newHook("commands", &hook{user: p.id, channel: ch.ID}),
	}, nil
}

// reply shows the message of a command's ack.
func (p *Person) reply(e *envelope, channelID string, answer object) (*Message, error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range answer {
		if !slices.Contains(hookFields, name) {
			s.violate(BadMessage, e.id, "%q is not a field of a message", name)
			return nil, &DeliveryError{Type: e.kind, Err: errors.New("the message in the ack is not one")}
		}
	}
	body, blocks, a := s.content(&call{args: answer})
	if a.body != nil {
		s.violate(BadMessage, e.id, "%s", encode(a.body))
		return nil, &DeliveryError{Type: e.kind, Err: errors.New("the message in the ack is not one")}
	}
	m := &message{channel: channelID, user: BotUserID, text: body, blocks: blocks}
	if text(answer["response_type"]) != "in_channel" {
		m.only = p.id
	}
	shown := s.post(m).shown()
	return &shown, nil
}

// Shortcut chooses a global shortcut of the app and waits for its ack. What the app
// does then, such as opening a view, is to be waited for.
func (p *Person) Shortcut(ctx context.Context, callbackID string) error {
	if err := p.CloseAll(ctx); err != nil {
		return err
	}
	p.s.mu.Lock()
	payload := p.acts("shortcut")
	payload["callback_id"], payload["action_ts"] = callbackID, p.s.stamp()
	p.s.record(Event{Kind: "click", Actor: p.id, Method: callbackID, Summary: "the shortcut " + callbackID, JSON: encode(object{"trigger_id": payload["trigger_id"]})})
	p.s.mu.Unlock()
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}

// Messages are the messages of a channel as the person sees them, oldest first.
func (p *Person) Messages(channelID string) []Message {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.messages(channelID)
}

func (p *Person) messages(channelID string) []Message {
	ch := p.s.channel(channelID)
	if ch == nil || ch.Private && !ch.has(p.id) {
		return nil
	}
	var all []Message
	for _, m := range p.s.messages {
		if m.channel == channelID && !m.deleted && (m.only == "" || m.only == p.id) {
			all = append(all, m.shown())
		}
	}
	return all
}

// WaitMessage waits for a message, looking at the newest first.
func (p *Person) WaitMessage(ctx context.Context, channelID string, is func(Message) bool) (Message, error) {
	var found Message
	var tried []Message
	err := p.s.wait(ctx, func() bool {
		tried = p.messages(channelID)
		for _, m := range slices.Backward(tried) {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		return Message{}, fmt.Errorf("wait for a message in %s, where %s sees %d others: %w", channelID, p.id, len(tried), err)
	}
	return found, nil
}

// Reload has the person reload the client: ephemeral messages are gone.
func (p *Person) Reload() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, m := range p.s.messages {
		m.deleted = m.deleted || m.only == p.id
	}
	p.s.touch()
}

// Click presses a button of a message, confirms if asked, and waits for the ack.
// It is an error if the message as it is now does not have the button. An open view
// covers the message, so the person closes it first.
func (p *Person) Click(ctx context.Context, m Message, actionID string) error {
	if err := p.CloseAll(ctx); err != nil {
		return err
	}
	p.s.mu.Lock()
	now := p.s.find(m.Channel, m.TS)
	if now == nil || now.only != "" && now.only != p.id {
		p.s.mu.Unlock()
		return fmt.Errorf("there is no message %s in %s any more", m.TS, m.Channel)
	}
	var button object
	var block string
	for _, e := range elements(now.blocks) {
		if text(e.element["type"]) == "button" && text(e.element["action_id"]) == actionID {
			button, block = e.element, text(e.block["block_id"])
		}
	}
	if button == nil {
		p.s.mu.Unlock()
		return fmt.Errorf("the message %s has no button %q", m.TS, actionID)
	}
	payload := p.clicked(now, p.pressed(button, block))
	p.s.mu.Unlock()
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}

// ClickStale sends the click of a button on a message as the person saw it, though
// it may look different by now or be gone.
func (p *Person) ClickStale(ctx context.Context, m Message, actionID, value string) error {
	p.s.mu.Lock()
	now := p.s.find(m.Channel, m.TS)
	if now == nil {
		now = &message{channel: m.Channel, ts: m.TS, thread: m.ThreadTS, user: m.User, text: m.Text}
		if m.Ephemeral {
			now.only = p.id
		}
	}
	button := object{"type": "button", "action_id": actionID, "value": value, "text": object{"type": "plain_text", "text": actionID, "emoji": true}}
	block := "stale"
	if seen, is := m.Button(actionID); is {
		block = seen.BlockID
	}
	payload := p.clicked(now, p.pressed(button, block))
	p.s.mu.Unlock()
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}

// pressed is the action of a button.
func (p *Person) pressed(button object, block string) object {
	action := object{"type": "button", "block_id": block, "action_id": button["action_id"], "text": button["text"], "action_ts": p.s.stamp()}
	for _, name := range []string{"value", "style", "url"} {
		if button[name] != nil {
			action[name] = button[name]
		}
	}
	return action
}

// acts is what all interactive payloads have in common. It is called with the lock held.
func (p *Person) acts(kind string) object {
	u := p.s.users[p.id]
	if u == nil {
		u = &User{ID: p.id, Name: p.id, TeamID: TeamID}
	}
	return object{
		"type": kind, "team": object{"id": TeamID, "domain": domain}, "enterprise": nil, "is_enterprise_install": false,
		"user":       object{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"api_app_id": AppID, "token": "ignored", "trigger_id": p.s.newTrigger(p.id),
	}
}

// clicked is the payload of an action in a message. It is called with the lock held.
func (p *Person) clicked(m *message, action object) object {
	s := p.s
	payload := p.acts("block_actions")
	container := object{"type": "message", "message_ts": m.ts, "channel_id": m.channel, "is_ephemeral": m.only != ""}
	if m.thread != "" {
		container["thread_ts"] = m.thread
	}
	name := m.channel
	if ch := s.channel(m.channel); ch != nil {
		name = ch.Name
	}
	payload["container"] = container
	payload["channel"] = object{"id": m.channel, "name": name}
	if m.only == "" {
		payload["message"] = clone(m.payload())
	}
	payload["state"] = object{"values": object{}}
	payload["response_url"] = s.newHook("actions", &hook{user: p.id, channel: m.channel, about: m})
	payload["actions"] = []any{action}
	s.record(Event{
		Kind: "click", Actor: p.id, Method: text(action["action_id"]),
		Summary: fmt.Sprintf("%s in %s", text(action["action_id"]), m.channel), JSON: encode(object{"action": action}),
	})
	return payload
}
