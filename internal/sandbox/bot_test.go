package sandbox

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A bot that does not run since somebody else has its port may run at another.
func TestDisplaced(t *testing.T) {
	t.Parallel()
	assert.False(t, (&bot{}).displaced(t.Context()), "it was never started")
	somebody, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &bot{health: somebody.Addr().String()}
	assert.True(t, b.displaced(t.Context()))
	require.NoError(t, somebody.Close())
}
