package approvals

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// silence is a Redis that grants a claim and then answers as the test wants.
type silence struct {
	answer func(ctx context.Context, cmd *redis.Cmd) error // to renewals
	claims atomic.Int64
}

func (s *silence) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *silence) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *silence) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		script, ok := cmd.(*redis.Cmd)
		if !ok {
			return errors.New("not a script")
		}
		if s.claims.Add(1) > 1 {
			return s.answer(ctx, script)
		}
		granted(script)
		return nil
	}
}

func granted(cmd *redis.Cmd) {
	cmd.SetVal([]any{"ok", "1", []any{"doc", "{}", "state", string(Approved), "lease", "1"}, []any{}})
}

// TestAWorkerStopsBeforeItsLeaseEnds: once the lease is over, another worker may
// be at the same targets. One that cannot renew it must have stopped by then,
// whether Redis refuses, is gone or says nothing.
func TestAWorkerStopsBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(ctx context.Context, cmd *redis.Cmd) error{
		"taken away": func(_ context.Context, cmd *redis.Cmd) error {
			cmd.SetVal([]any{"fenced", "1", []any{}, []any{}})
			return nil
		},
		"connection refused": func(_ context.Context, cmd *redis.Cmd) error {
			cmd.SetErr(errors.New("connection refused"))
			return cmd.Err()
		},
		"no answer": func(ctx context.Context, cmd *redis.Cmd) error {
			<-ctx.Done()
			cmd.SetErr(ctx.Err())
			return cmd.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				assert.LessOrEqual(t, worksFor(t, answer, time.Hour), lease)
			})
		})
	}
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var calls int
			worked := worksFor(t, func(_ context.Context, cmd *redis.Cmd) error {
				calls++
				if calls%2 == 0 { // one that is lost now and then does no harm
					cmd.SetErr(errors.New("connection reset"))
					return cmd.Err()
				}
				granted(cmd)
				return nil
			}, time.Minute)
			assert.Equal(t, time.Minute, worked)
		})
	})
}

// worksFor says how long a worker goes on with something that takes so long.
func worksFor(t *testing.T, answer func(context.Context, *redis.Cmd) error, long time.Duration) time.Duration {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0"}) // never called: see silence
	defer func() { require.NoError(t, client.Close()) }()
	client.AddHook(&silence{answer: answer})
	begun := time.Now()
	var worked time.Duration
	w := worker{store: &Store{Redis: client, Team: "T1"}, name: "due", work: func(ctx context.Context, _ *Request) {
		select {
		case <-ctx.Done():
		case <-time.After(long):
		}
		worked = time.Since(begun)
	}}
	w.take(t.Context(), "req_0000000000")
	require.NotZero(t, worked)
	return worked
}

// TestWorkThatIsCutShortIsNoSilenceOfAtlas: nobody is told that Atlas does not
// answer when it was the bot that stopped, and another worker need not wait.
func TestWorkThatIsCutShortIsNoSilenceOfAtlas(t *testing.T) {
	t.Parallel()
	for _, state := range []State{Submitted, Approved} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			r := inState(t, s, state)
			ctx, cut := context.WithCancel(t.Context())
			defer cut()
			(&Reconciler{Store: s, Atlas: fakeAtlas{get: func(ctx context.Context, _ string) (*atlas.Integration, error) {
				cut()
				return nil, ctx.Err()
			}}}).look(ctx, r)

			next, err := (&worker{store: s, name: "due"}).claim(t.Context(), r.ID)
			require.NoError(t, err)
			require.NotNil(t, next, "it should be free at once")
			assert.Empty(t, next.Trouble)
			assert.Zero(t, next.Tries)
		})
	}
}

// TestHowLateARequestIsTaken: by the clock of Redis, and only by whoever takes it.
func TestHowLateARequestIsTaken(t *testing.T) {
	t.Parallel()
	type taken struct {
		queue string
		late  time.Duration
	}
	var seen []taken
	s := newStore(t)
	s.Claimed = func(queue string, late time.Duration) { seen = append(seen, taken{queue, late}) }
	r := submit(t, s)
	now, err := s.Redis.Time(t.Context()).Result()
	require.NoError(t, err)
	for _, key := range []string{s.keys().due(), s.keys().show()} {
		s.Redis.ZAdd(t.Context(), key, redis.Z{Score: float64(now.Add(-time.Minute).UnixMilli()), Member: r.ID})
	}
	for _, name := range []string{"due", "show"} {
		for range 2 { // the second comes too late
			_, err := (&worker{store: s, name: name}).claim(t.Context(), r.ID)
			require.NoError(t, err)
		}
	}
	require.Len(t, seen, 2)
	for i, name := range []string{"due", "show"} {
		assert.Equal(t, name, seen[i].queue)
		assert.GreaterOrEqual(t, seen[i].late, time.Minute)
		assert.Less(t, seen[i].late, 10*time.Minute, "it is no date")
	}
}

// TestAWorkerMakesWayBeforeItTakesARequest: meanwhile another process may take it.
func TestAWorkerMakesWayBeforeItTakesARequest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	waits, way := make(chan struct{}, 1), make(chan struct{})
	s.MakeWay = func() {
		select {
		case waits <- struct{}{}:
		default:
		}
		<-way
	}
	worked := make(chan *Request, 1)
	w := &worker{store: s, queue: &s.work, name: "due", key: s.keys().due(), limit: 1, work: func(_ context.Context, r *Request) { worked <- r }}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	r := submit(t, s)
	<-waits
	now, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Empty(t, now.lease, "nobody has it")
	close(way)
	assert.Equal(t, r.ID, (<-worked).ID)
	stop()
	require.NoError(t, <-done)
}

// TestSideBySide: everything is done, and never more at a time than may be.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ n, atOnce, most int }{{0, 4, 0}, {1, 4, 1}, {3, 4, 3}, {20, 4, 4}, {20, 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			var done, now, most atomic.Int64
			sideBySide(tt.n, tt.atOnce, func(i int) {
				done.Add(1 << i)
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
			})
			assert.EqualValues(t, 1<<tt.n-1, done.Load())
			assert.EqualValues(t, tt.most, most.Load())
			assert.Zero(t, now.Load())
		})
	}
}

// TestALoopThatComesRoundNoMoreIsNoticed: when every worker is at something that does not
// end. Whatever else there is to wait for, the loop goes on.
func TestALoopThatComesRoundNoMoreIsNoticed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, stop := context.WithCancel(t.Context())
	begun, end := make(chan struct{}, 2), make(chan struct{})
	w := &worker{store: s, queue: &s.work, name: "due", key: s.keys().due(), limit: 1, work: func(context.Context, *Request) {
		begun <- struct{}{}
		<-end
	}}
	assert.Empty(t, s.Stalled(0), "it does not run yet")
	for range 2 { // the second finds no worker
		submit(t, s)
	}
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	<-begun
	require.Eventually(t, func() bool { return s.Stalled(2*interval) == "due" }, time.Minute, 10*time.Millisecond)
	close(end)
	require.Eventually(t, func() bool { return s.Stalled(2*interval) == "" }, time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-done)
	assert.Empty(t, s.Stalled(0), "it runs no more")
}

// TestWhoStopsBeginsNothingNew: however much is due and waits for a worker. It stays in
// Redis, where others find it.
func TestWhoStopsBeginsNothingNew(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, stop := context.WithCancel(t.Context())
	begun, end := make(chan struct{}, 3), make(chan struct{})
	w := &worker{store: s, queue: &s.work, name: "due", key: s.keys().due(), limit: 1, work: func(context.Context, *Request) {
		begun <- struct{}{}
		<-end
	}}
	for range 3 {
		submit(t, s)
	}
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	<-begun
	require.Eventually(t, func() bool { return s.Stalled(2*interval) == "due" }, time.Minute, 10*time.Millisecond, "the next one waits for a worker")
	stop()
	close(end)
	require.NoError(t, <-done)
	assert.Empty(t, begun)
}

// TestARedisThatSaysNothingIsInTheLog: where whoever runs the bot is told to look for it.
func TestARedisThatSaysNothingIsInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0"}) // never called: see silence
		defer func() { require.NoError(t, client.Close()) }()
		quiet := &silence{answer: func(ctx context.Context, cmd *redis.Cmd) error {
			<-ctx.Done()
			cmd.SetErr(ctx.Err())
			return cmd.Err()
		}}
		quiet.claims.Add(1) // grants none
		client.AddHook(quiet)
		var lines bytes.Buffer
		w := worker{store: &Store{Redis: client, Team: "T1", Log: slog.New(slog.NewTextHandler(&lines, nil))}, name: "due"}

		_, _ = w.look(t.Context())
		assert.Contains(t, lines.String(), "look for due requests")
		assert.Contains(t, lines.String(), "deadline exceeded")

		lines.Reset()
		ending, end := context.WithCancel(t.Context())
		end()
		_, _ = w.look(ending)
		assert.Empty(t, lines.String(), "a bot that ends has nothing to complain of")
	})
}
