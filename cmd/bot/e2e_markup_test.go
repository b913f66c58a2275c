package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// trap is what somebody types who wants to call everybody, to lead people elsewhere,
// to pass for somebody, and to have it look like the bot's own words.
const trap = "<!channel> <!here> <!subteam^S0APPROVE1> <https://evil.example.com|the runbook> <@U0STRANGER> *did it* & done"

// TestNothingThatPeopleTypeIsMarkup: reasons, names of projects in Atlas and what Atlas
// says of a refusal call nobody and pass for nobody, wherever they are shown; an address
// in them is a link that says where it leads.
func TestNothingThatPeopleTypeIsMarkup(t *testing.T) {
	t.Parallel()
	const id = "64b0000000000000000000aa"
	w := newWorld(t)
	require.NoError(t, w.atlas.AddProject(id, trap))
	held := atlassim.Sample("PAGER_DUTY", "held")
	held["type"] = "PAGER_DUTY"
	require.NoError(t, w.atlas.Seed(id, held))
	w.start(t)

	f := rotation("7a7a", trap)
	f.reason = "first: " + trap
	require.Empty(t, w.ask(t, mira, f).Errors)
	card := w.cardOf(t, "pending", "first:")
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: atlassim.Refuse, Status: 400, Code: "VALIDATION_ERROR", Detail: trap}, 1)
	w.click(t, jo, card, "approve")
	w.cardOf(t, "failed", "first:")
	f = rotation("7b7b", trap)
	f.reason = "second: " + trap
	require.Empty(t, w.ask(t, mira, f).Errors)
	w.click(t, jo, w.cardOf(t, "pending", "second:"), "deny")
	ctx, cancel := patient(t)
	defer cancel()
	_, err := w.slack.Person(jo).WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, w.slack.Person(jo).Type("reason", trap))
	require.Empty(t, w.submit(t, jo).Errors)
	w.cardOf(t, "denied", "second:")
	seen := map[string]bool{}
	for _, text := range []string{"pending", "history", "list", "list " + trap, "status " + requestID(t, card)} {
		_, err := w.slack.Person(mira).Command(ctx, incidents, command, text)
		require.NoError(t, err)
		m, err := w.slack.Person(mira).WaitMessage(ctx, incidents, func(m slacksim.Message) bool { return m.Ephemeral && !seen[m.TS] })
		require.NoError(t, err, text)
		seen[m.TS] = true
	}
	require.NoError(t, w.slack.Person(mira).OpenHome(ctx))
	var home any
	require.NoError(t, json.Unmarshal(w.home(t, mira, "evil.example.com").JSON, &home))

	texts := harmlessMarkup(t, home)
	for who, channels := range map[string][]string{mira: {w.slack.Person(mira).DM(), incidents, approvals}, jo: {approvals}} {
		for _, channel := range channels {
			for _, m := range w.slack.Person(who).Messages(channel) {
				texts += harmless(t, m.Text)
				var blocks any
				require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
				texts += harmlessMarkup(t, blocks)
			}
		}
	}
	assert.Greater(t, texts, 10, "the trap is there to be shown")
}

// harmlessMarkup looks at every text in markup, and counts those that hold the trap.
func harmlessMarkup(t *testing.T, node any) (found int) {
	t.Helper()
	switch node := node.(type) {
	case []any:
		for _, each := range node {
			found += harmlessMarkup(t, each)
		}
	case map[string]any:
		if text, ok := node["text"].(string); ok && node["type"] == "mrkdwn" {
			return harmless(t, text)
		}
		for _, each := range node {
			found += harmlessMarkup(t, each)
		}
	}
	return found
}

func harmless(t *testing.T, text string) int {
	t.Helper()
	for _, markup := range []string{"<!channel", "<!here", "<!subteam^S0APPROVE1>", "<https://evil.example.com|", "<@U0STRANGER>"} {
		assert.NotContains(t, text, markup)
	}
	return strings.Count(text, "evil.example.com")
}
