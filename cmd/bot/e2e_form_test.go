package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// say types the command and returns its answer.
func (w *world) say(t *testing.T, who, text string) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := w.slack.Person(who).Command(ctx, incidents, command, text)
	require.NoError(t, err)
	require.NotNil(t, result.Message, "the command should be answered at once")
	return *result.Message
}

// asked types a command whose answer follows its ack.
func (w *world) asked(t *testing.T, who, text, word string) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.slack.Person(who).Command(ctx, incidents, command, text)
	require.NoError(t, err)
	return w.told(t, who, incidents, word)
}

func TestWordsOfTheCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	typed := strings.Repeat("7e", 16)
	for _, tt := range []struct{ text, says string }{
		{"", "open the form"},
		{"help", "open the form"},
		{"updtae", "update"},
		{"update payments-prd PAGER_DUTY", "payments-prod"},
		{"update payments-prod pagerdty", "PagerDuty"},
		{"update nothing-like-it", "no project of that name"},
		{"update payments-prod hipchat", "HIPCHAT_NOT_SUPPORTED"},
		{"update payments-prod PAGER_DUTY " + typed, "looks like a key"},
		{"update payments-prod serviceKey=" + typed, "looks like a key"},
		{"https://hooks.example.com/services/x", "looks like a key"},
	} {
		assert.Contains(t, w.say(t, mira, tt.text).PlainText(), tt.says, "%q", tt.text)
	}
	if strings.Contains(bot.logs.String(), typed) {
		t.Error("a key that was typed into the command stands in the log")
	}
	assert.Empty(t, w.slack.Person(jo).Messages(approvals))
}

func TestListAndLookUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.asked(t, mira, "list", "payments-prod")
	listed := w.asked(t, mira, "list payments-prod", "Integrations of payments-prod").PlainText()
	assert.Contains(t, listed, "PagerDuty")
	require.Empty(t, w.ask(t, mira, rotation("1157", "payments-prod")).Errors)
	id := requestID(t, w.card(t, "pending"))
	w.asked(t, jo, "pending", id)
	w.asked(t, jo, "status "+strings.ToLower(id), "pending")
	w.asked(t, jo, "cancel "+id, "can take it back")
	w.asked(t, mira, "cancel "+id, "cancelled")
	w.asked(t, mira, "history payments-prod", id)
	w.asked(t, mira, "status req_0000000000", "no such request")
	w.asked(t, mira, "status", "Which request?")
	w.asked(t, mira, "cancel", "Which request?")
	w.final(t, w.card(t, "cancelled"), "cancelled")
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	for who, says := range map[string]string{"U0GUEST001": "Guests cannot", "U0STRANGER": "this workspace", "U0GONE0001": "Deactivated"} {
		w.asked(t, who, "update payments-prod PAGER_DUTY", says)
		w.asked(t, who, "update paymets-prod", says) // and no name that is like it
		w.asked(t, who, "history", says)
	}
}

// TestWhoMayLook: whoever is on no list sees what they asked for themselves.
func TestWhoMayLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["SLACK_REQUESTERS"] = mira })
	bot := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("100c", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "applied")
	before := len(bot.logs.String())
	w.asked(t, sam, "update paymets-prod", "You are not on the list of people who may ask for updates")
	require.NoError(t, bot.logs.wait(deadline(t), before, `"event":"refuse"`), "the trail remembers it")
	w.asked(t, sam, "history", "Only people who may ask for updates or approve them can look at requests and integrations.")
	require.NoError(t, w.slack.Person(sam).OpenHome(t.Context()))
	v := w.home(t, sam, "You asked for")
	assert.NotContains(t, string(v.JSON), "Changed lately")
	assert.NotContains(t, string(v.JSON), "payments-prod")
	require.NoError(t, w.slack.Person("U0GUEST001").OpenHome(t.Context()))
	v = w.home(t, "U0GUEST001", "Guests can neither ask for updates nor decide on them.")
	assert.NotContains(t, string(v.JSON), "New update")
	assert.NotContains(t, string(v.JSON), "You asked for")
}

// TestTypeSwitch: the secrets of one type do not follow to the next, projects and
// reason do.
func TestTypeSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	f := rotation("5317", "payments-prod")
	w.open(t, mira, "update", f)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(mira)
	require.NoError(t, p.Select(ctx, "type", "OPS_GENIE"))
	view, err := p.WaitView(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), "OPS_GENIE.apiKey") })
	require.NoError(t, err)
	assert.NotContains(t, string(view.JSON), "serviceKey")
	w.settled(t, mira)

	values := atlassim.Sample("OPS_GENIE", "switched")
	w.fill(t, mira, filled{})
	require.NoError(t, p.Select(ctx, "region", fmt.Sprint(values["region"])))
	require.NoError(t, p.Type("apiKey", fmt.Sprint(values["apiKey"])))
	require.Empty(t, w.submit(t, mira).Errors)
	card := w.card(t, "pending")
	assert.Contains(t, card.PlainText(), "Opsgenie")
	assert.Contains(t, card.PlainText(), "rotated after INC-42", "the reason stays")
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
	assert.Equal(t, values["apiKey"], w.holds(t, "payments-prod", "OPS_GENIE")["apiKey"])
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
}

// TestAFormThatSlackDidNotDraw: the fields of the type that was chosen are missing from it.
// Whoever sends it is told so, keeps what they typed, and gets the fields.
func TestAFormThatSlackDidNotDraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.start(t)
	f := rotation("5d0a", "payments-prod")
	w.open(t, mira, "update", filled{projects: f.projects, reason: f.reason})
	w.settled(t, mira)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w.slack.Fail("views.update", 1, slacksim.Failure{Error: "internal_error"})
	p := w.slack.Person(mira)
	require.NoError(t, p.Select(ctx, "type", f.kind))
	require.NoError(t, bot.logs.wait(ctx, 0, "update the form"))

	assert.Equal(t, map[string]string{"type": "The form did not show the fields of PagerDuty yet. Fill them in when they are here, then send it again."},
		w.submit(t, mira).Errors)
	_, err := p.WaitView(ctx, func(v slacksim.View) bool {
		return strings.Contains(string(v.JSON), "serviceKey") && !strings.Contains(string(v.JSON), "Reading")
	})
	require.NoError(t, err)
	require.NoError(t, p.Select(ctx, "region", "EU"))
	require.NoError(t, p.Type("serviceKey", key("5d0a")))
	require.Empty(t, w.submit(t, mira).Errors)
	assert.Contains(t, w.card(t, "pending").PlainText(), f.reason, "the reason stays")
}

// TestNewRequest asks again for what was asked for: all but the key is in the form.
func TestNewRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["APPROVAL_TTL"] = "5s" })
	w.start(t)
	f := rotation("5a5a", "payments-prod")
	f.values["region"] = "EU" // Atlas has US
	require.Empty(t, w.ask(t, mira, f).Errors)
	p := w.slack.Person(mira)
	expired := w.message(t, mira, p.DM(), "expired", "Your request to update")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, p.CloseAll(ctx))

	w.click(t, mira, expired, "new_update")
	_, err := p.WaitView(ctx, func(v slacksim.View) bool {
		return v.CallbackID == "update_integration" && strings.Contains(string(v.JSON), "serviceKey") && !strings.Contains(string(v.JSON), "Reading")
	})
	require.NoError(t, err)
	require.NoError(t, p.Type("serviceKey", key("5a5b")))
	require.Empty(t, w.submit(t, mira).Errors)
	card := w.card(t, "pending")
	assert.Contains(t, card.PlainText(), f.reason)
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
	assert.Equal(t, "EU", w.holds(t, "payments-prod", "PAGER_DUTY")["region"])
}

// TestNewRequestOnABadDay: what cannot be offered is said in the form, and whoever may no
// longer ask is told so. The trail remembers that.
func TestNewRequestOnABadDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start(t)
	require.NoError(t, w.atlas.RemoveBehind(w.atlas.ProjectID("search-prod"), "PAGER_DUTY"))
	require.Empty(t, w.ask(t, mira, rotation("5a5c", "search-prod")).Errors)
	p := w.slack.Person(mira)
	rejected := w.message(t, mira, p.DM(), "rejected", "Your request to update")
	require.NoError(t, p.CloseAll(deadline(t)))
	restart := func(old *process) *process { // the next one does not remember which projects there are
		require.NoError(t, old.cmd.Process.Signal(syscall.SIGTERM))
		<-old.done
		require.NoError(t, w.slack.WaitDisconnected(deadline(t)))
		return w.start(t)
	}

	w.atlas.Fail(atlassim.Match{Path: "/api/atlas/v2/groups"}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, atlassim.Always)
	second := restart(first)
	w.click(t, mira, rejected, "new_update")
	v := w.view(t, mira, "Atlas does not list its projects at the moment.")
	assert.Contains(t, string(v.JSON), "rotated after INC-42", "the reason is there all the same")
	require.NoError(t, p.CloseAll(deadline(t)))

	w.env["SLACK_REQUESTERS"] = sam
	third := restart(second)
	before := len(third.logs.String())
	w.click(t, mira, rejected, "new_update")
	w.told(t, mira, p.DM(), "You are not on the list of people who may ask for updates")
	require.NoError(t, third.logs.wait(deadline(t), before, `"event":"refuse"`), "the trail remembers it")
}

// TestPrefill: the form opens with the plain values that Atlas has.
func TestPrefill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.NoError(t, w.atlas.ChangeBehind(w.atlas.ProjectID("payments-prod"), "VICTOR_OPS",
		func(settings map[string]any) { settings["routingKey"] = "night-shift" }))
	w.open(t, mira, "update payments-prod victorops", filled{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.slack.Person(mira).WaitView(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), "night-shift") })
	require.NoError(t, err)
	apiKey := fmt.Sprint(atlassim.Sample("VICTOR_OPS", "prefill")["apiKey"])
	require.NoError(t, w.slack.Person(mira).Type("apiKey", apiKey))
	require.NoError(t, w.slack.Person(mira).Type("reason", "rotated"))
	require.Empty(t, w.submit(t, mira).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "applied")
	assert.Equal(t, "night-shift", w.holds(t, "payments-prod", "VICTOR_OPS")["routingKey"], "what was not touched is sent as it was")
}

// TestTheFormDoesNotWaitForAtlas: it opens at once, says that the current values did
// not come, and works without them. What has no such integration is said there, too.
func TestTheFormDoesNotWaitForAtlas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	silent := atlassim.Match{Method: http.MethodGet, GroupID: w.atlas.ProjectID("payments-prod")}
	down := w.atlas.Fail(silent, atlassim.Fault{Kind: atlassim.HangBeforeApply}, atlassim.Always)
	w.open(t, mira, "update payments-prod pagerduty", filled{})
	w.view(t, mira, "Reading what Atlas has now") // the form is there before the values are
	p := w.slack.Person(mira)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, p.Select(ctx, "region", "EU"), "and need not wait for them")
	v := w.view(t, mira, "Atlas did not say in time what payments-prod has now. The form works without; the approver will see both.")
	assert.Contains(t, string(v.JSON), "support.pagerduty.com", "the way to the key does not depend on Atlas")
	assert.NotContains(t, string(v.JSON), `"initial_option":{"text":{"emoji":false,"text":"US"`, "nobody resets a region by not looking")
	down.Withdraw()
	require.NoError(t, p.Type("serviceKey", key("510e")))
	require.NoError(t, p.Type("reason", "Atlas was slow"))
	require.Empty(t, w.submit(t, mira).Errors)
	w.card(t, "pending")
	require.NoError(t, p.CloseAll(ctx))

	require.NoError(t, w.atlas.RemoveBehind(w.atlas.ProjectID("search-prod"), "PAGER_DUTY"))
	w.open(t, mira, "update search-prod pagerduty", filled{})
	w.view(t, mira, "search-prod has no PagerDuty integration, so there is nothing to update.")
	require.NoError(t, p.CloseAll(ctx))

	w.atlas.Fail(silent, atlassim.Fault{Kind: atlassim.Refuse, Status: http.StatusUnauthorized, Code: "USER_UNAUTHORIZED"}, atlassim.Always)
	w.open(t, mira, "update payments-prod pagerduty", filled{})
	w.view(t, mira, "Atlas refuses the bot in payments-prod (401 USER_UNAUTHORIZED), so a request for it would be rejected.")
}

// TestInlineErrors: what is wrong is said at its input; nothing is kept.
func TestInlineErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	good := rotation("1211", "payments-prod")
	for _, tt := range []struct {
		name   string
		kind   string
		values map[string]any
		reason string
		at     string // part of the block ID
		says   string
	}{
		{"too short", "PAGER_DUTY", map[string]any{"region": "US", "serviceKey": "abc"}, "r", "serviceKey", "32 characters"},
		{"not hexadecimal", "PAGER_DUTY", map[string]any{"region": "US", "serviceKey": strings.Repeat("z", 32)}, "r", "serviceKey", "only 0-9 and a-f"},
		{"a mask", "OPS_GENIE", map[string]any{"region": "US", "apiKey": strings.Repeat("*", 32) + "a111"}, "r", "apiKey", "masked"},
		{"a space", "OPS_GENIE", map[string]any{"region": "US", "apiKey": " key-with-a-space"}, "r", "apiKey", "space"},
		{"no address", "MICROSOFT_TEAMS", map[string]any{"microsoftTeamsWebhookUrl": "hooks.example.com"}, "r", "microsoftTeamsWebhookUrl", "https://"},
		{"another scheme", "WEBHOOK", map[string]any{"url": "ftp://example.com/x"}, "r", "url", "https://"},
		{"the key in the reason", "PAGER_DUTY", good.values, "new key " + key("1211"), "reason", "key"},
		{"the key in a plain field", "VICTOR_OPS", map[string]any{"routingKey": "team-topsecret", "apiKey": "topsecret"}, "r", "routingKey", "everybody can read it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.open(t, mira, "update", filled{projects: good.projects, kind: tt.kind, values: tt.values, reason: tt.reason})
			errors := w.submit(t, mira).Errors
			require.Len(t, errors, 1)
			for block, says := range errors {
				assert.Contains(t, block, tt.at)
				assert.Contains(t, says, tt.says)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, w.slack.Person(mira).CloseView(ctx))
		})
	}
	assert.Empty(t, w.slack.Person(jo).Messages(approvals))
	w.asked(t, mira, "pending", "Nothing is waiting")
}

// TestMoreProjectsThanASelectHolds: then they are searched for.
func TestMoreProjectsThanASelectHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 150 {
		require.NoError(t, w.atlas.AddProject(fmt.Sprintf("%024x", 0xabc000+i), fmt.Sprintf("tenant-%03d", i)))
	}
	w.start(t)
	w.open(t, mira, "update", filled{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found, err := w.slack.Person(mira).Suggest(ctx, "project", "tenant-14")
	require.NoError(t, err)
	assert.Len(t, found, 10)
	require.NoError(t, w.slack.Person(mira).CloseView(ctx))
	require.Empty(t, w.ask(t, mira, rotation("5ea2", "payments-prod")).Errors)
	w.card(t, "pending")
}

// TestOnlyListedProjects: with a list, nothing else is offered or accepted.
func TestOnlyListedProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.env["MONGODB_ATLAS_PROJECTS"] = "search-prod:" + w.atlas.ProjectID("search-prod")
	})
	w.start(t)
	assert.Contains(t, w.say(t, mira, "update payments-prod PAGER_DUTY").PlainText(), "no project of that name")
	require.Empty(t, w.ask(t, mira, rotation("0171", "search-prod")).Errors)
	w.card(t, "pending")
}
