package approvals

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartsAreInTheTrail(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, other := s.Policy, production()
	begin := func(version string, policy Policy, keys string) {
		s.Policy = policy
		require.NoError(t, s.Started(t.Context(), Start{Version: version, Config: "c0ff", Keys: keys}))
	}
	begin("1", first, "11")
	submit(t, s)
	begin("2", first, "11")
	begin("2", other, "12,11")
	require.NoError(t, s.Rekeyed(t.Context(), "13,12"))
	require.NoError(t, s.Rekeyed(t.Context(), "13,12"), "another replica does the same")

	trail, err := s.Trail(t.Context(), "", 100)
	require.NoError(t, err)
	var events []string
	var chain Chain
	for i := range trail {
		require.NoError(t, chain.Add(&trail[i]))
		events = append(events, trail[i].Event)
	}
	assert.Equal(t, []string{"start", "submit", "start", "start", "policy", "keyset", "keyset"}, events)
	assert.Equal(t, []string{"1", "c0ff", first.Digest(), "11"},
		[]string{trail[0].Fields["build"], trail[0].Fields["config"], trail[0].Fields["policy"], trail[0].Fields["keys"]})
	assert.Equal(t, []string{first.Digest(), other.Digest()}, []string{trail[4].Fields["before"], trail[4].Fields["policy"]})
	assert.Equal(t, []string{"11", "12,11"}, []string{trail[5].Fields["before"], trail[5].Fields["keys"]})
	assert.Equal(t, []string{"12,11", "13,12"}, []string{trail[6].Fields["before"], trail[6].Fields["keys"]})
}
