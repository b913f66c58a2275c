package modals_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestReminders(t *testing.T) {
	t.Parallel()
	golden(t, "reminder", modals.Reminder(newRequest(), "<!subteam^S0ONCALL1>", false))
	golden(t, "reminder-last", modals.Reminder(newRequest(), "", true))
}

func TestHome(t *testing.T) {
	t.Parallel()
	const approvers = "<!subteam^S0ONCALL1> and <@U0APPROVER>"
	waiting, final := newRequest(projects(2)...), newRequest()
	decided(final)
	final.ID = "req_0000000001"
	golden(t, "home-approver", modals.Home{
		Waiting: []*approvals.Request{waiting}, Mine: []*approvals.Request{final}, Lately: []*approvals.Request{final},
		Links: map[string]string{waiting.ID: "https://oncall.slack.com/archives/C0APPROVAL/p1795442700000100"}, Approves: true, Approvers: approvers,
	}.View())
	golden(t, "home-empty", modals.Home{Approves: true, Approvers: approvers, Policy: true}.View())
	golden(t, "home-engineer", modals.Home{Mine: []*approvals.Request{waiting}, Approvers: approvers}.View())
	golden(t, "home-away", modals.Home{Away: true, Approvers: approvers}.View())

	many := make([]*approvals.Request, 30)
	for i := range many {
		many[i] = newRequest(projects(20)...)
	}
	full := modals.Home{Waiting: many, Mine: many, Lately: many, Approves: true, Approvers: approvers}.View()
	golden(t, "home-many", full)
	assert.Less(t, len(full.Blocks.BlockSet), 50)
}
