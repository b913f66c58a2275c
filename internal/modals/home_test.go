package modals_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	waiting, final, other, all, denied := newRequest(projects(2)...), newRequest(), newRequest(), newRequest(projects(20)...), newRequest()
	for i, r := range []*approvals.Request{final, other, all, denied} {
		decided(r)
		r.ID = fmt.Sprintf("req_000000000%d", i+1)
	}
	other.Type, denied.State = "OPS_GENIE", approvals.Denied
	settle(denied, denied.Targets[0], approvals.Waiting, "")
	golden(t, "home-approver", modals.Home{
		Waiting: []*approvals.Request{waiting}, Mine: []*approvals.Request{final}, Lately: []*approvals.Request{denied, final, other, all},
		Links: linkTo(waiting, final), Approves: true, Approvers: approvers,
	}.View())
	golden(t, "home-empty", modals.Home{Approves: true, Approvers: approvers, Policy: true}.View())
	golden(t, "home-engineer", modals.Home{Mine: []*approvals.Request{waiting}, Approvers: approvers, Requesters: "<@U0ENGINEER>"}.View())
	golden(t, "home-away", modals.Home{Away: true, Approvers: approvers}.View())

	many := make([]*approvals.Request, 30)
	for i := range many {
		many[i] = newRequest(projects(20)...)
		extreme(many[i])
		decided(many[i])
		for j, p := range many[i].Targets { // so that no two projects are alike
			target := many[i].Outcomes[p.ID]
			target.Result.At = target.Result.At.Add(time.Duration(j) * time.Minute)
			many[i].Outcomes[p.ID] = target
		}
	}
	long := strings.Repeat("<@U0APPROVER>, ", 100)
	full := modals.Home{Waiting: many, Mine: many, Lately: many, Links: linkTo(many...), Approves: true, Approvers: long, Requesters: long}.View()
	golden(t, "home-many", full)
	assert.Less(t, len(full.Blocks.BlockSet), 50)
}
