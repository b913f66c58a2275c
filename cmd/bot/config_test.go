package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// variablesOf is an environment that knows its names, as that of the process does.
type variablesOf map[string]string

func (v variablesOf) Lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

func (v variablesOf) names() []string {
	var names []string
	for name := range v {
		names = append(names, name)
	}
	return names
}

// with is the environment with some variables changed; an empty one is removed.
func (v variablesOf) with(pairs ...string) variablesOf {
	changed := maps.Clone(v)
	for pair := range slices.Chunk(pairs, 2) {
		name, value := pair[0], pair[1]
		changed[name] = value
		if value == "" {
			delete(changed, name)
		}
	}
	return changed
}

const canary = "canary-9f2c71"

func projectNumber(n string) string { return strings.Repeat("0", 24-len(n)) + n }

// complete is an environment with nothing wrong.
func complete(t *testing.T) variablesOf {
	t.Helper()
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	return variablesOf{
		"SLACK_APP_TOKEN":             "xapp" + "-1-test",
		"SLACK_BOT_TOKEN":             "xoxb" + "-test",
		"SLACK_APPROVALS_CHANNEL":     "C0APPROVAL",
		"SLACK_APPROVERS":             "U0APPROVER, W0OTHER,S0ONCALL,",
		"MONGODB_ATLAS_CLIENT_ID":     "mdb_sa_id_" + projectNumber("1"),
		"MONGODB_ATLAS_CLIENT_SECRET": "mdb_sa_sk_" + "test",
		"SEALING_KEYSET":              keyset.Reveal(),
	}
}

// problemsOf reads a configuration that must be wrong.
func problemsOf(t *testing.T, env envconfig.Lookuper) []problem {
	t.Helper()
	_, err := readConfig(t.Context(), env)
	var wrong *configError
	require.ErrorAs(t, err, &wrong)
	assert.NotContains(t, err.Error(), canary)
	return wrong.problems
}

func TestReadConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := readConfig(t.Context(), complete(t))
	require.NoError(t, err)

	assert.Equal(t, "https://slack.com/api/", cfg.SlackAPIURL)
	assert.Equal(t, 2, cfg.SlackConnections)
	assert.Equal(t, idList{"U0APPROVER", "W0OTHER", "S0ONCALL"}, cfg.SlackApprovers)
	assert.Empty(t, cfg.SlackRequesters)
	assert.Equal(t, "https://cloud.mongodb.com", cfg.AtlasBaseURL)
	assert.Empty(t, cfg.AtlasProjects)
	assert.Equal(t, time.Hour, cfg.ApprovalTTL)
	assert.Equal(t, 1, cfg.ApprovalsRequired)
	assert.Equal(t, 2160*time.Hour, cfg.Retention)
	assert.Equal(t, ":8080", cfg.HTTPAddr)
	assert.Equal(t, "INFO", cfg.LogLevel.String())
	assert.Equal(t, "json", cfg.LogFormat)
	require.NotNil(t, cfg.redis.single)
	assert.Equal(t, "localhost:6379", cfg.redis.single.Addr)
	assert.Len(t, cfg.sealer.Keys(), 1)
	assert.Empty(t, cfg.hints)
}

func TestReadConfigEverythingSet(t *testing.T) {
	t.Parallel()
	cfg, err := readConfig(t.Context(), complete(t).with(
		"SLACK_API_URL", "http://127.0.0.1:9999/api",
		"SLACK_CONNECTIONS", "4",
		"SLACK_REQUESTERS", "S0ENGINEERS",
		"MONGODB_ATLAS_CLIENT_ID", "", "MONGODB_ATLAS_CLIENT_SECRET", "",
		"MONGODB_ATLAS_PUBLIC_API_KEY", "public", "MONGODB_ATLAS_PRIVATE_API_KEY", "private-of-test",
		"MONGODB_ATLAS_BASE_URL", "https://cloud.mongodbgov.com/",
		"MONGODB_ATLAS_PROJECTS", "payments: prod:"+projectNumber("1")+", search:"+strings.ToUpper(projectNumber("ab")),
		"REDIS_URL", "rediss://bot:pw@redis.example:6380/2",
		"APPROVAL_TTL", "30m", "APPROVALS_REQUIRED", "3", "RETENTION", "1s",
		"HTTP_ADDR", "127.0.0.1:0", "LOG_LEVEL", "WARN", "LOG_FORMAT", "text",
	))
	require.NoError(t, err)

	assert.Equal(t, "http://127.0.0.1:9999/api/", cfg.SlackAPIURL, "slack-go appends the method, so it ends in a slash")
	assert.Equal(t, "https://cloud.mongodbgov.com", cfg.AtlasBaseURL)
	assert.Equal(t, projects{{ID: projectNumber("1"), Name: "payments: prod"}, {ID: projectNumber("ab"), Name: "search"}}, cfg.AtlasProjects)
	assert.Equal(t, "redis.example:6380", cfg.redis.single.Addr)
	assert.NotNil(t, cfg.redis.single.TLSConfig)
	assert.Equal(t, 30*time.Minute, cfg.ApprovalTTL)
	assert.Equal(t, 3, cfg.ApprovalsRequired)
	assert.Equal(t, "WARN", cfg.LogLevel.String())
}

// One run over every value that is wrong by itself: each is named, none is quoted.
func TestReadConfigOneProblem(t *testing.T) {
	t.Parallel()
	two := projectNumber("2")
	tests := []struct{ name, value, says string }{
		{"SLACK_APP_TOKEN", canary, "begin with xapp-"},
		{"SLACK_APP_TOKEN", "xoxb-" + canary, "belongs into SLACK_BOT_TOKEN"},
		{"SLACK_APP_TOKEN", "", "is not set"},
		{"SLACK_BOT_TOKEN", canary, "begin with xoxb-"},
		{"SLACK_BOT_TOKEN", "xapp-" + canary, "belongs into SLACK_APP_TOKEN"},
		{"SLACK_BOT_TOKEN", "xoxp-" + canary, "user token"},
		{"SLACK_BOT_TOKEN", "  ", "is not set"},
		{"SLACK_API_URL", "slack.com/api/", "absolute URL"},
		{"SLACK_API_URL", "http://slack.com/api/", "loopback only"},
		{"SLACK_API_URL", "https://user:" + canary + "@slack.com/api/", "plain URL"},
		{"SLACK_API_URL", "https://slack.com:" + canary + "/", "absolute URL"},
		{"SLACK_CONNECTIONS", "0", "from 1 to 4"},
		{"SLACK_CONNECTIONS", "5", "from 1 to 4"},
		{"SLACK_CONNECTIONS", canary, "from 1 to 4"},
		{"SLACK_APPROVALS_CHANNEL", "#atlas-approvals", "not a name"},
		{"SLACK_APPROVALS_CHANNEL", "D0DIRECT", "C… or G…"},
		{"SLACK_APPROVALS_CHANNEL", "", "is not set"},
		{"SLACK_APPROVERS", "", "is not set"},
		{"SLACK_APPROVERS", "U0ONE,@jo", `entry 2 ("@jo")`},
		{"SLACK_APPROVERS", "U0ONE,S0TWO,U0ONE", `entry 3 ("U0ONE") is there twice`},
		{"SLACK_APPROVERS", "U0ONE,xoxb-1234567890-" + canary, "entry 2 is not"},
		{"SLACK_APPROVERS", ",", "only commas: without a list nobody could approve"},
		{"SLACK_REQUESTERS", "C0CHANNEL", "entry 1"},
		{"SLACK_REQUESTERS", ",", "only commas: fill it, or leave it empty"},
		{"SLACK_REQUESTERS", " , ,", "only commas: fill it, or leave it empty"},
		{"MONGODB_ATLAS_CLIENT_ID", "mdb_sa_sk_" + canary, "belongs into MONGODB_ATLAS_CLIENT_SECRET"},
		{"MONGODB_ATLAS_CLIENT_SECRET", "mdb_sa_id_" + canary, "belongs into MONGODB_ATLAS_CLIENT_ID"},
		{"MONGODB_ATLAS_CLIENT_ID", "", "is not set, but MONGODB_ATLAS_CLIENT_SECRET is"},
		{"MONGODB_ATLAS_CLIENT_SECRET", "", "is not set, but MONGODB_ATLAS_CLIENT_ID is"},
		{"MONGODB_ATLAS_BASE_URL", "http://cloud.mongodb.com", "loopback only"},
		{"MONGODB_ATLAS_BASE_URL", "https://cloud.mongodb.com/api/atlas/v2", "without a path"},
		{"MONGODB_ATLAS_PROJECTS", "payments", "entry 1 is not name:id"},
		{"MONGODB_ATLAS_PROJECTS", "a:" + two + ",b:123", "entry 2 is not name:id"},
		{"MONGODB_ATLAS_PROJECTS", "a:" + two + ",A:" + projectNumber("3"), "the name of entry 2"},
		{"MONGODB_ATLAS_PROJECTS", "a:" + two + ",b:" + two, "the ID of entry 2"},
		{"MONGODB_ATLAS_PROJECTS", ",", "only commas: fill it, or leave it empty"},
		{"REDIS_URL", "http://redis", "begin with redis://"},
		{"REDIS_URL", "redis://:" + canary + "/pw@host", "percent-encoded"},
		{"REDIS_URL", "redis://:" + canary + "@host/zero", "database number"},
		{"REDIS_URL", "redis://host?password=" + canary, "names and values of its options"},
		{"REDIS_URL", "redis://host?dial_timeout=" + canary, "names and values of its options"},
		{"REDIS_URL", "redis://host?master_name=", "empty master_name"},
		{"REDIS_URL", "redis://host?master_name=m&route_randomly=true", "must not hold the option route_randomly"},
		{"REDIS_URL", "redis://host/3?addr=other:1", "only database 0"},
		{"REDIS_URL", "redis://host?addr=other", "addr is host:port"},
		{"SEALING_KEYSET", canary, "bot keyset new"},
		{"SEALING_KEYSET", "e30=", "bot keyset new"},
		{"SEALING_KEYSET", "", "is not set"},
		{"APPROVAL_TTL", "1d", "not a duration"},
		{"APPROVAL_TTL", "999ms", "1s or more"},
		{"RETENTION", "-1h", "1s or more"},
		{"APPROVALS_REQUIRED", "0", "whole number"},
		{"APPROVALS_REQUIRED", "two", "whole number"},
		{"APPROVALS_REQUIRED", "010", "must be written as 10, without a sign or a zero before it"},
		{"APPROVALS_REQUIRED", "08", "must be written as 8"},
		{"APPROVALS_REQUIRED", "+2", "must be written as 2"},
		{"APPROVALS_REQUIRED", "0x2", "whole number"},
		{"REQUESTS_PER_PERSON", "0", "whole number"},
		{"FORMS_PER_MINUTE", "-1", "whole number"},
		{"HTTP_ADDR", "8080", "host:port"},
		{"HTTP_ADDR", "localhost:http", "host:port"},
		{"PPROF_ADDR", "6060", "host:port"},
		{"PPROF_ADDR", ":6060", "on loopback"},
		{"PPROF_ADDR", "10.0.0.1:6060", "on loopback"},
		{"LOG_LEVEL", "verbose", "one of debug, info, warn, error"},
		{"LOG_FORMAT", "xml", "one of json, text"},
	}
	env := complete(t)
	named := map[string]bool{}
	for _, tt := range tests {
		named[tt.name] = true
		t.Run(tt.name+" "+tt.says, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, env.with(tt.name, tt.value))
			require.Len(t, problems, 1)
			assert.Equal(t, tt.name, problems[0].name)
			assert.Contains(t, problems[0].says, tt.says)
		})
	}
	for _, v := range variables {
		if v.check != nil {
			assert.True(t, named[v.name], "no wrong value of %s is tried", v.name)
		}
	}
}

func TestReadConfigAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	env := variablesOf{}
	for _, v := range variables {
		if v.check != nil {
			env[v.name] = "?" + canary
		}
	}
	delete(env, "MONGODB_ATLAS_CLIENT_ID") // any text would do
	delete(env, "MONGODB_ATLAS_CLIENT_SECRET")
	env["MONGODB_ATLAS_PUBLIC_API_KEY"] = "half a pair"
	var names []string
	for _, p := range problemsOf(t, env) {
		names = append(names, p.name)
	}
	var want []string
	for _, v := range variables {
		if env[v.name] != "" && v.check != nil || v.name == "MONGODB_ATLAS_PRIVATE_API_KEY" {
			want = append(want, v.name)
		}
	}
	assert.Equal(t, want, names, "every problem, once, in the order of the table")
}

func TestReadConfigEmptyEnvironment(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range problemsOf(t, envconfig.MapLookuper(nil)) {
		names = append(names, p.name)
	}
	assert.Equal(t, []string{
		"SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APPROVALS_CHANNEL", "SLACK_APPROVERS", "MONGODB_ATLAS_CLIENT_ID", "SEALING_KEYSET",
	}, names)
}

func TestReadConfigContradictions(t *testing.T) {
	t.Parallel()
	env := complete(t)
	tests := []struct {
		name string
		env  variablesOf
		says string
	}{
		{
			"both pairs of credentials",
			env.with("MONGODB_ATLAS_PUBLIC_API_KEY", "public", "MONGODB_ATLAS_PRIVATE_API_KEY", canary),
			"remove one of the two pairs",
		},
		{
			"more approvals than approvers",
			env.with("SLACK_APPROVERS", "U0ONE,U0TWO", "APPROVALS_REQUIRED", "3"),
			"no request could ever be approved",
		},
		{
			"the only approver is the only requester",
			env.with("SLACK_APPROVERS", "U0ONE", "SLACK_REQUESTERS", "U0ONE"),
			"nobody approves their own: no request could ever be approved",
		},
		{
			"every requester is needed as an approver",
			env.with("SLACK_APPROVERS", "U0ONE,U0TWO,U0THREE", "SLACK_REQUESTERS", "U0TWO,U0ONE", "APPROVALS_REQUIRED", "3"),
			"is 3, but SLACK_APPROVERS lists only 3 people, SLACK_REQUESTERS nobody else",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, tt.env)
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].says, tt.says)
		})
	}
	for _, fine := range []variablesOf{
		env.with("SLACK_APPROVERS", "U0ONE"),
		env.with("SLACK_APPROVERS", "U0ONE", "SLACK_REQUESTERS", "U0ONE,U0TWO"),
		env.with("SLACK_APPROVERS", "U0ONE,U0TWO", "SLACK_REQUESTERS", "U0ONE"),
		// Nobody knows here who is in a user group.
		env.with("APPROVALS_REQUIRED", "9"),
		env.with("SLACK_APPROVERS", "S0ONCALL", "SLACK_REQUESTERS", "U0ONE"),
		env.with("SLACK_APPROVERS", "U0ONE", "SLACK_REQUESTERS", "S0ONCALL"),
	} {
		_, err := readConfig(t.Context(), fine)
		assert.NoError(t, err)
	}
}

func TestReadConfigSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := complete(t).with("REDIS_URL", "redis://redis.example:6379/0")
	apiKey := good.with("MONGODB_ATLAS_CLIENT_ID", "", "MONGODB_ATLAS_CLIENT_SECRET", "",
		"MONGODB_ATLAS_PUBLIC_API_KEY", "public", "MONGODB_ATLAS_PRIVATE_API_KEY", "private-of-test")
	write := func(t *testing.T, content string) string {
		t.Helper()
		f, err := os.CreateTemp(dir, "secret")
		require.NoError(t, err)
		_, err = f.WriteString(content)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		return f.Name()
	}
	for _, v := range variables {
		if !v.secret {
			continue
		}
		env, file := good, v.name+"_FILE"
		if v.name == "MONGODB_ATLAS_PRIVATE_API_KEY" {
			env = apiKey
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "\n  "+env[v.name]+"\n")
			cfg, err := readConfig(t.Context(), env.with(v.name, "", file, path))
			require.NoError(t, err)
			fromValue, err := readConfig(t.Context(), env)
			require.NoError(t, err)
			assert.Equal(t, secretsOf(fromValue), secretsOf(cfg))

			tests := []struct {
				name string
				env  variablesOf
				at   string
				says string
			}{
				{"both", env.with(file, path), v.name, v.name + "_FILE are both set"},
				{"empty", env.with(v.name, "", file, write(t, " \n")), file, "is empty"},
				{"missing", env.with(v.name, "", file, filepath.Join(dir, canary)), file, "no such file"},
				{"a directory", env.with(v.name, "", file, dir), file, "cannot be read"},
			}
			if v.check != nil && v.name != "MONGODB_ATLAS_CLIENT_SECRET" {
				tests = append(tests, struct {
					name string
					env  variablesOf
					at   string
					says string
				}{"malformed", env.with(v.name, "", file, write(t, "?"+canary)), v.name, ""})
			}
			for _, tt := range tests {
				problems := problemsOf(t, tt.env)
				require.Len(t, problems, 1, tt.name)
				assert.Equal(t, tt.at, problems[0].name, tt.name)
				assert.Contains(t, problems[0].says, tt.says, tt.name)
			}
		})
	}
}

func secretsOf(cfg *config) []string {
	var all []string
	for _, s := range []secret.Text{
		cfg.SlackAppToken, cfg.SlackBotToken, cfg.AtlasClientSecret, cfg.AtlasPrivateKey, cfg.RedisURL, cfg.SealingKeyset,
	} {
		all = append(all, s.Reveal())
	}
	return all
}

func TestReadConfigHints(t *testing.T) {
	t.Parallel()
	env := complete(t)
	tests := []struct{ name, meant string }{
		{"SLACK_REQUESTER", "SLACK_REQUESTERS"},
		{"LOG_LEVLE", "LOG_LEVEL"},
		{"REDIS_URI", "REDIS_URL"},
		{"REDIS_URI_FILE", "REDIS_URL"},
		{"APPROVAL_TLL", "APPROVAL_TTL"},
		{"MONGODB_ATLAS_PROJECT_ID", "MONGODB_ATLAS_PROJECTS"},
		{"LOG_LEVEL_FILE", "the value itself in LOG_LEVEL"},
	}
	for _, tt := range tests {
		cfg, err := readConfig(t.Context(), env.with(tt.name, canary))
		require.NoError(t, err, tt.name)
		require.Len(t, cfg.hints, 1, tt.name)
		assert.Equal(t, tt.name+" is set, but nothing reads it: did you mean "+tt.meant+"?", cfg.hints[0])
	}

	for _, name := range []string{"REDIS_PORT", "HTTP_PROXY", "SLACK_APPROVER", "MONGODB_ATLAS_ORG_ID", "PATH", "REDIS_URL_FILE_OLD"} {
		cfg, err := readConfig(t.Context(), env.with(name, "somebody else's"))
		require.NoError(t, err, name)
		assert.Empty(t, cfg.hints, "%s is somebody else's, or what it may mean is set", name)
	}

	_, err := readConfig(t.Context(), envconfig.MapLookuper(map[string]string{"MONGODB_ATLAS_PUBLIC_KEY": "public"}))
	assert.ErrorContains(t, err, "did you mean MONGODB_ATLAS_PUBLIC_API_KEY?", "also when the environment cannot list its names")
}

func TestRedisURLKinds(t *testing.T) {
	t.Parallel()
	sentinel, err := parseRedisURL("rediss://watch:pw@s1:26379/1?master_name=main&addr=s2:26379&username=bot&password=pw2")
	require.NoError(t, err)
	require.NotNil(t, sentinel.sentinel)
	assert.Equal(t, "Sentinel", sentinel.kind())
	assert.Equal(t, []string{"s1:26379", "s2:26379"}, sentinel.sentinel.SentinelAddrs)
	assert.Equal(t, "bot", sentinel.sentinel.Username)
	assert.Equal(t, 1, sentinel.sentinel.DB)

	cluster, err := parseRedisURL("rediss://n1:6379?addr=n2:6379&addr=n3:6379")
	require.NoError(t, err)
	require.NotNil(t, cluster.cluster)
	assert.Equal(t, "Cluster", cluster.kind())
	assert.Len(t, cluster.cluster.Addrs, 3)
	assert.NotZero(t, cluster.cluster.TLSConfig.MinVersion)

	socket, err := parseRedisURL("unix:///run/redis.sock?db=3")
	require.NoError(t, err)
	require.NotNil(t, socket.single)
	assert.Equal(t, "unix", socket.single.Network)
	assert.Equal(t, 3, socket.single.DB)

	for _, target := range []*redisTarget{sentinel, cluster, socket} {
		client := target.client()
		assert.NoError(t, client.Close(), target.kind())
	}
}

// The table, the struct and the documentation name the same variables.
func TestVariables(t *testing.T) {
	t.Parallel()
	fields := map[string]reflect.StructField{}
	for field := range structFields() {
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		fields[name] = field
	}
	assert.Len(t, fields, len(variables))
	for _, v := range variables {
		field, ok := fields[v.name]
		require.True(t, ok, "the struct has no %s", v.name)
		_, fallback, _ := strings.Cut(field.Tag.Get("env"), "default=")
		assert.Equal(t, v.fallback, fallback, "default of %s", v.name)
		assert.Equal(t, field.Type == reflect.TypeFor[secret.Text](), v.secret, "%s is a secret or not", v.name)
		assert.NotEmpty(t, v.meaning, v.name)
		assert.True(t, v.need != required || v.mend != "", "%s says what to do when it is missing", v.name)
		if v.fallback != "" && v.check != nil {
			assert.Empty(t, v.check(v.fallback), "default of %s", v.name)
		}
	}
	for other, name := range otherNames {
		_, ok := findVariable(name)
		assert.True(t, ok, "%s stands for %s", other, name)
	}
}

func structFields() func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		kind := reflect.TypeFor[config]()
		for i := range kind.NumField() {
			if field := kind.Field(i); field.Tag.Get("env") != "" && !yield(field) {
				return
			}
		}
	}
}
