package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// wires are the networks between the bot and its far ends. Slack has two: calls go
// over one, connections of Socket Mode over the other.
type wires struct {
	redis, atlas, slack, socket *toxiproxy.Proxy
}

// newWired is a world in which each far end is reached over a network of its own.
func newWired(t *testing.T) (*world, *wires) {
	t.Helper()
	w, over := newWorld(t), &wires{}
	options, err := redis.ParseURL(w.env["REDIS_URL"])
	require.NoError(t, err)
	over.redis = wire(t, "redis", options.Addr)
	w.env["REDIS_URL"] = "redis://" + over.redis.Listen + "/0"

	atlas, err := url.Parse(w.env["MONGODB_ATLAS_BASE_URL"])
	require.NoError(t, err)
	over.atlas = wire(t, "atlas", atlas.Host)
	w.env["MONGODB_ATLAS_BASE_URL"] = "http://" + over.atlas.Listen

	slack, err := url.Parse(w.env["SLACK_API_URL"])
	require.NoError(t, err)
	over.socket = wire(t, "socket", slack.Host)
	over.slack = wire(t, "slack", callsOf(t, slack.Host, over.socket.Listen))
	w.env["SLACK_API_URL"] = "http://" + over.slack.Listen + slack.Path
	return w, over
}

var quietly sync.Once

// wire is a network that is as good as none until something is done to it.
func wire(t *testing.T, name, far string) *toxiproxy.Proxy {
	t.Helper()
	quietly.Do(func() { zerolog.SetGlobalLevel(zerolog.Disabled) }) // some toxics log to where all of the process does
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, "127.0.0.1:0", far)
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// callsOf passes calls on to Slack, and sends who asks for a connection to where the
// network of the connections begins.
func callsOf(t *testing.T, slack, sockets string) string {
	t.Helper()
	calls := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: slack})
	calls.ErrorLog = log.New(io.Discard, "", 0) // calls that break off are what this is for
	calls.ModifyResponse = func(answer *http.Response) error {
		if !strings.HasSuffix(answer.Request.URL.Path, "/apps.connections.open") {
			return nil
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		body = bytes.ReplaceAll(body, []byte(slack), []byte(sockets))
		answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		answer.Header.Del("Content-Length")
		return nil
	}
	server := httptest.NewServer(calls)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// toxic is something that a network does, in the words of toxiproxy.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // upstream: from the bot; downstream: to it
	Attributes map[string]any `json:"attributes"`
}

// poison does something to a network, to what is open too, until heal is called.
func poison(t *testing.T, over *toxiproxy.Proxy, does ...toxic) (heal func()) {
	t.Helper()
	for _, one := range does {
		text, err := json.Marshal(one)
		require.NoError(t, err)
		_, err = over.Toxics.AddToxicJson(bytes.NewReader(text))
		require.NoError(t, err)
	}
	return func() { over.Toxics.ResetToxics(context.Background()) }
}

func slow(ms, jitter int) []toxic {
	how := map[string]any{"latency": ms, "jitter": jitter}
	return []toxic{{"latency", "upstream", how}, {"latency", "downstream", how}}
}

// thin lets through so many kilobytes a second, each way.
func thin(rate int) []toxic {
	how := map[string]any{"rate": rate}
	return []toxic{{"bandwidth", "upstream", how}, {"bandwidth", "downstream", how}}
}

// halfOpen has what is sent one way get lost while all seems well.
func halfOpen(stream string) toxic {
	return toxic{"timeout", stream, map[string]any{"timeout": 0}}
}

// resetting resets a connection as soon as something is sent that way.
func resetting(stream string) toxic {
	return toxic{"reset_peer", stream, map[string]any{"timeout": 0}}
}

// TestSlowNetworks: on networks that are slow or thin, all that people do is acked
// in time and a request is applied once.
func TestSlowNetworks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                        string
		redis, atlas, slack, socket []toxic
	}{
		{"far from Redis", slow(60, 30), nil, nil, nil},
		{"far from Atlas", nil, slow(200, 100), nil, nil},
		{"far from Slack", nil, nil, slow(150, 50), slow(150, 50)},
		{"far from all of them", slow(40, 20), slow(150, 50), slow(100, 50), slow(100, 50)},
		{"a bad phone", thin(40), thin(40), append(slow(100, 80), thin(40)...), append(slow(100, 80), thin(40)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, over := newWired(t)
			poison(t, over.redis, tt.redis...)
			poison(t, over.atlas, tt.atlas...)
			poison(t, over.slack, tt.slack...)
			poison(t, over.socket, tt.socket...)
			bot := w.start(t)
			require.Empty(t, w.ask(t, mira, rotation("510e", "payments-prod")).Errors)
			w.click(t, jo, w.card(t, "pending"), "approve")
			w.card(t, "applied")
			w.appliedOnce(t, bot, "510e")
		})
	}
}

// appliedOnce checks what holds however the way there was: one effect, people know,
// nothing is left, no secret went anywhere.
func (w *world) appliedOnce(t *testing.T, bot *process, last string) {
	t.Helper()
	w.message(t, mira, w.slack.Person(mira).DM(), "applied", "")
	assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"), "one effective change")
	assert.Equal(t, key(last), w.holds(t, "payments-prod", "PAGER_DUTY")["serviceKey"])
	assertRest(t, w)
	w.noSecrets(t)
	assert.NotContains(t, bot.logs.String(), key(last))
	assert.Empty(t, w.slack.Violations())
}

// TestRedisIsHalfOpen: what is sent to Redis gets lost, or what it answers. Whoever
// waits is told in time that the bot does not know, and doing it again is safe.
func TestRedisIsHalfOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, lost string }{{"commands get lost", "upstream"}, {"answers get lost", "downstream"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, over := newWired(t)
			bot := w.start(t)
			// A first request, after which Redis knows the scripts: they are sent in full
			// only when it has said that it does not.
			require.Empty(t, w.ask(t, sam, limited("4a10", "first", "search-prod")).Errors)
			w.click(t, kim, w.card(t, "pending"), "approve")
			first := w.card(t, "applied")
			w.message(t, sam, w.slack.Person(sam).DM(), "applied", "")
			w.open(t, mira, "update", limited("4a1f", "second", "payments-prod"))
			heal := poison(t, over.redis, halfOpen(tt.lost))
			said := w.submit(t, mira).Errors
			require.Len(t, said, 1)
			for _, say := range said {
				assert.Equal(t, "The bot's storage does not answer, so nothing was sent to Atlas. What you typed is still here: send it again in a minute; it counts once.", say)
			}
			heal()
			if tt.lost == "downstream" { // it is kept, so an edit comes too late
				require.NoError(t, w.slack.Person(mira).Type("reason", "second thoughts"))
				said := w.submit(t, mira).Errors
				require.Len(t, said, 1)
				for _, say := range said {
					assert.Regexp(t, `^This form is kept already, as it was before you edited it: req_\w+\. Cancel that request and open a new form\.$`, say)
				}
				require.NoError(t, w.slack.Person(mira).Type("reason", "second"))
			}
			require.Empty(t, w.submit(t, mira).Errors)
			card := w.cardOf(t, "pending", "second")
			w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")
			w.remembers(t, card)

			heal = poison(t, over.redis, halfOpen(tt.lost))
			w.click(t, jo, card, "approve")
			w.told(t, jo, approvals, "The bot's storage does not answer, so it is not certain that this counted. Look at the request in a minute")
			w.asked(t, sam, "cancel "+requestID(t, first), "The bot's storage does not answer, so it is not certain that this counted. Look at the request in a minute, and do it again if need be: it counts once.")
			heal()
			w.approveAgain(t, card)
			w.cardOf(t, "applied", "second")
			w.message(t, mira, w.slack.Person(mira).DM(), "applied", "")
			assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
			assert.Len(t, cards(w), 2)
			assert.NotContains(t, bot.logs.String(), key("4a1f"))
			assert.Empty(t, w.slack.Violations())
			w.noSecrets(t)
		})
	}
}

// TestRedisIsSilentAtADenial: what somebody wrote about why is still there.
func TestRedisIsSilentAtADenial(t *testing.T) {
	t.Parallel()
	w, over := newWired(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, limited("de1a", "first", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "deny")
	p := w.slack.Person(jo)
	_, err := p.WaitView(deadline(t), func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, p.Type("reason", "not during the freeze"))
	heal := poison(t, over.redis, halfOpen("downstream"))
	assert.Equal(t, map[string]string{"reason": "The bot's storage does not answer, so it is not certain that this counted. Send it again in a minute; it counts once."},
		w.submit(t, jo).Errors)
	heal()
	require.Empty(t, w.submit(t, jo).Errors)
	assert.Contains(t, w.card(t, "denied").PlainText(), "not during the freeze")
}

// approveAgain presses Approve as people do who were not told that it counted: until
// the button is gone.
func (w *world) approveAgain(t *testing.T, card slacksim.Message) {
	t.Helper()
	ctx := deadline(t)
	require.True(t, eventually(ctx, w, func() bool {
		for _, m := range w.slack.Person(jo).Messages(card.Channel) {
			if m.TS == card.TS && stateOf(m) == "applied" {
				return true
			}
		}
		_ = w.slack.Person(jo).Click(ctx, card, "approve") // if the button is still there
		return false
	}), "the approval does not arrive")
}

// TestDoneTwice: what somebody has done already, they are told was done: the second
// time may be the bot's own, when Redis' first answer was lost.
func TestDoneTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	const says = "You did this before; it counts once."
	require.Empty(t, w.ask(t, mira, limited("2d2d", "first", "payments-prod")).Errors)
	card := w.cardOf(t, "pending", "first")
	w.click(t, jo, card, "approve")
	w.cardOf(t, "applied", "first")
	require.NoError(t, w.slack.Person(jo).ClickStale(deadline(t), card, "approve", requestID(t, card)))
	assert.Contains(t, w.told(t, jo, approvals, says).PlainText(), "applied")
	require.NoError(t, w.slack.Person(kim).ClickStale(deadline(t), card, "approve", requestID(t, card)))
	w.told(t, kim, approvals, "Nothing was done. The request to update")

	require.Empty(t, w.ask(t, mira, limited("2d2e", "second", "payments-prod")).Errors)
	card = w.cardOf(t, "pending", "second")
	for range 2 {
		w.asked(t, mira, "cancel "+requestID(t, card), "cancelled")
	}
	w.told(t, mira, incidents, says)
	assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
}

// TestRetryWhileRedisIsAway: requesters who are no approvers hear about the storage,
// not that they may not.
func TestRetryWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.atlas.Fail(anyPut, atlassim.Fault{Status: 403, Code: "ACCESS_FORBIDDEN"}, 1)
	require.Empty(t, w.ask(t, mira, rotation("4e74", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "failed")
	dm := w.slack.Person(mira).DM()
	failed := w.message(t, mira, dm, "failed", "")
	w.redis.Kill()
	w.click(t, mira, failed, "retry")
	w.told(t, mira, dm, "The bot's storage does not answer, so it is not certain that this counted.")
	require.NoError(t, w.redis.Again(t.Context()))
	w.click(t, mira, failed, "retry")
	w.card(t, "applied")
}

// TestAtlasIsHalfOpen while it is changed, one way or the other: the bot says so, and
// goes on when it is answered again.
func TestAtlasIsHalfOpen(t *testing.T) {
	t.Parallel()
	type half struct {
		w    *world
		bot  *process
		heal func()
	}
	var both []half // which wait side by side
	for _, lost := range []string{"upstream", "downstream"} {
		w, over := newWired(t)
		bot := w.start(t)
		require.Empty(t, w.ask(t, mira, rotation("4a2f", "payments-prod")).Errors)
		card := w.card(t, "pending")
		both = append(both, half{w, bot, poison(t, over.atlas, halfOpen(lost))})
		w.click(t, jo, card, "approve")
	}
	for _, h := range both {
		h.w.message(t, jo, approvals, "applying", "Atlas does not answer at the moment. The bot keeps trying.")
		h.heal()
	}
	for _, h := range both {
		h.w.card(t, "applied")
		h.w.appliedOnce(t, h.bot, "4a2f")
	}
}

// TestManyAskWhileAtlasIsSilent: the bot has never seen the list of projects, and all
// who open a form at once wait for it together, not one after the other.
func TestManyAskWhileAtlasIsSilent(t *testing.T) {
	t.Parallel()
	w, over := newWired(t)
	poison(t, over.atlas, halfOpen("downstream"))
	w.start(t)
	var people sync.WaitGroup
	for _, who := range []string{mira, sam, jo, kim} {
		people.Go(func() {
			_, err := w.slack.Person(who).Command(deadline(t), incidents, command, "update")
			assert.NoError(t, err)
			_, err = w.slack.Person(who).WaitView(deadline(t), func(v slacksim.View) bool {
				return strings.Contains(string(v.JSON), "Atlas does not list its projects at the moment.")
			})
			assert.NoError(t, err)
		})
	}
	people.Wait()
	assert.Empty(t, w.slack.Violations())
}

// TestSlacksCallsAreHalfOpen: who somebody is cannot be found out, so nothing is done,
// and they are told.
func TestSlacksCallsAreHalfOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, lost string }{{"calls get lost", "upstream"}, {"answers get lost", "downstream"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, over := newWired(t)
			bot := w.start(t)
			require.Empty(t, w.ask(t, mira, rotation("4a3f", "payments-prod")).Errors)
			card := w.card(t, "pending")
			w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")
			heal := poison(t, over.slack, halfOpen(tt.lost))
			w.click(t, jo, card, "approve")
			w.told(t, jo, approvals, "Slack does not say at the moment who may decide on requests, so nobody can. Nothing was done. Try again in a minute.")
			assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
			heal()
			w.approveAgain(t, card) // the first time perhaps over a connection that has just ended
			w.card(t, "applied")
			w.appliedOnce(t, bot, "4a3f")
		})
	}
}

// TestSocketsAreHalfOpen: all connections die without a word. The bot notices within
// thirty seconds, and opens others as soon as there is a network.
func TestSocketsAreHalfOpen(t *testing.T) {
	t.Parallel()
	w, over := newWired(t)
	w.start(t)
	gone := make(chan time.Time, 16)
	cancel := w.slack.Subscribe(func(e slacksim.Event) {
		if e.Kind == "socket" && e.Method == "closed" {
			select {
			case gone <- time.Now():
			default:
			}
		}
	})
	defer cancel()
	begun := time.Now()
	heal := poison(t, over.socket, halfOpen("downstream"))
	for range 2 {
		select {
		case at := <-gone:
			t.Logf("noticed after %s", at.Sub(begun).Round(time.Millisecond))
			assert.Less(t, at.Sub(begun), 30*time.Second)
		case <-time.After(time.Minute):
			require.Fail(t, "dead connections were never given up")
		}
	}
	heal()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	require.NoError(t, w.slack.WaitConnections(ctx, 2))
	w.say(t, mira, "help")
}

// TestResets: each network resets what is sent over it, one way or the other, while
// somebody submits and while somebody approves. They do it again, and it counts once.
func TestResets(t *testing.T) {
	t.Parallel()
	for _, far := range []string{"redis", "atlas", "slack", "socket"} {
		for _, stream := range []string{"upstream", "downstream"} {
			t.Run(far+" "+stream, func(t *testing.T) {
				t.Parallel()
				w, over := newWired(t)
				network := map[string]*toxiproxy.Proxy{"redis": over.redis, "atlas": over.atlas, "slack": over.slack, "socket": over.socket}[far]
				bot := w.start(t)
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()

				w.open(t, mira, "update", rotation("4e5e", "payments-prod"))
				submit := func() bool {
					result, err := w.slack.Person(mira).Submit(ctx)
					return err == nil && result.Trouble == "" && len(result.Errors) == 0
				}
				heal := poison(t, network, resetting(stream))
				taken := submit()
				heal()
				if !taken {
					require.True(t, eventually(ctx, w, submit), "the form was not taken")
				}
				card := w.card(t, "pending")
				w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")

				heal = poison(t, network, resetting(stream))
				_ = w.slack.Person(jo).Click(ctx, card, "approve") // whatever comes of it
				if far == "atlas" {
					w.message(t, jo, approvals, "applying", "Atlas does not answer at the moment. The bot keeps trying.")
				}
				heal()
				w.approveAgain(t, card)
				w.card(t, "applied")
				w.appliedOnce(t, bot, "4e5e")
			})
		}
	}
}
