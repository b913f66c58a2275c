package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// findings are the lines of a report by their subject.
type findings map[string]string

func read(t *testing.T, lines string) findings {
	t.Helper()
	found := findings{}
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		require.Greater(t, len(line), 6, line)
		subject, rest, ok := strings.Cut(line[6:], "  ")
		require.True(t, ok, "no gap after the subject: %s", line)
		found[subject] = strings.TrimSpace(line[:6]) + " " + strings.TrimSpace(rest)
	}
	return found
}

// atlasConfig is a configuration for the stand-in, with a service account.
func atlasConfig(t *testing.T, atlas *atlassim.Server, more ...string) *config {
	t.Helper()
	cfg, err := readConfig(t.Context(), complete(t).with(
		"MONGODB_ATLAS_BASE_URL", atlas.URL(), "MONGODB_ATLAS_CLIENT_ID", atlas.ClientID(),
		"MONGODB_ATLAS_CLIENT_SECRET", atlas.ClientSecret()).with(more...))
	require.NoError(t, err)
	return cfg
}

func newAtlas(t *testing.T) *atlassim.Server {
	t.Helper()
	s, err := atlassim.New(atlassim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	require.NoError(t, s.AddProject(projectNumber("1"), "payments"))
	require.NoError(t, s.AddProject(projectNumber("2"), "search"))
	require.NoError(t, s.Seed(projectNumber("1"), atlassim.Sample("DATADOG", "payments")))
	return s
}

func TestCheckAtlas(t *testing.T) {
	t.Parallel()
	listed := "pay:" + projectNumber("1") + ",search:" + projectNumber("2") + ",gone:" + projectNumber("3")
	tests := []struct {
		name   string
		env    func(s *atlassim.Server) []string
		world  func(t *testing.T, s *atlassim.Server)
		want   map[string]string // subject -> what its line contains
		failed bool
	}{
		{
			name: "service account, all projects",
			want: map[string]string{
				"atlas credentials": "ok service account, sees 2 projects", "project payments": "ok readable, 1 integration, Project Owner", "project search": "ok readable, 0",
			},
		},
		{
			name: "API key",
			env: func(s *atlassim.Server) []string {
				return []string{
					"MONGODB_ATLAS_CLIENT_ID", "", "MONGODB_ATLAS_CLIENT_SECRET", "",
					"MONGODB_ATLAS_PUBLIC_API_KEY", s.PublicKey(), "MONGODB_ATLAS_PRIVATE_API_KEY", s.PrivateKey(),
				}
			},
			want: map[string]string{"atlas credentials": "ok API key, sees 2 projects"},
		},
		{
			name: "listed projects: another name, no role, gone",
			env:  func(*atlassim.Server) []string { return []string{"MONGODB_ATLAS_PROJECTS", listed} },
			world: func(t *testing.T, s *atlassim.Server) {
				require.NoError(t, s.SetRole(projectNumber("2"), atlassim.RoleNone))
			},
			want: map[string]string{
				"project pay": `ok Atlas calls it "payments"`, "project search": "fail get project: atlas 401", "project gone": "fail get project: atlas 404 GROUP_NOT_FOUND",
			},
			failed: true,
		},
		{
			name: "a role that may only read",
			world: func(t *testing.T, s *atlassim.Server) {
				require.NoError(t, s.SetRole(projectNumber("2"), atlassim.RoleReadOnly))
			},
			want: map[string]string{
				"project payments": "ok readable, 1 integration, Project Owner",
				"project search":   "fail readable, 0 integrations, but the role is not Project Owner: Give the bot's credentials the role Project Owner",
			},
			failed: true,
		},
		{
			name: "Atlas does not say what the role is",
			world: func(_ *testing.T, s *atlassim.Server) {
				s.Fail(atlassim.Match{Path: "/api/atlas/v2/groups/" + projectNumber("2") + "/apiKeys"},
					atlassim.Fault{Status: 404, Code: "RESOURCE_NOT_FOUND"}, 1)
			},
			want: map[string]string{"project search": "warn readable, 0 integrations; whether the role is Project Owner Atlas did not say"},
		},
		{
			name: "wrong secret",
			env: func(*atlassim.Server) []string {
				return []string{"MONGODB_ATLAS_CLIENT_SECRET", canary + strings.Repeat("x", 20)}
			},
			want:   map[string]string{"atlas credentials": "invalid_client"},
			failed: true,
		},
		{
			name:   "address not on the access list",
			world:  func(_ *testing.T, s *atlassim.Server) { s.SetIPBlock(atlassim.BlockedAtUse) },
			want:   map[string]string{"atlas credentials": "add 127.0.0.1 to the API access list"},
			failed: true,
		},
		{
			name:   "nothing answers",
			world:  func(t *testing.T, s *atlassim.Server) { require.NoError(t, s.Close()) },
			want:   map[string]string{"atlas credentials": "look at MONGODB_ATLAS_BASE_URL"},
			failed: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newAtlas(t)
			var more []string
			if tt.env != nil {
				more = tt.env(s)
			}
			if tt.world != nil {
				tt.world(t, s)
			}
			var out bytes.Buffer
			r := &report{w: &out}
			checkAtlas(t.Context(), r, atlasConfig(t, s, more...))
			found := read(t, out.String())
			for subject, line := range tt.want {
				assert.Contains(t, found[subject], line, out.String())
			}
			assert.Equal(t, tt.failed, r.failed, out.String())
			assert.NotContains(t, out.String(), canary)
			assert.Zero(t, s.TokensValid(), "the token is revoked afterwards")
		})
	}
}

func checkRedisAt(t *testing.T, url string) (found findings, failed bool) {
	t.Helper()
	cfg, err := readConfig(t.Context(), complete(t).with("REDIS_URL", url))
	require.NoError(t, err)
	var out bytes.Buffer
	r := &report{w: &out}
	checkRedis(t.Context(), r, cfg, "T0TEST")
	assert.NotContains(t, out.String(), canary)
	return read(t, out.String()), r.failed
}

// newRedis is a real redis-server: miniredis says nothing of persistence.
func newRedis(t *testing.T, args ...string) (*redisd.Server, *redis.Client) {
	t.Helper()
	s := redisd.New(t, args...)
	if !s.Real {
		t.Skip("what is looked at here, only a real redis-server says")
	}
	options, err := redis.ParseURL(s.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return s, client
}

func TestCheckRedis(t *testing.T) {
	t.Parallel()
	s, client := newRedis(t, "--appendonly", "yes")
	found, failed := checkRedisAt(t, s.URL)
	assert.False(t, failed)
	assert.Contains(t, found["redis"], "ok standalone, answers in")
	assert.Contains(t, found["redis keys"], "ok written, read and deleted under {aib:T0TEST}")
	assert.Contains(t, found["redis scripts"], "ok allowed")
	assert.Contains(t, found["redis version"], "ok ")
	assert.Equal(t, "ok append-only file", found["redis persistence"])
	assert.Equal(t, "ok noeviction", found["redis eviction"])
	assert.Contains(t, found["redis role"], "ok primary without replicas")
	left, err := client.DBSize(t.Context()).Result()
	require.NoError(t, err)
	assert.Zero(t, left, "nothing is left behind")

	require.NoError(t, client.ConfigSet(t.Context(), "appendonly", "no").Err())
	require.NoError(t, client.ConfigSet(t.Context(), "save", "3600 1").Err())
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	found, failed = checkRedisAt(t, s.URL)
	assert.False(t, failed)
	assert.Contains(t, found["redis persistence"], "warn only snapshots")
	assert.Contains(t, found["redis eviction"], "warn allkeys-lru, without a limit")

	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "100mb").Err())
	require.NoError(t, client.ConfigSet(t.Context(), "save", "").Err())
	found, failed = checkRedisAt(t, s.URL)
	assert.True(t, failed)
	assert.Contains(t, found["redis persistence"], "fail none: a restart of Redis forgets every request")
	assert.Contains(t, found["redis eviction"], "fail allkeys-lru: ")
}

func TestCheckRedisPermissions(t *testing.T) {
	t.Parallel()
	s, client := newRedis(t)
	ctx := t.Context()
	password := canary + "-" + strings.Repeat("p", 8)
	require.NoError(t, client.Do(ctx, "ACL", "SETUSER", "bot", "on", ">"+password, "~{aib:T0TEST}*", "+@all", "-@admin", "-@dangerous").Err())
	require.NoError(t, client.Do(ctx, "ACL", "SETUSER", "mute", "on", ">"+password, "~{aib:T0TEST}*", "+@all", "-@scripting").Err())
	require.NoError(t, client.Do(ctx, "ACL", "SETUSER", "elsewhere", "on", ">"+password, "~other:*", "+@all").Err())
	as := func(user string) string {
		return strings.Replace(s.URL, "redis://", "redis://"+user+":"+password+"@", 1)
	}

	found, failed := checkRedisAt(t, as("bot"))
	assert.False(t, failed, "what cannot be looked at is no failure")
	assert.Contains(t, found["redis keys"], "ok ")
	assert.Contains(t, found["redis info"], "warn ")
	assert.Contains(t, found["redis eviction"], "warn Redis does not say: look by hand")

	found, failed = checkRedisAt(t, as("mute"))
	assert.True(t, failed)
	assert.Contains(t, found["redis scripts"], "let the Redis user of REDIS_URL run scripts")

	found, failed = checkRedisAt(t, as("elsewhere"))
	assert.True(t, failed)
	assert.Contains(t, found["redis keys"], "fail NOPERM")

	found, failed = checkRedisAt(t, strings.Replace(s.URL, "redis://", "redis://bot:wrong@", 1))
	assert.True(t, failed)
	assert.Contains(t, found["redis"], "put the right user and password into REDIS_URL")
}

func TestCheckRedisReplica(t *testing.T) {
	t.Parallel()
	primary, _ := newRedis(t)
	replica, client := newRedis(t)
	host, port, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(primary.URL, "redis://"), "/0"), ":")
	require.NoError(t, client.Do(t.Context(), "REPLICAOF", host, port).Err())
	found, failed := checkRedisAt(t, replica.URL)
	assert.True(t, failed)
	assert.Contains(t, found["redis role"], "fail a replica")
}

func TestCheckRedisAway(t *testing.T) {
	t.Parallel()
	found, failed := checkRedisAt(t, "redis://:"+canary+"@127.0.0.1:1/0")
	assert.True(t, failed)
	assert.Contains(t, found["redis"], "look at REDIS_URL")
}

func TestCheckRedisMini(t *testing.T) {
	t.Parallel()
	s, err := redisd.Mini("")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	found, failed := checkRedisAt(t, s.URL)
	assert.False(t, failed, "%v", found)
}
