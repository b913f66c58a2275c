package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// deadline is how long a person waits for what should happen at once.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestSlackRefreshesUnderLoad: Slack has all connections replaced, three times, while
// hundreds of commands arrive. All that reach the bot are answered in time. What is on
// a connection at the moment at which Slack cuts it Slack has lost itself, and says so:
// typed again it is answered.
func TestSlackRefreshesUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, slacksim.Options{NoRateLimits: true}, atlassim.Options{})
	w.start(t)
	const most = 12 * time.Second // from the first command to the last: three refreshes, and ten seconds later the cuts
	ctx, cancel := context.WithTimeout(t.Context(), most+patience)
	defer cancel()
	var guard sync.Mutex
	var typed, again, unanswered int
	var slowest time.Duration
	var people sync.WaitGroup
	person := func(id string) {
		pace := time.NewTicker(time.Second / 5)
		defer pace.Stop()
		for begun := time.Now(); time.Since(begun) < most; <-pace.C {
			first, err := w.slack.Person(id).Command(ctx, incidents, command, "help")
			result := first
			if err != nil {
				result, err = w.slack.Person(id).Command(ctx, incidents, command, "help")
			}
			guard.Lock()
			typed++
			slowest = max(slowest, result.AckTime)
			if first.Message == nil {
				again++
			}
			if err != nil || result.Message == nil {
				unanswered++
			}
			guard.Unlock()
		}
	}
	for i := range 10 {
		id := fmt.Sprintf("U0CROWD%03d", i)
		w.slack.SetUser(id, func(u *slacksim.User) { u.Name = strings.ToLower(id) })
		people.Go(func() { person(id) })
	}
	people.Go(func() {
		refresh := time.NewTicker(500 * time.Millisecond)
		defer refresh.Stop()
		for _, reason := range []string{"warning", "refresh_requested", "warning"} {
			<-refresh.C
			w.slack.Refresh(reason)
		}
	})
	people.Wait()
	t.Logf("%d commands, %d of them typed twice, the slowest ack took %s", typed, again, slowest.Round(time.Millisecond))
	assert.Zero(t, unanswered, "of %d commands", typed)
	assert.LessOrEqual(t, again, typed/50, "of %d commands", typed) // none where the machine keeps up
	assert.Greater(t, typed, 200)
	assert.Empty(t, w.slack.Violations())
}

// TestASilentSocket: one of two connections dies without a word. What Slack sends
// over it people do again, and the other answers; within thirty seconds it is gone
// and another stands.
func TestASilentSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("51e7", "payments-prod")).Errors)
	card := w.card(t, "pending")

	gone := make(chan time.Time, 8)
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
	w.slack.SilenceSocket(0)

	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	lost := 0
	for w.slack.Person(jo).Click(ctx, card, "approve") != nil { // Slack shows a warning sign, and jo presses again
		require.NoError(t, ctx.Err(), "no click arrives")
		lost++
	}
	w.card(t, "applied")
	select {
	case at := <-gone:
		t.Logf("noticed after %s; clicks lost until one arrived: %d", at.Sub(begun).Round(time.Millisecond), lost)
		assert.Less(t, at.Sub(begun), 30*time.Second)
	case <-ctx.Done():
		require.Fail(t, "the silent connection was never given up")
	}
	require.NoError(t, w.slack.WaitConnections(ctx, 2))
	for range 20 {
		w.say(t, mira, "help")
	}
}

// TestSlackLimitsOneMethod: while Slack refuses to have messages edited, requests are
// made, shown, approved and applied; the edits follow when Slack allows them.
func TestSlackLimitsOneMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, limited("1a1a", "first", "payments-prod")).Errors)
	first := w.cardOf(t, "pending", "first")
	dm := w.slack.Person(mira).DM()
	w.message(t, mira, dm, "pending", "")
	const pause = 3 * time.Second
	refused := make(chan time.Time, 16)
	edited := make(chan time.Time, 16)
	cancel := w.slack.Subscribe(func(e slacksim.Event) {
		switch {
		case e.Method != "chat.update":
		case strings.HasSuffix(e.Summary, "ratelimited"):
			refused <- e.At
		default:
			edited <- e.At
		}
	})
	defer cancel()
	w.slack.Fail("chat.update", 1, slacksim.Failure{RetryAfter: pause})
	w.click(t, jo, first, "approve")
	asked := <-refused
	require.NoError(t, w.atlas.WaitCalls(deadline(t), func([]atlassim.Call) bool {
		return w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY") == 1
	}), "Atlas should not wait for Slack")

	require.Empty(t, w.ask(t, sam, limited("1b1b", "second", "search-prod")).Errors) // others go on
	w.cardOf(t, "pending", "second")
	w.asked(t, mira, "status "+requestID(t, first), "applied")
	w.cardOf(t, "applied", "first")
	w.message(t, mira, dm, "applied", "")
	allowed := <-edited
	for allowed.Before(asked) { // an edit of before the click
		allowed = <-edited
	}
	assert.GreaterOrEqual(t, allowed.Sub(asked), pause, "Slack was asked again before it wanted to be")
}

// TestSlackLimitsPosting: nobody sees a card yet, but the request is there, and is found.
func TestSlackLimitsPosting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.slack.Fail("chat.postMessage", 2, slacksim.Failure{RetryAfter: 2 * time.Second}) // the card's and the DM's
	require.Empty(t, w.ask(t, mira, rotation("1d1d", "payments-prod")).Errors)
	w.asked(t, jo, "pending", "req_")
	card := w.card(t, "pending")
	w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
}

// limited is a rotation with a reason of its own.
func limited(last, reason string, projects ...string) filled {
	f := rotation(last, projects...)
	f.reason = reason
	return f
}

// TestSlackLimitsWhatAPersonWaitsFor: where the limit hits somebody who waits, they
// are told, nothing is done, and a little later it works.
func TestSlackLimitsWhatAPersonWaitsFor(t *testing.T) {
	t.Parallel()
	limit := slacksim.Failure{RetryAfter: 30 * time.Second}
	t.Run("views.open", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(t)
		w.slack.Fail("views.open", 1, limit)
		w.asked(t, mira, "update", "Slack did not let the bot open the form in time. Nothing was changed. Try again.")
		w.open(t, mira, "update", rotation("1c1c", "payments-prod"))
	})
	for _, method := range []string{"users.info", "usergroups.users.list"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
			w.start(t)
			require.Empty(t, w.ask(t, mira, rotation("1c1c", "payments-prod")).Errors)
			card := w.card(t, "pending")
			w.slack.Fail(method, 1, limit)
			w.click(t, jo, card, "approve")
			w.told(t, jo, approvals, "Slack does not say at the moment who may decide on requests, so nobody can. Nothing was done. Try again in a minute.")
			assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
			w.click(t, jo, card, "approve")
			w.card(t, "applied")
		})
	}
}

// TestSlackDoesNotSayWhoMayDeny: what somebody wrote about why is still there.
func TestSlackDoesNotSayWhoMayDeny(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
	first := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("de2a", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "deny")
	p := w.slack.Person(jo)
	_, err := p.WaitView(deadline(t), func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, p.Type("reason", "not during the freeze"))
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGTERM)) // it remembers for a minute who jo is; the next one does not
	<-first.done
	require.NoError(t, w.slack.WaitDisconnected(deadline(t)))
	w.start(t)
	w.slack.Fail("usergroups.users.list", 1, slacksim.Failure{Error: "internal_error"})
	assert.Equal(t, map[string]string{"reason": "Slack does not say at the moment who may decide on requests, so nothing was done. Send it again in a minute."},
		w.submit(t, jo).Errors)
	require.Empty(t, w.submit(t, jo).Errors)
	assert.Contains(t, w.card(t, "denied").PlainText(), "not during the freeze")
}

// remove has a message deleted, as an admin of the workspace can.
func (w *world) remove(t *testing.T, m slacksim.Message) {
	t.Helper()
	url := make(chan string, 1)
	cancel := w.slack.Subscribe(func(e slacksim.Event) {
		var click struct {
			ResponseURL string `json:"response_url"`
			Container   struct {
				TS string `json:"message_ts"`
			} `json:"container"`
		}
		if e.Kind == "envelope" && json.Unmarshal(e.JSON, &click) == nil && click.Container.TS == m.TS {
			select {
			case url <- click.ResponseURL:
			default:
			}
		}
	})
	defer cancel()
	// The stand-in deletes by the URL that comes with a click: of a button that does nothing.
	require.NoError(t, w.slack.Person(sam).ClickStale(t.Context(), m, "nothing", ""))
	answer, err := http.Post(<-url, "application/json", bytes.NewReader([]byte(`{"delete_original": true}`))) //nolint:noctx // of this machine
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(t, answer.Body.Close())
	require.NotContains(t, timestamps(w.slack.Person(sam).Messages(m.Channel)), m.TS)
}

func timestamps(messages []slacksim.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.TS)
	}
	return all
}

// TestSomebodyDeletesMessages: messages that were deleted come back with the next
// thing that happens, as long as something is left to do; until then the request is
// found by the command.
func TestSomebodyDeletesMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["APPROVALS_REQUIRED"] = "2" })
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("de1e", "payments-prod")).Errors)
	card, dm := w.card(t, "pending"), w.slack.Person(mira).DM()
	id := requestID(t, card)
	w.remove(t, w.message(t, mira, dm, "pending", ""))
	w.remove(t, card)
	w.asked(t, jo, "pending", id)

	require.NoError(t, w.slack.Person(jo).ClickStale(deadline(t), card, "approve", id)) // on its way when it was deleted
	card = w.cardOf(t, "pending", "1 of 2 approvals")
	w.message(t, mira, dm, "pending", "1 of 2 approvals")
	_, there := card.Button("approve")
	require.True(t, there, "the new card is to be decided on")

	w.remove(t, card)
	require.NoError(t, w.slack.Person(kim).ClickStale(deadline(t), card, "approve", id))
	w.message(t, mira, dm, "applied", "Atlas shows the new values.")
	// Nothing is left to do, so no new card; the report stands for itself.
	w.cardOf(t, "applied", "What Atlas shows now for")
	assert.Len(t, cards(w), 1)
}

// TestTheApprovalsChannelIsGone: nobody can see the card. The requester is told why
// and what to do, and the card comes when it is done.
func TestTheApprovalsChannelIsGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		gone, back func(c *slacksim.Channel)
		says       string
	}{
		{
			"archived", func(c *slacksim.Channel) { c.Archived = true }, func(c *slacksim.Channel) { c.Archived = false },
			"<#C0APPROVAL> is archived, so the approvers do not see how this request stands. Ask somebody to unarchive it",
		},
		{
			"the bot is removed", func(c *slacksim.Channel) { c.Members = c.Members[1:] },
			func(c *slacksim.Channel) { c.Members = append([]string{slacksim.BotUserID}, c.Members...) },
			"The bot is not in <#C0APPROVAL>, so the approvers do not see how this request stands. Ask somebody there to invite it",
		},
		{
			"private, and the bot is removed",
			func(c *slacksim.Channel) { c.Private, c.Members = true, c.Members[1:] },
			func(c *slacksim.Channel) { c.Members = append([]string{slacksim.BotUserID}, c.Members...) },
			"Slack shows the bot no channel <#C0APPROVAL>, so the approvers do not see how this request stands.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start(t)
			w.slack.SetChannel(approvals, tt.gone)
			require.Empty(t, w.ask(t, mira, rotation("a4c4", "payments-prod")).Errors)
			dm := w.slack.Person(mira).DM()
			w.message(t, mira, dm, "pending", tt.says)
			assert.Empty(t, w.slack.Person(jo).Messages(approvals))

			w.slack.SetChannel(approvals, tt.back)
			card := w.card(t, "pending")
			_, err := w.slack.Person(mira).WaitMessage(deadline(t), dm, func(m slacksim.Message) bool {
				return stateOf(m) == "pending" && !strings.Contains(m.PlainText(), tt.says)
			})
			require.NoError(t, err, "what is mended is still complained of")
			w.click(t, jo, card, "approve")
			w.card(t, "applied")
			w.message(t, mira, dm, "applied", "")
			assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
		})
	}
}

// TestTheChannelIsArchivedWhilePending: the buttons still work for who has the card
// before them, the requester gets the result, and Slack is not asked for ever.
func TestTheChannelIsArchivedWhilePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("a5c5", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.slack.SetChannel(approvals, func(c *slacksim.Channel) { c.Archived = true })
	w.click(t, jo, card, "approve")
	w.message(t, mira, w.slack.Person(mira).DM(), "applied", "Atlas shows the new values.")
	w.slack.SetChannel(approvals, func(c *slacksim.Channel) { c.Archived = false })
	w.card(t, "applied")
}

// TestTheGroupIsEmptiedWhilePending: who was in it when the request was made is not
// asked who they were.
func TestTheGroupIsEmptiedWhilePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("6409", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.slack.SetGroup("S0APPROVE1")
	for _, action := range []string{"approve", "deny"} {
		w.slack.Person(jo).Reload()
		w.click(t, jo, card, action)
		w.told(t, jo, approvals, "Only <!subteam^S0APPROVE1> can decide on this request. Your click did nothing.")
	}
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "pending", ""), "cancel")
	w.final(t, w.card(t, "cancelled"), "can decide on this request")
}

// TestAnApproverIsDeactivatedByTheTimeOfTheCheck: the account has ended when the
// click arrives.
func TestAnApproverIsDeactivatedByTheTimeOfTheCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("dea0", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.slack.SetUser(jo, func(u *slacksim.User) { u.Deleted = true })
	w.click(t, jo, card, "approve")
	w.told(t, jo, approvals, "Deactivated accounts cannot decide on requests. Nothing was done.")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.click(t, kim, card, "approve")
	w.card(t, "applied")
}
