package approvals

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// realRedis is a redis-server for one test; miniredis keeps nothing on disk.
func realRedis(t *testing.T, args ...string) *redisd.Server {
	t.Helper()
	server := redisd.New(t, args...)
	if !server.Real {
		t.Skip(redisd.ErrMissing)
	}
	return server
}

func plainStore(t *testing.T, server *redisd.Server) *Store {
	t.Helper()
	options, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return storeOn(t, client)
}

// TestWhatACrashOfRedisLoses kills Redis right after it answered, and counts the
// requests that it still knows when it runs again. With everysec, Redis answers before it
// has written while an fsync is under way: that may be lost, and nothing else.
func TestWhatACrashOfRedisLoses(t *testing.T) {
	t.Parallel()
	const requests = 200
	for _, tt := range []struct {
		name string
		args []string
		kept int
	}{
		{"no persistence", nil, 0},
		{"AOF everysec", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, requests},
		{"AOF always", []string{"--appendonly", "yes", "--appendfsync", "always"}, requests},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := realRedis(t, tt.args...)
			s := plainStore(t, server)
			var ids []string
			for range requests {
				ids = append(ids, submit(t, s).ID)
			}
			written := unwritten(t, s) == 0
			server.Kill()
			require.NoError(t, server.Again(t.Context()))

			kept := known(t, s, ids)
			t.Logf("%d of %d acknowledged requests are known after kill -9", kept, requests)
			if written {
				assert.Equal(t, tt.kept, kept)
			} else {
				assert.Equal(t, kept, known(t, s, ids[:kept]), "none is lost before one that is not")
			}
			if tt.kept == 0 {
				assertUnknown(t, s, ids[0])
			}
		})
	}
}

// TestUserDefaultAndTheAppendOnlyFile holds the page to a trap of Redis: what a
// script wrote, it reads back from the file with the rights of user default. One
// that is off must have them all the same.
func TestUserDefaultAndTheAppendOnlyFile(t *testing.T) {
	t.Parallel()
	const requests = 50
	documented, err := redisd.ReadRules(redisPage)
	require.NoError(t, err)
	for _, tt := range []struct {
		name, rule string
		kept       []int // what may be
	}{
		{"as the page says", documented.Default, []int{requests}},
		{"without rights", "user default off", []int{0, requests}}, // a Redis of which this is repaired keeps all
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules := documented
			rules.Default = tt.rule
			topology, err := redisd.StartTLS(t.Context(), rules, "--appendonly", "yes")
			if errors.Is(err, redisd.ErrMissing) && os.Getenv("CI") == "" {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, topology.Close()) })
			s := storeOn(t, clientOf(t, topology))
			var ids []string
			for range requests {
				ids = append(ids, submit(t, s).ID)
			}
			require.Eventually(t, func() bool { return unwritten(t, s) == 0 }, time.Minute, 10*time.Millisecond)
			topology.Nodes[0].Kill()
			require.NoError(t, topology.Nodes[0].Again(t.Context()))
			kept := known(t, s, ids)
			t.Logf("%d of %d acknowledged requests are known after a restart", kept, requests)
			assert.Contains(t, tt.kept, kept)
		})
	}
}

// unwritten is how many bytes of its append-only file Redis has not given to the system.
func unwritten(t *testing.T, s *Store) int {
	t.Helper()
	info := s.Redis.Info(t.Context(), "persistence").Val()
	bytes, _ := strconv.Atoi(strings.TrimSpace(between(info, "aof_buffer_length:", "\n"))) // not there without such a file
	return bytes
}

// known counts the requests that Redis has.
func known(t *testing.T, s *Store, ids []string) int {
	t.Helper()
	kept := 0
	for _, id := range ids {
		_, err := s.Get(t.Context(), id)
		if !errors.Is(err, ErrNotFound) {
			require.NoError(t, err)
			kept++
		}
	}
	return kept
}

// assertUnknown checks that nothing is guessed of a request that Redis lost, whose
// card is still there to be clicked: every click is told that it does not exist,
// none makes it exist again.
func assertUnknown(t *testing.T, s *Store, id string) {
	t.Helper()
	for name, click := range map[string]func(context.Context) (*Request, error){
		"approve": func(ctx context.Context) (*Request, error) { return s.Approve(ctx, id, jo) },
		"deny":    func(ctx context.Context) (*Request, error) { return s.Deny(ctx, id, "no", jo) },
		"cancel":  func(ctx context.Context) (*Request, error) { return s.Cancel(ctx, id, mira) },
		"retry":   func(ctx context.Context) (*Request, error) { return s.Retry(ctx, id, jo) },
	} {
		r, err := click(t.Context())
		require.ErrorIs(t, err, ErrNotFound, name)
		assert.Nil(t, r, name)
	}
	left, err := s.Redis.Exists(t.Context(), s.keys().request(id), s.keys().sealed(id)).Result()
	require.NoError(t, err)
	assert.Zero(t, left)
}

// TestATornAppendOnlyFile is a loss of power in the middle of a write: the move
// whose end is missing did not happen at all, the one before it did.
func TestATornAppendOnlyFile(t *testing.T) {
	t.Parallel()
	server := realRedis(t, "--appendonly", "yes")
	s := plainStore(t, server)
	r := inState(t, s, Pending)
	before := snapshot(t, s, r.ID)
	_, err := s.Deny(t.Context(), r.ID, "not now", jo)
	require.NoError(t, err)
	server.Kill()

	files, err := filepath.Glob(filepath.Join(server.Dir, "appendonlydir", "*.incr.aof"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	require.NoError(t, os.Truncate(files[0], info.Size()-10))
	require.NoError(t, server.Again(t.Context()))

	assert.Equal(t, before, snapshot(t, s, r.ID), "the state, the secrets, the queues and the trail are from one moment")
	_, err = s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err, "it goes on from there")
}

// TestAnOlderBackup: restoring a copy from before the change brings the request
// back, but not the change: the bot sees in Atlas that it was made.
func TestAnOlderBackup(t *testing.T) {
	t.Parallel()
	server := realRedis(t)
	s := plainStore(t, server)
	p := newHeldProject(t)
	close(p.proceed)
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	seen.untilState(t, Pending)
	require.NoError(t, s.Redis.Save(t.Context()).Err())
	backup, err := os.ReadFile(filepath.Join(server.Dir, "dump.rdb"))
	require.NoError(t, err)
	_, err = s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	seen.untilState(t, Applied)

	restored := plainStore(t, restore(t, backup))
	restored.Team, restored.Sealer = s.Team, s.Sealer
	work(t, restored, p.atlas())
	back, err := restored.Get(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, Pending, back.State)
	_, err = restored.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	reaches(t, restored, r.ID, Applied)
	p.assertChangedOnce(t)
	assert.Equal(t, 1, p.sent())
}

// TestABackupBesideAnAppendOnlyFile holds the page to a trap of Redis: with
// appendonly yes it does not read dump.rdb.
func TestABackupBesideAnAppendOnlyFile(t *testing.T) {
	t.Parallel()
	s := plainStore(t, realRedis(t))
	r := inState(t, s, Pending)
	require.NoError(t, s.Redis.Save(t.Context()).Err())
	dir, err := s.Redis.ConfigGet(t.Context(), "dir").Result()
	require.NoError(t, err)
	backup, err := os.ReadFile(filepath.Join(dir["dir"], "dump.rdb"))
	require.NoError(t, err)

	wrong := plainStore(t, restore(t, backup, "--appendonly", "yes"))
	wrong.Team = s.Team
	_, err = wrong.Get(t.Context(), r.ID)
	require.ErrorIs(t, err, ErrNotFound, "then the page can leave this out")

	server := restore(t, backup)
	right := plainStore(t, server)
	right.Team = s.Team
	require.NoError(t, right.Redis.ConfigSet(t.Context(), "appendonly", "yes").Err())
	require.Eventually(t, func() bool {
		info := right.Redis.Info(t.Context(), "persistence").Val()
		return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
	}, 30*time.Second, 20*time.Millisecond, "the append-only file begins with what is there")
	server.Kill()
	require.NoError(t, server.Again(t.Context(), "--appendonly", "yes"))
	back, err := right.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, Pending, back.State)
}

// restore starts a Redis on a copy of another one's dump.rdb.
func restore(t *testing.T, backup []byte, args ...string) *redisd.Server {
	t.Helper()
	server := realRedis(t)
	server.Kill()
	require.NoError(t, os.WriteFile(filepath.Join(server.Dir, "dump.rdb"), backup, 0o600)) //nolint:gosec // a directory of our own
	require.NoError(t, server.Again(t.Context(), args...))
	return server
}

// TestAFullRedis: one that evicts forgets requests that nobody decided; one that
// does not refuses every move, and goes on where it stopped when there is room.
func TestAFullRedis(t *testing.T) {
	t.Parallel()
	const requests = 500
	for policy, evicts := range map[string]bool{"noeviction": false, "allkeys-lru": true} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := plainStore(t, realRedis(t, "--maxmemory-policy", policy))
			var ids []string
			for range requests {
				ids = append(ids, submit(t, s).ID)
			}
			used, err := strconv.Atoi(strings.TrimSpace(between(s.Redis.Info(t.Context(), "memory").Val(), "used_memory:", "\n")))
			require.NoError(t, err)
			require.NoError(t, s.Redis.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used*9/10)).Err())

			_, submitted := s.Submit(t.Context(), "V0MORE", pagerDuty(t, newKey("0001")), Submission{Targets: []atlas.Project{payments}, Reason: "r"}, mira)
			_, cancelled := s.Cancel(t.Context(), ids[0], mira)
			require.NoError(t, s.Redis.ConfigSet(t.Context(), "maxmemory", "0").Err())
			kept := known(t, s, ids)
			t.Logf("%d of %d requests are known", kept, requests)
			if evicts {
				assert.Less(t, kept, requests)
				return
			}
			require.ErrorContains(t, submitted, "OOM")
			require.ErrorContains(t, cancelled, "OOM", "no move at all: not even one that would free memory")
			assert.Equal(t, requests, kept)
			_, err = s.Cancel(t.Context(), ids[0], mira)
			require.NoError(t, err)
		})
	}
}

func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}
