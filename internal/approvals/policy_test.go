package approvals

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

func named(names ...string) []atlas.Project {
	var projects []atlas.Project
	for i, name := range names {
		projects = append(projects, atlas.Project{ID: payments.ID[:22] + string(rune('a'+i)) + "0", Name: name})
	}
	return projects
}

// production is stricter than the default in everything.
func production() Policy {
	owners := []string{"S0OWNERS", "U0JO"}
	return Policy{
		Rules: []Rule{
			{Name: "payments", Projects: []string{"payments-*"}, Approvers: owners, Approvals: 2, TTL: time.Hour, Banner: "Real money."},
			{Name: "production", Projects: []string{"*-prod"}, Approvers: []string{"U0JO", "S0OWNERS"}, Approvals: 1, TTL: 10 * time.Minute, Types: []string{"PAGER_DUTY"}},
		},
		Default: Rule{Approvers: []string{"U0JO"}, Approvals: 1, TTL: 2 * time.Hour},
	}
}

func TestTheFirstRuleHolds(t *testing.T) {
	t.Parallel()
	p := production()
	for name, rule := range map[string]string{
		"payments-prod": "payments", "PAYMENTS-Dev": "payments", "search-prod": "production", "search-dev": "", "prod": "", "my-payments-x": "",
	} {
		assert.Equal(t, rule, p.Of(named(name)[0]).Name, name)
	}
	byID := named("anything")[0]
	p.Rules[1].Projects = []string{byID.ID}
	assert.Equal(t, "production", p.Of(byID).Name)
}

func TestTermsAreTheStrictest(t *testing.T) {
	t.Parallel()
	p := production()
	terms, err := p.Terms(named("payments-prod", "search-prod", "ledger-prod"))
	require.NoError(t, err)
	assert.Equal(t, Terms{
		Needed: 2, TTL: 10 * time.Minute, Approvers: []string{"S0OWNERS", "U0JO"},
		Rules: []string{"payments", "production"}, Banners: []string{"Real money."}, Policy: p.Digest(),
	}, terms)

	_, err = p.Terms(named("payments-prod", "search-prod", "search-dev"))
	var mixed *MixedError
	require.ErrorAs(t, err, &mixed)
	assert.Equal(t, "payments-prod", mixed.One.Name)
	assert.Equal(t, "search-dev", mixed.Other.Name)
}

func TestEveryChangeOfThePolicyChangesItsDigest(t *testing.T) {
	t.Parallel()
	original := production()
	seen := map[string]string{original.Digest(): "nothing"}
	for what, change := range map[string]func(r *Rule){
		"name": func(r *Rule) { r.Name += "!" }, "projects": func(r *Rule) { r.Projects = []string{"other"} },
		"approvers": func(r *Rule) { r.Approvers = []string{"U0SAM"} }, "requesters": func(r *Rule) { r.Requesters = []string{"U0SAM"} },
		"approvals": func(r *Rule) { r.Approvals++ }, "ttl": func(r *Rule) { r.TTL++ },
		"types": func(r *Rule) { r.Types = []string{"DATADOG"} }, "banner": func(r *Rule) { r.Banner += "!" },
	} {
		for i := range 3 {
			p := production()
			change(append([]*Rule{&p.Default}, &p.Rules[0], &p.Rules[1])[i])
			before, known := seen[p.Digest()]
			assert.False(t, known, "%s of rule %d has the digest of %s", what, i, before)
			seen[p.Digest()] = what
		}
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, form string
		want       bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"", "*", true},
		{"abc", "*", true},
		{"abc", "a*", true},
		{"abc", "*c", true},
		{"abc", "a*c", true},
		{"abc", "*b*", true},
		{"abc", "a*b*c", true},
		{"abc", "a*c*b", false},
		{"a", "a*a", false},
		{"aa", "a*a", true},
		{"abab", "ab*ab", true},
		{"aba", "ab*ba", false},
		{"a.c", "a?c", false},
	} {
		assert.Equal(t, tt.want, like(tt.name, tt.form), "%q like %q", tt.name, tt.form)
	}
}

// TestTermsAreApproved: what the policy says at submission is part of what is sealed,
// and a later policy changes nothing about it.
func TestTermsAreApproved(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Policy = production()
	s.Policy.Rules[0].Projects = []string{payments.ID}
	r := submit(t, s)
	assert.Equal(t, 2, r.Needed)
	assert.Equal(t, []string{"payments"}, r.Rules)
	assert.Equal(t, s.Policy.Digest(), r.Policy)
	assert.Equal(t, time.Hour, r.ExpiresAt.Sub(r.CreatedAt))

	s.Policy = Policy{Default: Rule{Approvers: []string{"U0SAM"}, Approvals: 1, TTL: time.Minute}}
	r, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, 2, r.Needed)
	assert.Equal(t, []string{"S0OWNERS", "U0JO"}, r.Approvers)
	assert.Equal(t, []string{"Real money."}, r.Banners)
	assert.Contains(t, string(r.doc), `"needed":2`)

	s.Policy = production()
	_, err = s.Submit(t.Context(), "V-mixed", pagerDuty(t, newKey("beef")), Submission{Targets: named("payments-prod", "search-dev")}, mira)
	var mixed *MixedError
	require.ErrorAs(t, err, &mixed)
}
