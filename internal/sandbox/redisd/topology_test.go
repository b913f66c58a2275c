package redisd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the topologies are for is tested where they are used, in approvals and in
// cmd/bot.

func TestReadRules(t *testing.T) {
	t.Parallel()
	rules, err := ReadRules(filepath.Join("..", "..", "..", "docs", "redis.md"))
	require.NoError(t, err)
	assert.Contains(t, rules.Standalone, "user bot ")
	assert.Contains(t, rules.Cluster, "user bot ")
	assert.Contains(t, rules.Sentinel, "user watch ")

	page := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(page, []byte("```acl standalone\nuser bot on\n```\n"), 0o600))
	_, err = ReadRules(page)
	require.ErrorContains(t, err, "should have a block for each")
}

func TestANodeComesBack(t *testing.T) {
	t.Parallel()
	topology := NewTopology(t, StartTLS, filepath.Join("..", "..", "..", "docs", "redis.md"), "--appendonly", "yes")
	node := topology.Nodes[0]
	require.NoError(t, node.Admin.Set(t.Context(), "key", "value", 0).Err())
	node.Kill()
	<-node.Ended()
	assert.False(t, node.Running())
	require.NoError(t, node.Again(t.Context()))
	assert.True(t, node.Running())
	assert.Equal(t, "value", node.Admin.Get(t.Context(), "key").Val())
}
