package main

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
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
	_, shown := get(t, "http://"+b.line(t, "the bot begins")["http"].(string)+"/metrics")
	assert.Contains(t, shown, "\natlas_integration_bot_panics_total 1\n")

	// It was kept before, so it goes on: this project has no such integration.
	_, err = p.WaitMessage(ctx, p.DM(), func(m slacksim.Message) bool { return strings.Contains(m.PlainText(), "rejected") })
	require.NoError(t, err)
	for place, content := range map[string]string{"the log": b.text(), "Slack": string(s.slack.Everything())} {
		if strings.Contains(content, typed) || strings.Contains(content, typed[:16]) {
			t.Errorf("what was typed is in %s", place)
		}
	}
}

// An unsafeAtlas panics when it is asked for one project, and refuses every other.
type unsafeAtlas struct {
	approvals.Atlas
	bad string
}

func (a unsafeAtlas) Integration(_ context.Context, projectID string, _ *atlas.Type) (*atlas.Integration, error) {
	if projectID == a.bad {
		panic(canary)
	}
	return nil, &atlas.Error{Op: "get PAGER_DUTY", Status: 404}
}

// TestPanicsInTheWorkCount, those that end as an answer that Atlas did not give as well.
func TestPanicsInTheWorkCount(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(redisd.Shared(t).URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	cfg, err := readConfig(t.Context(), complete(t))
	require.NoError(t, err)
	m, b := newMetrics(), &running{changed: make(chan struct{})}
	store := &approvals.Store{
		Redis: client, Sealer: cfg.sealer, Team: "T0PANIC" + strconv.FormatInt(time.Now().UnixNano(), 36),
		Policy: approvals.Policy{Default: approvals.Rule{Approvals: 1, TTL: time.Hour}}, Retention: time.Hour,
		Log: m.counted(slog.New(slog.NewJSONHandler(b, nil))),
		Observe: func(e approvals.Entry, _ *approvals.Request) {
			if e.Event != "submit" {
				panic(canary)
			}
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&approvals.Reconciler{Store: store, Atlas: unsafeAtlas{bad: projectNumber("1")}}).Run(ctx)
	}()
	defer func() { stop(); assert.NoError(t, <-ended) }()

	submitOne(t, store, "V1", "U0MIRA", atlas.Project{ID: projectNumber("1"), Name: "payments"})
	b.line(t, "atlas gave no answer")
	assert.Equal(t, 1.0, valueOf(t, m.panics))
	submitOne(t, store, "V2", "U0SAM", atlas.Project{ID: projectNumber("2"), Name: "search"})
	b.line(t, "work on a request")
	assert.Equal(t, 2.0, valueOf(t, m.panics))
	assert.NotContains(t, b.text(), canary)
}
