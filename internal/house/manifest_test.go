package house_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// readManifest reads the manifest as JSON values.
func readManifest(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "slack", "manifest.yaml"))
	require.NoError(t, err)
	var values any
	require.NoError(t, yaml.Unmarshal(text, &values))
	asJSON, err := json.Marshal(values)
	require.NoError(t, err)
	return asJSON
}

// Slack refuses a manifest with a key that it does not know.
func TestManifestFitsSlacksSchema(t *testing.T) {
	t.Parallel()
	path, given := os.LookupEnv("SLACK_MANIFEST_SCHEMA")
	if !given {
		path = filepath.Join(root, "..", "shared", "slack", "manifest.schema.2.0.0.json")
	}
	text, err := os.ReadFile(path) //nolint:gosec // named by whoever runs the test
	if os.IsNotExist(err) && !given && os.Getenv("CI") == "" {
		t.Skip("the manifest is not checked against Slack's schema: set SLACK_MANIFEST_SCHEMA to its path")
	}
	require.NoError(t, err, "SLACK_MANIFEST_SCHEMA must be the path of Slack's schema of manifests")

	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.UseRegexpEngine(pattern)
	require.NoError(t, compiler.AddResource("manifest.json", schema))
	compiled, err := compiler.Compile("manifest.json")
	require.NoError(t, err)
	manifest, err := jsonschema.UnmarshalJSON(bytes.NewReader(readManifest(t)))
	require.NoError(t, err)
	require.NoError(t, compiled.Validate(manifest))

	unknown, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(`{"display_information":{"name":"x"},"setings":{}}`)))
	require.NoError(t, err)
	require.Error(t, compiled.Validate(unknown), "the schema refuses nothing")
}

// pattern compiles a pattern of the schema. A few look ahead, which Go's do not:
// such a pattern matches nothing here. They are of fields that we do not use.
func pattern(expr string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(expr)
	if err != nil {
		return regexp.MustCompile(`\b\B`), nil
	}
	return compiled, nil
}

// What the bot asks of the app, `bot check` asks too.
func TestManifestIsWhatTheBotUses(t *testing.T) {
	t.Parallel()
	var manifest struct {
		Features struct {
			AppHome struct {
				Home     bool `json:"home_tab_enabled"`
				Messages bool `json:"messages_tab_enabled"`
				ReadOnly bool `json:"messages_tab_read_only_enabled"`
			} `json:"app_home"`
			Shortcuts []struct {
				Type       string `json:"type"`
				CallbackID string `json:"callback_id"`
			} `json:"shortcuts"`
			SlashCommands []struct {
				Command string `json:"command"`
				URL     string `json:"url"`
			} `json:"slash_commands"`
		} `json:"features"`
		OAuth struct {
			Scopes struct {
				Bot  []string `json:"bot"`
				User []string `json:"user"`
			} `json:"scopes"`
		} `json:"oauth_config"`
		Settings struct {
			Events struct {
				Bot []string `json:"bot_events"`
			} `json:"event_subscriptions"`
			Interactivity struct {
				Enabled bool   `json:"is_enabled"`
				URL     string `json:"request_url"`
			} `json:"interactivity"`
			SocketMode bool `json:"socket_mode_enabled"`
			OrgDeploy  bool `json:"org_deploy_enabled"`
			Rotation   bool `json:"token_rotation_enabled"`
		} `json:"settings"`
	}
	require.NoError(t, json.Unmarshal(readManifest(t), &manifest))

	assert.ElementsMatch(t, stringsOf(t, filepath.Join(root, "cmd", "bot", "check_slack.go"), "scopes"), manifest.OAuth.Scopes.Bot)
	assert.Empty(t, manifest.OAuth.Scopes.User, "the bot acts as itself")
	if assert.Len(t, manifest.Features.SlashCommands, 1) {
		assert.Equal(t, "/atlas-integration", manifest.Features.SlashCommands[0].Command)
		assert.Empty(t, manifest.Features.SlashCommands[0].URL)
	}
	if assert.Len(t, manifest.Features.Shortcuts, 1) {
		assert.Equal(t, "global", manifest.Features.Shortcuts[0].Type)
		assert.Equal(t, modals.CallbackUpdate, manifest.Features.Shortcuts[0].CallbackID)
	}
	assert.Equal(t, []string{"app_home_opened"}, manifest.Settings.Events.Bot)
	assert.True(t, manifest.Features.AppHome.Home)
	assert.True(t, manifest.Settings.SocketMode)
	assert.True(t, manifest.Settings.Interactivity.Enabled)
	assert.Empty(t, manifest.Settings.Interactivity.URL)
	assert.False(t, manifest.Settings.OrgDeploy, "the bot serves one workspace")
	assert.False(t, manifest.Settings.Rotation, "the bot does not renew its tokens")
	assert.True(t, manifest.Features.AppHome.Messages, "Slack would refuse direct messages")
	assert.False(t, manifest.Features.AppHome.ReadOnly, "people could not type the command to the bot")
}

// stringsOf reads a variable of a Go file that is a list of strings.
func stringsOf(t *testing.T, path, variable string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || spec.Names[0].Name != variable || len(spec.Values) != 1 {
			return true
		}
		if list, ok := spec.Values[0].(*ast.CompositeLit); ok {
			for _, element := range list.Elts {
				if literal, ok := element.(*ast.BasicLit); ok {
					value, err := strconv.Unquote(literal.Value)
					require.NoError(t, err)
					values = append(values, value)
				}
			}
		}
		return false
	})
	require.NotEmpty(t, values, "%s has no list %s", filepath.Base(path), variable)
	return values
}
