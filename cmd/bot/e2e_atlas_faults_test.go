package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

var anyPut = atlassim.Match{Method: http.MethodPut}

// TestAtlasRateLimits: Atlas is left alone for as long as it asks for, and people are
// told meanwhile.
func TestAtlasRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	const pause = 2 * time.Second
	w.atlas.Fail(anyPut, atlassim.Fault{Status: 429, Code: "RATE_LIMITED_TOKEN_BUCKET", RetryAfter: pause}, 1)
	require.Empty(t, w.ask(t, mira, rotation("4290", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	const says = "Atlas cannot take the change at the moment (429 RATE_LIMITED_TOKEN_BUCKET). The bot keeps trying."
	w.message(t, jo, approvals, "applying", says)
	w.message(t, mira, w.slack.Person(mira).DM(), "applying", says)
	card := w.card(t, "applied")
	assert.NotContains(t, card.PlainText(), "keeps trying")
	w.appliedOnce(t, bot, "4290")

	var limited time.Time
	for _, call := range w.atlas.Calls() {
		if call.Type != "PAGER_DUTY" {
			continue
		}
		if !limited.IsZero() {
			assert.GreaterOrEqual(t, call.At.Sub(limited), pause, "Atlas was asked again before it wanted to be")
			break
		}
		if call.Status == http.StatusTooManyRequests {
			limited = call.At.Add(call.Duration)
		}
	}
	assert.False(t, limited.IsZero())
}

// TestAtlasIsDownForLong: the bot tries again, less and less often, says so, and
// finishes when Atlas is back. Other requests do not wait for this one.
func TestAtlasIsDownForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	down := w.atlas.Fail(atlassim.Match{Method: http.MethodPut, GroupID: w.atlas.ProjectID("payments-prod")},
		atlassim.Fault{Status: 503, Code: "SERVICE_UNAVAILABLE"}, atlassim.Always)
	require.Empty(t, w.ask(t, mira, limited("5030", "first", "payments-prod")).Errors)
	w.click(t, jo, w.cardOf(t, "pending", "first"), "approve")
	w.message(t, jo, approvals, "applying", "Atlas cannot take the change at the moment (503 SERVICE_UNAVAILABLE). The bot keeps trying.")

	require.Empty(t, w.ask(t, sam, limited("5031", "second", "search-prod")).Errors)
	w.click(t, kim, w.cardOf(t, "pending", "second"), "approve")
	w.cardOf(t, "applied", "second")

	require.NoError(t, down.Wait(deadline(t), 3))
	assert.Equal(t, "applying", stateOf(w.cardOf(t, "applying", "first")), "it neither fails nor pretends")
	down.Withdraw()
	w.cardOf(t, "applied", "first")
	assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
	assert.NotContains(t, bot.logs.String(), key("5030"))
	w.noSecrets(t)
}

// TestAtlasIsDownBeforeAnybodyAsks: without a list of projects the form says why it
// is empty, and what was typed is kept.
func TestAtlasIsDownBeforeAnybodyAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := w.atlas.Fail(atlassim.Match{}, atlassim.Fault{Status: 503}, atlassim.Always)
	w.start(t)
	w.open(t, mira, "update", filled{})
	_, err := w.slack.Person(mira).WaitView(deadline(t), func(v slacksim.View) bool {
		return strings.Contains(string(v.JSON), "Atlas does not list its projects at the moment.")
	})
	require.NoError(t, err, "the form does not say why it offers no project")
	w.asked(t, mira, "list payments-prod", "Atlas does not answer at the moment, so there is nothing to show. Nothing was changed. Try again in a minute.")
	down.Withdraw()
	require.Empty(t, w.ask(t, mira, rotation("503b", "payments-prod")).Errors)
	w.card(t, "pending")
}

// TestALongListOfProjects: the list takes longer than a form can wait. It is read to its
// end all the same, once, and the next form has it.
func TestALongListOfProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 600 {
		require.NoError(t, w.atlas.AddProject(fmt.Sprintf("%024x", 0xabc000+i), fmt.Sprintf("tenant-%03d", i)))
	}
	const groups, all = "/api/atlas/v2/groups", 4 // pages of 200
	held := w.atlas.Fail(atlassim.Match{Path: groups}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)
	w.start(t)
	w.open(t, mira, "update", filled{})
	_, err := w.slack.Person(mira).WaitView(deadline(t), func(v slacksim.View) bool {
		return strings.Contains(string(v.JSON), "Atlas does not list its projects at the moment.")
	})
	require.NoError(t, err)
	require.NoError(t, w.slack.Person(mira).CloseView(deadline(t)))
	held.Release()
	pages := func(calls []atlassim.Call) (n int) {
		for _, call := range calls {
			if call.Path == groups && call.Status == http.StatusOK {
				n++
			}
		}
		return n
	}
	require.NoError(t, w.atlas.WaitCalls(deadline(t), func(calls []atlassim.Call) bool { return pages(calls) == all }),
		"the list was not read to its end when nobody waited for it any more")
	require.Empty(t, w.ask(t, mira, rotation("1157", "payments-prod")).Errors)
	w.card(t, "pending")
	assert.Equal(t, all, pages(w.atlas.Calls()), "it was read once")
}

// TestAtlasDoesTheChangeAndSaysNothing: the bot gives up waiting, looks, and finds
// the change made, or makes it again, which changes nothing: not even when the first
// one gets through long after.
func TestAtlasDoesTheChangeAndSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	puts := map[string]int{"payments-prod": 1, "search-prod": 2}
	made := w.atlas.Fail(atlassim.Match{Method: http.MethodPut, GroupID: w.atlas.ProjectID("payments-prod")}, atlassim.Fault{Kind: atlassim.HangAfterApply}, 1)
	late := w.atlas.Fail(atlassim.Match{Method: http.MethodPut, GroupID: w.atlas.ProjectID("search-prod")}, atlassim.Fault{Kind: atlassim.LateApply}, 1)
	require.Empty(t, w.ask(t, mira, rotation("0a9e", "payments-prod", "search-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.message(t, jo, approvals, "applying", "Atlas does not answer at the moment. The bot keeps trying.")
	w.card(t, "applied")
	made.Release()
	late.Release()
	for project, n := range puts {
		id := w.atlas.ProjectID(project)
		require.NoError(t, w.atlas.WaitCalls(deadline(t), func(calls []atlassim.Call) bool {
			ended := 0
			for _, call := range calls {
				if call.Method == http.MethodPut && call.GroupID == id {
					ended++
				}
			}
			return ended == n
		}), project)
		assert.Equal(t, 1, w.atlas.Effects(id, "PAGER_DUTY"), project)
		assert.Equal(t, key("0a9e"), w.holds(t, project, "PAGER_DUTY")["serviceKey"], project)
	}
	w.noSecrets(t)
}

// TestCredentialsEndInTheMiddleOfTwentyProjects: what was done stays done, what was
// not is refused with what to do about it, and Retry does just that part.
func TestCredentialsEndInTheMiddleOfTwentyProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	var projects []string
	for _, p := range w.atlas.Projects()[:20] {
		projects = append(projects, p.Name)
	}
	var once sync.Once
	cancel := w.atlas.Subscribe(func(atlassim.Call) {
		done := 0
		for _, name := range projects {
			done += w.atlas.Effects(w.atlas.ProjectID(name), "PAGER_DUTY")
		}
		if done >= 8 {
			once.Do(func() { w.atlas.SetCredentialsRevoked(true) })
		}
	})
	defer cancel()
	require.Empty(t, w.ask(t, mira, rotation("4010", projects...)).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	failed := w.card(t, "failed").PlainText()
	assert.Contains(t, failed, "401")
	assert.Contains(t, failed, "Tell whoever runs the bot: its Atlas credentials were rotated, deleted or have expired.")
	assert.Contains(t, failed, "*Retry* tries what was refused again")
	done := 0
	for _, name := range projects {
		done += w.atlas.Effects(w.atlas.ProjectID(name), "PAGER_DUTY")
	}
	assert.GreaterOrEqual(t, done, 8)
	assert.Less(t, done, 20)

	w.atlas.SetCredentialsRevoked(false)
	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "failed", ""), "retry")
	w.card(t, "applied")
	for _, name := range projects {
		assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID(name), "PAGER_DUTY"), name)
		assert.Equal(t, key("4010"), w.holds(t, name, "PAGER_DUTY")["serviceKey"], name)
	}
	w.noSecrets(t)
}

// TestAProjectIsDeleted: while its request waits, that project alone is refused;
// before, nobody is asked to approve.
func TestAProjectIsDeleted(t *testing.T) {
	t.Parallel()
	const says = "The project was deleted, or the bot's credentials do not see it: ask whoever runs the bot."
	t.Run("while pending", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(t)
		require.Empty(t, w.ask(t, mira, rotation("de1e", "payments-prod", "search-prod")).Errors)
		card := w.card(t, "pending")
		w.atlas.DeleteProject(w.atlas.ProjectID("search-prod"))
		w.click(t, jo, card, "approve")
		failed := w.card(t, "failed").PlainText()
		assert.Contains(t, failed, "1 applied, 1 refused")
		assert.Contains(t, failed, "GROUP_NOT_FOUND")
		assert.Contains(t, failed, says)
		assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
	})
	t.Run("while the form is open", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(t)
		w.open(t, mira, "update", rotation("de1f", "payments-prod", "search-prod"))
		w.atlas.DeleteProject(w.atlas.ProjectID("search-prod"))
		require.Empty(t, w.submit(t, mira).Errors)
		dm := w.message(t, mira, w.slack.Person(mira).DM(), "rejected", "").PlainText()
		assert.Contains(t, dm, "nobody was asked to approve it. Nothing was changed.")
		assert.Contains(t, dm, says)
		assert.Empty(t, w.slack.Person(jo).Messages(approvals))
		assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	})
}

// TestAtlasIsUpgraded: 405 during maintenance is a pause, not an answer.
func TestAtlasIsUpgraded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	w.atlas.SetMaintenance(true)
	require.Empty(t, w.ask(t, mira, rotation("4050", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.message(t, jo, approvals, "applying",
		"Atlas cannot take the change at the moment (405 WRITES_NOT_ALLOWED_DURING_APP_UPGRADES). The bot keeps trying.")
	w.atlas.SetMaintenance(false)
	w.card(t, "applied")
	w.appliedOnce(t, bot, "4050")
}
