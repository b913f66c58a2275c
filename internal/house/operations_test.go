package house_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var (
	metricName   = regexp.MustCompile(`\batlas_integration_bot_[a-z_]+[a-z]`)
	metricRow    = regexp.MustCompile("(?m)^\\| `(atlas_integration_bot_[a-z_]+)` \\| (counter|gauge|histogram) \\|")
	alertName    = regexp.MustCompile(`\bAtlasIntegrationBot[A-Z][A-Za-z]+`)
	headingNamed = regexp.MustCompile(`docs/operations\.md, "([^"]+)"\.$`)
)

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	require.NoError(t, err)
	return string(text)
}

// shown are the series that the bot has, by name. A test of cmd/bot holds the table
// against the registry.
func shown(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, row := range metricRow.FindAllStringSubmatch(readFile(t, "docs", "operations.md"), -1) {
		if row[2] != "histogram" {
			names[row[1]] = true
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			names[row[1]+part] = true
		}
	}
	require.NotEmpty(t, names)
	return names
}

// A rule is an alert of Prometheus.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rulesOf(t *testing.T, path ...string) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, path...)), &file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

// Every alert is about metrics that there are, is tested, and says what to do.
func TestAlerts(t *testing.T) {
	t.Parallel()
	metrics, page, tests := shown(t), readFile(t, "docs", "operations.md"), readFile(t, "deploy", "prometheus", "rules_test.yaml")
	there := map[string]bool{}
	for _, r := range rulesOf(t, "deploy", "prometheus", "rules.yaml") {
		there[r.Alert] = true
		for _, name := range metricName.FindAllString(r.Expr, -1) {
			assert.True(t, metrics[name], "%s looks at %s, which the bot does not have", r.Alert, name)
		}
		assert.Contains(t, []string{"warning", "critical"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		if named := headingNamed.FindStringSubmatch(r.Annotations["runbook"]); assert.Len(t, named, 2, "%s names no heading of docs/operations.md", r.Alert) {
			_, section, found := strings.Cut(page, "\n### "+named[1]+"\n")
			section, _, _ = strings.Cut(section, "\n### ")
			assert.True(t, found && strings.Contains(section, "`"+r.Alert+"`"), "docs/operations.md says nothing of %s under %q", r.Alert, named[1])
		}
		assert.Contains(t, tests, strings.TrimPrefix(r.Alert, "AtlasIntegrationBot"), "no test of %s", r.Alert)
	}
	for _, name := range alertName.FindAllString(page, -1) {
		assert.True(t, there[name], "docs/operations.md names %s, which is no alert", name)
	}
}

// The chart's alerts are about metrics that there are.
func TestAlertsOfTheChart(t *testing.T) {
	t.Parallel()
	metrics := shown(t)
	for _, r := range rulesOf(t, "deploy", "helm", "files", "alerts.yaml") {
		for _, name := range metricName.FindAllString(r.Expr, -1) {
			assert.True(t, metrics[name], "%s looks at %s, which the bot does not have", r.Alert, name)
		}
	}
}

// The dashboard shows metrics that there are, and each of them.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text := readFile(t, "deploy", "grafana", "dashboard.json")
	var dashboard struct {
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct {
				X, Y, W, H int
			} `json:"gridPos"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Name     string  `json:"name"`
				AllValue *string `json:"allValue"`
			} `json:"list"`
		} `json:"templating"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &dashboard))
	require.NotEmpty(t, dashboard.Templating.List)
	for _, variable := range dashboard.Templating.List {
		// Memory and goroutines every process shows, and not the bot alone.
		assert.Nil(t, variable.AllValue, "all of %s are those that the bot has", variable.Name)
	}
	metrics, ids, taken := shown(t), map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		assert.False(t, ids[p.ID], "two panels have the ID %d", p.ID)
		ids[p.ID] = true
		assert.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, target := range p.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				assert.True(t, metrics[name], "%s shows %s, which the bot does not have", p.Title, name)
			}
		}
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s lies on another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for name := range metrics {
		if !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			assert.Contains(t, text, name, "the dashboard shows everything")
		}
	}
}

// Metrics that the text of docs/operations.md names are in its table, and lines of
// the log in the code.
func TestOperationsNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	page := readFile(t, "docs", "operations.md")
	metrics := shown(t)
	for _, name := range metricName.FindAllString(page, -1) {
		assert.True(t, metrics[name] || metrics[name+"_bucket"], "docs/operations.md names %s", name)
	}
	_, troubles, found := strings.Cut(page, "\n## Troubleshooting\n")
	require.True(t, found)
	troubles, _, _ = strings.Cut(troubles, "\n## ")
	literals := literalsOfTheBot(t)
	lines := 0
	// A line of the log is quoted as a whole, in words of small letters.
	for _, quoted := range regexp.MustCompile("`([a-z][a-z,;]*(?: [a-z,;]+){2,})(: …)?`").FindAllStringSubmatch(troubles, -1) {
		if strings.HasPrefix(quoted[1], "bot ") {
			continue // a subcommand
		}
		lines++
		assert.True(t, literals[quoted[1]] || literals[quoted[1]+": %w"] || literals[quoted[1]+": %s"],
			"docs/operations.md quotes %q, which the bot does not say", quoted[1])
	}
	assert.Greater(t, lines, 15)
}

// literalsOfTheBot are all texts in the code of the bot.
func literalsOfTheBot(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{"context deadline exceeded": true} // says Go
	for _, dir := range []string{"cmd/bot", "internal/socket", "internal/commands", "internal/approvals", "internal/atlas"} {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(dir)), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if value, err := strconv.Unquote(literal.Value); err == nil {
						found[value] = true
					}
				}
				return true
			})
			return nil
		})
		require.NoError(t, err)
	}
	return found
}
