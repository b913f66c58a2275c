package approvals

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trail is what two requests leave behind, with whatever a person may type in it.
func trail(t *testing.T, s *Store) []Entry {
	t.Helper()
	r := submit(t, s)
	submit(t, s)
	require.NoError(t, s.Refuse(t.Context(), r.ID, jo, "approve", "nicht genügend Rechte: 5:abc\n\x00 1:x"))
	_, err := s.Cancel(t.Context(), r.ID, mira)
	require.NoError(t, err)
	entries, err := s.Trail(t.Context(), "", 100)
	require.NoError(t, err)
	require.Len(t, entries, 4)
	return entries
}

func add(entries []Entry) error {
	var c Chain
	for i := range entries {
		if err := c.Add(&entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func TestChain(t *testing.T) {
	t.Parallel()
	entries := trail(t, newStore(t))
	require.NoError(t, add(entries))
	assert.Empty(t, entries[0].Fields["prev"])

	var c Chain
	head, seen := c.Head()
	assert.Nil(t, head)
	assert.Zero(t, seen)
	require.NoError(t, c.Add(&entries[1]), "older entries may be gone")
	head, seen = c.Head()
	assert.Equal(t, &entries[1], head)
	assert.Equal(t, 1, seen)

	changed := slices.Clone(entries)
	for i := range changed {
		for name := range changed[i].Fields {
			before := changed[i].Fields[name]
			changed[i].Fields[name] = before + "x"
			assert.ErrorIs(t, add(changed), ErrAltered, "%s of entry %d", name, i)
			changed[i].Fields[name] = before
		}
		before := changed[i].Event
		changed[i].Event = "approve"
		assert.ErrorIs(t, add(changed), ErrAltered, "the event of entry %d", i)
		changed[i].Event = before
	}
	changed[1].At = changed[1].At.Add(time.Second)
	require.ErrorIs(t, add(changed), ErrAltered, "its time")
	changed[1].At = changed[1].At.Add(-time.Second)
	require.NoError(t, add(changed))

	assert.ErrorIs(t, add(slices.Delete(slices.Clone(entries), 1, 2)), ErrBroken, "one is taken out")
	swapped := slices.Clone(entries)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	assert.ErrorIs(t, add(swapped), ErrBroken, "two change places")
	assert.ErrorIs(t, add(slices.Insert(slices.Clone(entries), 2, entries[1])), ErrBroken, "one is there twice")
}

// Each entry follows the one before it however many write at once.
func TestChainOfMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	decide(t, s, 8, "chain", 100)
	entries, err := s.Trail(t.Context(), "", 1000)
	require.NoError(t, err)
	require.Len(t, entries, 200)
	require.NoError(t, add(entries))
}
