package commands

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// slowAtlas lists its projects after a while.
type slowAtlas struct {
	Atlas
	takes    time.Duration
	projects []atlas.Project
	err      error
	asked    int
}

func (a *slowAtlas) Projects(ctx context.Context) ([]atlas.Project, error) {
	a.asked++
	select {
	case <-time.After(a.takes):
		return a.projects, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var (
	payments = atlas.Project{ID: strings.Repeat("a1", 12), Name: "payments-prod"}
	search   = atlas.Project{ID: strings.Repeat("b2", 12), Name: "Search-prod"}
)

// waited is how long a call took, by the clock of the bubble.
func waited(call func()) time.Duration {
	begun := time.Now()
	call()
	return time.Since(begun)
}

// TestASlowListOfProjects: nobody waits longer than an ack can, and what comes later is
// not thrown away.
func TestASlowListOfProjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := &slowAtlas{takes: 5 * time.Second, projects: []atlas.Project{search, payments}}
		bot := &Bot{Atlas: far}
		defer bot.Close()
		for range 3 { // 3.6 s
			handling, leave := context.WithCancel(t.Context())
			assert.Equal(t, peopleTime, waited(func() {
				_, err := bot.offered(handling)
				assert.ErrorIs(t, err, errNotYet)
			}))
			leave() // what is asked is for everybody
		}
		time.Sleep(2 * time.Second)
		assert.Zero(t, waited(func() {
			projects, err := bot.offered(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []atlas.Project{payments, search}, projects)
		}))
		assert.Equal(t, 1, far.asked)
	})
}

// TestTheListOfBeforeStands: one person waits for a newer list, those who come next do
// not, and they have it as soon as it is there.
func TestTheListOfBeforeStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := &slowAtlas{projects: []atlas.Project{payments}}
		bot := &Bot{Atlas: far}
		defer bot.Close()
		offers := func(takes time.Duration, want ...atlas.Project) {
			t.Helper()
			assert.Equal(t, takes, waited(func() {
				projects, err := bot.offered(t.Context())
				require.NoError(t, err)
				assert.Equal(t, want, projects)
			}))
		}
		offers(0, payments)
		time.Sleep(remembered)
		far.takes, far.projects = 5*time.Second, []atlas.Project{payments, search}
		offers(peopleTime, payments)
		offers(0, payments)
		time.Sleep(far.takes - peopleTime)
		synctest.Wait()
		offers(0, payments, search)
		assert.Equal(t, 2, far.asked)

		time.Sleep(remembered)
		far.takes, far.err = 0, errors.New("atlas 503")
		offers(0, payments, search)
		time.Sleep(missed - time.Nanosecond)
		offers(0, payments, search)
		assert.Equal(t, 3, far.asked, "it is left alone for a while")
		time.Sleep(time.Nanosecond)
		offers(0, payments, search)
		assert.Equal(t, 4, far.asked)
	})
}

// TestAListThatNeverComes: it is given up in the end, and asked for anew.
func TestAListThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := &slowAtlas{takes: time.Hour, projects: []atlas.Project{payments}}
		bot := &Bot{Atlas: far}
		defer bot.Close()
		_, err := bot.offered(t.Context())
		require.ErrorIs(t, err, errNotYet)
		time.Sleep(listTime)
		synctest.Wait()
		far.takes = 0
		projects, err := bot.offered(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []atlas.Project{payments}, projects)
	})
}

// TestCloseEndsTheQuestion: nothing is left behind, and nothing begins any more.
func TestCloseEndsTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := &slowAtlas{takes: listTime}
		bot := &Bot{Atlas: far}
		_, err := bot.offered(t.Context())
		require.ErrorIs(t, err, errNotYet)
		assert.Zero(t, waited(bot.Close))
		_, err = bot.offered(t.Context())
		require.ErrorIs(t, err, errClosed)
		bot.Close()
		assert.Equal(t, 1, far.asked)
	})
}

// brokenAtlas has a fault of ours.
type brokenAtlas struct{ Atlas }

func (brokenAtlas) Projects(context.Context) ([]atlas.Project, error) { panic("what somebody typed") }

// TestAPanicWhileListing ends nobody's process, and does not tell what it was about.
func TestAPanicWhileListing(t *testing.T) {
	t.Parallel()
	bot := &Bot{Atlas: brokenAtlas{}}
	defer bot.Close()
	_, err := bot.offered(t.Context())
	require.ErrorContains(t, err, "panic of type string")
	assert.NotContains(t, err.Error(), "typed")
}
