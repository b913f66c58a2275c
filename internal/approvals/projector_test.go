package approvals

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAMessageOfTwoNamesIsDrawnOnce: somebody clicks a card while the worker that posted
// it has not yet noted so. Each edit would otherwise be made twice, of what Slack allows.
func TestAMessageOfTwoNamesIsDrawnOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := hold(t, s, inState(t, s, Pending).ID, "show")
	require.NoError(t, s.Adopt(t.Context(), r, Card, "C1:1"))
	require.NoError(t, s.Adopt(t.Context(), r, Card, "C1:2")) // one that nobody has noted: of a worker that was killed
	require.NoError(t, (&Projector{Store: s}).shown(t.Context(), r, map[string]Message{string(Card): {Ref: "C1:1", Version: r.Version}}, -1, 0))
	now, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, "C1:1", now.Messages[string(Card)].Ref)
	assert.ElementsMatch(t, []string{"card", "card@C1:2"}, now.wanted(Card))
}
