package main_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// view waits until the view on top of somebody's stack says something.
func (w *world) view(t *testing.T, who, words string) slacksim.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := w.slack.Person(who).WaitView(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), words) })
	require.NoError(t, err, "no view of %s says %q", who, words)
	return v
}

// saying waits until the card of one request says something, or no longer does.
func (w *world) saying(t *testing.T, card slacksim.Message, words string, says bool) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := w.slack.Person(jo).WaitMessage(ctx, approvals, func(m slacksim.Message) bool {
		return m.TS == card.TS && strings.Contains(m.PlainText(), words) == says
	})
	require.NoError(t, err, "the card says %q: should be %t", words, says)
	return m
}

// TestTwoWantTheSame: whoever asks for what somebody asked for already reads so in the
// form, after sending it and on both cards; what is decided is no longer spoken of.
func TestTwoWantTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("aaaa", "payments-prod", "search-prod")).Errors)
	first := w.card(t, "pending")
	firstID := requestID(t, first)
	assert.NotContains(t, first.PlainText(), "Look twice")

	w.open(t, sam, "update payments-prod pagerduty", filled{})
	form := w.view(t, sam, "Somebody has asked already")
	assert.Contains(t, string(form.JSON), firstID)
	assert.Contains(t, string(form.JSON), "is open for *payments-prod* as well", "only the project that both are for")
	require.NoError(t, w.slack.Person(sam).Type("serviceKey", key("bbbb")))
	require.NoError(t, w.slack.Person(sam).Type("reason", "the second of two"))
	require.Empty(t, w.submit(t, sam).Errors)
	sent, _ := w.slack.Person(sam).View()
	assert.Contains(t, string(sent.JSON), firstID, "said in the answer to the submission itself")
	second := w.cardOf(t, "pending", "the second of two")
	named := requestIDs.FindAllString(second.PlainText(), -1)
	secondID := named[len(named)-1] // its own stands at the end
	second = w.saying(t, second, firstID, true)
	first = w.saying(t, first, secondID, true)
	assert.Contains(t, first.PlainText(), "<@"+sam+"> is open for *payments-prod* as well")

	require.Empty(t, w.ask(t, sam, rotation("cccc", "ledger-prod")).Errors)
	w.cardOf(t, "pending", "ledger-prod")
	other := w.ask(t, mira, filled{projects: []string{"payments-prod"}, kind: "VICTOR_OPS", values: map[string]any{"apiKey": key("dddd")}, reason: "another type"})
	require.Empty(t, other.Errors)
	assert.NotContains(t, w.cardOf(t, "pending", "another type").PlainText(), "as well", "another type of the same project is no matter")

	w.click(t, jo, second, "approve")
	w.cardOf(t, "applied", "the second of two")
	first = w.saying(t, first, secondID, false)
	assert.Equal(t, "pending", stateOf(first))
	w.click(t, jo, first, "approve")
	done := w.message(t, jo, approvals, "failed", firstID)
	assert.Contains(t, done.PlainText(), "*stale*: payments-prod")
	assert.Contains(t, done.PlainText(), "*applied*: search-prod")
	w.noSecrets(t)
}

// TestTheWayToTheCard: the view after the form, the direct message and the answers of
// the commands lead to the card.
func TestTheWayToTheCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("ca2d", "payments-prod")).Errors)
	card := w.card(t, "pending")
	link := "/archives/" + approvals + "/p" + strings.ReplaceAll(card.TS, ".", "")
	sent := w.view(t, mira, link)
	assert.Contains(t, string(sent.JSON), "waits for approval")
	assert.Contains(t, w.message(t, mira, w.slack.Person(mira).DM(), "pending", "").PlainText(), link)
	w.remembers(t, card) // before that, no list knows the way
	for _, command := range []string{"pending", "status " + requestID(t, card), "history payments-prod"} {
		w.asked(t, mira, command, link)
	}
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
}

// TestNobodyIsAskedAndTheFormSaysSo: what Atlas cannot update is told where the form was.
func TestNobodyIsAskedAndTheFormSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.open(t, mira, "update", rotation("f07e", "payments-prod"))
	require.NoError(t, w.atlas.RemoveBehind(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
	require.Empty(t, w.submit(t, mira).Errors)
	sent := w.view(t, mira, "*rejected*")
	assert.Contains(t, string(sent.JSON), "INTEGRATION_NOT_CONFIGURED")
	assert.Contains(t, string(sent.JSON), "Nothing was changed.")
}
