package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// soon is how long a test waits for what should happen at once.
const soon = 30 * time.Second

// running is a bot in this process.
type running struct {
	stop context.CancelFunc
	done chan int // gets the exit code

	guard   sync.Mutex
	changed chan struct{} // closed and made anew with every line
	log     bytes.Buffer
}

func begin(t *testing.T, env variablesOf) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	b := &running{stop: stop, done: make(chan int, 1), changed: make(chan struct{})}
	go func() { b.done <- execute(ctx, nil, env, strings.NewReader(""), &bytes.Buffer{}, b) }()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(b.text())
		}
	})
	return b
}

// Write takes a line of the log.
func (b *running) Write(p []byte) (int, error) {
	b.guard.Lock()
	defer b.guard.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.log.Write(p)
}

func (b *running) text() string {
	b.guard.Lock()
	defer b.guard.Unlock()
	return b.log.String()
}

// line waits for a line of the log with a message and returns its attributes.
func (b *running) line(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.After(soon)
	for {
		b.guard.Lock()
		text, changed := b.log.String(), b.changed
		b.guard.Unlock()
		for line := range strings.Lines(text) {
			var attributes map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &attributes), "a line that is not JSON: %s", line)
			if attributes["msg"] == message {
				return attributes
			}
		}
		select {
		case <-changed:
		case <-deadline:
			require.Fail(t, "no such line of the log: "+message)
		}
	}
}

// ended waits for the bot to end.
func (b *running) ended(t *testing.T) (code int) {
	t.Helper()
	select {
	case code = <-b.done:
	case <-time.After(soon):
		require.Fail(t, "the bot does not end")
	}
	return code
}

// url is where the bot's HTTP server is.
func (b *running) url(t *testing.T) string {
	t.Helper()
	addr, _ := b.line(t, "the bot begins")["http"].(string)
	return "http://" + addr
}

// becomes waits until /readyz answers a status, and returns what it then says.
func (b *running) becomes(t *testing.T, status int, says string) {
	t.Helper()
	url := b.url(t) + "/readyz"
	require.Eventually(t, func() bool {
		got, body := get(t, url)
		return got == status && strings.Contains(body, says)
	}, soon, 20*time.Millisecond, "never %d %q", status, says)
}

func TestRun(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	b := begin(t, s.env)
	b.becomes(t, 200, "ready")
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, s.slack.WaitConnections(ctx, 2))

	_, body := get(t, b.url(t)+"/metrics")
	assert.Contains(t, body, "atlas_integration_bot_sockets_up ")
	status, _ := get(t, b.url(t)+"/healthz")
	assert.Equal(t, 200, status)

	b.stop()
	assert.Equal(t, exitOK, b.ended(t))
	assert.Zero(t, s.atlas.TokensValid(), "the Atlas token is revoked")
	for _, secret := range s.secrets() {
		assert.NotContains(t, b.text(), secret)
	}
	assert.Equal(t, "T0ONCALL01", b.line(t, "slack knows the bot")["team"])
}

// What only a person can mend ends the bot, and says which setting it is.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		edit func(s *surroundings)
		says string
	}{
		{"the bot token is of nobody", []string{"SLACK_BOT_TOKEN", "xoxb-" + canary}, nil, "SLACK_BOT_TOKEN: slack answers invalid_auth"},
		{
			"the bot token was revoked", nil,
			func(s *surroundings) { s.slack.SetTokenError(s.slack.BotToken(), "account_inactive") },
			"SLACK_BOT_TOKEN: slack answers account_inactive: the token is no longer valid",
		},
		{"the app-level token is of nobody", []string{"SLACK_APP_TOKEN", "xapp-" + canary}, nil, "SLACK_APP_TOKEN"},
		{"the app-level token lacks its scope", nil, func(s *surroundings) { s.slack.SetAppScopes() }, "connections:write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSurroundings(t)
			if tt.edit != nil {
				tt.edit(s)
			}
			b := begin(t, s.env.with(tt.env...))
			assert.Equal(t, exitFault, b.ended(t))
			assert.Contains(t, b.line(t, "the bot ends")["error"], tt.says)
			assert.NotContains(t, b.text(), canary)
		})
	}
}

func TestRunAddressTaken(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	b := begin(t, complete(t).with("HTTP_ADDR", l.Addr().String()))
	assert.Equal(t, exitFault, b.ended(t))
	assert.Contains(t, b.line(t, "the bot ends")["error"], "HTTP_ADDR")
}

// Slack is away when the bot begins: it waits, says so, and goes on by itself.
func TestRunWaitsForSlack(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	s.slack.Fail("auth.test", 1, slacksim.Failure{Status: 503, Error: "service_unavailable"})
	b := begin(t, s.env)
	b.line(t, "ask slack who the bot is")
	b.becomes(t, 200, "ready")
	b.stop()
	assert.Equal(t, exitOK, b.ended(t))
}

func TestRunEndsWhileItWaitsForSlack(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	s.slack.Fail("auth.test", 1000, slacksim.Failure{Status: 503, Error: "service_unavailable"})
	b := begin(t, s.env)
	b.becomes(t, 503, starting)
	b.stop()
	assert.Equal(t, exitOK, b.ended(t))
}

// Redis goes and comes back: the bot lives on and says when it is ready.
func TestRunWithoutRedis(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	redis := redisd.New(t)
	redis.Kill()
	b := begin(t, s.env.with("REDIS_URL", redis.URL))
	b.becomes(t, 503, "redis does not answer")
	require.NoError(t, redis.Again(t.Context()))
	b.becomes(t, 200, "ready")
	b.stop()
	assert.Equal(t, exitOK, b.ended(t))
}

// Atlas is away: requests can be made and wait, so the bot is ready.
func TestRunWithoutAtlas(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	require.NoError(t, s.atlas.Close())
	b := begin(t, s.env)
	b.becomes(t, 200, "ready")
	b.stop()
	assert.Equal(t, exitOK, b.ended(t))
}

func TestAuditExportFindsTheWorkspace(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	redis := redisd.New(t) // of its own: the workspace is every test's
	env := s.env.with("REDIS_URL", redis.URL)
	empty := runBot(t.Context(), env, "", "audit", "export")
	assert.Equal(t, exitOK, empty.code, empty.stderr)
	assert.Empty(t, empty.stdout)

	s.slack.SetTokenError(s.slack.BotToken(), "token_revoked")
	refused := runBot(t.Context(), env, "", "audit", "export")
	assert.Equal(t, exitFault, refused.code)
	assert.Contains(t, refused.stderr, "token_revoked")
}
