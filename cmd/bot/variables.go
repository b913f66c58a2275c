package main

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// A variable is one name of the environment. The table of them is what `bot help`
// prints, what README.md shows, and what every value is checked against.
type variable struct {
	name     string
	meaning  string // in Markdown
	fallback string // the default; the struct's tag says the same, a test sees to it
	need     string // "required", or when it is
	secret   bool   // also read from the file that name_FILE names; never shown
	mend     string // what to do when it is needed and missing

	// check says what is wrong with a value, in words that follow the name, or
	// nothing. It does not quote a secret.
	check func(value string) string
}

const required = "required"

// onePair is when the Atlas credentials are needed.
const onePair = "one of the two pairs"

var variables = []variable{
	{
		name: "SLACK_APP_TOKEN", need: required, secret: true, check: checkAppToken,
		meaning: "App-level token, `xapp-…`, with the scope `connections:write`: opens the sockets",
		mend:    "make an app-level token with the scope connections:write in the app's settings, Basic Information, App-Level Tokens",
	},
	{
		name: "SLACK_BOT_TOKEN", need: required, secret: true, check: checkBotToken,
		meaning: "Bot token, `xoxb-…`: everything else that the bot does in Slack",
		mend:    "copy the Bot User OAuth Token of the app's settings, OAuth & Permissions",
	},
	{
		name: "SLACK_API_URL", fallback: "https://slack.com/api/", check: checkSlackURL,
		meaning: "Root of the Slack Web API; `http` only on loopback",
	},
	{
		name: "SLACK_CONNECTIONS", fallback: "2", check: between(1, 4),
		meaning: "Socket Mode connections of this process, 1 to 4; Slack allows ten over all processes of an app",
	},
	{
		name: "SLACK_APPROVALS_CHANNEL", need: required, check: checkChannel,
		meaning: "ID (`C…` or `G…`) of the channel where approval cards go; the bot must be a member",
		mend:    "copy the channel ID at the bottom of the channel's details in Slack",
	},
	{
		name: "SLACK_APPROVERS", need: required, check: checkApprovers,
		meaning: "Who may approve: user (`U…`, `W…`) and user group (`S…`) IDs, comma separated",
		mend:    "list the IDs of users (U…, W…) and user groups (S…) who may approve; without a list nobody could",
	},
	{
		name: "SLACK_REQUESTERS", fallback: "", check: checkPeople,
		meaning: "Who may make requests, in the same form; empty: every full member of the workspace",
	},
	{
		name: "MONGODB_ATLAS_CLIENT_ID", need: onePair, check: checkClientID,
		meaning: "Service account of Atlas: client ID. It needs the role Project Owner in every project that the bot may change",
	},
	{
		name: "MONGODB_ATLAS_CLIENT_SECRET", need: onePair, secret: true, check: checkClientSecret,
		meaning: "Service account of Atlas: client secret",
	},
	{
		name: "MONGODB_ATLAS_PUBLIC_API_KEY", need: onePair,
		meaning: "API key of Atlas: public key, if there is no service account",
	},
	{
		name: "MONGODB_ATLAS_PRIVATE_API_KEY", need: onePair, secret: true,
		meaning: "API key of Atlas: private key",
	},
	{
		name: "MONGODB_ATLAS_BASE_URL", fallback: "https://cloud.mongodb.com", check: checkAtlasURL,
		meaning: "Atlas root, e.g. `https://cloud.mongodbgov.com` for Atlas for Government; `http` only on loopback",
	},
	{
		name: "MONGODB_ATLAS_PROJECTS", check: checkProjects,
		meaning: "`name:id,…`: the only projects that are offered and accepted; empty: all that the credentials see",
	},
	{
		name: "REDIS_URL", fallback: "redis://localhost:6379/0", secret: true, check: checkRedisURL,
		meaning: "`redis://`, `rediss://` or `unix://`. With `?master_name=…` the addresses are Sentinels; with `?addr=…` " +
			"(repeated, host:port) they are nodes of a Cluster. `rediss://` takes `tls_ca_file`, `tls_cert_file` and " +
			"`tls_key_file` too: docs/redis.md",
	},
	{
		name: "SEALING_KEYSET", need: required, secret: true, check: checkKeyset,
		meaning: "Keyset that seals new values while they wait for approval: Tink's JSON form, in base64. A file that changes is taken up without a restart",
		mend:    "make one with `bot keyset new` and keep it where you keep secrets",
	},
	{
		name: "APPROVAL_TTL", fallback: "1h", check: atLeastASecond,
		meaning: "How long a request waits for a decision, 1s or more",
	},
	{
		name: "APPROVALS_REQUIRED", fallback: "1", check: between(1, 100),
		meaning: "How many different people must approve",
	},
	{
		name: "REQUESTS_PER_PERSON", fallback: "20", check: between(1, 100_000),
		meaning: "How many requests one person may have under way at a time",
	},
	{
		name: "FORMS_PER_MINUTE", fallback: "20", check: between(1, 100_000),
		meaning: "How many forms one person may have opened within a minute, by each replica",
	},
	{
		name: "POLICY_FILE",
		meaning: "YAML file with other approvers, requesters, approvals, waiting times and types for some projects: docs/policy.md; " +
			"empty: the same for all",
	},
	{
		name: "RETENTION", fallback: "2160h", check: atLeastASecond,
		meaning: "How long a decided request stays in history, 1s or more",
	},
	{
		name: "HTTP_ADDR", fallback: ":8080", check: checkAddr,
		meaning: "Where `/healthz`, `/readyz` and `/metrics` are served",
	},
	{
		name: "PPROF_ADDR", check: checkLoopback,
		meaning: "Where `/debug/pprof/` is served, on loopback only; empty: nowhere",
	},
	{
		name: "LOG_LEVEL", fallback: "info", check: checkLevel,
		meaning: "`debug`, `info`, `warn` or `error`",
	},
	{
		name: "LOG_FORMAT", fallback: "json", check: oneOf("json", "text"),
		meaning: "`json` or `text`",
	},
}

func findVariable(name string) (*variable, bool) {
	i := slices.IndexFunc(variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		return nil, false
	}
	return &variables[i], true
}

func checkAppToken(value string) string {
	switch {
	case strings.HasPrefix(value, "xapp-"):
		return ""
	case strings.HasPrefix(value, "xoxb-"):
		return "holds a bot token (xoxb-…): that one belongs into SLACK_BOT_TOKEN. Put the app-level token (xapp-…) here"
	default:
		return "is not an app-level token: it must begin with xapp-"
	}
}

func checkBotToken(value string) string {
	switch {
	case strings.HasPrefix(value, "xoxb-"):
		return ""
	case strings.HasPrefix(value, "xapp-"):
		return "holds an app-level token (xapp-…): that one belongs into SLACK_APP_TOKEN. Put the bot token (xoxb-…) here"
	case strings.HasPrefix(value, "xoxp-"):
		return "holds a user token (xoxp-…): the bot acts as itself. Put the Bot User OAuth Token (xoxb-…) here"
	default:
		return "is not a bot token: it must begin with xoxb-"
	}
}

// checkURL says what is wrong with the address of an API, to which credentials
// will be sent.
func checkURL(value string) (*url.URL, string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, "is not an absolute URL such as https://host/"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "must be a plain URL, without a user, a query or a fragment"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, "must begin with https://: credentials go there, and http is taken on loopback only"
	default:
		return u, ""
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkSlackURL(value string) string {
	_, wrong := checkURL(value)
	return wrong
}

func checkAtlasURL(value string) string {
	u, wrong := checkURL(value)
	if wrong == "" && strings.Trim(u.Path, "/") != "" {
		return "must be the root, without a path: the bot adds /api/atlas/v2 and /api/oauth itself"
	}
	return wrong
}

// between takes a number in one form only: to envconfig, 010 is eight.
func between(least, most int) func(string) string {
	return func(value string) string {
		switch n, err := strconv.Atoi(value); {
		case err != nil || n < least || n > most:
			return fmt.Sprintf("must be a whole number from %d to %d", least, most)
		case strconv.Itoa(n) != value:
			return fmt.Sprintf("must be written as %d, without a sign or a zero before it", n)
		default:
			return ""
		}
	}
}

func oneOf(words ...string) func(string) string {
	return func(value string) string {
		if !slices.Contains(words, value) {
			return "must be one of " + strings.Join(words, ", ")
		}
		return ""
	}
}

func checkLevel(value string) string {
	return oneOf("debug", "info", "warn", "error")(strings.ToLower(value))
}

func atLeastASecond(value string) string {
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return "is not a duration: write 90s, 30m or 36h; hours are the largest unit"
	case d < time.Second:
		return "must be 1s or more"
	default:
		return ""
	}
}

var (
	channelID = regexp.MustCompile(`^[CG][A-Z0-9]{2,}$`)
	peopleID  = regexp.MustCompile(`^[UWS][A-Z0-9]{2,}$`)
	projectID = regexp.MustCompile(`^[0-9a-f]{24}$`)
)

func checkChannel(value string) string {
	if channelID.MatchString(value) {
		return ""
	}
	return "is not a channel ID: it must be C… or G…, not a name, with capital letters and digits only"
}

// onlyCommas is said of a list that is set and has nothing in it. Taken as empty, it
// could mean everybody and everything to a bot that somebody meant to restrict.
const onlyCommas = "holds only commas: fill it, or leave it empty"

// checkApprovers is for the one list that may not be empty.
func checkApprovers(value string) string {
	if len(listOf(value)) == 0 {
		return "holds only commas: without a list nobody could approve"
	}
	return checkPeople(value)
}

func checkPeople(value string) string {
	list := listOf(value)
	if len(list) == 0 {
		return onlyCommas
	}
	var wrong []string
	seen := map[string]bool{}
	for i, id := range list {
		switch {
		case !peopleID.MatchString(id):
			wrong = append(wrong, fmt.Sprintf("entry %d%s is not the ID of a user (U…, W…) or a user group (S…)", i+1, quoted(id)))
		case seen[id]:
			wrong = append(wrong, fmt.Sprintf("entry %d%s is there twice", i+1, quoted(id)))
		}
		seen[id] = true
	}
	if len(wrong) > 0 {
		return "is not a list of IDs: " + strings.Join(wrong, "; ")
	}
	return ""
}

// listOf splits what is comma separated; spaces and empty entries mean nothing.
func listOf(value string) []string {
	var list []string
	for entry := range strings.SplitSeq(value, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}

// harmless is what people write in place of an ID.
var harmless = regexp.MustCompile(`^[@#][\w.-]{1,16}$|^[A-Z][A-Z0-9]{2,15}$`)

// quoted repeats an entry of a list, so that it can be found, unless it might be
// a secret that somebody pasted into the wrong place.
func quoted(entry string) string {
	if !harmless.MatchString(entry) {
		return ""
	}
	return fmt.Sprintf(" (%q)", entry)
}

func checkClientID(value string) string {
	if strings.HasPrefix(value, "mdb_sa_sk_") {
		return "holds a client secret (mdb_sa_sk_…): that one belongs into MONGODB_ATLAS_CLIENT_SECRET. Put the client ID (mdb_sa_id_…) here"
	}
	return ""
}

func checkClientSecret(value string) string {
	if strings.HasPrefix(value, "mdb_sa_id_") {
		return "holds a client ID (mdb_sa_id_…): that one belongs into MONGODB_ATLAS_CLIENT_ID. Put the client secret (mdb_sa_sk_…) here"
	}
	return ""
}

func checkProjects(value string) string {
	_, wrong := parseProjects(value)
	return wrong
}

// parseProjects reads name:id,…; the name may hold a colon.
func parseProjects(value string) ([]atlas.Project, string) {
	list := listOf(value)
	if len(list) == 0 {
		return nil, onlyCommas
	}
	var projects []atlas.Project
	var wrong []string
	seen := map[string]bool{}
	for i, entry := range list {
		colon := strings.LastIndex(entry, ":")
		name, id := strings.TrimSpace(entry[:max(colon, 0)]), strings.ToLower(strings.TrimSpace(entry[colon+1:]))
		key := strings.ToLower(name) // people type names in any case
		switch {
		case name == "" || !projectID.MatchString(id):
			wrong = append(wrong, fmt.Sprintf("entry %d is not name:id with an ID of 24 hexadecimal digits", i+1))
		case seen[key]:
			wrong = append(wrong, fmt.Sprintf("the name of entry %d is there twice", i+1))
		case seen[id]:
			wrong = append(wrong, fmt.Sprintf("the ID of entry %d is there twice", i+1))
		default:
			projects = append(projects, atlas.Project{ID: id, Name: name})
		}
		seen[key], seen[id] = true, true
	}
	if len(wrong) > 0 {
		return nil, "is not a list of projects: " + strings.Join(wrong, "; ")
	}
	return projects, ""
}

func checkKeyset(value string) string {
	if _, err := secret.NewSealer(secret.New(value)); err != nil {
		return "does not hold a keyset: " + err.Error() // it does not quote the keyset
	}
	return ""
}

func checkAddr(value string) string {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "is not an address to listen on: write host:port, or :port for every address"
	}
	return ""
}
