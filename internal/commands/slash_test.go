package commands

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

func TestHoldsKey(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 16)
	for _, text := range []string{
		hex, "serviceKey=" + hex, "`" + hex + "`", "update payments-prod PAGER_DUTY " + strings.ToUpper(hex),
		"01234567-89ab-cdef-0123-456789abcdef", "xoxb" + "-1-2", "https://hooks.example.com/x", "<https://hooks.example.com/x>",
		strings.Repeat("k3Y", 9), "key:" + strings.Repeat("k3Y", 9),
	} {
		assert.True(t, holdsKey(strings.Fields(text), nobody), text)
	}
	for _, text := range []string{
		"", "help", "update payments-prod PAGER_DUTY", "status req_7Q2M4KX9TB", "list " + strings.Repeat("a1", 12),
		"update customer-analytics-production-eu-west-1 datadog", "update Internationalization prometheus",
	} {
		assert.False(t, holdsKey(strings.Fields(text), nobody), text)
	}
}

// TestProjectsNamedLikeKeys: their names are no keys, as far as the bot knows them. What
// is a key for certain is one whatever it is the name of.
func TestProjectsNamedLikeKeys(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0f", 16)
	listed := &Bot{Projects: []atlas.Project{{Name: "EU analytics2024production7"}, {Name: "reports2024production7, old"}, {Name: hex}}}
	asked := &Bot{}
	asked.projects.known = listed.Projects
	for _, b := range []*Bot{listed, asked} {
		assert.False(t, holdsKey(strings.Fields("list eu Analytics2024Production7"), b.namedProject))
		assert.False(t, holdsKey(strings.Fields("list `EU analytics2024production7`"), b.namedProject))
		assert.False(t, holdsKey(strings.Fields("list reports2024production7, old"), b.namedProject), "as it stands in the name")
		assert.True(t, holdsKey(strings.Fields("list analytics2025production7"), b.namedProject))
		assert.True(t, holdsKey([]string{hex}, b.namedProject))
	}
}

func nobody(string) bool { return false }

func TestParseUpdate(t *testing.T) {
	t.Parallel()
	projects := []atlas.Project{
		{ID: strings.Repeat("a1", 12), Name: "payments-prod"},
		{ID: strings.Repeat("b2", 12), Name: "Project 0"},
		{ID: strings.Repeat("c3", 12), Name: "slack"},
	}
	for _, tt := range []struct{ text, project, kind, unknown string }{
		{"", "", "", ""},
		{"payments-prod", "payments-prod", "", ""},
		{strings.Repeat("A1", 12), "payments-prod", "", ""},
		{"PagerDuty", "", "PAGER_DUTY", ""},
		{"pager duty", "", "PAGER_DUTY", ""},
		{"payments-prod ops-genie", "payments-prod", "OPS_GENIE", ""},
		{"ops-genie PAYMENTS-PROD", "payments-prod", "OPS_GENIE", ""},
		{"project 0 microsoft teams", "Project 0", "MICROSOFT_TEAMS", ""},
		{"slack", "slack", "", ""}, // the project of that name
		{"slack slack", "slack", "SLACK", ""},
		{"paymets-prod datadog", "", "DATADOG", "paymets-prod"},
		{"payments-prod datadgo", "payments-prod", "", "datadgo"},
		{"what ever", "", "", "what ever"},
	} {
		p, kind, unknown := parseUpdate(tt.text, projects)
		name, kindName := "", ""
		if p != nil {
			name = p.Name
		}
		if kind != nil {
			kindName = kind.Name
		}
		assert.Equal(t, tt, struct{ text, project, kind, unknown string }{tt.text, name, kindName, unknown})
	}
}

func FuzzParseUpdate(f *testing.F) {
	for _, seed := range []string{"", "payments-prod PAGER_DUTY", "\u202eprod", "a b c d e", strings.Repeat("x ", 500)} {
		f.Add(seed)
	}
	projects := []atlas.Project{{ID: strings.Repeat("a1", 12), Name: "payments-prod"}}
	f.Fuzz(func(_ *testing.T, text string) {
		parseUpdate(text, projects)
		holdsKey(strings.Fields(text), nobody)
	})
}
