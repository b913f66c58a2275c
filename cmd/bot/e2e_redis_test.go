package main_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestRedisFailsOverWhilePending has the bot as a process on each kind of Redis,
// under the documented rules, and kills the primary under a request that waits.
func TestRedisFailsOverWhilePending(t *testing.T) {
	t.Parallel()
	redisd.OnEach(t, filepath.Join("..", "..", "docs", "redis.md"), "{aib:"+slacksim.TeamID+"}:due", func(t *testing.T, topology *redisd.Topology, failOver func(context.Context) error) {
		w := newWorld(t, func(w *world) { w.env["REDIS_URL"] = topology.URLWithFiles() })
		w.start(t)
		require.Empty(t, w.ask(t, mira, rotation("f0f0", "payments-prod")).Errors)
		card := w.card(t, "pending")
		require.NoError(t, failOver(t.Context()))
		w.clickUntil(t, jo, card, "approve", "applied")
		assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
	}, "--appendonly", "yes", "--appendfsync", "always")
}

// clickUntil presses a button as somebody does who is told that Redis does not
// answer: once more, until the message shows what came of it.
func (w *world) clickUntil(t *testing.T, who string, m slacksim.Message, action, state string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		w.click(t, who, m, action)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		_, err := w.slack.Person(who).WaitMessage(ctx, m.Channel, func(m slacksim.Message) bool { return !m.Ephemeral && stateOf(m) == state })
		cancel()
		if err == nil {
			return
		}
	}
	require.Fail(t, "the message never was "+state)
}

// TestReadyNeedsTheNodeOfTheWorkspace: the other nodes of a Cluster answer, and are of no
// use for a command.
func TestReadyNeedsTheNodeOfTheWorkspace(t *testing.T) {
	t.Parallel()
	key := "{aib:" + slacksim.TeamID + "}:due"
	cluster := redisd.NewTopology(t, redisd.StartCluster, filepath.Join("..", "..", "docs", "redis.md"), "--appendonly", "yes")
	w := newWorld(t, func(w *world) { w.env["REDIS_URL"] = cluster.URLWithFiles() })
	bot := w.start(t)
	bot.becomes(t, http.StatusOK, "ready")
	require.NoError(t, cluster.CaughtUp(t.Context(), key))
	_, err := cluster.Failover(t.Context(), key)
	require.NoError(t, err)
	bot.becomes(t, http.StatusOK, "ready")

	last, err := cluster.Owner(t.Context(), key)
	require.NoError(t, err)
	last.Kill()
	bot.becomes(t, http.StatusServiceUnavailable, "redis does not answer")
	for range 10 {
		status, _ := bot.ready(t)
		require.Equal(t, http.StatusServiceUnavailable, status)
	}
	require.NoError(t, last.Again(t.Context()))
	bot.becomes(t, http.StatusOK, "ready")
}

// ready asks the bot whether it is.
func (p *process) ready(t require.TestingT) (status int, says string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.addr+"/readyz", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// becomes waits until the bot says that it is ready, or is not.
func (p *process) becomes(t *testing.T, status int, says string) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		now, text := p.ready(t)
		assert.Equal(t, status, now)
		assert.Contains(t, text, says)
	}, patience, 20*time.Millisecond)
}

// TestRedisForgotTheRequest: Redis died without a copy. Whoever presses a button of
// the card that is left is told that there is no such request, the card says so and
// offers nothing any more, and nothing is guessed.
func TestRedisForgotTheRequest(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"approve", "deny"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.redis = redisd.New(t)
				w.env["REDIS_URL"] = w.redis.URL
			})
			if !w.redis.Real {
				t.Skip(redisd.ErrMissing)
			}
			w.start(t)
			require.Empty(t, w.ask(t, mira, rotation("f1f1", "payments-prod")).Errors)
			card := w.card(t, "pending")
			w.remembers(t, card)
			w.redis.Kill()
			require.NoError(t, w.redis.Again(t.Context()))
			w.click(t, jo, card, action)
			w.told(t, jo, approvals, "no such request")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			now, err := w.slack.Person(jo).WaitMessage(ctx, approvals, func(m slacksim.Message) bool {
				return m.TS == card.TS && strings.Contains(m.PlainText(), "*no longer known*")
			})
			require.NoError(t, err)
			_, there := now.Button("approve")
			assert.False(t, there)
			assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
		})
	}
}

// remembers waits until the bot has written down where the messages are.
func (w *world) remembers(t *testing.T, card slacksim.Message) {
	t.Helper()
	options, err := redis.ParseURL(w.redis.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer func() { assert.NoError(t, client.Close()) }()
	prefix := "{aib:" + slacksim.TeamID + "}:"
	require.Eventually(t, func() bool {
		noted := client.HExists(t.Context(), prefix+"request:"+requestID(t, card), "message:card").Val()
		soon := strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10) // reminders are later
		return noted && client.ZCount(t.Context(), prefix+"show", "-inf", soon).Val() == 0
	}, patience, 20*time.Millisecond)
}
