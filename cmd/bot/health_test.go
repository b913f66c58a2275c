package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// served starts the HTTP server as run does and returns its address.
func served(t *testing.T, h *health) string {
	t.Helper()
	l, err := listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, "HTTP_ADDR", l, h.handler(), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	redisAway, socketsAway := errors.New("connection refused"), errors.New("no socket is up")
	answers := func(context.Context) error { return nil }
	silent := func(context.Context) error { return redisAway }
	fine := func() error { return nil }
	wedged := func() error { return errors.New("the work on the queue due has not moved") }
	tests := []struct {
		name   string
		set    func(h *health)
		status int
		says   string
		alive  int
	}{
		{"starting", func(*health) {}, 503, "not ready: " + starting, 200},
		{"all is well", func(h *health) { h.fit(answers, fine, fine) }, 200, "ready", 200},
		{"without Redis", func(h *health) { h.fit(silent, fine, fine) }, 503, "not ready: redis does not answer: connection refused", 200},
		{"without a socket", func(h *health) { h.fit(answers, func() error { return socketsAway }, fine) }, 503, "not ready: no socket is up", 200},
		{"ending", func(h *health) { h.fit(answers, fine, fine); h.notFit("the bot is ending") }, 503, "not ready: the bot is ending", 200},
		{"stuck", func(h *health) { h.fit(answers, fine, wedged) }, 200, "ready", 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHealth(newMetrics())
			tt.set(h)
			url := served(t, h)

			status, body := get(t, url+"/readyz")
			assert.Equal(t, tt.status, status)
			assert.Equal(t, tt.says+"\n", body)

			status, body = get(t, url+"/healthz")
			assert.Equal(t, tt.alive, status, "the process lives whatever it waits for")
			if tt.alive != 200 {
				assert.Equal(t, "to be restarted: the work on the queue due has not moved\n", body)
			}
			status, _ = get(t, url+"/")
			assert.Equal(t, 404, status)
		})
	}
}

func TestReadyHasADeadline(t *testing.T) {
	t.Parallel()
	h := newHealth(newMetrics())
	h.fit(func(ctx context.Context) error {
		<-ctx.Done() // a Redis that neither answers nor refuses
		return ctx.Err()
	}, func() error { return nil }, func() error { return nil })
	assert.ErrorIs(t, h.ready(t.Context()), context.DeadlineExceeded)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	told := m.observer()
	told.Envelope("interactive")
	told.Envelope("something_new_" + canary)
	told.Acked("slash_commands", 30*time.Millisecond)
	told.AckFailed("slash_commands")
	told.Reconnect("warning")
	told.Reconnect(canary)
	told.Standing(2)
	told.ToldNumber(5)
	m.foreign("team")
	m.foreign(canary)
	_, body := get(t, served(t, newHealth(m))+"/metrics")

	for _, line := range []string{
		`atlas_integration_bot_envelopes_total{type="interactive"} 1`,
		`atlas_integration_bot_envelopes_total{type="other"} 1`,
		`atlas_integration_bot_envelopes_total{type="slash_commands"} 0`,
		`atlas_integration_bot_ack_seconds_bucket{type="slash_commands",le="0.05"} 1`,
		`atlas_integration_bot_acks_failed_total{type="slash_commands"} 1`,
		`atlas_integration_bot_payloads_dropped_total{reason="team"} 1`,
		`atlas_integration_bot_payloads_dropped_total{reason="other"} 1`,
		`atlas_integration_bot_reconnects_total{reason="warning"} 1`,
		`atlas_integration_bot_reconnects_total{reason="other"} 1`,
		`atlas_integration_bot_sockets_up 2`,
		`atlas_integration_bot_app_connections 5`,
		`atlas_integration_bot_panics_total 0`,
		`atlas_integration_bot_build_info{version=`,
		`go_goroutines `,
	} {
		assert.True(t, strings.Contains(body, "\n"+line), "no line %s", line)
	}
	assert.NotContains(t, body, canary, "a label never takes a value from outside as it is")
}

func TestListenSaysWhichVariable(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, err = listen(t.Context(), "HTTP_ADDR", l.Addr().String())
	assert.ErrorContains(t, err, "HTTP_ADDR")
}
