package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

type outcome struct {
	code           int
	stdout, stderr string
}

func runBot(ctx context.Context, env envconfig.Lookuper, stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := execute(ctx, args, env, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestExecuteExitCodes(t *testing.T) {
	t.Parallel()
	nothing := envconfig.MapLookuper(nil)
	tests := []struct {
		name string
		args []string
		code int
		says string // on stdout if all went well, else on stderr
	}{
		{"version", []string{"version"}, exitOK, "atlas-integration-bot "},
		{"help", []string{"help"}, exitOK, "SLACK_APPROVALS_CHANNEL"},
		{"help as a flag", []string{"--help"}, exitOK, "keyset rotate"},
		{"help in Markdown", []string{"help", "-markdown"}, exitOK, "| `REDIS_URL` |"},
		{"help with a flag that is none", []string{"help", "-html"}, exitUsage, "-html"},
		{"a subcommand that is none", []string{"start"}, exitUsage, `"start"`},
		{"run with an argument", []string{"run", "fast"}, exitUsage, "takes no arguments"},
		{"keyset without more", []string{"keyset"}, exitUsage, "keyset new"},
		{"keyset new", []string{"keyset", "new"}, exitOK, ""},
		{"audit without more", []string{"audit"}, exitUsage, "audit export"},
		{"audit with a wrong request", []string{"audit", "export", "-request", "x"}, exitUsage, "not the ID of a request"},
		{"audit with a wrong time", []string{"audit", "export", "-since", "yesterday"}, exitUsage, "2026-01-31"},
		{"audit with an argument", []string{"audit", "export", "all"}, exitUsage, `"all"`},
		{"a receipt of nothing", []string{"audit", "receipt"}, exitUsage, "audit receipt ID"},
		{"a receipt of what is none", []string{"audit", "receipt", "x"}, exitUsage, "req_0123456789"},
		{"a trail that is not there", []string{"audit", "verify", "no/such/file"}, exitFault, "no/such/file"},
		{"two trails", []string{"audit", "verify", "a", "b"}, exitUsage, `"b" is one argument too many`},
		{"help with an export", []string{"audit", "export", "-h"}, exitOK, "2026-01-31T15:04:05Z"},
		{"help with a verification", []string{"audit", "verify", "--help"}, exitOK, "-head hash"},
		{"help with audit", []string{"audit", "-h"}, exitOK, "-since TIME"},
		{"help with a receipt", []string{"audit", "receipt", "-h"}, exitOK, "audit receipt"},
		{"help with keyset", []string{"keyset", "new", "-h"}, exitOK, "keyset rotate"},
		{"help with check", []string{"check", "-help"}, exitOK, "SLACK_APPROVALS_CHANNEL"},
		{"help with help", []string{"help", "-h"}, exitOK, "-markdown"},
		{"help with what is none", []string{"start", "-h"}, exitUsage, `"start"`},
		{"audit without a configuration", []string{"audit", "export"}, exitUsage, "SLACK_BOT_TOKEN is not set"},
		{"run without a configuration", nil, exitUsage, "SLACK_APP_TOKEN is not set"},
		{"the same by name", []string{"run"}, exitUsage, "SEALING_KEYSET is not set"},
		{"check without a configuration", []string{"check"}, exitUsage, "SLACK_APPROVERS is not set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := runBot(t.Context(), nothing, "", tt.args...)
			assert.Equal(t, tt.code, got.code)
			if tt.code == exitOK {
				assert.Contains(t, got.stdout, tt.says)
			} else {
				assert.Contains(t, got.stderr, tt.says)
				assert.Empty(t, got.stdout)
			}
		})
	}
}

func TestKeysetRoundTrip(t *testing.T) {
	t.Parallel()
	nothing := envconfig.MapLookuper(nil)
	made := runBot(t.Context(), nothing, "", "keyset", "new")
	require.Equal(t, exitOK, made.code)
	assert.Contains(t, made.stderr, "SEALING_KEYSET")
	assert.Equal(t, 1, strings.Count(made.stdout, "\n"), "the keyset alone goes to stdout")
	assert.NotContains(t, made.stderr, strings.TrimSpace(made.stdout))
	before, err := secret.NewSealer(secret.New(made.stdout))
	require.NoError(t, err)
	sealed, err := before.Seal(map[string]secret.Text{"key": secret.New("value")}, []byte("for this"))
	require.NoError(t, err)

	path := filepath.Join(t.TempDir(), "keyset")
	require.NoError(t, os.WriteFile(path, []byte(made.stdout), 0o600))
	ways := map[string]outcome{
		"from stdin":        runBot(t.Context(), nothing, made.stdout, "keyset", "rotate"),
		"from the variable": runBot(t.Context(), variablesOf{"SEALING_KEYSET": made.stdout}, "", "keyset", "rotate"),
		"from the file":     runBot(t.Context(), variablesOf{"SEALING_KEYSET_FILE": path}, "", "keyset", "rotate"),
	}
	for name, rotated := range ways {
		require.Equal(t, exitOK, rotated.code, name)
		after, err := secret.NewSealer(secret.New(rotated.stdout))
		require.NoError(t, err, name)
		opened, err := after.Open(sealed, []byte("for this"))
		require.NoError(t, err, name)
		assert.Equal(t, "value", opened["key"].Reveal(), name)
		assert.Len(t, after.Keys(), 2, name)
		for _, key := range after.Keys() {
			assert.Contains(t, rotated.stderr, describeID(key), name)
		}
		again := runBot(t.Context(), nothing, rotated.stdout, "keyset", "rotate")
		assert.Equal(t, exitOK, again.code, name)
	}
}

func describeID(key secret.KeyInfo) string {
	if key.Primary {
		return "primary key " + strconv.FormatUint(uint64(key.ID), 10)
	}
	return strconv.FormatUint(uint64(key.ID), 10)
}

func TestKeysetRemove(t *testing.T) {
	t.Parallel()
	nothing := envconfig.MapLookuper(nil)
	made := runBot(t.Context(), nothing, "", "keyset", "new")
	rotated := runBot(t.Context(), nothing, made.stdout, "keyset", "rotate")
	before, err := secret.NewSealer(secret.New(made.stdout))
	require.NoError(t, err)
	old := strconv.FormatUint(uint64(before.Keys()[0].ID), 10)
	reduced := runBot(t.Context(), nothing, rotated.stdout, "keyset", "remove", old)
	require.Equal(t, exitOK, reduced.code)
	after, err := secret.NewSealer(secret.New(reduced.stdout))
	require.NoError(t, err)
	assert.Len(t, after.Keys(), 1)
	assert.Contains(t, reduced.stderr, "no other keys")

	for typed, says := range map[string]string{
		strconv.FormatUint(uint64(after.Keys()[0].ID), 10): "is the primary key, which seals: rotate first",
		old: "the keyset has no key " + old,
	} {
		refused := runBot(t.Context(), nothing, reduced.stdout, "keyset", "remove", typed)
		assert.Equal(t, exitFault, refused.code)
		assert.Contains(t, refused.stderr, says)
		assert.Empty(t, refused.stdout)
	}
	wrong := runBot(t.Context(), nothing, reduced.stdout, "keyset", "remove", "the old one")
	assert.Equal(t, exitUsage, wrong.code)
	assert.Contains(t, wrong.stderr, "named by its number")
}

func TestKeysetRotateRefuses(t *testing.T) {
	t.Parallel()
	nothing := runBot(t.Context(), envconfig.MapLookuper(nil), "\n", "keyset", "rotate")
	assert.Equal(t, exitUsage, nothing.code)
	assert.Contains(t, nothing.stderr, "SEALING_KEYSET_FILE")

	wrong := runBot(t.Context(), envconfig.MapLookuper(nil), canary, "keyset", "rotate")
	assert.Equal(t, exitFault, wrong.code)
	assert.Empty(t, wrong.stdout)
	assert.NotContains(t, wrong.stderr, canary)

	both := runBot(t.Context(), variablesOf{"SEALING_KEYSET": canary, "SEALING_KEYSET_FILE": "/nowhere"}, "", "keyset", "rotate")
	assert.Equal(t, exitUsage, both.code)
	assert.Contains(t, both.stderr, "both set")
}

// README.md shows the table of variables as it is in the code.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	const begin, end = "<!-- config:begin -->", "<!-- config:end -->"
	_, rest, found := strings.Cut(string(readme), begin)
	require.True(t, found, "README.md lacks %s", begin)
	table, _, found := strings.Cut(rest, end)
	require.True(t, found, "README.md lacks %s", end)
	assert.Equal(t, strings.TrimSpace(markdown()), strings.TrimSpace(table),
		"replace what is between the markers by the output of: go run ./cmd/bot help -markdown")
}

func TestMain(m *testing.M) { os.Exit(redisd.Main(m)) }
