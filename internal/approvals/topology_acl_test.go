package approvals

import (
	"crypto/tls"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// TestTheDocumentedRule lives through everything that can happen to requests as a
// user that may do no more than docs/redis.md says: all of it works, and it needs
// every word of the rule.
func TestTheDocumentedRule(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage)
	everything(t, clientOf(t, topology))

	rules, err := redisd.ReadRules(redisPage)
	require.NoError(t, err)
	assert.ElementsMatch(t, allowedBy(rules.Standalone), slices.DeleteFunc(usedOf(t, topology.Nodes), ofTheTests))
}

// everything brings requests into each state by each move, reads every list, and
// asks what `bot check` and the readiness probe ask.
func everything(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	for _, state := range states {
		s := storeOn(t, client)
		r := inState(t, s, state)
		require.NoError(t, s.Adopt(ctx, r, Card, "C1:1"))
		require.NoError(t, s.Refuse(ctx, r.ID, kim, "approve", "not an approver"))
	}
	for _, event := range []Event{Retry, Lapse} {
		s := storeOn(t, client)
		require.Equal(t, "ok", attempt[event](t, s, inState(t, s, Failed)))
	}
	s := storeOn(t, client)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	seen.untilState(t, Pending)
	_, err := s.Approve(ctx, r.ID, jo)
	require.NoError(t, err)
	seen.untilState(t, Applied)
	for _, list := range []func() ([]*Request, error){
		func() ([]*Request, error) { return s.OfProject(ctx, payments.ID, 0, 10) },
		func() ([]*Request, error) { return s.OfPerson(ctx, mira.User, 0, 10) },
		func() ([]*Request, error) { return s.Decided(ctx, 0, 10) },
	} {
		requests, err := list()
		require.NoError(t, err)
		require.Len(t, requests, 1)
	}
	require.NotEmpty(t, submit(t, s, search).ID)
	require.NotEmpty(t, submit(t, s, search).Overlaps)
	trail, err := s.Trail(ctx, "", 100)
	require.NoError(t, err)
	require.NotEmpty(t, trail)
	require.NoError(t, s.Ping(ctx))
	require.NoError(t, s.Redis.Ping(ctx).Err())
	require.NoError(t, s.Redis.Info(ctx, "server").Err())
}

// allowedBy lists the commands that a rule allows.
func allowedBy(rule string) []string {
	var commands []string
	for _, word := range strings.Fields(rule) {
		if command, ok := strings.CutPrefix(word, "+"); ok {
			commands = append(commands, command)
		}
	}
	return commands
}

var usedCommand = regexp.MustCompile(`cmdstat_([^:]+):calls=\d+,.*rejected_calls=(\d+)`)

// usedOf lists the commands that nodes carried out or refused since they began.
// Of those in scripts Redis keeps count, too.
func usedOf(t *testing.T, nodes []*redisd.Node) []string {
	t.Helper()
	var commands []string
	for _, node := range nodes {
		stats, err := node.Admin.Info(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		for _, used := range usedCommand.FindAllStringSubmatch(stats, -1) {
			if !slices.Contains(commands, used[1]) {
				commands = append(commands, used[1])
			}
		}
	}
	return commands
}

// ofTheTests are commands of the handshake, which no rule can refuse or which
// the client can do without.
func ofTheTests(command string) bool {
	return command == "hello" || strings.HasPrefix(command, "client")
}

// TestTheRuleAllowsNothingElse: what somebody with the bot's password might try.
func TestTheRuleAllowsNothingElse(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage)
	client := clientOf(t, topology)
	ctx := t.Context()
	require.NoError(t, client.Set(ctx, "{aib:T0}:x", "1", 0).Err())
	for _, words := range [][]any{
		{"FLUSHALL"},
		{"FLUSHDB"},
		{"KEYS", "*"},
		{"SCAN", "0"},
		{"CONFIG", "GET", "*"},
		{"CONFIG", "SET", "save", ""},
		{"SHUTDOWN"},
		{"SAVE"},
		{"BGREWRITEAOF"},
		{"REPLICAOF", "NO", "ONE"},
		{"MIGRATE", "127.0.0.1", "1", "k", "0", "1"},
		{"CLIENT", "LIST"},
		{"ACL", "LIST"},
		{"MONITOR"},
		{"SCRIPT", "FLUSH"},
		{"FUNCTION", "FLUSH"},
		{"PUBLISH", "c", "m"},
		{"SELECT", "1"},
		{"RENAME", "{aib:T0}:x", "{aib:T0}:y"},
		{"DUMP", "{aib:T0}:x"},
		{"XTRIM", "{aib:T0}:audit", "MAXLEN", "0"},
		{"XDEL", "{aib:T0}:audit", "0-1"},
		{"GET", "other"},
		{"SET", "other", "1"},
		{"GET", "{aib}:x"},
		{"HGETALL", "aib:T0:x"},
		{"DEL", "{aib:T0}:x", "other"},
		{"EVAL", "return redis.call('GET', 'other')", "0"},
		{"EVAL", "return redis.call('FLUSHALL')", "0"},
	} {
		err := client.Do(ctx, words...).Err()
		if assert.Error(t, err, "%v", words) {
			assert.Regexp(t, "^NOPERM|can't run this command|can't access at least one of the keys", err.Error(), "%v", words)
		}
	}
	assert.Equal(t, "1", client.Get(ctx, "{aib:T0}:x").Val(), "nothing is gone")
}

// TestWhoDoesNotBelong: without a certificate, or without the password, nobody
// comes in.
func TestWhoDoesNotBelong(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage)
	options, err := redis.ParseURL(topology.URL)
	require.NoError(t, err)
	options.MaxRetries = -1
	for _, tt := range []struct {
		name   string
		change func(*redis.Options)
		want   string
	}{
		{"no client certificate", func(o *redis.Options) {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: topology.TLS.RootCAs}
		}, "certificate required"},
		{"no password", func(o *redis.Options) { o.Username, o.Password = "", "" }, "NOAUTH"},
		{"another password", func(o *redis.Options) { o.Password += "x" }, "WRONGPASS"},
		{"an authority that the client does not know", func(o *redis.Options) {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: topology.TLS.Certificates}
		}, "unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := *options
			o.TLSConfig = topology.TLS
			tt.change(&o)
			client := redis.NewClient(&o)
			defer func() { assert.NoError(t, client.Close()) }()
			assert.ErrorContains(t, client.Ping(t.Context()).Err(), tt.want)
		})
	}
}
