package main_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// home waits until somebody's Home tab says something.
func (w *world) home(t *testing.T, who, words string) slacksim.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := w.slack.Person(who).WaitHome(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), words) })
	require.NoError(t, err, "the Home tab of %s never says %q", who, words)
	return v
}

// The Home tab shows what concerns somebody, and stays current while they look.
func TestHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	for _, who := range []string{mira, jo} {
		require.NoError(t, w.slack.Person(who).OpenHome(t.Context()))
	}
	w.home(t, jo, "Nothing waits for you.")
	v := w.home(t, mira, "Nothing yet.")
	assert.NotContains(t, string(v.JSON), "Waits for you", "she approves nothing")

	require.Empty(t, w.ask(t, mira, rotation("0e0e", "payments-prod")).Errors)
	card := w.card(t, "pending")
	id := requestID(t, card)
	v = w.home(t, jo, id)
	assert.NotContains(t, string(v.JSON), "Nothing waits for you.")
	v = w.home(t, jo, "/archives/"+approvals+"/p"+strings.ReplaceAll(card.TS, ".", ""))
	assert.Contains(t, string(v.JSON), "Nothing has been changed yet.")
	w.home(t, mira, id)

	w.click(t, jo, card, "approve")
	w.home(t, jo, "Nothing waits for you.")
	v = w.home(t, mira, "*applied*")
	assert.NotContains(t, string(v.JSON), "Nothing has been changed yet.")
	assert.Contains(t, string(v.JSON), `"text":"*payments-prod*\n• PagerDuty · `, "what changed lately, by project")
	assert.Contains(t, string(v.JSON), "every full member of this workspace", "who may ask")
	w.noSecrets(t)
}

// TestSlackDoesNotSayWhoSomebodyIs: then nobody is told that nothing waits for them.
func TestSlackDoesNotSayWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	const says = "Slack does not say at the moment who you are to this bot, so what waits for you may be missing."
	w.slack.Fail("users.info", 10, slacksim.Failure{Error: "internal_error"})
	require.NoError(t, w.slack.Person(jo).OpenHome(t.Context()))
	v := w.home(t, jo, says)
	for _, untrue := range []string{"Nothing waits for you.", "Nothing yet.", "Nothing has been changed yet."} {
		assert.NotContains(t, string(v.JSON), untrue)
	}
}

// byGroup is a world in which jo approves some projects by name and the others as one
// of a group, and a request waits for the group.
func byGroup(t *testing.T) (w *world, id string) {
	t.Helper()
	w = newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
	w.slack.SetGroup("S0APPROVE1", jo, kim)
	w.under(t, "rules:\n  - {name: search, projects: [search-*], approvers: ["+jo+"]}")
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("1157", "payments-prod")).Errors)
	return w, requestID(t, w.card(t, "pending"))
}

// TestWhatWaitsForAGroup: that jo is an approver is known before anybody has read the group.
func TestWhatWaitsForAGroup(t *testing.T) {
	t.Parallel()
	w, id := byGroup(t)
	require.NoError(t, w.slack.Person(jo).OpenHome(t.Context()))
	v := w.home(t, jo, "Waits for you")
	assert.Contains(t, string(v.JSON), id)
}

// TestSlackDoesNotSayWhoApproves: pending lists what waits, and says what it lacks, as does
// the Home tab.
func TestSlackDoesNotSayWhoApproves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
	w.start(t)
	const says = "what waits for you may be missing. Ask again in a minute."
	w.slack.Fail("usergroups.users.list", 100, slacksim.Failure{Error: "internal_error"})
	m := w.asked(t, jo, "pending", says)
	assert.Contains(t, m.PlainText(), "Nothing is waiting.", "of what the storage holds")
	require.Empty(t, w.ask(t, mira, rotation("9e9d", "payments-prod")).Errors)
	assert.Contains(t, w.asked(t, jo, "pending", requestID(t, w.card(t, "pending"))).PlainText(), says)
	require.NoError(t, w.slack.Person(jo).OpenHome(t.Context()))
	v := w.home(t, jo, "what waits for you may be missing. Open this tab again in a minute.")
	assert.NotContains(t, string(v.JSON), "Nothing waits for you.")
}

// TestSlackDoesNotReadAGroup: what waits for it may wait for jo, whoever else she is.
func TestSlackDoesNotReadAGroup(t *testing.T) {
	t.Parallel()
	w, id := byGroup(t)
	const says = "what waits for you may be missing."
	w.slack.Fail("usergroups.users.list", 100, slacksim.Failure{Error: "internal_error"})
	require.NoError(t, w.slack.Person(jo).OpenHome(t.Context()))
	v := w.home(t, jo, "Atlas integrations")
	assert.Contains(t, string(v.JSON), says)
	assert.NotContains(t, string(v.JSON), "Nothing waits for you.")
	assert.Contains(t, w.asked(t, jo, "pending", id).PlainText(), says)
}

// The form opens from the Home tab and by the shortcut as by the command.
func TestTheFormFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	for name, open := range map[string]func(context.Context, *slacksim.Person) error{
		"Home": func(ctx context.Context, p *slacksim.Person) error {
			if err := p.OpenHome(ctx); err != nil {
				return err
			}
			w.home(t, p.ID(), "New update")
			return p.ClickHome(ctx, "open_form")
		},
		"shortcut": func(ctx context.Context, p *slacksim.Person) error { return p.Shortcut(ctx, "update_integration") },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p := w.slack.Person(mira)
			require.NoError(t, open(ctx, p))
			_, err := p.WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "update_integration" })
			require.NoError(t, err)
			w.fill(t, mira, rotation("f0"+name[:2], "payments-prod"))
			require.NoError(t, p.CloseAll(ctx))
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	guest := w.slack.Person("U0GUEST001")
	require.NoError(t, guest.Shortcut(ctx, "update_integration"))
	_, err := guest.WaitMessage(ctx, guest.DM(), func(m slacksim.Message) bool { return strings.Contains(m.PlainText(), "Guest") })
	require.NoError(t, err, "a guest is told why there is no form")
}
