package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestTwoAccountsOfOnePerson: people decide, and not accounts.
func TestTwoAccountsOfOnePerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slack.SetUser(jo, func(u *slacksim.User) { u.Email = " Mira+Approver@OnCall.example.com" })
	bot := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("2a2a", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.click(t, jo, card, "approve")
	w.told(t, jo, approvals, "Your click did nothing; somebody else has to decide.")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	ctx, cancel := patient(t)
	defer cancel()
	require.NoError(t, bot.logs.wait(ctx, 0, `"event":"refuse"`), "the trail remembers it")
	before := len(bot.logs.String())
	w.click(t, jo, card, "deny")
	_, err := w.slack.Person(jo).WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, w.slack.Person(jo).Type("reason", "not now"))
	require.Empty(t, w.submit(t, jo).Errors)
	v, err := w.slack.Person(jo).WaitView(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), "the same e-mail address") })
	require.NoError(t, err)
	assert.Contains(t, string(v.JSON), `"text":"Deny request"`, "its title says nothing of how it stands")
	require.NoError(t, bot.logs.wait(ctx, before, `"event":"refuse"`), "this, too")
	w.click(t, kim, card, "approve")
	w.card(t, "applied")
	assert.Equal(t, 2, strings.Count(bot.logs.String(), `"event":"refuse"`))
	assert.NotContains(t, strings.ToLower(bot.logs.String()), "@oncall", "nobody's address is logged")
}

// TestSeveralApprovals: two or three different people, and the same ones never twice.
func TestSeveralApprovals(t *testing.T) {
	t.Parallel()
	everybody := []string{jo, kim, sam}
	for _, needed := range []int{2, 3} {
		t.Run(fmt.Sprint(needed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.env["APPROVALS_REQUIRED"] = fmt.Sprint(needed)
				w.env["SLACK_APPROVERS"] = strings.Join(everybody, ",")
			})
			w.start(t)
			require.Empty(t, w.ask(t, mira, rotation("3a3a", "payments-prod")).Errors)
			for i, who := range everybody[:needed] {
				card := w.card(t, "pending")
				w.click(t, who, card, "approve")
				if i < needed-1 {
					w.click(t, who, card, "approve")
					w.told(t, who, approvals, "You have approved this one already; it counts once.")
					assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"), "%d of %d", i+1, needed)
				}
			}
			w.card(t, "applied")
			assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
		})
	}
}

// TestSomebodyIsRenamed: rights go with the account, and not with its name.
func TestSomebodyIsRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("4a4a", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.slack.SetUser(jo, func(u *slacksim.User) { u.Name, u.RealName = "sam", "Sam" })
	w.slack.SetUser(sam, func(u *slacksim.User) { u.Name, u.RealName = "jo", "Jo" })
	w.click(t, sam, card, "approve")
	w.told(t, sam, approvals, "can decide on this request. Your click did nothing.")
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
}

// TestHowMuchOnePersonMayAskFor: more is refused where it is asked for, what was typed
// stays, and others are not concerned.
func TestHowMuchOnePersonMayAskFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["REQUESTS_PER_PERSON"], w.env["FORMS_PER_MINUTE"] = "2", "3" })
	bot := w.start(t)
	for i := range 2 {
		require.Empty(t, w.ask(t, mira, rotation(fmt.Sprintf("5a%02d", i), "payments-prod")).Errors)
	}
	errs := w.ask(t, mira, rotation("5a02", "payments-prod")).Errors
	assert.Contains(t, errs["reason"], "Nothing was sent: 2 requests of yours are under way")
	require.Empty(t, w.ask(t, sam, rotation("5a03", "payments-prod")).Errors)
	w.asked(t, mira, "cancel "+requestID(t, w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")), "cancelled")
	bot.after(t, func() {
		w.asked(t, mira, "update", "You have opened many forms within a minute, so this one was not opened.")
	}, `"why":"hasty"`)
}

// TestTheHeadOfTheTrailIsPosted: once a day, where whoever writes to Redis does not
// write, and `bot audit verify` takes it.
func TestTheHeadOfTheTrailIsPosted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("6a6a", "payments-prod")).Errors)
	w.card(t, "pending")
	options, err := redis.ParseURL(w.redis.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	// A day has passed: the clock of Redis stays, what it is compared with moves.
	require.NoError(t, client.HSet(t.Context(), "{aib:"+slacksim.TeamID+"}:head", "at", time.Now().Add(-25*time.Hour).UnixMilli()).Err())
	ctx, cancel := patient(t)
	defer cancel()
	m, err := w.slack.Person(jo).WaitMessage(ctx, approvals, func(m slacksim.Message) bool { return strings.Contains(m.PlainText(), "audit trail") })
	require.NoError(t, err)
	_, rest, _ := strings.Cut(m.PlainText(), "bot audit verify -head ")
	hash, _, _ := strings.Cut(rest, "`")
	trail, err := client.XRevRangeN(t.Context(), "{aib:"+slacksim.TeamID+"}:audit", "+", "-", 1).Result()
	require.NoError(t, err)
	assert.Equal(t, trail[0].Values["hash"], hash)
}
