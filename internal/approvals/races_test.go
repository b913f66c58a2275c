package approvals

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// A seed repeats who tries what, in which order. How the calls fall together is
// up to the machine, and new each time.
var (
	histories = flag.Int("approvals.histories", 60, "histories of racing clients to check")
	seed      = flag.Uint64("approvals.seed", 0, "of the racing clients; 0: a new one")
)

// The size of one history.
const (
	raceReplicas = 4
	raceClients  = 8
	raceCalls    = 60 // of each client
)

// TestRaces lets clients on several replicas do everything at the same requests
// at the same time, and checks that what they were answered could have happened
// one call after the other. Some answers get lost on the way.
func TestRaces(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64() //nolint:gosec // chooses tests, guards nothing
	}
	begun := time.Now()
	base, replicas := newStore(t), newReplicas(t, first, 150)
	seen := map[string]int{}
	calls := 0
	for i := 0; i < *histories || !everythingHappened(seen) && i < 4**histories; i++ {
		this, needed := first+uint64(i), 1+i%3
		race := newRace(t, base, replicas, needed)
		history := race.run(this)
		race.requireChain(this)
		forget(t, race.stores[0].keys(), base.Redis)
		requireLinearizable(t, raceModel(needed), history, fmt.Sprintf("-approvals.seed %d, %d approvers", this, needed))
		calls += len(history)
		for _, op := range history {
			in, out := op.Input.(input), op.Output.(output)
			seen[in.call+" "+out.word]++
			if out.unknown {
				seen["lost"]++
			}
		}
	}
	t.Logf("%d calls, %d answers lost, %s, -approvals.seed %d",
		calls, seen["lost"], time.Since(begun).Round(time.Millisecond), first)
	assertEverythingHappened(t, seen)
}

// requireLinearizable fails with a picture of the history, which go test
// -artifacts keeps.
func requireLinearizable(t *testing.T, model porcupine.Model, history []porcupine.Operation, which string) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, history, time.Minute)
	if result == porcupine.Ok {
		return
	}
	picture := filepath.Join(t.ArtifactDir(), "history.html")
	require.NoError(t, porcupine.VisualizePath(model, info, picture))
	require.FailNow(t, "no order of these calls explains the answers", "%s: %s, picture in %s", which, result, picture)
}

// raceAnswers are the answers that each call can have.
var raceAnswers = map[string]string{
	callSubmit: "ok", callApprove: "ok own again state missing", callDeny: "ok own state", callCancel: "ok not_requester state",
	callRetry: "ok late state", callExpire: "ok early state", callLapse: "ok early state", callClaim: "ok early",
	callRenew: "ok fenced", callRelease: "ok fenced", callPrepare: "ok fenced state", callBegin: "ok again busy fenced state",
	callOutcome: "ok fenced state",
}

// assertEverythingHappened keeps the races from passing because nothing raced: each
// answer that a call can have was given at least once.
func assertEverythingHappened(t *testing.T, seen map[string]int) {
	t.Helper()
	if *histories < 60 {
		return
	}
	for call, words := range raceAnswers {
		for word := range strings.FieldsSeq(words) {
			assert.Positive(t, seen[call+" "+word], "no %s was answered %q", call, word)
		}
	}
}

// everythingHappened reports the same, so that a run with an unlucky seed goes on for a
// while.
func everythingHappened(seen map[string]int) bool {
	for call, words := range raceAnswers {
		for word := range strings.FieldsSeq(words) {
			if seen[call+" "+word] == 0 {
				return false
			}
		}
	}
	return true
}

// newReplicas are clients of the shared Redis, each with connections of its own.
// They lose one answer in so many; 0: none.
func newReplicas(t *testing.T, seed uint64, oneIn int) []*redis.Client {
	t.Helper()
	replicas := make([]*redis.Client, raceReplicas)
	for i := range replicas {
		options, err := redis.ParseURL(redisd.Shared(t).URL)
		require.NoError(t, err)
		options.MaxRetries = -1                                                   // a lost answer is for the model to deal with
		dice := &loss{oneIn: oneIn, dice: rand.New(rand.NewPCG(seed, uint64(i)))} //nolint:gosec // repeats by its seed
		options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return lossy{conn, dice}, err
		}
		replicas[i] = redis.NewClient(options)
		t.Cleanup(func() { assert.NoError(t, replicas[i].Close()) })
	}
	return replicas
}

// loss decides which answers are lost: few, since each one leaves the checker
// with a call that may have happened at any later time.
type loss struct {
	oneIn int
	guard sync.Mutex
	dice  *rand.Rand
}

func (l *loss) next() bool {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.oneIn > 0 && l.dice.IntN(l.oneIn) == 0
}

type lossy struct {
	net.Conn
	loss *loss
}

func (c lossy) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.loss.next() {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
	}
	return n, err
}

// A race is the clients of one history and what they share.
type race struct {
	t      *testing.T
	base   redis.UniversalClient // loses nothing
	stores []*Store
	ids    [raceRequests]string
	kind   *atlas.Type
	start  time.Time
	nobody atomic.Int64 // numbers calls without an answer: as if by clients that never came back
}

// newRace is a workspace of its own for one history.
func newRace(t *testing.T, base *Store, replicas []*redis.Client, needed int) *race {
	t.Helper()
	c := &race{t: t, base: base.Redis, start: time.Now(), kind: pagerDuty(t, newKey("beef")).Type}
	team := fmt.Sprintf("T%d", teams.Add(1))
	for _, client := range replicas {
		c.stores = append(c.stores, &Store{
			Redis: client, Sealer: base.Sealer, Team: team, Policy: Policy{Default: Rule{TTL: time.Hour, Approvals: needed}}, Retention: 24 * time.Hour,
		})
	}
	for i := range c.ids {
		c.ids[i] = RequestID(team, raceView(i))
	}
	return c
}

// requireChain checks that the trail is one chain, though so many wrote it at once.
func (c *race) requireChain(seed uint64) {
	c.t.Helper()
	trail, err := (&Store{Redis: c.base, Team: c.stores[0].Team}).Trail(c.t.Context(), "", 100_000)
	require.NoError(c.t, err)
	var chain Chain
	for i := range trail {
		require.NoError(c.t, chain.Add(&trail[i]), "-approvals.seed %d", seed)
	}
}

// forget removes a workspace, so that many of them need no more memory than one.
func forget(t *testing.T, k keys, client redis.UniversalClient) {
	t.Helper()
	names, err := client.Keys(t.Context(), k.name("*")).Result()
	require.NoError(t, err)
	if len(names) > 0 {
		require.NoError(t, client.Del(t.Context(), names...).Err())
	}
}

func raceView(request int) string { return fmt.Sprintf("V0RACE%d", request) }

func raceProject(target int) atlas.Project {
	return atlas.Project{ID: strings.Repeat(fmt.Sprintf("%02d", target), 12), Name: fmt.Sprintf("project-%d", target)}
}

func racePerson(who int) Actor { return Actor{User: fmt.Sprintf("U%d", who), Via: "race"} }

// run has all clients make their calls, and returns what happened.
func (c *race) run(seed uint64) []porcupine.Operation {
	c.nobody.Store(raceClients)
	byClient := make([][]porcupine.Operation, raceClients)
	var running sync.WaitGroup
	for i := range byClient {
		racer := racer{
			race: c, number: i, store: c.stores[i%len(c.stores)],
			dice: rand.New(rand.NewPCG(seed, uint64(i))), //nolint:gosec // repeats by its seed
		}
		running.Go(func() { byClient[i] = racer.run() })
	}
	running.Wait()
	var all []porcupine.Operation
	for _, calls := range byClient {
		all = append(all, calls...)
	}
	return all
}
