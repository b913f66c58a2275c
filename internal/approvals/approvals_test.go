package approvals

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func TestMain(m *testing.M) {
	code := redisd.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		slog.Error("goroutines are left", "error", err)
		code = 1
	}
	os.Exit(code)
}

// People of the tests.
var (
	mira = Actor{User: "U0ENGINEER", Via: "test"}
	jo   = Actor{User: "U0APPROVER", Human: "jo", Via: "test"}
	kim  = Actor{User: "U0APPROV2", Via: "test"}
)

var payments = atlas.Project{ID: strings.Repeat("a1", 12), Name: "payments-prod"}

var teams atomic.Int64

// newStore is a store with a workspace of its own in the Redis that all tests share.
func newStore(t testing.TB) *Store {
	t.Helper()
	options, err := redis.ParseURL(redisd.Shared(t).URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	sealer, err := secret.NewSealer(keyset)
	require.NoError(t, err)
	return &Store{
		Redis: client, Sealer: sealer, Team: fmt.Sprintf("T%d", teams.Add(1)),
		Policy: Policy{Default: Rule{TTL: time.Hour, Approvals: 1}}, Retention: 24 * time.Hour,
	}
}

// pagerDuty are settings with a key that no other test has.
func pagerDuty(t testing.TB, key string) *atlas.Settings {
	t.Helper()
	kind, ok := atlas.FindType("PAGER_DUTY")
	require.True(t, ok)
	return &atlas.Settings{
		Type: kind, Plain: map[string]string{"region": "EU"},
		Secrets: map[string]secret.Text{"serviceKey": secret.New(key)},
	}
}

func newKey(last string) string { return strings.Repeat("0", 32-len(last)) + last }

// submit makes a request for payments-prod, and for other projects if there are any.
func submit(t *testing.T, s *Store, others ...atlas.Project) *Request {
	t.Helper()
	r, err := s.Submit(t.Context(), "V"+time.Now().String(), pagerDuty(t, newKey("beef")),
		Submission{Targets: append([]atlas.Project{payments}, others...), Reason: "rotated after an incident"}, mira)
	require.NoError(t, err)
	return r
}

// hold claims a request as a worker does.
func hold(t *testing.T, s *Store, id, name string) *Request {
	t.Helper()
	s.Redis.ZAdd(t.Context(), s.keys().name(name), redis.Z{Score: 0, Member: id})
	w := worker{store: s, name: name}
	r, err := w.claim(t.Context(), id)
	require.NoError(t, err)
	require.NotNil(t, r, "the request should be there to be claimed")
	return r
}

// fakeAtlas answers from memory. It stands here only where a test must decide in
// which order things happen; the whole flow is tested against atlassim.
type fakeAtlas struct {
	get func(ctx context.Context, projectID string) (*atlas.Integration, error)
	put func(ctx context.Context, projectID string, s *atlas.Settings) (*atlas.Integration, error)
}

func (f fakeAtlas) Integration(ctx context.Context, projectID string, _ *atlas.Type) (*atlas.Integration, error) {
	return f.get(ctx, projectID)
}

func (f fakeAtlas) Update(ctx context.Context, projectID string, s *atlas.Settings) (*atlas.Integration, error) {
	return f.put(ctx, projectID, s)
}

// zNow makes a request due now.
func zNow(id string) redis.Z { return redis.Z{Score: 0, Member: id} }
