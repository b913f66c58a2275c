package house_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// chartFile reads a file of the chart.
func chartFile(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root, "deploy", "helm"}, path...)...))
	require.NoError(t, err)
	return text
}

// A schema is as much of a JSON schema as the chart's uses for objects.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Additional json.RawMessage    `json:"additionalProperties"`
}

func chartSchema(t *testing.T) (values *schema, definitions map[string]*schema) {
	t.Helper()
	var all struct {
		schema
		Definitions map[string]*schema `json:"definitions"`
	}
	require.NoError(t, json.Unmarshal(chartFile(t, "values.schema.json"), &all))
	return &all.schema, all.Definitions
}

// documented are the variables as README.md has them, which a test of cmd/bot
// holds to the bot: name to default, and which are secret.
func documented(t *testing.T) (defaults map[string]string, secrets []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|.*\\| ([^|]*) \\| ([^|]*) \\|$")
	_, table, _ := strings.Cut(string(text), "<!-- config:begin -->")
	table, _, _ = strings.Cut(table, "<!-- config:end -->")
	defaults = map[string]string{}
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		defaults[match[1]] = ""
		if value, ok := strings.CutPrefix(strings.TrimSpace(match[2]), "`"); ok {
			defaults[match[1]] = strings.TrimSuffix(value, "`")
		}
		if strings.HasPrefix(match[3], "yes") {
			secrets = append(secrets, match[1])
		}
	}
	require.NotEmpty(t, defaults)
	return defaults, secrets
}

// What the bot can be told, the chart can be told, by the same name and with the
// same default; and nothing else.
func TestChartKnowsEveryVariable(t *testing.T) {
	t.Parallel()
	values, _ := chartSchema(t)
	defaults, secrets := documented(t)
	plain := slices.DeleteFunc(slices.Collect(maps.Keys(defaults)), func(name string) bool {
		return slices.Contains(secrets, name) ||
			name == "HTTP_ADDR" || name == "POLICY_FILE" // these are the values "port" and "policy"
	})
	config, credentials := values.Properties["config"], values.Properties["secrets"]
	keys := func(s *schema) []string { return slices.Sorted(maps.Keys(s.Properties)) }
	assert.ElementsMatch(t, plain, keys(config), "config in values.schema.json")
	assert.ElementsMatch(t, secrets, keys(credentials.Properties["values"]), "secrets.values in values.schema.json")
	// The first half of each pair of Atlas credentials often lies beside the second.
	assert.ElementsMatch(t, append([]string{"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_PUBLIC_API_KEY"}, secrets...),
		keys(credentials.Properties["from"]), "secrets.from in values.schema.json")
	for _, name := range secrets {
		for _, file := range []string{"_helpers.tpl", "_wrong.tpl"} {
			assert.Contains(t, string(chartFile(t, "templates", file)), `"`+name+`"`, file)
		}
	}

	var given struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(chartFile(t, "values.yaml"), &given))
	for name, value := range given.Config {
		if want := defaults[name]; want != "" {
			assert.Equal(t, want, fmt.Sprint(value), "%s in values.yaml should be what the bot takes without it", name)
		} else {
			assert.Empty(t, value, "%s in values.yaml: the bot has no default", name)
		}
	}
}

// free are the objects whose keys are not ours to know.
var free = []string{
	"global", "valueFrom", "ipBlock", "namespaceSelector", "podSelector", "nodeAffinity", "podAffinity", "podAntiAffinity",
	"objects", "named",
}

// Each object of the schema refuses what it does not know: a mistyped value would
// be ignored in silence.
func TestChartSchemaIsStrict(t *testing.T) {
	t.Parallel()
	var all any
	require.NoError(t, json.Unmarshal(chartFile(t, "values.schema.json"), &all))
	var objects int
	var look func(path []string, node any)
	look = func(path []string, node any) {
		switch node := node.(type) {
		case []any:
			for i, element := range node {
				look(append(path, strconv.Itoa(i)), element)
			}
		case map[string]any:
			isFree := slices.ContainsFunc(path, func(step string) bool { return slices.Contains(free, step) })
			if node["type"] == "object" && !isFree {
				objects++
				switch additional := node["additionalProperties"].(type) {
				case map[string]any: // a map, whose values have a form
				default:
					assert.Equal(t, false, additional, "additionalProperties of %s", strings.Join(path, "."))
				}
			}
			for key, below := range node {
				look(append(slices.Clone(path), key), below)
			}
		}
	}
	look(nil, all)
	assert.Greater(t, objects, 15)
}

// Every value has a default, and with it a place in the chart's README; every
// default is one that the schema takes.
func TestChartValuesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	values, definitions := chartSchema(t)
	var defaults map[string]any
	require.NoError(t, yaml.Unmarshal(chartFile(t, "values.yaml"), &defaults))
	delete(values.Properties, "global") // Helm's
	var compare func(path string, s *schema, given map[string]any)
	compare = func(path string, s *schema, given map[string]any) {
		assert.ElementsMatch(t, slices.Collect(maps.Keys(s.Properties)), slices.Collect(maps.Keys(given)), "values%s", path)
		for name, below := range s.Properties {
			if ref, ok := strings.CutPrefix(below.Ref, "#/definitions/"); ok {
				require.Contains(t, definitions, ref)
				below = definitions[ref]
			}
			if given, ok := given[name].(map[string]any); ok && len(given) > 0 && len(below.Properties) > 0 && name != "resources" {
				compare(path+"."+name, below, given)
			}
		}
	}
	compare("", values, defaults)
}

// A release of the bot is a release of the chart: the newest version that
// CHANGELOG.md names or, as long as something is unreleased, a later one.
func TestChartVersion(t *testing.T) {
	t.Parallel()
	var chart struct {
		Version    string
		AppVersion string `yaml:"appVersion"`
	}
	require.NoError(t, yaml.Unmarshal(chartFile(t, "Chart.yaml"), &chart))
	assert.Equal(t, chart.Version, chart.AppVersion)
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	require.NoError(t, err)
	headings := regexp.MustCompile(`(?m)^## \[?(Unreleased|\d+\.\d+\.\d+)`).FindAllStringSubmatchIndex(string(changelog), -1)
	require.NotEmpty(t, headings)
	var unreleased string
	var released [][]int
	for i, at := range headings {
		if string(changelog[at[2]:at[3]]) != "Unreleased" {
			released = append(released, at)
			continue
		}
		end := len(changelog)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		unreleased = strings.TrimSpace(strings.TrimPrefix(string(changelog[at[3]:end]), "]"))
	}
	if len(released) == 0 {
		return // whatever the chart says will be the first
	}
	newest := string(changelog[released[0][2]:released[0][3]])
	if unreleased == "" {
		assert.Equal(t, newest, chart.Version)
		return
	}
	assert.Positive(t, slices.Compare(numbers(t, chart.Version), numbers(t, newest)), "%s should be later than %s", chart.Version, newest)
}

func numbers(t *testing.T, version string) []int {
	t.Helper()
	var parts []int
	for part := range strings.SplitSeq(version, ".") {
		number, err := strconv.Atoi(part)
		require.NoError(t, err)
		parts = append(parts, number)
	}
	return parts
}
