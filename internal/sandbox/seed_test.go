package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
)

func TestReadSeed(t *testing.T) {
	t.Parallel()
	seed, err := sandbox.ReadSeed([]byte(`
people:
  - {name: nadia}
  - {name: omar, role: approver, id: U0OMAR0001}
projects:
  - name: shop-prod
    integrations:
      - {type: PAGER_DUTY}
      - {type: OPS_GENIE, apiKey: key, region: EU}
  - {name: shop-audit, role: readOnly}
`))
	require.NoError(t, err)
	require.Len(t, seed.People, 2)
	assert.Equal(t, sandbox.RoleEngineer, seed.People[0].Role)
	assert.Regexp(t, "^U0[0-9A-F]{8}$", seed.People[0].ID)
	assert.Equal(t, "U0OMAR0001", seed.People[1].ID)
	require.Len(t, seed.Projects, 2)
	assert.Regexp(t, "^[0-9a-f]{24}$", seed.Projects[0].ID)
	assert.NotEmpty(t, seed.Projects[0].Integrations[0]["serviceKey"], "a type alone gets values that are made up")
	assert.Equal(t, "EU", seed.Projects[0].Integrations[1]["region"])
}

func TestReadSeedSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ seed, want string }{
		"no YAML":                 {"people: [", "line 1"},
		"an unknown key":          {"persons: []", "field persons not found"},
		"a name that is none":     {"people: [{name: 'A b'}]", `the name "A b" is none`},
		"a person twice":          {"people: [{name: a}, {name: a, role: approver}]", "person a is there twice"},
		"an ID that is none":      {"people: [{name: a, id: x}]", `the id "x" is none of a Slack user`},
		"a role that is none":     {"people: [{name: a, role: boss}]", `the role "boss" is none of engineer`},
		"nobody to approve":       {"people: [{name: a}]", "an engineer and an approver at least"},
		"a project without name":  {"projects: [{id: abc}]", "project 1 has no name"},
		"a project's ID":          {"projects: [{name: a, id: abc}]", "not 24 hex digits"},
		"a project's role":        {"projects: [{name: a, role: x}]", "none of owner, readOnly, none"},
		"a type that is none":     {"projects: [{name: a, integrations: [{type: FAX}]}]", `"FAX" is no type of an integration; there are DATADOG, `},
		"an integration's nature": {"projects: [{name: a, integrations: [x]}]", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sandbox.ReadSeed([]byte(test.seed))
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// A sandbox with a seed has these people and projects and no others; without a bot
// that runs, it leaves nothing behind.
func TestStart(t *testing.T) {
	t.Parallel()
	bot := filepath.Join(t.TempDir(), "bot")
	const source = "github.com/atlas-integration-bot/atlas-integration-bot/cmd/bot"
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bot, source).CombinedOutput() //nolint:gosec // our own arguments
	require.NoError(t, err, string(out))

	t.Run("with a seed", func(t *testing.T) {
		t.Parallel()
		seed, err := sandbox.ReadSeed([]byte("people: [{name: nadia}, {name: omar, role: approver}]\nprojects: [{name: shop, integrations: [{type: PAGER_DUTY}]}]"))
		require.NoError(t, err)
		s, err := sandbox.Start(t.Context(), sandbox.Options{Bot: bot, Seed: seed})
		require.NoError(t, err)
		assert.Equal(t, "nadia", s.First(sandbox.RoleEngineer).Name)
		assert.Len(t, s.Atlas.Projects(), 1)
		require.NoError(t, s.WaitReady(t.Context()))
		s.KillBot()
		require.Error(t, s.BotReady(t.Context()))
		require.NoError(t, s.StartBot(t.Context()))
		require.NoError(t, s.WaitReady(t.Context()))
		require.NoError(t, s.Close())
		assert.False(t, s.BotRuns())
	})
	t.Run("a seed that Atlas refuses", func(t *testing.T) {
		t.Parallel()
		seed, err := sandbox.ReadSeed([]byte("projects: [{name: shop, id: 0123456789abcdef01234567}, {name: stall, id: 0123456789abcdef01234567}]"))
		require.NoError(t, err)
		_, err = sandbox.Start(t.Context(), sandbox.Options{Bot: bot, Seed: seed})
		assert.ErrorContains(t, err, "seed: project stall")
	})
	t.Run("a program that ends at once", func(t *testing.T) {
		t.Parallel()
		other := filepath.Join(t.TempDir(), "other")
		require.NoError(t, os.WriteFile(other, []byte("#!/bin/sh\necho it says why\nexit 3\n"), 0o700)) //nolint:gosec // it has to be run
		_, err := sandbox.Start(t.Context(), sandbox.Options{Bot: other})
		require.ErrorContains(t, err, "it ended: exit status 3")
		assert.ErrorContains(t, err, "it says why")
	})
	t.Run("a Redis that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := sandbox.Start(t.Context(), sandbox.Options{Bot: bot, RedisURL: "redis://:hidden@127.0.0.1:1/0"})
		require.ErrorContains(t, err, "the Redis at 127.0.0.1:1 does not answer")
		assert.NotContains(t, err.Error(), "hidden")
		_, err = sandbox.Start(t.Context(), sandbox.Options{Bot: bot, RedisURL: "http://:hidden@127.0.0.1"})
		require.ErrorContains(t, err, "-redis: ")
		assert.NotContains(t, err.Error(), "hidden")
	})
}
