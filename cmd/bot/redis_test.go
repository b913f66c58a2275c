package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

var redisPage = filepath.Join("..", "..", "docs", "redis.md")

// TestCheckRedisAsPeopleRunIt checks each kind before and after its primary died.
func TestCheckRedisAsPeopleRunIt(t *testing.T) {
	t.Parallel()
	redisd.OnEach(t, redisPage, "{aib:T0TEST}:x", func(t *testing.T, topology *redisd.Topology, failOver func(context.Context) error) {
		found, failed := checkRedisAt(t, topology.URLWithFiles())
		assert.False(t, failed, "%v", found)
		assert.Contains(t, found["redis keys"], "ok ")
		assert.Contains(t, found["redis scripts"], "ok ")
		assert.Contains(t, fmt.Sprint(found), "if user default is off, it must keep its rights")
		for subject, line := range found {
			assert.True(t, strings.HasPrefix(line, "ok "), "%s: %s", subject, line)
		}

		target, err := parseRedisURL(topology.URLWithFiles())
		require.NoError(t, err)
		client := target.client()
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		require.NoError(t, client.Set(t.Context(), "{aib:T0TEST}:x", "1", 0).Err())
		require.NoError(t, failOver(t.Context()))
		// Half of the minute that go-redis by itself would take in a Cluster.
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			return client.Set(ctx, "{aib:T0TEST}:x", "2", 0).Err() == nil
		}, 30*time.Second, 20*time.Millisecond, "the client should find who takes writes now")
	}, "--appendonly", "yes")
}

// TestCheckRedisNoticesAnIncompleteRule takes each command out of the documented
// rule in turn.
func TestCheckRedisNoticesAnIncompleteRule(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage, "--appendonly", "yes")
	rules, err := redisd.ReadRules(redisPage)
	require.NoError(t, err)
	admin := topology.Nodes[0].Admin
	for word := range strings.FieldsSeq(rules.Standalone) {
		command, ok := strings.CutPrefix(word, "+")
		if !ok {
			continue
		}
		require.NoError(t, admin.ScriptFlush(t.Context()).Err()) // so that it has to be sent, too
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "bot", "-"+command).Err())
		found, failed := checkRedisAt(t, topology.URLWithFiles())
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "bot", "+"+command).Err())
		if command == "info" { // without it the bot works, and the check knows less
			assert.Contains(t, found["redis info"], "warn ")
			continue
		}
		assert.True(t, failed, "without %s: %v", command, found)
	}
}

func TestCertificatesOfRedis(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage)
	whole := topology.URLWithFiles()
	text := filepath.Join(t.TempDir(), "text.pem")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	for _, tt := range []struct{ name, address, want string }{
		{"without TLS", strings.Replace(whole, "rediss://", "redis://", 1), "must begin with rediss://"},
		{"a certificate without its key", "rediss://h?tls_cert_file=" + text, "tls_cert_file and tls_key_file together"},
		{"no such authority", "rediss://h?tls_ca_file=/gone", "tls_ca_file that cannot be read: no such file"},
		{"an authority that is none", "rediss://h?tls_ca_file=" + text, "without a certificate"},
		{"no such pair", "rediss://h?tls_cert_file=/gone&tls_key_file=/gone", "no pair: no such file"},
		{"a pair that is none", "rediss://h?tls_cert_file=" + text + "&tls_key_file=" + text, "no pair: "},
		{"an option that go-redis does not have", whole + "&tls_file=x", "names and values of its options"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseRedisURL(tt.address)
			assert.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "/gone", "the address stays out of logs")
		})
	}
}

// TestARenewedCertificate is shown without a restart of the bot.
func TestARenewedCertificate(t *testing.T) {
	t.Parallel()
	topology := redisd.NewTopology(t, redisd.StartTLS, redisPage)
	u, err := url.Parse(topology.URLWithFiles())
	require.NoError(t, err)
	query := u.Query()
	key := query.Get("tls_key_file")
	target, err := parseRedisURL(u.String())
	require.NoError(t, err)
	ping := func() error {
		client := target.client()
		defer func() { assert.NoError(t, client.Close()) }()
		return client.Ping(t.Context()).Err()
	}
	require.NoError(t, ping())
	require.NoError(t, os.Rename(key, key+".old"))
	require.ErrorContains(t, ping(), "no such file")
	require.NoError(t, os.Rename(key+".old", key))
	require.NoError(t, ping())
}

// TestTheRedisURLsOfThePage holds the forms in docs/redis.md to what the bot
// takes, as far as that is known without the files that they name.
func TestTheRedisURLsOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(redisPage) //nolint:gosec // of this repository
	require.NoError(t, err)
	kinds := map[string]int{}
	for line := range strings.Lines(string(page)) {
		address, ok := strings.CutPrefix(strings.TrimSpace(line), "REDIS_URL=")
		if !ok {
			continue
		}
		target, err := parseRedisURL(withoutFiles(strings.Trim(address, "'")))
		if assert.NoError(t, err, address) {
			kinds[target.kind()]++
		}
	}
	for _, kind := range []string{"standalone", "Sentinel", "Cluster"} {
		assert.NotZero(t, kinds[kind], kind)
	}
}

func withoutFiles(address string) string {
	before, query, _ := strings.Cut(address, "?")
	var rest []string
	for option := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(option, "tls_") {
			rest = append(rest, option)
		}
	}
	return before + "?" + strings.Join(rest, "&")
}
