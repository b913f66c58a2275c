package approvals

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// What was decided before costs a new request nothing: Redis carries out the same
// commands for it with ten requests in history as with ten thousand, all of them of
// one person and one project.
func TestHistoryCostsNothing(t *testing.T) {
	t.Parallel()
	server := redisd.New(t)
	if !server.Real {
		t.Skip("miniredis does not count its commands: install the package redis-server")
	}
	options, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	s := newStore(t)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	s.Redis = client

	const sample = 20
	decide(t, s, 8, "warm", 10)      // the scripts are loaded with the first
	decide(t, s, 1, "before few", 5) // each request tidies up after some of those before it
	few := commands(t, client, func() { decide(t, s, 1, "few", sample) })
	decide(t, s, 8, "history", 10_000)
	decide(t, s, 1, "before many", 5)
	many := commands(t, client, func() { decide(t, s, 1, "many", sample) })
	assert.Equal(t, few, many, "commands for %d requests", sample)

	page, err := s.OfProject(t.Context(), payments.ID, 0, 10)
	require.NoError(t, err)
	assert.Len(t, page, 10)
}

// decide makes requests and takes them back, so many at once.
func decide(t testing.TB, s *Store, atOnce int, name string, n int) {
	t.Helper()
	var working sync.WaitGroup
	for i := range atOnce {
		working.Go(func() {
			for j := i; j < n; j += atOnce {
				settings := pagerDuty(t, newKey("beef"))
				r, err := s.Submit(t.Context(), fmt.Sprintf("V%s%d", name, j), settings, Submission{Targets: []atlas.Project{payments}, Reason: "history"}, mira)
				if !assert.NoError(t, err) {
					return
				}
				if _, err = s.Cancel(t.Context(), r.ID, mira); !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	working.Wait()
}

var calls = regexp.MustCompile(`(?m)^cmdstat_([^:]+):calls=(\d+)`)

// commands are how often Redis carried out each command meanwhile, those within
// scripts included.
func commands(t *testing.T, client *redis.Client, do func()) map[string]int {
	t.Helper()
	count := func() map[string]int {
		info, err := client.Info(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		counts := map[string]int{}
		for _, m := range calls.FindAllStringSubmatch(info, -1) {
			n, err := strconv.Atoi(m[2])
			require.NoError(t, err)
			counts[m[1]] = n
		}
		return counts
	}
	before := count()
	do()
	after := count()
	for name := range after {
		after[name] -= before[name]
		if after[name] == 0 || connecting[name] {
			delete(after, name)
		}
	}
	return after
}

// connecting are commands of the pool, which opens connections as it needs them.
var connecting = map[string]bool{"hello": true, "client|setinfo": true, "info": true, "ping": true, "select": true}

// BenchmarkHistory is a request that is made and taken back, with few and with many
// decided ones in history.
func BenchmarkHistory(b *testing.B) {
	for _, history := range []int{10, 10_000} {
		b.Run(strconv.Itoa(history), func(b *testing.B) {
			s := newStore(b)
			decide(b, s, 8, "history", history)
			i := 0
			for b.Loop() {
				i++
				decide(b, s, 1, "one"+strconv.Itoa(i), 1)
			}
		})
	}
}

// A request is found again in its list though newer ones came before it, and though
// some have left.
func TestPlaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	decide(t, s, 1, "old", 15)
	list := func() []*Request {
		requests, err := s.OfProject(t.Context(), payments.ID, 0, 100)
		require.NoError(t, err)
		return requests
	}
	place := func(id string, then int) int {
		now, err := s.Place(t.Context(), payments.ID, id, then)
		require.NoError(t, err)
		return now
	}
	before := list()
	assert.Equal(t, 9, place(before[9].ID, 9))
	decide(t, s, 1, "new", 7)
	assert.Equal(t, 16, place(before[9].ID, 9), "newer ones have come")
	require.NoError(t, s.Redis.ZRem(t.Context(), s.keys().project(payments.ID), list()[3].ID, list()[4].ID, before[0].ID).Err())
	assert.Equal(t, 13, place(before[9].ID, 16), "some have left")
	assert.Equal(t, 5, place("req_0000000000", 5), "one that is gone has the place that it had")
	decided, err := s.Decided(t.Context(), 0, 100)
	require.NoError(t, err)
	now, err := s.Place(t.Context(), "", decided[16].ID, 0)
	require.NoError(t, err)
	assert.Equal(t, 16, now, "in the list of all that were decided")
}

// TestListsEnd: what names requests does not outlive them for ever.
func TestListsEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	follow(t, s, submit(t, s, search), Cancel)
	last := s.Retention + applyWindow
	for _, name := range []string{
		s.keys().person(mira.User), s.keys().project(payments.ID), s.keys().project(search.ID), s.keys().underWay(mira.User),
		s.keys().openFor(payments.ID, "PAGER_DUTY"), s.keys().openFor(search.ID, "PAGER_DUTY"),
	} {
		assert.Greater(t, s.Redis.PTTL(t.Context(), name).Val(), last, name)
	}
}
