package modals_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestCheckPolicy(t *testing.T) {
	t.Parallel()
	long := project(1, strings.Repeat("é", 80))
	payments, search := project(2, "payments"), project(3, "search")
	policy := &approvals.Policy{
		Rules: []approvals.Rule{
			{Name: "a", Projects: []string{"payments"}, Approvers: []string{"U0JO"}, Types: []string{"OPS_GENIE", "MICROSOFT_TEAMS"}},
			{Name: "b", Projects: []string{long.ID}, Approvers: []string{"U0KIM"}, Types: []string{
				"OPS_GENIE", "DATADOG", "SLACK", "WEBHOOK", "VICTOR_OPS", "NEW_RELIC", "PROMETHEUS", "MICROSOFT_TEAMS",
			}},
		},
		Default: approvals.Rule{Approvers: []string{"U0JO"}},
	}
	in := modals.Input{Type: typeOf(t, "PAGER_DUTY")}
	assert.Empty(t, in.CheckPolicy(policy, projects(1)[:0]))
	assert.Empty(t, modals.Input{Type: typeOf(t, "OPS_GENIE")}.CheckPolicy(policy, append(projects(0), payments, search)))
	assert.Equal(t, map[string]string{"type": "In payments only these may be updated: Opsgenie and Microsoft Teams."},
		in.CheckPolicy(policy, append(projects(0), search, payments)))
	found := in.CheckPolicy(policy, append(projects(0), search, long))
	assert.True(t, strings.HasPrefix(found["project"], "Different people decide on search and é"), found["project"])
	found["you"] = in.NotForYou(long)["project"]
	for block, sentence := range found {
		assert.Less(t, utf8.RuneCountInString(sentence), 151, block)
	}
}
