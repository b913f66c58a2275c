package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// poisoned is a log that panics, once, at a line with certain words: with a value that
// holds what must not be told, as whatever a library of somebody else's panics with may.
type poisoned struct {
	*running
	words, value string
}

func (p *poisoned) Write(line []byte) (int, error) {
	if words := p.words; words != "" && strings.Contains(string(line), words) {
		p.words = "" // the handler of the log lets in one at a time
		panic(map[string]string{"serviceKey": p.value})
	}
	return p.running.Write(line)
}

// TestAPanicInAHandlerTellsNothing of what was typed, is acked, and takes nothing else
// with it: what was kept goes on.
func TestAPanicInAHandlerTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	typed := strings.Repeat("c0ffee00", 4)
	b := &running{done: make(chan int, 1), changed: make(chan struct{})}
	ctx, stop := context.WithTimeout(t.Context(), 2*soon)
	defer stop()
	env := s.env.with("REDIS_URL", redisd.New(t).URL, "LOG_LEVEL", "debug")
	logs := &poisoned{running: b, words: `"event":"submit"`, value: typed}
	go func() { b.done <- execute(ctx, nil, env, strings.NewReader(""), logs, logs) }()
	defer func() { stop(); b.ended(t) }()
	require.NoError(t, s.slack.WaitConnections(ctx, 2))

	p := s.slack.Person("U0ENGINEER")
	_, err := p.Command(ctx, "C0INCIDENT", "/atlas-integration", "update payments PAGER_DUTY")
	require.NoError(t, err)
	_, err = p.WaitView(ctx, func(v slacksim.View) bool {
		return strings.Contains(string(v.JSON), "serviceKey") && !strings.Contains(string(v.JSON), "Reading what Atlas")
	})
	require.NoError(t, err)
	require.NoError(t, p.Select(ctx, "region", "EU"))
	require.NoError(t, p.Type("serviceKey", typed))
	require.NoError(t, p.Type("reason", "rotated"))
	_, err = p.Submit(ctx)
	require.NoError(t, err, "it is acked")
	assert.Equal(t, "map[string]string", b.line(t, "panic in a handler")["panic"])

	// It was kept before, so it goes on: this project has no such integration.
	_, err = p.WaitMessage(ctx, p.DM(), func(m slacksim.Message) bool { return strings.Contains(m.PlainText(), "rejected") })
	require.NoError(t, err)
	for place, content := range map[string]string{"the log": b.text(), "Slack": string(s.slack.Everything())} {
		if strings.Contains(content, typed) || strings.Contains(content, typed[:16]) {
			t.Errorf("what was typed is in %s", place)
		}
	}
}
