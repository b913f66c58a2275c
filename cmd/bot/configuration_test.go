package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A detail is what docs/configuration.md says of a variable beside the table of variables.
type detail struct {
	form    string
	example string
	refused []string // values that are wrong; the page quotes what the bot says of each
	later   string   // what a value leads to that is well formed and wrong; empty: nothing worth a word
	made    bool     // the example is a command whose output is the value
}

// chapters are the variables in the order of the page.
var chapters = []struct {
	title, intro string
	names        []string
}{
	{"Slack", "", []string{
		"SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_API_URL", "SLACK_CONNECTIONS", "SLACK_APPROVALS_CHANNEL", "SLACK_APPROVERS", "SLACK_REQUESTERS",
	}},
	{
		"Atlas", "A service account or an API key: one of the two pairs, whole, and not both.", []string{
			"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET", "MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY",
			"MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_PROJECTS",
		},
	},
	{"What is kept", "", []string{"REDIS_URL", "SEALING_KEYSET", "RETENTION"}},
	{"Approval", "", []string{"APPROVAL_TTL", "APPROVALS_REQUIRED", "REQUESTS_PER_PERSON", "FORMS_PER_MINUTE", "POLICY_FILE"}},
	{"The process", "", []string{"HTTP_ADDR", "PPROF_ADDR", "LOG_LEVEL", "LOG_FORMAT"}},
}

var details = map[string]detail{
	"SLACK_APP_TOKEN": {
		form: "`xapp-` and what Slack put behind it", example: "xapp-1-A0…", refused: []string{"xoxb-…", "A0123456789"},
		later: "`invalid_auth` or `token_revoked`: the bot ends and says so. `missing_scope`: the token lacks `connections:write`; make another. " +
			"`link_disabled`: Socket Mode is off in the app's settings. A token of another app than `SLACK_BOT_TOKEN`'s: `bot check` names both apps.",
	},
	"SLACK_BOT_TOKEN": {
		form: "`xoxb-` and what Slack put behind it", example: "xoxb-1-2-…", refused: []string{"xapp-…", "xoxp-…", "secret"},
		later: "`invalid_auth`, `token_revoked` or `account_inactive`: the bot ends and says so. Scopes that are missing, `bot check` lists; without " +
			"`chat:write` there are no cards, without `usergroups:read` groups approve nothing.",
	},
	"SLACK_API_URL": {
		form: "an absolute URL", example: "https://slack.com/api/", refused: []string{"slack.com", "http://slack.example.com/api/"},
		later: "Both tokens go to whatever answers there.",
	},
	"SLACK_CONNECTIONS": {
		form: "a whole number", example: "2", refused: []string{"5"},
		later: "With 1, nothing is heard while a connection that broke is replaced. Replicas × connections above ten: Slack refuses more with `too_many_websockets`.",
	},
	"SLACK_APPROVALS_CHANNEL": {
		form: "the ID of a channel", example: "C0123456789", refused: []string{"#approvals"},
		later: "A channel without the bot: requests are kept, nobody sees a card, and the requester is told; `/invite` the bot.",
	},
	"SLACK_APPROVERS": {
		form: "IDs, comma separated", example: "S0123456789,U0123456789", refused: []string{"@jo", "U0123456789,U0123456789"},
		later: "People who are deactivated, guests, bots or of another workspace are refused when they act. An empty user group, or no more people than " +
			"`APPROVALS_REQUIRED`: requests expire, since nobody approves their own. `bot check` counts.",
	},
	"SLACK_REQUESTERS": {
		form: "IDs, comma separated", example: "S0123456789", refused: []string{"jo"},
		later: "Whoever is not on it reads that they may not make requests.",
	},
	"MONGODB_ATLAS_CLIENT_ID": {
		form: "`mdb_sa_id_` and 24 hexadecimal digits", example: "mdb_sa_id_…", refused: []string{"mdb_sa_sk_…"},
		later: "`invalid_client`: ID and secret are not of one account. A role below Project Owner: updates are refused with 403. An address that is " +
			"not in the API access list: 403 `IP_ADDRESS_NOT_ON_ACCESS_LIST`.",
	},
	"MONGODB_ATLAS_CLIENT_SECRET": {
		form: "`mdb_sa_sk_` and what Atlas put behind it", example: "mdb_sa_sk_…", refused: []string{"mdb_sa_id_…"},
		later: "It expires, after a year at the latest: then every call is refused with `invalid_client`. " +
			"[Rotate it](operations.md#rotate-credentials) before that.",
	},
	"MONGODB_ATLAS_PUBLIC_API_KEY":  {form: "eight letters", example: "abcdefgh", later: "401 for every call."},
	"MONGODB_ATLAS_PRIVATE_API_KEY": {form: "a UUID", example: "00000000-0000-…", later: "401 for every call."},
	"MONGODB_ATLAS_BASE_URL": {
		form: "an absolute URL without a path", example: "https://cloud.mongodb.com", refused: []string{"https://cloud.mongodb.com/api/atlas/v2", "http://cloud.mongodb.com"},
		later: "The credentials go to whatever answers there. Those of Atlas for Government are of no use elsewhere: 401.",
	},
	"MONGODB_ATLAS_PROJECTS": {
		form: "`name:id`, comma separated", example: "payments:0123456789abcdef01234567", refused: []string{"payments", "payments:0123"},
		later: "A project that the credentials do not see: 404 `GROUP_NOT_FOUND` for each request that names it; `bot check` tries them all. Names may differ " +
			"from those in Atlas.",
	},
	"REDIS_URL": {
		form: "a URL; [redis.md](redis.md#redis_url) has all of its options", example: "rediss://redis.example.com:6379/0", refused: []string{"redis.example.com:6379"},
		later: "A Redis that evicts keys or forgets at a restart loses requests. `bot check` looks at eviction, persistence, version, rights and role.",
	},
	"SEALING_KEYSET": {
		form: "a keyset", example: "bot keyset new", made: true, refused: []string{"secret"},
		later: "One without the key that sealed what waits: such a request waits ten minutes for it, then fails with nothing changed, and has to be made again. " +
			"A file that no longer holds a keyset: the log says so, and the keyset of before stays. [Rotate it](operations.md#rotate-credentials) with `bot keyset rotate`.",
	},
	"RETENTION": {
		form: "a duration", example: "2160h", refused: []string{"90d"},
		later: "The audit trail in Redis ends there as well: keep the log. A long one takes memory: [redis.md](redis.md#memory).",
	},
	"APPROVAL_TTL": {
		form: "a duration", example: "4h", refused: []string{"1 hour", "0s"},
		later: "Too short for the hours at which approvers sleep: requests expire. The new values are kept, sealed, for as long.",
	},
	"APPROVALS_REQUIRED": {
		form: "a whole number", example: "2", refused: []string{"0"},
		later: "More than there are approvers beside the requester: no request can be approved.",
	},
	"REQUESTS_PER_PERSON": {
		form: "a whole number", example: "20", refused: []string{"0"},
		later: "Too low for one who rotates a key in many projects, one request each: the form says so and keeps what was typed. One request takes twenty projects.",
	},
	"FORMS_PER_MINUTE": {
		form: "a whole number", example: "20", refused: []string{"many"},
		later: "Too low: whoever opens forms one after the other is asked to wait a minute.",
	},
	"POLICY_FILE": {
		form: "a path", example: "/etc/atlas-integration-bot/policy.yaml",
		later: "A file that is not there or is wrong keeps the bot from starting; [policy.md](policy.md) says what goes into it.",
	},
	"HTTP_ADDR": {
		form: "`host:port`", example: ":8080", refused: []string{"8080"},
		later: "An address that is taken ends the bot at the start.",
	},
	"PPROF_ADDR": {
		form: "`host:port`", example: "127.0.0.1:6060", refused: []string{"6060", ":6060", "10.0.0.1:6060"},
		later: "Whoever is on the machine reads what the process does and holds: leave it empty unless you look for something, as in " +
			"`go tool pprof http://127.0.0.1:6060/debug/pprof/profile`.",
	},
	"LOG_LEVEL":  {form: "a word", example: "info", refused: []string{"verbose"}, later: "Above `info` the lines `audit` are missing: the log is no second copy of the trail then."},
	"LOG_FORMAT": {form: "a word", example: "json", refused: []string{"logfmt"}},
}

// ofTraces are the variables of OpenTelemetry that the bot reads itself.
var ofTraces = []struct {
	name, meaning, fallback string
	refused                 string
}{
	{otlpPrefix + otlpEndpoint, "where the collector is; `/v1/traces` is put behind it", "nothing is traced", "collector:4318"},
	{otlpPrefix + "TRACES_" + otlpEndpoint, "the same for traces only, taken as it is", "", ""},
	{otelDisabled, "`true`: nothing is traced whatever else is set", "`false`", ""},
	{otelExporter, "`otlp`, or `none`: nothing is traced", "`otlp`", "zipkin"},
	{otlpPrefix + otlpProtocol, "`http/protobuf`", "`http/protobuf`", "grpc"},
	{otlpPrefix + otlpHeaders, "`name=value`, comma separated, for credentials; `%20` for a space", "", "Bearer secret"},
	{otlpPrefix + otlpTimeout, "ms for one call", "`10000`", "10s"},
	{otlpPrefix + otlpCompression, "`gzip` or `none`", "`none`", "zstd"},
	{otlpPrefix + otlpCA, "file of the certificate, in PEM, that the collector's is signed with", "those of the system", "/nowhere"},
	{otlpPrefix + otlpCertificate, "file of the bot's own certificate, in PEM", "", "/nowhere"},
	{otlpPrefix + otlpKey, "file of its key", "", ""},
}

const configurationHead = `# Configuration

<!-- Written by: UPDATE_CONFIGURATION=1 go test ./cmd/bot -run TestConfigurationIsDocumented -->

Everything comes from the environment; ` + "`bot help`" + ` prints the variables in short. All problems are told at once, by name, before
anything is tried, and the bot ends with exit code 2; ` + "`bot check`" + ` then tries what is configured. A value that is empty counts as not set. A
name that looks mistyped is told in the log (` + "`\"msg\":\"configuration\"`" + `) and by ` + "`bot check`" + `.

A secret may be in a file instead: ` + "`NAME_FILE`" + ` is its path, and white space around what is in it does not count. Setting both is refused.
No message repeats a secret.

Durations are written ` + "`90s`, `30m` or `36h`" + `.
`

const tracesHead = `
## Traces

Without an endpoint nothing is traced: [operations.md](operations.md#traces) says what there is to see. These are variables of OpenTelemetry. What is wrong with
them does not keep the bot from starting: it says so, and nothing is traced. Each that begins with ` + "`" + otlpPrefix + "`" + ` may also begin with
` + "`" + otlpPrefix + "TRACES_`" + `, which goes first. ` + "`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`" + `
and those that begin with ` + "`OTEL_BSP_` or `OTEL_SPAN_`" + ` work as OpenTelemetry says.

| Variable | Meaning | Default | Refused |
| --- | --- | --- | --- |
`

// configurationPage is the page as the table of variables and the checks make it.
func configurationPage(t *testing.T) string {
	t.Helper()
	var page strings.Builder
	page.WriteString(configurationHead)
	for _, chapter := range chapters {
		_, _ = fmt.Fprintf(&page, "\n## %s\n", chapter.title) // a builder takes everything
		if chapter.intro != "" {
			_, _ = fmt.Fprintf(&page, "\n%s\n", chapter.intro)
		}
		for _, name := range chapter.names {
			v, ok := findVariable(name)
			require.True(t, ok, "%s is in a chapter, but gone", name)
			page.WriteString(entryOf(t, v))
		}
	}
	page.WriteString(tracesHead)
	for _, v := range ofTraces {
		refused := ""
		if v.refused != "" {
			env := map[string]string{otlpPrefix + otlpEndpoint: "http://collector:4318"}
			env[v.name] = v.refused
			_, hint := spansTo(func(name string) string { return env[name] })
			require.NotNil(t, hint, "%s should be refused as %s", v.refused, v.name)
			refused = fmt.Sprintf("%#q: %s", v.refused, strings.TrimSuffix(hint.says, untraced))
		}
		_, _ = fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", v.name, v.meaning, v.fallback, refused)
	}
	return page.String()
}

func entryOf(t *testing.T, v *variable) string {
	t.Helper()
	d, ok := details[v.name]
	require.True(t, ok, "say in details what there is to know of %s", v.name)
	var entry strings.Builder
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(&entry, "| "+format+" |\n", args...) }
	_, _ = fmt.Fprintf(&entry, "\n### `%s`\n\n%s.\n\n| | |\n| --- | --- |\n", v.name, strings.TrimSuffix(v.meaning, "."))
	switch {
	case v.need == required:
		row("Needed | yes: %s", v.mend)
	case v.need != "":
		row("Needed | %s", v.need)
	case v.fallback != "":
		row("Default | `%s`", v.fallback)
	default:
		row("Default | not set")
	}
	if v.secret {
		row("Secret | yes; `%s_FILE` may name a file", v.name)
	}
	row("Form | %s", d.form)
	if d.made {
		row("Example | the output of `%s`", d.example)
	} else {
		row("Example | `%s`", d.example)
	}
	for _, value := range d.refused {
		row("Refused | `%s`: %s", value, v.check(value))
	}
	if d.later != "" {
		row("If it is wrong | %s", d.later)
	}
	return entry.String()
}

// docs/configuration.md says of every variable what it means, what it takes and what goes
// wrong, in the words of the bot.
func TestConfigurationIsDocumented(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "configuration.md")
	want := configurationPage(t)
	if os.Getenv("UPDATE_CONFIGURATION") != "" {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644)) //nolint:gosec // a page for everybody
	}
	got, err := os.ReadFile(path) //nolint:gosec // of this repository
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "write it anew: UPDATE_CONFIGURATION=1 go test ./cmd/bot -run TestConfigurationIsDocumented")
}

// What the page says of a value is so, and it leaves out no variable.
func TestDetailsOfVariables(t *testing.T) {
	t.Parallel()
	placed := map[string]int{}
	for _, chapter := range chapters {
		for _, name := range chapter.names {
			placed[name]++
		}
	}
	for i := range variables {
		v := &variables[i]
		assert.Equal(t, 1, placed[v.name], "%s belongs into one chapter", v.name)
		d := details[v.name]
		assert.NotEmpty(t, d.form, v.name)
		assert.NotEmpty(t, d.example, v.name)
		if v.check == nil {
			assert.Empty(t, d.refused, v.name)
			continue
		}
		assert.NotEmpty(t, d.refused, "%s is checked, so there is something that it does not take", v.name)
		if !d.made {
			assert.Empty(t, v.check(d.example), "the example of %s", v.name)
		}
		for _, value := range d.refused {
			assert.NotEmpty(t, v.check(value), "%s should not take %q", v.name, value)
		}
	}
	assert.Len(t, details, len(variables))
}
