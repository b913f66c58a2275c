package web_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// hexKey is a key as PagerDuty's and Datadog's look; it is nobody's.
var hexKey = strings.Repeat("0a1b2c3d", 4)

func TestTheWholeFlow(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	b := open(t, address, 1500, 950)
	project := s.Atlas.ProjectID("payments-prod")

	b.command("left", "/atlas-integration update")
	b.sees("#left .modal h2", "Update integration")
	b.pick(b.field("left", "type"), "PagerDuty")
	b.choose("left", "project", "payments-prod")
	b.choose("left", "project", "search-prod")
	b.sees("#left .modal .hint", "in search-prod")
	b.pick(b.field("left", "region"), "EU")
	b.write(b.field("left", "serviceKey"), hexKey)
	b.write(b.field("left", "reason"), "The old key was in a ticket.")
	b.picture("form")
	b.click("#left .modal button[type=submit]", "")

	b.sees("#right .message", "Update PagerDuty in 2 projects")
	b.sees("#right .message", "pending")
	b.click("#right .message button", "Approve")
	b.sees("#right dialog[open]", "Atlas is changed at once.")
	b.picture("confirm")
	b.click("#right dialog[open] button", "Approve")
	b.sees("#right .message", "applied")
	b.sees("#atlas #held-PAGER_DUTY", "changed once")
	b.sees("#story .timeline", "stored")
	b.sees("#story .whereabouts", "Redis")
	b.picture("applied")

	held, there := s.Atlas.Integration(project, "PAGER_DUTY")
	require.True(t, there)
	assert.Equal(t, hexKey, held["serviceKey"])
	assert.Equal(t, "EU", held["region"])
	assert.NotContains(t, b.text("body"), hexKey, "the key is shown nowhere once the form is gone")
	assert.Empty(t, b.text("#story .whereabouts .bad"))
	assert.Empty(t, s.Slack.Violations())
}

func TestFields(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	b := open(t, address, 1500, 950)

	b.form("/atlas-integration update search-prod DATADOG")
	b.write(b.field("left", "apiKey"), "too short")
	b.write(b.field("left", "reason"), "Rotation.")
	b.click("#left .modal button[type=submit]", "")
	b.sees("#left .modal .error", "32")
	b.picture("inline-error")
	b.write(b.field("left", "apiKey"), hexKey)
	b.slow("/do/select") // the form must not overtake what was chosen in it
	b.pick(b.field("left", "sendDatabaseMetrics"), "Off")
	b.click("#left .modal button[type=submit]", "")
	b.sees("#left .modal h2", "Request sent")
	b.click("#left .modal footer button", "Close")
	b.seesNo("#left .modal")

	b.click("#right .message button", "Approve")
	b.click("#right dialog[open] button", "Approve")
	b.sees("#right .message", "applied")
	held, _ := s.Atlas.Integration(s.Atlas.ProjectID("search-prod"), "DATADOG")
	assert.Equal(t, hexKey, held["apiKey"])
	assert.Equal(t, false, held["sendDatabaseMetrics"])
}

func TestAnotherTypeKeepsWhatStillMakesSense(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	b := open(t, address, 1500, 950)

	b.form("/atlas-integration update ledger-prod PAGER_DUTY")
	b.write(b.field("left", "serviceKey"), hexKey)
	b.write(b.field("left", "reason"), "We move to Opsgenie.")
	b.pick(b.field("left", "type"), "Opsgenie")
	b.sees("#left .modal label", "API key")
	b.seesNo(b.field("left", "serviceKey"))
	b.sees("#left .choose .chip", "ledger-prod")
	b.until("the reason is gone", `document.querySelector('#left .modal [name=reason]').value === 'We move to Opsgenie.'`)
	key := strings.Join([]string{hexKey[:8], hexKey[:4], hexKey[:4], hexKey[:4], hexKey[:12]}, "-")
	b.write(b.field("left", "apiKey"), key)
	b.click("#left .modal button[type=submit]", "")
	b.click("#right .message button", "Approve")
	b.click("#right dialog[open] button", "Approve")
	b.sees("#right .message", "applied")
	held, _ := s.Atlas.Integration(s.Atlas.ProjectID("ledger-prod"), "OPS_GENIE")
	assert.Equal(t, key, held["apiKey"])
	assert.Zero(t, s.Atlas.Effects(s.Atlas.ProjectID("ledger-prod"), "PAGER_DUTY"))
}

// form has the person on the left open the form of a type, with what Atlas has now.
func (b *tab) form(words string) {
	b.t.Helper()
	b.command("left", words)
	b.sees("#left .modal .hint", "Now ••••")
}

// request has the engineer ask for a new PagerDuty key.
func (b *tab) request(project string) {
	b.t.Helper()
	b.form("/atlas-integration update " + project + " PAGER_DUTY")
	b.write(b.field("left", "serviceKey"), hexKey)
	b.write(b.field("left", "reason"), "Rotation.")
	b.click("#left .modal button[type=submit]", "")
	b.sees("#left .modal h2", "Request sent")
	b.sees("#left .modal", "waits for approval") // and nothing more comes by itself
	b.press(kb.Escape)                           // Escape closes it
	b.seesNo("#left .modal")
	b.sees("#right .message", "pending")
}

func TestDenyWithAReason(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	b := open(t, address, 1500, 950)
	b.request("payments-prod")
	b.click("#right .message button", "Deny")
	b.write(b.field("right", "reason"), "Not during the freeze.")
	b.picture("deny")
	b.click("#right .modal button[type=submit]", "")
	b.sees("#right .message", "denied")
	b.click("#left .places a", "atlas-integration")
	b.sees("#left .message", "Not during the freeze.")
	assert.Zero(t, s.Atlas.Effects(s.Atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
}

func TestNobodyApprovesTheirOwn(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 1500, 950)
	b.click("#left .who summary", "")
	b.click("#left .menu a", "J\njo")
	b.sees("#left .who summary", "jo")
	b.form("/atlas-integration update payments-prod PAGER_DUTY")
	b.write(b.field("left", "serviceKey"), hexKey)
	b.write(b.field("left", "reason"), "Rotation.")
	b.click("#left .modal button[type=submit]", "")
	b.click("#left .modal footer button", "Close")
	b.click("#right .message button", "Approve")
	b.click("#right dialog[open] button", "Approve")
	b.sees("#right .ephemeral", "somebody else has to decide")
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 1500, 950)
	for _, name := range []string{"guest", "stranger"} {
		b.click("#left .who summary", "")
		b.click("#left .menu a", strings.ToUpper(name[:1])+"\n"+name)
		b.sees("#left .who summary", name)
		b.command("left", "/atlas-integration update")
		b.sees("#left .ephemeral", "Only visible to you")
		b.seesNo("#left .modal")
	}
	b.command("left", "hello")
	b.sees("#left .notice", "knows nothing but")
}

func TestBadDays(t *testing.T) {
	t.Parallel()
	t.Run("the bot dies between the approval and the result", func(t *testing.T) {
		t.Parallel()
		s, address := start(t)
		b := open(t, address, 1500, 950)
		b.request("payments-prod")
		b.click("#day-atlas-timeout", "")
		b.sees("#last-day", "not answer")
		b.click("#right .message button", "Approve")
		b.click("#right dialog[open] button", "Approve")
		b.sees("#atlas #held-PAGER_DUTY", "changed once")
		b.click("#day-bot-kill", "")
		b.sees("#bot-state", "it does not run")
		b.picture("bad-day")
		b.command("left", "/atlas-integration help")
		b.sees("#left .notice", "dispatch_failed")
		b.click("#day-bot-start", "")
		b.sees("#bot-state", "The bot is ready")
		b.sees("#right .message", "applied")
		assert.Equal(t, 1, s.Atlas.Effects(s.Atlas.ProjectID("payments-prod"), "PAGER_DUTY"), "it was sent once, and found to be there")
		b.sees("#story .timeline", "the bot is killed")
	})
	t.Run("somebody changes the integration in between", func(t *testing.T) {
		t.Parallel()
		s, address := start(t)
		b := open(t, address, 1500, 950)
		b.click("#day-drift", "")
		b.sees("#last-day", "no request is pending")
		b.request("payments-prod")
		b.click("#day-drift", "")
		b.sees("#last-day", "somebody changes PAGER_DUTY of payments-prod")
		b.click("#right .message button", "Approve")
		b.click("#right dialog[open] button", "Approve")
		b.sees("#right .message", "failed")
		held, _ := s.Atlas.Integration(s.Atlas.ProjectID("payments-prod"), "PAGER_DUTY")
		assert.NotEqual(t, hexKey, held["serviceKey"], "nothing is overwritten")
	})
	t.Run("Redis goes away", func(t *testing.T) {
		t.Parallel()
		_, address := start(t)
		b := open(t, address, 1500, 950)
		b.form("/atlas-integration update payments-prod PAGER_DUTY")
		b.write(b.field("left", "serviceKey"), hexKey)
		b.write(b.field("left", "reason"), "Rotation.")
		b.click("#day-redis-away", "")
		b.sees("#last-day", "goes away")
		b.click("#left .modal button[type=submit]", "")
		b.sees("#left .modal .error", "nothing was sent to Atlas")
		b.sees("#last-day", "the bot is ready again")
		b.click("#left .modal button[type=submit]", "")
		b.sees("#right .message", "pending")
	})
	t.Run("Slack refreshes its sockets and limits messages", func(t *testing.T) {
		t.Parallel()
		s, address := start(t)
		b := open(t, address, 1500, 950)
		b.click("#day-slack-refresh", "")
		b.click("#day-slack-limit", "")
		b.request("payments-prod")
		b.click("#right .message button", "Approve")
		b.click("#right dialog[open] button", "Approve")
		b.sees("#right .message", "applied")
		assert.Empty(t, s.Slack.Violations())
	})
}

func TestHome(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 1500, 950)
	b.click("#right .places a", "Home")
	b.sees("#right .home", "Nothing waits for you.")
	b.click("#left .places a", "Home")
	b.click("#left .home button", "New update")
	b.sees("#left .modal h2", "Update integration")
	b.click("#left .modal footer button", "Cancel")
	b.seesNo("#left .modal")
	b.click("#left .places a", "# incidents")
	b.form("/atlas-integration update payments-prod PAGER_DUTY")
	b.write(b.field("left", "serviceKey"), hexKey)
	b.write(b.field("left", "reason"), "Rotation.")
	b.click("#left .modal button[type=submit]", "")
	b.sees("#right .home", "pending") // by itself, while jo looks
}

func TestTwoTabsSeeTheSame(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	one, two := open(t, address, 1500, 950), open(t, address, 1500, 950)
	one.command("left", "/atlas-integration update payments-prod PAGER_DUTY")
	two.sees("#left .modal h2", "Update integration")
	one.write(one.field("left", "reason"), "Rotation.")
	one.press("\t") // an input is sent when it is left
	two.until("the reason is not seen in the other tab", `document.querySelector('#left .modal [name=reason]').value === 'Rotation.'`)
}

// A page that lost its stream gets it back by itself, and with it what it missed.
func TestTheStreamComesBack(t *testing.T) {
	t.Parallel()
	s, server := serve(t)
	b := open(t, server.URL, 1500, 950)
	b.sees("#left .empty", "Nothing here yet")
	server.CloseClientConnections()
	_, err := s.Slack.Person(sandbox.Engineer).Command(t.Context(), sandbox.Incidents, sandbox.Command, "help")
	require.NoError(t, err)
	b.sees("#left .ephemeral", "/atlas-integration update")
}

func TestDark(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 1500, 950)
	require.NoError(t, chromedp.Do(b.ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return err
	})))
	b.until("the page is not dark", `getComputedStyle(document.body).backgroundColor === 'rgb(19, 22, 20)'`)
	b.request("payments-prod")
}

// On a phone one part is seen at a time, and nothing has to be scrolled sideways.
func TestPhone(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 390, 844)
	fits := `document.documentElement.scrollWidth <= innerWidth`
	b.until("the page is too wide", fits)
	b.form("/atlas-integration update payments-prod PAGER_DUTY")
	b.until("the form is too wide", fits)
	b.picture("phone-form")
	b.click("#left .modal footer button", "Cancel")
	b.seesNo("#left .modal")
	b.request("payments-prod")
	b.click(".top nav a", "jo")
	b.picture("phone-card")
	b.until("the card is too wide", fits)
	b.click("#right .message button", "Approve")
	b.click("#right dialog[open] button", "Approve")
	b.sees("#right .message", "applied")
	b.until("the result is too wide", fits)
	b.picture("phone-applied")

	b.click(".top nav a", "mira")
	b.command("left", "/atlas-integration list payments-prod")
	b.sees("#left .ephemeral", "Changed by this bot")
	b.until("the list is too wide", fits)
	b.show("#left .ephemeral")
	b.picture("phone-list")
	b.command("left", "/atlas-integration history payments-prod")
	b.sees("#left .ephemeral", "History of payments-prod")
	b.until("the history is too wide", fits)
	b.show("#left .ephemeral")
	b.picture("phone-history")
	b.click("#left .places a", "Home")
	b.sees("#left .home", "Changed lately")
	b.sees("#left .home", "approved by")
	b.until("the Home tab is too wide", fits)
	b.show("#left .home")
	b.picture("phone-home")
}

// An engineer looks things up, page by page, beside an approver's Home tab.
func TestLookUp(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	b := open(t, address, 1500, 950)
	b.click("#right .places a", "Home")
	projects := []string{"payments-prod", "search-prod", "ledger-prod"}
	for i := range 9 {
		request(t, s, projects[i%3], fmt.Sprintf("A mistake, the %dth.", i), "cancel")
	}
	for i := range 3 {
		request(t, s, projects[i], fmt.Sprintf("Rotation, part %d.", i), "approve")
	}
	b.command("left", "/atlas-integration history")
	b.sees("#left .ephemeral", "newest first")
	b.sees("#right .home", "Changed lately")
	b.show("#left .ephemeral")
	b.picture("history")
	b.click("#left .ephemeral button", "Older")
	b.sees("#left .ephemeral", "11 to 12, newest first")
	b.click("#left .ephemeral button", "Newer")
	b.sees("#left .ephemeral button", "Older")
	b.command("left", "/atlas-integration list payments-prod")
	b.sees("#left .ephemeral", "Integrations of payments-prod")
	b.show("#left .ephemeral")
	b.picture("list")
	assert.Empty(t, s.Slack.Violations())
}

// request has somebody at another desk ask for a new PagerDuty key, and takes it back
// or has it approved. It waits until nothing more is said of it.
func request(t *testing.T, s *sandbox.Sandbox, project, reason, then string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	engineer, approver := s.Slack.Person(sandbox.Engineer2), s.Slack.Person(sandbox.Approver2)
	_, err := engineer.Command(ctx, sandbox.Incidents, sandbox.Command, "update "+project+" PAGER_DUTY")
	require.NoError(t, err)
	_, err = engineer.WaitView(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), "Now ••••") })
	require.NoError(t, err)
	require.NoError(t, engineer.Type("serviceKey", hexKey))
	require.NoError(t, engineer.Type("reason", reason))
	sent, err := engineer.Submit(ctx)
	require.NoError(t, err)
	require.Empty(t, sent.Errors)
	v, _ := engineer.View()
	id := requestID.FindString(string(v.JSON))
	message := func(who *slacksim.Person, channel string, words ...string) slacksim.Message {
		t.Helper()
		m, err := who.WaitMessage(ctx, channel, func(m slacksim.Message) bool {
			return !slices.ContainsFunc(append(words, id), func(w string) bool { return !strings.Contains(m.PlainText(), w) })
		})
		require.NoError(t, err, "nothing says %q", words)
		return m
	}
	if then == "cancel" {
		require.NoError(t, engineer.Click(ctx, message(engineer, engineer.DM(), "Your request"), "cancel"))
		message(engineer, engineer.DM(), "*cancelled*")
		return
	}
	require.NoError(t, approver.Click(ctx, message(approver, sandbox.Approvals, "*pending*"), then))
	message(approver, sandbox.Approvals, "What Atlas shows now")
	require.NoError(t, engineer.CloseAll(ctx))
}

var requestID = regexp.MustCompile(`req_[0-9A-Z]{10}`)

// A person without a mouse gets from the command to the request.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	b := open(t, address, 1500, 950)
	b.until("there is no line to type in", `document.getElementById('left-text') !== null && (document.getElementById('left-text').focus(), true)`)
	b.press("/atlas-integration update")
	b.enter()
	b.sees("#left .modal h2", "Update integration")
	b.until("the first input of the form has no focus", `document.activeElement?.name === 'project'`)
	b.press("search-p")
	b.sees("#left .option", "search-prod")
	b.enter()
	b.sees("#left .chip", "search-prod")
	b.press(kb.Escape)
	b.seesNo("#left .option")
	b.press(kb.Escape)
	b.seesNo("#left .modal")
}
