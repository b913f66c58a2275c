package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func TestDigestOfTheSettings(t *testing.T) {
	t.Parallel()
	env := complete(t)
	digest := func(env variablesOf) string {
		cfg, err := readConfig(t.Context(), env)
		require.NoError(t, err)
		return cfg.digest
	}
	other, err := secret.NewKeyset()
	require.NoError(t, err)
	assert.Equal(t, digest(env), digest(env.with("SEALING_KEYSET", other.Reveal(), "SLACK_BOT_TOKEN", "xoxb-"+canary)), "no secret is in it")
	seen := map[string]bool{digest(env): true}
	for _, change := range [][2]string{
		{"SLACK_APPROVERS", "U0OTHER"}, {"APPROVALS_REQUIRED", "2"}, {"MONGODB_ATLAS_PROJECTS", "a:" + projectNumber("1")}, {"LOG_LEVEL", "debug"},
	} {
		d := digest(env.with(change[0], change[1]))
		assert.False(t, seen[d], change[0])
		seen[d] = true
	}
}
