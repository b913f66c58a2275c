package main_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestSinceWhen: a list says who changed an integration last, and whether it is still so.
func TestSinceWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	integration := func(text, name string) string {
		t.Helper()
		_, after, found := strings.Cut(text, "*"+name+"*")
		require.True(t, found, text)
		part, _, _ := strings.Cut(after, "\n*")
		return part
	}
	const never, since = "Not changed by this bot", "Somebody has changed it since then"
	before := w.asked(t, sam, "list payments-prod", "Integrations of payments-prod").PlainText()
	assert.Contains(t, integration(before, "PagerDuty"), never)

	require.Empty(t, w.ask(t, mira, rotation("51ce", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
	changed := "asked by <@" + mira + ">, approved by <@" + jo + ">, `" + requestID(t, card) + "`"
	after := w.asked(t, sam, "list payments-prod", changed).PlainText()
	assert.Contains(t, integration(after, "PagerDuty"), changed)
	assert.NotContains(t, integration(after, "PagerDuty"), since)
	assert.Contains(t, integration(after, "Datadog"), never)
	assert.NotContains(t, w.asked(t, sam, "list search-prod", "Integrations of search-prod").PlainText(), "Changed by this bot")

	require.NoError(t, w.atlas.ChangeBehind(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY", func(settings map[string]any) { settings["region"] = "US" }))
	assert.Contains(t, integration(w.asked(t, sam, "list payments-prod", since).PlainText(), "PagerDuty"), changed)
}

// turn presses a button that turns a page, and waits for the page that begins with a
// request in the place of the one before.
func (w *world) turn(t *testing.T, who string, m slacksim.Message, action, first string) slacksim.Message {
	t.Helper()
	w.click(t, who, m, action)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	turned, err := w.slack.Person(who).WaitMessage(ctx, incidents, func(now slacksim.Message) bool {
		ids := requestIDs.FindAllString(now.PlainText(), -1)
		return now.TS == m.TS && len(ids) > 0 && ids[0] == first
	})
	require.NoError(t, err, "no page begins with %s", first)
	return turned
}

// TestHistoryIsPaged: page by page, whatever is decided meanwhile and whichever replica
// answers, without a request twice or left out.
func TestHistoryIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	var ids []string // newest first
	decide := func(n int) {
		t.Helper()
		for range n {
			reason := fmt.Sprintf("number %d.", len(ids))
			require.Empty(t, w.ask(t, mira, filled{
				projects: []string{"payments-prod"}, kind: "PAGER_DUTY", reason: reason,
				values: map[string]any{"region": "US", "serviceKey": key("4157")},
			}).Errors)
			id := requestID(t, w.cardOf(t, "pending", reason))
			w.asked(t, mira, "cancel "+id, id)
			w.cardOf(t, "cancelled", reason)
			ids = append([]string{id}, ids...)
		}
	}
	var shown, want []string
	listed := func(m slacksim.Message) {
		shown = append(shown, requestIDs.FindAllString(m.PlainText(), -1)...)
	}
	buttons := func(m slacksim.Message) (newer, older bool) {
		_, newer = m.Button("history_newer")
		_, older = m.Button("history_older")
		return newer, older
	}
	decide(12)
	w.asked(t, sam, "history search-prod", "Nobody has asked for a change in this project yet.")
	for _, of := range []struct{ project, title string }{{"", "*History* · newest first"}, {"payments-prod", "*History of payments-prod* · newest first"}} {
		shown, want = nil, slices.Clone(ids)
		newest := w.asked(t, mira, "history "+of.project, of.title)
		newer, older := buttons(newest)
		assert.False(t, newer, "nothing is newer")
		assert.True(t, older)
		listed(newest)

		decide(2) // so that every request has another place
		bot.kill()
		require.NoError(t, w.slack.WaitDisconnected(deadline(t)))
		bot = w.start(t) // and knows nothing of the page before
		next := w.turn(t, mira, newest, "history_older", want[10])
		listed(next)
		newer, older = buttons(next)
		assert.True(t, newer)
		assert.False(t, older, "nothing is older")
		assert.Equal(t, want, shown)
		assert.Contains(t, next.PlainText(), fmt.Sprintf("13 to %d", len(ids)))

		back := w.turn(t, mira, next, "history_newer", ids[2])
		w.turn(t, mira, back, "history_newer", ids[0])
	}
	assert.Empty(t, w.slack.Person(sam).Messages(incidents)[1:], "only who asked sees it")
}
