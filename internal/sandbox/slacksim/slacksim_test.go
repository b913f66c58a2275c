package slacksim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mira      = "U0ENGINEER"
	jo        = "U0APPROVER"
	approvals = "C0APPROVAL"
	incidents = "C0INCIDENT"
	timeout   = 20 * time.Second
)

// app is a client of the stand-in: the Web API through slack-go, one socket raw.
type app struct {
	*testing.T
	s   *Server
	api *slack.Client
	ctx context.Context

	client slack.Option // of further clients
	http   *http.Client
}

func start(t *testing.T, opt Options) *app {
	t.Helper()
	s, err := New(opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := slack.OptionHTTPClient(&http.Client{Transport: transport})
	api := slack.New(s.BotToken(), slack.OptionAppLevelToken(s.AppToken()), slack.OptionAPIURL(s.APIURL()), client)
	return &app{T: t, s: s, api: api, client: client, http: &http.Client{Transport: transport}, ctx: ctx}
}

// frozen is an app of a stand-in whose clock stands still.
func frozen(t *testing.T) (*app, *Clock) {
	t.Helper()
	clock := NewClock(time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC))
	return start(t, Options{Clock: clock}), clock
}

// standStill has time go on as if the process had not run meanwhile.
func (c *Clock) standStill(d time.Duration) {
	c.mu.Lock()
	c.pulse.last = c.pulse.last.Add(-d)
	c.mu.Unlock()
	c.Advance(d)
}

func (a *app) dial() *websocket.Conn {
	a.Helper()
	_, address, err := a.api.StartSocketModeContext(a.ctx)
	require.NoError(a, err)
	ws, response, err := websocket.DefaultDialer.DialContext(a.ctx, address, nil)
	require.NoError(a, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	a.Cleanup(func() { _ = ws.Close() })
	return ws
}

// connect dials and reads the hello.
func (a *app) connect() *websocket.Conn {
	a.Helper()
	before := a.s.Connections()
	ws := a.dial()
	assert.Equal(a, "hello", a.read(ws)["type"])
	require.NoError(a, a.s.WaitConnections(a.ctx, before+1))
	return ws
}

func (a *app) read(ws *websocket.Conn) object {
	a.Helper()
	require.NoError(a, ws.SetReadDeadline(time.Now().Add(timeout)))
	var frame object
	require.NoError(a, ws.ReadJSON(&frame))
	return frame
}

// take reads an envelope and gives its ID and payload.
func (a *app) take(ws *websocket.Conn) (string, object) {
	a.Helper()
	frame := a.read(ws)
	return text(frame["envelope_id"]), obj(frame["payload"])
}

func (a *app) ack(ws *websocket.Conn, id string, payload any) {
	a.Helper()
	frame := object{"envelope_id": id}
	if payload != nil {
		frame["payload"] = payload
	}
	require.NoError(a, ws.WriteJSON(frame))
}

// answering acks every envelope with what f says, until the connection ends.
func (a *app) answering(ws *websocket.Conn, f func(payload object) any) {
	done := make(chan struct{})
	require.NoError(a, ws.SetReadDeadline(time.Time{}))
	go func() {
		defer close(done)
		for {
			var frame object
			if ws.ReadJSON(&frame) != nil {
				return
			}
			if id := text(frame["envelope_id"]); id != "" {
				_ = ws.WriteJSON(object{"envelope_id": id, "payload": f(obj(frame["payload"]))})
			}
		}
	}()
	a.Cleanup(func() {
		_ = ws.Close()
		<-done
	})
}

// kinds are the kinds of the violations so far.
func (a *app) kinds() []string {
	kinds := []string{}
	for _, v := range a.s.Violations() {
		kinds = append(kinds, v.Kind)
	}
	return kinds
}

// violated waits for a violation.
func (a *app) violated(kind string) Violation {
	a.Helper()
	var found Violation
	require.NoError(a, a.s.wait(a.ctx, func() bool {
		for _, v := range a.s.violations {
			if v.Kind == kind {
				found = v
				return true
			}
		}
		return false
	}), "violations: %v", a.s.Violations())
	return found
}

func code(err error) string {
	var refusal slack.SlackErrorResponse
	if errors.As(err, &refusal) {
		return refusal.Err
	}
	return fmt.Sprint(err)
}

func said(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// form is a modal with a select that dispatches, a text and a secret.
func form(secretBlock string) slack.ModalViewRequest {
	choose := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, said("Choose"), "type",
		slack.NewOptionBlockObject("A", said("First"), nil), slack.NewOptionBlockObject("B", said("Second"), nil))
	kind := slack.NewInputBlock("type", said("Type"), nil, choose)
	kind.DispatchAction = true
	key := slack.NewPlainTextInputBlockElement(nil, "key")
	key.MaxLength = 8
	reason := slack.NewPlainTextInputBlockElement(nil, "reason")
	reason.InitialValue = "because"
	why := slack.NewInputBlock("reason", said("Reason"), nil, reason)
	why.Optional = true
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: "form", Title: said("Form"), Submit: said("Send"), Close: said("Cancel"),
		Blocks: slack.Blocks{BlockSet: []slack.Block{kind, slack.NewInputBlock(secretBlock, said("Key"), nil, key), why}},
	}
}

// opened has mira open the form.
func (a *app) opened(ws *websocket.Conn) *slack.ViewResponse {
	a.Helper()
	view, err := a.api.OpenViewContext(a.ctx, a.trigger(ws), form("key"))
	require.NoError(a, err)
	return view
}

// trigger has mira type the command, acks it, and gives its trigger.
func (a *app) trigger(ws *websocket.Conn) string {
	a.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "update")
		result <- err
	}()
	id, payload := a.take(ws)
	a.ack(ws, id, nil)
	require.NoError(a, <-result)
	return text(payload["trigger_id"])
}

func TestTheCallsOfTheBot(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	a.s.SetScopes(append(defaultScopes, "team:read")...)
	self, err := a.api.AuthTestContext(a.ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{TeamID, BotUserID, BotID}, []string{self.TeamID, self.UserID, self.BotID})
	assert.Contains(t, self.Header.Get("X-OAuth-Scopes"), "usergroups:read")
	bot, err := a.api.GetBotInfoContext(a.ctx, slack.GetBotInfoParameters{Bot: BotID})
	require.NoError(t, err)
	assert.Equal(t, AppID, bot.AppID)
	members, err := a.api.GetUserGroupMembersContext(a.ctx, "S0APPROVE1")
	require.NoError(t, err)
	assert.Equal(t, []string{"U0APPROVER", "U0APPROV2"}, members)
	_, err = a.api.GetUserGroupMembersContext(a.ctx, "S0NOBODY00")
	assert.Equal(t, "no_such_subteam", code(err))
	stranger, err := a.api.GetUserInfoContext(a.ctx, "U0STRANGER")
	require.NoError(t, err)
	assert.True(t, stranger.IsStranger)
	assert.Equal(t, "T0OTHER001", stranger.TeamID)
	_, err = a.api.GetUserInfoContext(a.ctx, "U0NOBODY00")
	assert.Equal(t, "user_not_found", code(err))
	c, err := a.api.GetConversationInfoContext(a.ctx, &slack.GetConversationInfoInput{ChannelID: approvals})
	require.NoError(t, err)
	assert.True(t, c.IsMember)
	assert.Equal(t, "atlas-approvals", c.Name)
	team, err := a.api.GetTeamInfoContext(a.ctx)
	require.NoError(t, err)
	assert.Equal(t, TeamID, team.ID)
}

func TestTokensAndScopes(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	call := func(token string) string {
		_, err := slack.New(token, slack.OptionAPIURL(a.s.APIURL()), a.client).AuthTestContext(a.ctx)
		return code(err)
	}
	assert.Equal(t, "not_authed", call(""))
	assert.Equal(t, "invalid_auth", call("xoxb"+"-other"))
	assert.Equal(t, "not_allowed_token_type", call(a.s.AppToken()))
	_, _, err := slack.New("", slack.OptionAppLevelToken(a.s.BotToken()), slack.OptionAPIURL(a.s.APIURL()), a.client).StartSocketModeContext(a.ctx)
	assert.Equal(t, "not_allowed_token_type", code(err))

	a.s.SetScopes("commands", "chat:write")
	_, err = a.api.GetUserInfoContext(a.ctx, mira)
	var refusal slack.SlackErrorResponse
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, []string{"missing_scope", "users:read", "commands,chat:write"}, []string{refusal.Err, refusal.Needed, refusal.Provided})
	a.s.SetAppScopes()
	_, _, err = a.api.StartSocketModeContext(a.ctx)
	assert.Equal(t, "missing_scope", code(err))
	a.s.SetTokenError(a.s.BotToken(), "token_revoked")
	assert.Equal(t, "token_revoked", call(a.s.BotToken()))
	a.s.SetSocketMode(false)
	a.s.SetAppScopes("connections:write")
	_, _, err = a.api.StartSocketModeContext(a.ctx)
	assert.Equal(t, "link_disabled", code(err))
}

func TestATicketServesOneConnection(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	_, address, err := a.api.StartSocketModeContext(a.ctx)
	require.NoError(t, err)
	ws, _, err := websocket.DefaultDialer.DialContext(a.ctx, address, nil) //nolint:bodyclose // a WebSocket's
	require.NoError(t, err)
	defer func() { _ = ws.Close() }()
	hello := a.read(ws)
	assert.Equal(t, "hello", hello["type"])
	assert.InDelta(t, 1, hello["num_connections"], 0)
	_, response, err := websocket.DefaultDialer.DialContext(a.ctx, address, nil) //nolint:bodyclose // empty after a refusal
	require.Error(t, err)
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
}

func TestTheEleventhConnection(t *testing.T) {
	t.Parallel()
	a := start(t, Options{NoRateLimits: true})
	for range 10 {
		a.connect()
	}
	assert.Equal(t, "too_many_websockets", a.read(a.dial())["reason"])
	assert.Equal(t, 10, a.s.Connections())
}

func TestOpeningsAreLimited(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	for range 10 {
		_, _, err := a.api.StartSocketModeContext(a.ctx)
		require.NoError(t, err)
	}
	_, _, err := a.api.StartSocketModeContext(a.ctx)
	var limited *slack.RateLimitedError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, time.Minute, limited.RetryAfter)
	clock.Advance(time.Minute)
	_, _, err = a.api.StartSocketModeContext(a.ctx)
	require.NoError(t, err)
}

func TestACommandIsAnsweredInItsAck(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	a.answering(a.connect(), func(payload object) any {
		return object{"text": "you said " + text(payload["text"])}
	})
	result, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "help")
	require.NoError(t, err)
	require.NotNil(t, result.Message)
	assert.Equal(t, "you said help", result.Message.PlainText())
	assert.Len(t, a.s.Person(mira).Messages(incidents), 1)
	assert.Empty(t, a.s.Person(jo).Messages(incidents), "only who asked sees the answer")
	assert.Empty(t, a.kinds())
	assert.Contains(t, string(a.s.Everything()), "you said help")
}

func TestNobodyConnected(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "help")
	var undelivered *DeliveryError
	require.ErrorAs(t, err, &undelivered)
	assert.Empty(t, a.kinds(), "it is no fault of the app's that is seen here")
}

// TestAcks: what Slack does not forgive in an ack, and does not tell either.
func TestAcks(t *testing.T) {
	t.Parallel()
	press := func(a *app) chan error {
		_, ts, err := a.api.PostMessageContext(a.ctx, approvals, slack.MsgOptionText("card", false), slack.MsgOptionBlocks(
			slack.NewActionBlock("decision", slack.NewButtonBlockElement("approve", "req", said("Approve")))))
		require.NoError(a, err)
		done := make(chan error, 1)
		go func() {
			done <- a.s.Person(jo).Click(a.ctx, Message{Channel: approvals, TS: ts}, "approve")
		}()
		return done
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		a, clock := frozen(t)
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		clock.Advance(3*time.Second + time.Millisecond)
		var undelivered *DeliveryError
		require.ErrorAs(t, <-done, &undelivered)
		assert.Equal(t, id, a.violated(LateAck).EnvelopeID)
	})
	t.Run("not late: nothing on the machine could run", func(t *testing.T) {
		t.Parallel()
		clock := &Clock{}
		a := start(t, Options{Clock: clock})
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		clock.standStill(4 * time.Second)
		a.ack(ws, id, nil)
		require.NoError(t, <-done)
		assert.Empty(t, a.s.Violations())
	})
	t.Run("late, even so", func(t *testing.T) {
		t.Parallel()
		clock := &Clock{}
		a := start(t, Options{Clock: clock})
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		clock.standStill(4 * time.Second)
		clock.Advance(3*time.Second + time.Millisecond)
		var undelivered *DeliveryError
		require.ErrorAs(t, <-done, &undelivered)
		assert.Equal(t, id, a.violated(LateAck).EnvelopeID)
	})
	t.Run("second", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		a.ack(ws, id, nil)
		a.ack(ws, id, nil)
		require.NoError(t, <-done)
		assert.Equal(t, id, a.violated(SecondAck).EnvelopeID)
	})
	t.Run("wrong connection", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		one := a.connect()
		done := press(a)
		id, _ := a.take(one)
		other := a.connect()
		a.ack(other, id, nil)
		a.violated(WrongConnection)
		a.ack(one, id, nil)
		require.NoError(t, <-done)
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		a.ack(a.connect(), "never-sent", nil)
		a.violated(UnknownEnvelope)
	})
	t.Run("payload", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		a.ack(ws, id, object{"response_action": "clear"})
		require.NoError(t, <-done)
		a.violated(UnexpectedPayload)
	})
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		ws := a.connect()
		a.ack(ws, "any", strings.Repeat("x", largestFrame))
		_, _, err := ws.ReadMessage()
		assert.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
		a.violated(FrameTooLarge)
	})
	t.Run("fragmented", func(t *testing.T) {
		t.Parallel()
		a := start(t, Options{})
		ws := a.connect()
		done := press(a)
		id, _ := a.take(ws)
		// The default write buffer holds 4 KB: a longer message goes out in pieces.
		w, err := ws.NextWriter(websocket.TextMessage)
		require.NoError(t, err)
		_, err = w.Write([]byte(`{"envelope_id":"` + id + `","payload":{}` + strings.Repeat(" ", 9000)))
		require.NoError(t, err)
		_, err = w.Write([]byte(`}`))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		a.violated(Fragmented)
		a.ack(ws, id, nil) // was not joined, so this one is the first
		require.NoError(t, <-done)
		assert.Equal(t, []string{Fragmented}, a.kinds())
	})
}

// Envelopes that go out together wait for the last of them; those that come after do not.
func TestGathered(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	a.s.Gather(2)
	var sent [3]chan error
	ask := func(i int) {
		sent[i] = make(chan error, 1)
		go func() {
			_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", fmt.Sprint(i))
			sent[i] <- err
		}()
	}
	ask(0)
	require.NoError(t, a.s.wait(a.ctx, func() bool { return a.s.gathering.missing == 1 }))
	ask(1)
	var texts []string
	for range 2 {
		id, payload := a.take(ws)
		texts = append(texts, text(payload["text"]))
		a.ack(ws, id, nil)
	}
	assert.ElementsMatch(t, []string{"0", "1"}, texts)
	require.NoError(t, a.s.wait(a.ctx, func() bool { return a.s.gathering == nil }), "nobody is waited for any more")
	ask(2)
	id, _ := a.take(ws)
	a.ack(ws, id, nil)
	for i := range sent {
		require.NoError(t, <-sent[i])
	}

	a.s.Gather(3) // the other two do not come
	ask(0)
	id, _ = a.take(ws)
	a.ack(ws, id, nil)
	require.NoError(t, <-sent[0])
	require.NoError(t, a.s.wait(a.ctx, func() bool { return a.s.gathering == nil }), "nor are they waited for any more")
}

func TestTheEndsOfAConnection(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	ws := a.connect()
	a.s.Refresh("warning")
	frame := a.read(ws)
	assert.Equal(t, []any{"disconnect", "warning"}, []any{frame["type"], frame["reason"]})
	a.trigger(ws) // it goes on until it is cut
	clock.Advance(10 * time.Second)
	_, _, err := ws.ReadMessage()
	require.Error(t, err)
	require.NoError(t, a.s.WaitDisconnected(a.ctx))

	ws = a.connect()
	a.s.CutSockets()
	_, _, err = ws.ReadMessage()
	require.Error(t, err)
	require.NoError(t, a.s.wait(a.ctx, func() bool { return len(a.s.conns) == 0 }))

	a.s.SkipHello(1)
	a.dial()
	require.NoError(t, a.s.wait(a.ctx, func() bool { return len(a.s.conns) == 1 }))
	assert.Zero(t, a.s.Connections())
}

func TestASilentConnectionLosesWhatItGets(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	a.connect()
	a.s.SilenceSocket(0)
	done := make(chan error, 1)
	go func() {
		_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "")
		done <- err
	}()
	require.NoError(t, a.s.wait(a.ctx, func() bool { return len(a.s.envelopes) == 1 }))
	clock.Advance(4 * time.Second)
	require.ErrorIs(t, <-done, errLate)
	assert.Empty(t, a.kinds())
}

func TestEverythingTwice(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	a.s.DeliverTwice(true)
	ws := a.connect()
	done := make(chan error, 1)
	go func() {
		_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "")
		done <- err
	}()
	first, _ := a.take(ws)
	a.ack(ws, first, nil)
	require.NoError(t, <-done)
	second, _ := a.take(ws)
	a.ack(ws, second, nil)
	assert.Equal(t, first, second)
	a.ack(ws, second, nil)
	a.violated(SecondAck)
}

func TestEventsAreSentAgain(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	ws := a.connect()
	done := make(chan error, 1)
	go func() { done <- a.s.Person(mira).OpenHome(a.ctx) }()
	first := a.read(ws)
	assert.InDelta(t, 0, first["retry_attempt"], 0)
	clock.Advance(4 * time.Second)
	again := a.read(ws)
	assert.InDelta(t, 1, again["retry_attempt"], 0)
	assert.Equal(t, "timeout", again["retry_reason"])
	assert.NotEqual(t, first["envelope_id"], again["envelope_id"])
	assert.Equal(t, obj(first["payload"])["event_id"], obj(again["payload"])["event_id"])
	a.ack(ws, text(again["envelope_id"]), nil)
	require.NoError(t, <-done)

	_, err := a.api.PublishViewContext(a.ctx, slack.PublishViewContextRequest{UserID: mira, View: slack.HomeTabViewRequest{
		Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewSectionBlock(said("Hello"), nil, nil)}},
	}})
	require.NoError(t, err)
	home, is := a.s.Person(mira).Home()
	require.True(t, is)
	assert.Contains(t, string(home.JSON), "Hello")
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	ws := a.connect()
	trigger := a.trigger(ws)
	_, err := a.api.OpenViewContext(a.ctx, trigger, form("key"))
	require.NoError(t, err)
	_, err = a.api.OpenViewContext(a.ctx, trigger, form("key"))
	assert.Equal(t, "exchanged_trigger_id", code(err))
	_, err = a.api.OpenViewContext(a.ctx, "1.2.x", form("key"))
	assert.Equal(t, "invalid_trigger_id", code(err))
	trigger = a.trigger(ws)
	clock.Advance(3*time.Second + time.Millisecond)
	_, err = a.api.OpenViewContext(a.ctx, trigger, form("key"))
	assert.Equal(t, "expired_trigger_id", code(err))
}

func TestHashesAndKeptState(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	first := a.opened(ws)
	p := a.s.Person(mira)
	require.NoError(t, p.Type("key", "typed"))
	require.NoError(t, p.Type("reason", "another"))
	second, err := a.api.UpdateViewContext(a.ctx, form("key.2"), "", first.Hash, first.ID)
	require.NoError(t, err)
	assert.NotEqual(t, first.Hash, second.Hash)
	_, err = a.api.UpdateViewContext(a.ctx, form("key"), "", first.Hash, first.ID)
	assert.Equal(t, "hash_conflict", code(err))
	view, is := p.View()
	require.True(t, is)
	assert.Empty(t, view.State["key.2"]["key"].Value, "a block of another ID is a new one")
	assert.Equal(t, "another", view.State["reason"]["reason"].Value, "initial values count for new blocks only")
	require.NoError(t, p.CloseView(a.ctx))
	_, err = a.api.UpdateViewContext(a.ctx, form("key"), "", "", first.ID)
	assert.Equal(t, "not_found", code(err))
	_, err = a.api.UpdateViewContext(a.ctx, form("key"), "ext", "", first.ID)
	assert.Equal(t, "invalid_arguments", code(err))
}

func TestSelectDispatches(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	a.opened(ws)
	p := a.s.Person(mira)
	require.NoError(t, p.Type("key", "s3cr3t"))
	require.Error(t, p.Select(a.ctx, "type", "C"))
	done := make(chan error, 1)
	go func() { done <- p.Select(a.ctx, "type", "B") }()
	id, payload := a.take(ws)
	a.ack(ws, id, nil)
	require.NoError(t, <-done)
	assert.Equal(t, "block_actions", payload["type"])
	action := obj(list(payload["actions"])[0])
	assert.Equal(t, "B", obj(action["selected_option"])["value"])
	values := obj(obj(obj(payload["view"])["state"])["values"])
	assert.Equal(t, "s3cr3t", obj(obj(values["key"])["key"])["value"], "the state has everything that is typed so far")
	for _, e := range a.s.Log() {
		assert.NotContains(t, string(e.JSON)+e.Summary, "s3cr3t", "the log does not")
	}
	var read slack.InteractionCallback
	require.NoError(t, json.Unmarshal(encode(payload), &read), "slack-go reads it")
	assert.Equal(t, "B", read.View.State.Values["type"]["type"].SelectedOption.Value)
}

func TestSubmissions(t *testing.T) {
	t.Parallel()
	big := form("key")
	big.Title = said(strings.Repeat("t", 25))
	next := form("next")
	for _, tt := range []struct {
		name   string
		answer any
		want   SubmitResult
		broken []string
	}{
		{"nothing", nil, SubmitResult{Closed: true}, []string{}},
		{"empty", object{}, SubmitResult{Closed: true}, []string{}},
		{"clear", slack.NewClearViewSubmissionResponse(), SubmitResult{Closed: true}, []string{}},
		{"errors", slack.NewErrorsViewSubmissionResponse(map[string]string{"key": "no"}), SubmitResult{Errors: map[string]string{"key": "no"}}, []string{}},
		{"update", slack.NewUpdateViewSubmissionResponse(&next), SubmitResult{Updated: true}, []string{}},
		{"push", slack.NewPushViewSubmissionResponse(&next), SubmitResult{Pushed: true}, []string{}},
		{"errors elsewhere", slack.NewErrorsViewSubmissionResponse(map[string]string{"nowhere": "no"}), SubmitResult{Trouble: trouble}, []string{BadErrors}},
		{"a view that is too much", slack.NewUpdateViewSubmissionResponse(&big), SubmitResult{Trouble: trouble}, []string{BadView}},
		{"an unknown action", object{"response_action": "dance"}, SubmitResult{Trouble: trouble}, []string{BadView}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, Options{})
			ws := a.connect()
			a.opened(ws)
			a.answering(ws, func(payload object) any {
				if payload["type"] == "view_submission" {
					return tt.answer
				}
				return nil
			})
			p := a.s.Person(mira)
			require.NoError(t, p.Select(a.ctx, "type", "A"))
			require.NoError(t, p.Type("key", "abc"))
			got, err := p.Submit(a.ctx)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.broken, a.kinds())
			_, open := p.View()
			assert.Equal(t, !tt.want.Closed, open)
		})
	}
}

func TestWhatTheClientRefuses(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	a.opened(ws)
	p := a.s.Person(mira)
	require.NoError(t, p.Type("key", "123456789"))
	_, err := p.Submit(a.ctx)
	var refusal *ClientError
	require.ErrorAs(t, err, &refusal)
	assert.Contains(t, refusal.Errors["key"], "no more than 8")
	assert.Contains(t, refusal.Errors["type"], "required")
	assert.Len(t, refusal.Errors, 2)
}

// TestClosing: what the app hears of a view that somebody closes, and that a view
// is closed before its person types a command.
func TestClosing(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	view := form("key")
	view.NotifyOnClose = true
	root, err := a.api.OpenViewContext(a.ctx, a.trigger(ws), view)
	require.NoError(t, err)
	for range 2 {
		done := make(chan error, 1)
		go func() { done <- a.s.Person(mira).Select(a.ctx, "type", "A") }()
		id, payload := a.take(ws)
		a.ack(ws, id, nil)
		require.NoError(t, <-done)
		_, err = a.api.PushViewContext(a.ctx, text(payload["trigger_id"]), view)
		require.NoError(t, err)
	}
	top, _ := a.s.Person(mira).View()
	closing := make(chan object, 2)
	a.answering(ws, func(payload object) any {
		closing <- payload
		return nil
	})
	require.NoError(t, a.s.Person(mira).CloseView(a.ctx))
	heard := <-closing
	assert.Equal(t, []any{"view_closed", top.ID, false}, []any{heard["type"], obj(heard["view"])["id"], heard["is_cleared"]})
	_, err = a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "")
	require.NoError(t, err)
	heard = <-closing
	assert.Equal(t, []any{"view_closed", root.ID, true}, []any{heard["type"], obj(heard["view"])["id"], heard["is_cleared"]})
	_, open := a.s.Person(mira).View()
	assert.False(t, open)
	assert.Empty(t, a.kinds())
}

func TestExternalSelect(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	least := 0
	most := 2
	element := &slack.MultiSelectBlockElement{
		Type: slack.MultiOptTypeExternal, ActionID: "project", MinQueryLength: &least, MaxSelectedItems: &most,
	}
	view := form("key")
	view.Blocks.BlockSet = append(view.Blocks.BlockSet, slack.NewInputBlock("project", said("Project"), nil, element))
	_, err := a.api.OpenViewContext(a.ctx, a.trigger(ws), view)
	require.NoError(t, err)
	a.answering(ws, func(payload object) any {
		if payload["type"] != "block_suggestion" {
			return nil
		}
		query := text(payload["value"])
		if query == "many" {
			return object{"options": make([]object, 101)}
		}
		return object{"options": []any{object{"text": object{"type": "plain_text", "text": "Project " + query}, "value": query}}}
	})
	p := a.s.Person(mira)
	found, err := p.Suggest(a.ctx, "project", "pay")
	require.NoError(t, err)
	assert.Equal(t, []Option{{Text: "Project pay", Value: "pay"}}, found)
	require.NoError(t, p.Select(a.ctx, "project", "one", "two"))
	shown, _ := p.View()
	assert.Len(t, shown.State["project"]["project"].Selected, 2)
	require.Error(t, p.Select(a.ctx, "project", "one", "two", "three"))
	_, err = p.Suggest(a.ctx, "project", "many")
	require.Error(t, err)
	assert.Equal(t, []string{BadOptions}, a.kinds())
}

func TestMessages(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	p := a.s.Person(mira)
	channel, ts, err := a.api.PostMessageContext(a.ctx, mira, slack.MsgOptionText("a &amp; b", false))
	require.NoError(t, err)
	assert.Equal(t, p.DM(), channel)
	m, err := p.WaitMessage(a.ctx, p.DM(), func(m Message) bool { return m.TS == ts })
	require.NoError(t, err)
	assert.Equal(t, "a & b", m.PlainText())
	assert.Empty(t, a.s.Person(jo).Messages(p.DM()))
	_, _, _, err = a.api.UpdateMessageContext(a.ctx, channel, ts, slack.MsgOptionText("new", false))
	require.NoError(t, err)
	_, _, _, err = a.api.UpdateMessageContext(a.ctx, channel, ts, slack.MsgOptionText(strings.Repeat("x", 4001), false))
	assert.Equal(t, "msg_too_long", code(err))
	_, _, _, err = a.api.UpdateMessageContext(a.ctx, channel, "1.000001", slack.MsgOptionText("new", false))
	assert.Equal(t, "message_not_found", code(err))
	link, err := a.api.GetPermalinkContext(a.ctx, &slack.PermalinkParameters{Channel: channel, Ts: ts})
	require.NoError(t, err)
	assert.Contains(t, link, channel)

	ephemeral, err := a.api.PostEphemeralContext(a.ctx, approvals, jo, slack.MsgOptionText("psst", false))
	require.NoError(t, err)
	assert.Len(t, a.s.Person(jo).Messages(approvals), 1)
	assert.Empty(t, p.Messages(approvals))
	_, _, _, err = a.api.UpdateMessageContext(a.ctx, approvals, ephemeral, slack.MsgOptionText("new", false))
	assert.Equal(t, "message_not_found", code(err))
	_, err = a.api.PostEphemeralContext(a.ctx, approvals, "U0STRANGER", slack.MsgOptionText("psst", false))
	assert.Equal(t, "user_not_in_channel", code(err))
	a.s.Person(jo).Reload()
	assert.Empty(t, a.s.Person(jo).Messages(approvals))
}

func TestWhereABotMayWrite(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	post := func(channel string) string {
		_, _, err := a.api.PostMessageContext(a.ctx, channel, slack.MsgOptionText("x", false))
		return code(err)
	}
	a.s.SetChannel("C0ARCHIVED", func(c *Channel) { c.Archived, c.Members = true, []string{BotUserID} })
	a.s.SetChannel("C0PRIVATE0", func(c *Channel) { c.Private = true })
	a.s.SetChannel("C0PUBLIC00", func(*Channel) {})
	a.s.SetMessagesTab(false)
	assert.Equal(t, "is_archived", post("C0ARCHIVED"))
	assert.Equal(t, "channel_not_found", post("C0PRIVATE0"))
	assert.Equal(t, "not_in_channel", post("C0PUBLIC00"))
	assert.Equal(t, "channel_not_found", post("C0NOTHERE0"))
	assert.Equal(t, "messages_tab_disabled", post(mira))
	_, _, err := a.api.PostMessageContext(a.ctx, approvals)
	assert.Equal(t, "no_text", code(err))
}

func TestResponseURL(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	ws := a.connect()
	result := make(chan error, 1)
	typeIt := func() string {
		go func() {
			_, err := a.s.Person(mira).Command(a.ctx, incidents, "/atlas-integration", "list")
			result <- err
		}()
		id, payload := a.take(ws)
		a.ack(ws, id, nil)
		require.NoError(t, <-result)
		return text(payload["response_url"])
	}
	address := typeIt()
	for i := range 5 {
		require.NoError(t, slack.PostWebhookCustomHTTPContext(a.ctx, address, a.http, &slack.WebhookMessage{Text: fmt.Sprint("answer ", i)}))
	}
	require.Error(t, slack.PostWebhookCustomHTTPContext(a.ctx, address, a.http, &slack.WebhookMessage{Text: "a sixth"}))
	assert.Len(t, a.s.Person(mira).Messages(incidents), 5)
	assert.Empty(t, a.s.Person(jo).Messages(incidents))
	address = typeIt()
	clock.Advance(30*time.Minute + time.Second)
	require.Error(t, slack.PostWebhookCustomHTTPContext(a.ctx, address, a.http, &slack.WebhookMessage{Text: "too late"}))
}

func TestClicks(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	ws := a.connect()
	seen := make(chan object, 4)
	a.answering(ws, func(payload object) any {
		seen <- payload
		return nil
	})
	card := slack.MsgOptionBlocks(slack.NewSectionBlock(said("pending"), nil, nil),
		slack.NewActionBlock("decision", slack.NewButtonBlockElement("approve", "req_1", said("Approve"))))
	_, ts, err := a.api.PostMessageContext(a.ctx, approvals, slack.MsgOptionText("card", false), card)
	require.NoError(t, err)
	m, err := a.s.Person(jo).WaitMessage(a.ctx, approvals, func(m Message) bool { return m.TS == ts })
	require.NoError(t, err)
	assert.Equal(t, "pending", m.PlainText())
	button, is := m.Button("approve")
	require.True(t, is)
	assert.Equal(t, Button{ActionID: "approve", BlockID: "decision", Value: "req_1", Text: "Approve"}, button)
	require.NoError(t, a.s.Person(jo).Click(a.ctx, m, "approve"))
	payload := <-seen
	assert.Equal(t, "req_1", obj(list(payload["actions"])[0])["value"])
	assert.Equal(t, ts, obj(payload["container"])["message_ts"])

	_, _, _, err = a.api.UpdateMessageContext(a.ctx, approvals, ts, slack.MsgOptionText("done", false),
		slack.MsgOptionBlocks(slack.NewSectionBlock(said("applied"), nil, nil)))
	require.NoError(t, err)
	require.Error(t, a.s.Person(jo).Click(a.ctx, m, "approve"), "the button is gone")
	require.NoError(t, a.s.Person(jo).ClickStale(a.ctx, m, "approve", "req_1"))
	assert.Equal(t, "req_1", obj(list((<-seen)["actions"])[0])["value"])
	assert.Empty(t, a.kinds())
}

func TestFailures(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	call := func() error {
		_, err := a.api.AuthTestContext(a.ctx)
		return err
	}
	a.s.Fail("auth.test", 1, Failure{Error: "fatal_error"})
	assert.Equal(t, "fatal_error", code(call()))
	a.s.Fail("auth.test", 1, Failure{RetryAfter: 7 * time.Second})
	var limited *slack.RateLimitedError
	require.ErrorAs(t, call(), &limited)
	assert.Equal(t, 7*time.Second, limited.RetryAfter)
	a.s.Fail("*", 1, Failure{Status: 503})
	var status slack.StatusCodeError
	require.ErrorAs(t, call(), &status)
	assert.Equal(t, 503, status.Code)
	a.s.Fail("auth.test", 1, Failure{Hang: true})
	ctx, cancel := context.WithCancel(a.ctx)
	go func() {
		_ = a.s.wait(a.ctx, func() bool { return strings.Contains(a.s.events[len(a.s.events)-1].Summary, "no answer") })
		cancel()
	}()
	_, err := a.api.AuthTestContext(ctx)
	require.ErrorIs(t, err, context.Canceled)
	a.s.Fail("chat.postMessage", 1, Failure{Reset: true, After: true})
	_, _, err = a.api.PostMessageContext(a.ctx, approvals, slack.MsgOptionText("once", false))
	require.Error(t, err)
	assert.Len(t, a.s.Person(jo).Messages(approvals), 1, "it was posted all the same")
	require.NoError(t, call())
}

func TestRateLimitOfAChannel(t *testing.T) {
	t.Parallel()
	a, clock := frozen(t)
	post := func() error {
		_, _, err := a.api.PostMessageContext(a.ctx, approvals, slack.MsgOptionText("x", false))
		return err
	}
	for range 10 {
		require.NoError(t, post())
	}
	var limited *slack.RateLimitedError
	require.ErrorAs(t, post(), &limited)
	clock.Advance(limited.RetryAfter)
	require.NoError(t, post())
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	a := start(t, Options{})
	events := make(chan Event, 16)
	cancel := a.s.Subscribe(func(e Event) { events <- e })
	_, err := a.api.AuthTestContext(a.ctx)
	require.NoError(t, err)
	e := <-events
	assert.Equal(t, []string{"api", "auth.test", "auth.test: ok"}, []string{e.Kind, e.Method, e.Summary})
	cancel()
	cancel()
}
