package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

var defaults = approvals.Rule{Approvers: []string{"U0JO", "S0APPROVE"}, Approvals: 1, TTL: time.Hour}

const goodPolicy = `
# Who decides on what.
rules:
  - name: payments
    projects: [payments-prod, "Ledger *", 32b6e34b3d91647abb20e7b8]
    approvers: [S0PAYOWNERS, U0JO]
    requesters: [S0ONCALL]
    approvals: 2
    ttl: 30m
    types: [PagerDuty, ops-genie]
    banner: "Production payments: tell #incidents first."
  - name: 2026 trials
    projects:
      - trial-*
`

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	file, problems := parsePolicy([]byte(goodPolicy), defaults, nil)
	require.Empty(t, problems)
	assert.Equal(t, []approvals.Rule{
		{
			Name: "payments", Projects: []string{"payments-prod", "Ledger *", "32b6e34b3d91647abb20e7b8"},
			Approvers: []string{"S0PAYOWNERS", "U0JO"}, Requesters: []string{"S0ONCALL"}, Approvals: 2, TTL: 30 * time.Minute,
			Types: []string{"PAGER_DUTY", "OPS_GENIE"}, Banner: "Production payments: tell #incidents first.",
		},
		{Name: "2026 trials", Projects: []string{"trial-*"}, Approvers: defaults.Approvers, Approvals: 1, TTL: time.Hour},
	}, file.rules)
	assert.Equal(t, []namedID{{place{6, 17}, "S0PAYOWNERS"}, {place{6, 30}, "U0JO"}, {place{7, 18}, "S0ONCALL"}}, file.named)
}

// What the guide and the chart show is read.
func TestPoliciesOfTheDocs(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "policy.md"))
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(guide), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	render, err := os.ReadFile(filepath.Join("..", "..", "deploy", "helm", "testdata", "everything.yaml"))
	require.NoError(t, err)
	_, mounted, _ := strings.Cut(string(render), "  policy.yaml: |\n")
	mounted, _, _ = strings.Cut(mounted, "\n---")
	for _, text := range []string{example, mounted} {
		file, problems := parsePolicy([]byte(text), defaults, nil)
		assert.Empty(t, problems)
		assert.Len(t, file.rules, 2)
	}
}

// Everything that can be wrong is said with line and column, in words that say what
// to do; nothing else is found wrong besides.
func TestParsePolicyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	only := []atlas.Project{{ID: projectNumber("1"), Name: "payments-prod"}}
	rule := func(lines ...string) string {
		return "rules:\n  - name: a\n    projects: [payments-prod]\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", []string{"names an empty file: write rules:, or remove the variable"}},
		{"# nothing\n", []string{"names an empty file: write rules:, or remove the variable"}},
		{"rules: [", []string{"is not YAML: line 1: did not find expected node content"}},
		{"a: 1\n---\nb: 2", []string{"holds more than one YAML document: keep one"}},
		{"- a", []string{"line 1, column 1: the policy must be keys with values, one a line, such as rules:"}},
		{"rule: []", []string{`line 1, column 1: the policy has no key "rule": did you mean rules?`}},
		{"rules: []", []string{"line 1, column 8: the list is empty: fill it, or leave rules out"}},
		{"rules: {}", []string{"line 1, column 8: rules must be a list: [one, another], or a line with - for each"}},
		{"rules: [payments]", []string{"line 1, column 9: a rule must be keys with values, one a line, such as name: and projects:"}},
		{"rules:\n  - approvals: 1", []string{"line 2, column 5: a rule needs name", "line 2, column 5: a rule needs projects"}},
		{rule("aprovers: [U0JO]"), []string{`line 4, column 5: a rule has no key "aprovers": did you mean approvers?`}},
		{rule("color: red"), []string{`line 4, column 5: a rule has no key "color"`}},
		{rule("approvals: 1", "approvals: 2"), []string{"line 5, column 5: approvals is there twice"}},
		{rule("approvers: &who [U0JO]", "requesters: *who"), []string{"line 5, column 17: aliases are not read here: write the value itself"}},
		{rule("approvers: U0JO"), []string{"line 4, column 16: approvers must be a list: [one, another], or a line with - for each"}},
		{rule("approvers: [jo, U0JO, U0JO]"), []string{
			"line 4, column 17: this is not the ID of a user (U…, W…) or a user group (S…)", "line 4, column 27: U0JO is there twice",
		}},
		{rule("approvals: two"), []string{"line 4, column 16: this must be a whole number from 1 to 100"}},
		{rule("approvals: 0"), []string{"line 4, column 16: this must be a whole number from 1 to 100"}},
		{rule("ttl: 30"), []string{"line 4, column 10: this is not a duration: write 90s, 30m or 36h; hours are the largest unit"}},
		{rule("ttl: 1ms"), []string{"line 4, column 10: this must be 1s or more"}},
		{rule("types: [PAGERDUTY, Pager, HIP_CHAT, pagerduty]"), []string{
			"line 4, column 24: there is no such type of integration; there are " + strings.Join(typeNames(), ", "),
			"line 4, column 31: HIP_CHAT is discontinued and can never be updated", "line 4, column 41: PAGER_DUTY is there twice",
		}},
		{rule("banner: []"), []string{"line 4, column 13: a text must stand here"}},
		{rule("banner: " + strings.Repeat("x", 301)), []string{"line 4, column 13: the text is 301 characters long; at most 300 are read"}},
		{rule("banner: \"a\\nb\""), []string{"line 4, column 13: the text must be one line"}},
		{rule("approvers: [U0JO]", "approvals: 2"), []string{
			`line 4, column 16: under the rule "a" nobody's request could be approved: it takes 2 of 1 person, and nobody approves their own`,
		}},
		{rule("approvers: [U0JO, U0KIM]", "requesters: [U0KIM]", "approvals: 2"), []string{
			`line 4, column 16: under the rule "a" nobody's request could be approved: it takes 2 of 2 people, and nobody approves their own`,
		}},
		{"rules:\n  - name: a\n    projects: [payments-prod, search-prod]", []string{`line 3, column 31: "search-prod" is none of the projects in MONGODB_ATLAS_PROJECTS`}},
		{rule("ttl: 1h") + "  - name: A\n    projects: [PAYMENTS-prod]", []string{
			`line 5, column 11: there is another rule with the name "A"`, `line 6, column 16: "PAYMENTS-prod" is named before, and the first rule holds`,
		}},
	} {
		file, problems := parsePolicy([]byte(tt.text), defaults, only)
		assert.Equal(t, tt.want, problems, "%s", tt.text)
		assert.LessOrEqual(t, len(file.rules), 1)
	}
}

func typeNames() []string {
	var names []string
	for _, t := range atlas.Types {
		names = append(names, t.Name)
	}
	return names
}

func TestReadConfigWithAPolicy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(goodPolicy), 0o600))
	cfg, err := readConfig(t.Context(), complete(t).with("POLICY_FILE", path, "APPROVAL_TTL", "3h"))
	require.NoError(t, err)
	policy := cfg.policies()
	require.Len(t, policy.Rules, 2)
	assert.Equal(t, 3*time.Hour, policy.Rules[1].TTL, "what a rule leaves out is as everywhere")
	assert.Equal(t, []string{"U0APPROVER", "W0OTHER", "S0ONCALL"}, policy.Default.Approvers)

	require.NoError(t, os.WriteFile(path, []byte("rules: [{}]"), 0o600))
	found := problemsOf(t, complete(t).with("POLICY_FILE", path, "RETENTION", "nothing"))
	assert.Equal(t, []string{"POLICY_FILE", "POLICY_FILE", "RETENTION"}, []string{found[0].name, found[1].name, found[2].name})
	missing := problemsOf(t, complete(t).with("POLICY_FILE", path+".not"))
	assert.Equal(t, []problem{{"POLICY_FILE", "names a file that cannot be opened: no such file or directory"}}, missing)
}

// Slack may break off in the middle of the asking. What it has said by then is not asked
// again, and is told all the same, at each place.
func TestWhoIsWhoWhenSlackBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	file, wrong := parsePolicy([]byte(`
rules:
  - {name: a, projects: [a], approvers: [U0NOBODY1, S0APPROVE1]}
  - {name: b, projects: [b], approvers: [S0APPROVE1, U0NOBODY1]}
`), defaults, nil)
	require.Empty(t, wrong)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	api := slack.New(s.slack.BotToken(), slack.OptionAPIURL(s.slack.APIURL()), slack.OptionHTTPClient(client))
	s.slack.Fail("usergroups.users.list", 1, slacksim.Failure{RetryAfter: time.Second})
	known := whoIsWho{}
	_, err := known.askAll(t.Context(), api, "T0ONCALL01", file)
	var limited *slack.RateLimitedError
	require.ErrorAs(t, err, &limited)
	s.slack.Fail("users.info", 1, slacksim.Failure{Status: 503}) // who asks about the user once more
	problems, err := known.askAll(t.Context(), api, "T0ONCALL01", file)
	require.NoError(t, err)
	assert.Equal(t, []problem{
		{"POLICY_FILE", "line 3, column 42: U0NOBODY1 is no user of this workspace"},
		{"POLICY_FILE", "line 4, column 54: U0NOBODY1 is no user of this workspace"},
	}, problems)
}

// FuzzPolicy: whatever stands in the file, it is read or refused with a place, and no
// rule is read by halves.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{goodPolicy, "rules: []", "rules: [{name: a, projects: [b]}]", "a: &a [*a]", "{", "? [a] : b", "rules:\n- <<: {name: x}\n", "%YAML 9"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, problems := parsePolicy(content, defaults, nil)
		if len(file.rules) == 0 && len(problems) == 0 {
			t.Fatal("no rule, and nothing is said about it")
		}
		if len(file.places) != len(file.rules) || len(problems) > len(content)+4 {
			t.Fatal("more is said than there is")
		}
		for _, rule := range file.rules {
			if rule.Name == "" || len(rule.Projects) == 0 || len(rule.Approvers) == 0 || rule.Approvals < 1 || rule.TTL < time.Second {
				t.Fatalf("a rule by halves: %+v", rule)
			}
			if slices.ContainsFunc(rule.Approvers, func(id string) bool { return !peopleID.MatchString(id) }) {
				t.Fatal("an approver who is nobody")
			}
		}
	})
}
