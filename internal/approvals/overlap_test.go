package approvals

import (
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
	known := func(r *Request) map[string]Overlap {
		t.Helper()
		now, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		return now.Overlaps
	}
	first := submit(t, s)
	opsgenie, _ := atlas.FindType("OPS_GENIE")
	otherType, err := s.Submit(t.Context(), "Vother", &atlas.Settings{Type: opsgenie}, Submission{Targets: []atlas.Project{payments}, Reason: "r"}, jo)
	require.NoError(t, err)
	assert.Empty(t, first.Overlaps)
	assert.Empty(t, otherType.Overlaps)
	second := submit(t, s, search)
	assert.Equal(t, map[string]Overlap{first.ID: {mira.User, []string{payments.ID}}}, second.Overlaps)
	told, err := s.Get(t.Context(), first.ID)
	require.NoError(t, err)
	assert.Equal(t, map[string]Overlap{second.ID: {mira.User, []string{payments.ID}}}, told.Overlaps, "the other learns of it in the same step")
	assert.Greater(t, told.Version, first.Version, "its messages are drawn again")
	elsewhere, err := s.Submit(t.Context(), "Velsewhere", pagerDuty(t, newKey("beef")), Submission{Targets: []atlas.Project{search, payments}, Reason: "r"}, jo)
	require.NoError(t, err)
	assert.Equal(t, map[string]Overlap{
		first.ID: {mira.User, []string{payments.ID}}, second.ID: {mira.User, []string{search.ID, payments.ID}},
	}, elsewhere.Overlaps)

	_, err = s.Cancel(t.Context(), first.ID, mira)
	require.NoError(t, err)
	assert.NotContains(t, known(second), first.ID)
	assert.Contains(t, known(second), elsewhere.ID)
	assert.NotContains(t, known(elsewhere), first.ID)
	assert.Empty(t, known(otherType))
	before := snapshot(t, s, first.ID)
	_, err = s.Cancel(t.Context(), elsewhere.ID, jo)
	require.NoError(t, err)
	assert.Empty(t, known(second))
	assert.Equal(t, before["{aib:"+s.Team+"}:request:"+first.ID], snapshot(t, s, first.ID)["{aib:"+s.Team+"}:request:"+first.ID],
		"what is final does not change any more")
}

// One that Redis lost is not brought back by halves when another one ends.
func TestOverlapsOfALostRequest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := submit(t, s), submit(t, s)
	s.Redis.Del(t.Context(), s.keys().request(first.ID))
	_, err := s.Cancel(t.Context(), second.ID, mira)
	require.NoError(t, err)
	assert.Zero(t, s.Redis.Exists(t.Context(), s.keys().request(first.ID)).Val())
	assert.Empty(t, submit(t, s).Overlaps)
}

// One that is tried again is open again.
func TestOverlapsOfARetry(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	failed := submit(t, s)
	second := submit(t, s)
	for _, event := range []Event{Prepare, Approve, Begin, Fail} {
		r := failed
		if event == Prepare || event == Begin {
			failed = hold(t, s, failed.ID, "due")
			r = failed
		}
		require.Equal(t, "ok", attempt[event](t, s, r), event)
	}
	now, err := s.Get(t.Context(), second.ID)
	require.NoError(t, err)
	require.Empty(t, now.Overlaps)
	third := submit(t, s) // when the first is not open
	require.NotContains(t, third.Overlaps, failed.ID)
	retried, err := s.Retry(t.Context(), failed.ID, jo)
	require.NoError(t, err)
	assert.Contains(t, retried.Overlaps, second.ID)
	assert.Contains(t, retried.Overlaps, third.ID)
	for _, other := range []*Request{second, third} {
		now, err = s.Get(t.Context(), other.ID)
		require.NoError(t, err)
		assert.Contains(t, now.Overlaps, failed.ID)
	}
	assert.Contains(t, submit(t, s).Overlaps, failed.ID, "and whoever comes later")
}

// Where many want the same, each is told of a few: of some that is enough.
func TestOverlapsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var last *Request
	for range 2 * mostOverlaps {
		last = submit(t, s)
	}
	assert.Len(t, last.Overlaps, mostOverlaps)
}

// The look costs the same whatever there is in history.
func TestOverlapsOfALongHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	decide(t, s, 8, "before", 200)
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
