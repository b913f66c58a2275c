package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestTheLongestAndOddest: twenty projects with names of eighty characters, emoji, text
// that runs from right to left and markup among them, and a reason of three thousand, on
// every screen. The stand-in refuses what Slack refuses.
func TestTheLongestAndOddest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	units := []string{"👩‍🚒", "פרויקט ", "<&>", "*_~`", "e\u0301", "W", ":x:", "\u202e", "𝔘", "مشروع "}
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("%02d ", i) + strings.Repeat(units[i%len(units)], 80)
		name = strings.TrimSpace(string([]rune(name)[:80]))
		id := fmt.Sprintf("64b0000000000000000001%02x", i)
		require.NoError(t, w.atlas.AddProject(id, name))
		held := atlassim.Sample("PAGER_DUTY", fmt.Sprint("held", i))
		held["type"] = "PAGER_DUTY"
		require.NoError(t, w.atlas.Seed(id, held))
		names = append(names, name)
	}
	w.start(t)
	f := rotation("e57e", names...)
	f.reason = string([]rune("extreme " + strings.Repeat("👩‍🚒 שלום <b>&amp; *x* https://example.com/?a=1&b=2\n", 100))[:3000])
	f.reason = strings.TrimSpace(f.reason)
	require.Empty(t, w.ask(t, mira, f).Errors)
	first := w.cardOf(t, "pending", "extreme")
	require.Empty(t, w.ask(t, sam, f).Errors) // so that each card names the other
	first = w.saying(t, first, "as well", true)
	require.NoError(t, w.slack.Person(jo).OpenHome(t.Context()))
	w.home(t, jo, "20 projects")
	w.click(t, jo, first, "approve")
	done := w.cardOf(t, "applied", "extreme")
	assert.Contains(t, done.PlainText(), "*applied* (20)")
	w.cardOf(t, "pending", "extreme")
	w.home(t, jo, "Changed lately")
	id := requestID(t, done)
	ctx, cancel := patient(t)
	defer cancel()
	seen := map[string]bool{}
	for text, says := range map[string]string{
		"list": "projects", "list " + names[0]: "Changed by this bot", "list " + names[2]: "Changed by this bot", "list " + names[3]: "Changed by this bot",
		"history": id, "history " + names[1]: id, "pending": "20 projects", "status " + id: "*applied*",
	} {
		_, err := w.slack.Person(mira).Command(ctx, incidents, command, text)
		require.NoError(t, err)
		m, err := w.slack.Person(mira).WaitMessage(ctx, incidents, func(m slacksim.Message) bool { return m.Ephemeral && !seen[m.TS] })
		require.NoError(t, err, text)
		seen[m.TS] = true
		assert.Contains(t, m.PlainText(), says, text)
	}
	w.noSecrets(t)
}
