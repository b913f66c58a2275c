package main_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// under puts a policy in force from the next start on.
func (w *world) under(t *testing.T, policy string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(policy), 0o600))
	w.env["POLICY_FILE"] = path
}

const paymentsPolicy = `
rules:
  - name: payments
    projects: ["payments-*"]
    approvers: [` + jo + `]
    requesters: [` + mira + `, ` + jo + `]
    types: [PAGER_DUTY, OPS_GENIE]
    ttl: 10m
    banner: "Real money: tell <!channel> first."
`

func TestPolicyInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["SLACK_APPROVERS"] = kim
	w.under(t, paymentsPolicy)
	w.start(t)

	// The form knows the policy, and keeps what was typed.
	datadog := atlassim.Sample("DATADOG", "new")
	delete(datadog, "type")
	w.open(t, mira, "update", filled{projects: []string{"payments-prod"}, kind: "DATADOG", reason: "rotated", values: datadog})
	w.formSays(t, mira, "Real money: tell")
	assert.Equal(t, map[string]string{"type": "In payments-prod only these may be updated: PagerDuty and Opsgenie."}, w.submit(t, mira).Errors)
	assert.Equal(t, map[string]string{"project": "Different people decide on payments-prod and search-prod. Make a request for each."},
		w.ask(t, mira, rotation("0001", "payments-prod", "search-prod")).Errors)
	assert.Equal(t, map[string]string{"project": "You are not among those who may ask for updates of payments-prod. Take it out, or have one of them ask."},
		w.ask(t, sam, rotation("0002", "payments-prod")).Errors)

	// The card says so, and the right people decide.
	require.Empty(t, w.ask(t, mira, rotation("0003", "payments-prod")).Errors)
	card := w.card(t, "pending")
	for _, words := range []string{"Real money: tell <!channel> first.", "policy payments", "Waits for <@" + jo + ">"} {
		assert.Contains(t, card.PlainText(), words)
	}
	assert.Contains(t, w.asked(t, jo, "pending", "req_").PlainText(), "Waits for you")
	assert.Contains(t, w.asked(t, kim, "pending", "req_").PlainText(), "Waits for others")
	w.click(t, kim, card, "approve")
	w.told(t, kim, approvals, "Only <@"+jo+"> can decide on this request. Your click did nothing.")
	w.click(t, kim, card, "deny")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.click(t, jo, card, "approve")
	w.card(t, "applied")

	// Where no rule is for a project, the environment is in force.
	other := rotation("0004", "search-prod")
	other.reason = "no rule for this one"
	require.Empty(t, w.ask(t, sam, other).Errors)
	card = w.cardOf(t, "pending", other.reason)
	w.click(t, jo, card, "approve")
	w.told(t, jo, approvals, "Only <@"+kim+"> can decide on this request.")
	w.click(t, kim, card, "approve")
	w.cardOf(t, "applied", other.reason)
	w.noSecrets(t)
}

// TestAPolicyChangedMeanwhile: a request is decided as it was made, and by nobody who
// could not decide today.
func TestAPolicyChangedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["APPROVALS_REQUIRED"] = "2"
	w.under(t, "rules: [{name: payments, projects: [payments-prod], approvers: ["+jo+", "+kim+"]}]")
	before := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("0005", "payments-prod")).Errors)
	card := w.card(t, "pending")
	before.kill()
	require.NoError(t, w.slack.WaitDisconnected(deadline(t)))

	w.under(t, "rules: [{name: payments, projects: [payments-prod], approvers: ["+jo+", "+sam+"], approvals: 1, ttl: 5s}]")
	loose := w.start(t)
	w.click(t, kim, card, "approve")
	w.told(t, kim, approvals, "the list has changed since and you are no longer on it. Your click did nothing.")
	w.click(t, sam, card, "approve")
	w.told(t, sam, approvals, "can decide on this request. Your click did nothing.")
	w.click(t, jo, card, "approve")
	w.message(t, jo, approvals, "pending", "1 of 2 approvals")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	loose.kill()
	require.NoError(t, w.slack.WaitDisconnected(deadline(t)))

	delete(w.env, "POLICY_FILE") // kim, like jo, is on the list of the environment
	w.start(t)
	w.click(t, kim, card, "approve")
	w.card(t, "applied")
	assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
}

// TestAPolicyThatCannotBe: what only Slack can tell is told before anybody relies on
// it, and a Slack that is away is waited for.
func TestAPolicyThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ approvers, says string }{
		"nobody":         {"[" + jo + ", U0NOBODY1]", "line 2, column 70: U0NOBODY1 is no user of this workspace"},
		"no group":       {"[S0NOTHING1]", "line 2, column 58: S0NOTHING1 is no user group of this workspace"},
		"an empty group": {"[S0EMPTY001]", `line 2, column 57: under the rule \"payments\" nobody's request could be approved: it takes 1 of 0 people, and nobody approves their own`},
		"away":           {"[U0AWAY0001]", `it takes 1 of 0 people`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.slack.SetGroup("S0EMPTY001")
			w.slack.SetUser("U0AWAY0001", func(u *slacksim.User) { u.Deleted = true })
			w.slack.Fail("auth.test", 1, slacksim.Failure{Status: 503})
			w.slack.Fail("users.info", 1, slacksim.Failure{Status: 503})
			w.slack.Fail("usergroups.users.list", 1, slacksim.Failure{RetryAfter: time.Second})
			w.under(t, "rules:\n  - {name: payments, projects: [payments-*], approvers: "+tt.approvers+"}")
			bot := w.launch(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			select {
			case <-bot.done:
			case <-ctx.Done():
				require.Fail(t, "the bot should end")
			}
			assert.Equal(t, 2, bot.cmd.ProcessState.ExitCode())
			assert.Contains(t, bot.logs.String(), tt.says)
		})
	}
}

// formSays waits until somebody's open form says something.
func (w *world) formSays(t *testing.T, who, words string) {
	t.Helper()
	_, err := w.slack.Person(who).WaitView(deadline(t), func(v slacksim.View) bool { return strings.Contains(string(v.JSON), words) })
	require.NoError(t, err, words)
}
