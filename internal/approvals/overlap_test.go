package approvals

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

var search = atlas.Project{ID: "b2b2b2b2b2b2b2b2b2b2b2b2", Name: "search-prod"}

// Two open requests for the same target know of each other; those for another type,
// another project, or that are no longer open, do not count.
func TestOverlappingRequestsKnowOfEachOther(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := submit(t, s), submit(t, s, search)
	opsgenie, _ := atlas.FindType("OPS_GENIE")
	otherType, err := s.Submit(t.Context(), "Vother", &atlas.Settings{Type: opsgenie}, Submission{Targets: []atlas.Project{payments}, Reason: "r"}, jo)
	require.NoError(t, err)
	elsewhere, err := s.Submit(t.Context(), "Velsewhere", pagerDuty(t, newKey("beef")), Submission{Targets: []atlas.Project{search}, Reason: "r"}, jo)
	require.NoError(t, err)

	meet := func(r *Request) *Request {
		t.Helper()
		now, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		met, err := s.meet(t.Context(), now)
		require.NoError(t, err)
		return met
	}
	known := func(r *Request) map[string]Overlap {
		t.Helper()
		now, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		return now.Overlaps
	}
	assert.Empty(t, meet(otherType).Overlaps)
	assert.Equal(t, map[string]Overlap{second.ID: {mira.User, []string{payments.ID}}}, meet(first).Overlaps)
	assert.Equal(t, map[string]Overlap{first.ID: {mira.User, []string{payments.ID}}}, known(second), "the other learns of it in the same step")
	assert.Equal(t, map[string]Overlap{
		first.ID: {mira.User, []string{payments.ID}}, elsewhere.ID: {jo.User, []string{search.ID}},
	}, meet(second).Overlaps)

	before := meet(second)
	assert.Equal(t, before.Version, meet(second).Version, "what is known already is not said again")

	cancelled, err := s.Cancel(t.Context(), first.ID, mira)
	require.NoError(t, err)
	assert.Contains(t, known(second), first.ID)
	met := meet(cancelled)
	assert.Equal(t, cancelled.Version, met.Version, "what is final does not change any more")
	now, err := s.Get(t.Context(), second.ID)
	require.NoError(t, err)
	assert.NotContains(t, now.Overlaps, first.ID)
	assert.Greater(t, now.Version, before.Version, "its messages are drawn again")
}

// One that ended while nobody was there to tell, or is forgotten altogether, is
// found out by the other.
func TestOverlapsThatEndedUnseen(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := submit(t, s), submit(t, s)
	_, err := s.meet(t.Context(), first)
	require.NoError(t, err)
	s.Redis.Del(t.Context(), s.keys().request(first.ID))
	s.Redis.ZRem(t.Context(), s.keys().open(), first.ID)
	now, err := s.Get(t.Context(), second.ID)
	require.NoError(t, err)
	require.Contains(t, now.Overlaps, first.ID)
	met, err := s.meet(t.Context(), now)
	require.NoError(t, err)
	assert.Empty(t, met.Overlaps)
}

// However replicas come across each other, in the end each open request knows of the
// open others and of none that ended.
func TestOverlapsAgreeWhateverHappensAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const n = 5 // as many as a request is told of, and itself
	requests := make([]*Request, n)
	for i := range requests {
		requests[i] = submit(t, s)
	}
	meetAll := func() {
		var meeting sync.WaitGroup
		for _, r := range requests {
			meeting.Go(func() {
				now, err := s.Get(t.Context(), r.ID)
				if assert.NoError(t, err) {
					_, err = s.meet(t.Context(), now)
					assert.NoError(t, err)
				}
			})
		}
		meeting.Wait()
	}
	var acting sync.WaitGroup
	acting.Go(func() {
		for _, r := range requests[:2] {
			_, err := s.Cancel(t.Context(), r.ID, mira)
			assert.NoError(t, err)
		}
	})
	meetAll()
	acting.Wait()
	meetAll() // what moved is drawn once more
	for i, r := range requests {
		now, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		if i < 2 {
			continue // nobody looks at what a final one knew
		}
		assert.Len(t, now.Overlaps, n-3, fmt.Sprint(i))
		for j, other := range requests {
			_, known := now.Overlaps[other.ID]
			assert.Equal(t, j >= 2 && j != i, known, "%d knows of %d", i, j)
		}
	}
}

// The look costs the same whatever there is in history.
func TestOverlapsOfALongHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	decide(t, s, 8, "before", 2*lookedAt)
	first, second := submit(t, s), submit(t, s)
	pagerDuty, _ := atlas.FindType("PAGER_DUTY")
	found, err := s.Overlapping(t.Context(), pagerDuty, []atlas.Project{payments})
	require.NoError(t, err)
	var ids []string
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	assert.ElementsMatch(t, []string{second.ID, first.ID}, ids)
}
