package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// config is everything that the bot is told from outside. What each variable
// means is in the table of variables.
type config struct {
	SlackAppToken         secret.Text `env:"SLACK_APP_TOKEN"`
	SlackBotToken         secret.Text `env:"SLACK_BOT_TOKEN"`
	SlackAPIURL           string      `env:"SLACK_API_URL, default=https://slack.com/api/"`
	SlackConnections      int         `env:"SLACK_CONNECTIONS, default=2"`
	SlackApprovalsChannel string      `env:"SLACK_APPROVALS_CHANNEL"`
	SlackApprovers        idList      `env:"SLACK_APPROVERS"`
	SlackRequesters       idList      `env:"SLACK_REQUESTERS"`

	AtlasClientID     string      `env:"MONGODB_ATLAS_CLIENT_ID"`
	AtlasClientSecret secret.Text `env:"MONGODB_ATLAS_CLIENT_SECRET"`
	AtlasPublicKey    string      `env:"MONGODB_ATLAS_PUBLIC_API_KEY"`
	AtlasPrivateKey   secret.Text `env:"MONGODB_ATLAS_PRIVATE_API_KEY"`
	AtlasBaseURL      string      `env:"MONGODB_ATLAS_BASE_URL, default=https://cloud.mongodb.com"`
	AtlasProjects     projects    `env:"MONGODB_ATLAS_PROJECTS"`

	RedisURL          secret.Text   `env:"REDIS_URL, default=redis://localhost:6379/0"`
	SealingKeyset     secret.Text   `env:"SEALING_KEYSET"`
	ApprovalTTL       time.Duration `env:"APPROVAL_TTL, default=1h"`
	ApprovalsRequired int           `env:"APPROVALS_REQUIRED, default=1"`
	RequestsPerPerson int           `env:"REQUESTS_PER_PERSON, default=20"`
	FormsPerMinute    int           `env:"FORMS_PER_MINUTE, default=20"`
	PolicyFile        string        `env:"POLICY_FILE"`
	Retention         time.Duration `env:"RETENTION, default=2160h"`
	HTTPAddr          string        `env:"HTTP_ADDR, default=:8080"`
	PprofAddr         string        `env:"PPROF_ADDR"`
	LogLevel          slog.Level    `env:"LOG_LEVEL, default=info"`
	LogFormat         string        `env:"LOG_FORMAT, default=json"`

	redis  *redisTarget
	sealer *secret.Sealer
	keyset string // the file that holds the keyset; empty: it came with the environment
	policy policyFile
	digest string     // of all that is no secret
	spans  *collector // nil: nothing is traced
	hints  []string   // on variables that look mistyped; the bot runs without them
}

// idList is comma separated.
type idList []string

// EnvDecode reads what the table's check let through.
func (l *idList) EnvDecode(value string) error {
	*l = listOf(value)
	return nil
}

// projects are name:id, comma separated.
type projects []atlas.Project

// EnvDecode reads what the table's check let through.
func (p *projects) EnvDecode(value string) error {
	*p, _ = parseProjects(value)
	return nil
}

// A configError is everything that is wrong with the configuration. It quotes no
// secret, so it may be shown to whoever starts the bot.
type configError struct {
	problems []problem
	hints    []problem
}

type problem struct{ name, says string }

func (e *configError) Error() string {
	var text strings.Builder
	noun := "problems"
	if len(e.problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&text, "the configuration has %d %s:", len(e.problems), noun)
	for _, p := range e.problems {
		fmt.Fprintf(&text, "\n  %s %s", p.name, p.says)
	}
	for _, h := range e.hints {
		fmt.Fprintf(&text, "\n  %s %s", h.name, h.says)
	}
	return text.String()
}

// readConfig reads the environment and finds everything that is wrong with it.
func readConfig(ctx context.Context, env envconfig.Lookuper) (*config, error) {
	source := &environment{env: env}
	cfg := &config{}
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: cfg, Lookuper: source}); err != nil {
		return nil, fmt.Errorf("read the environment: %w", err) // every value was checked: this is a fault of ours
	}
	cfg.normalize()
	hints := source.hints()
	if spans, hint := spansTo(source.get); hint != nil {
		hints = append(hints, *hint)
	} else {
		cfg.spans = spans
	}
	problems := slices.Concat(source.problems, missing(source), cfg.contradictions(source.given), cfg.readPolicy())
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b problem) int { return position(a.name) - position(b.name) })
		return nil, &configError{problems, hints}
	}
	for _, hint := range hints {
		cfg.hints = append(cfg.hints, hint.name+" "+hint.says)
	}
	cfg.digest, cfg.keyset = digestOf(source.get), source.get("SEALING_KEYSET_FILE")
	var err error // both were checked above
	if cfg.redis, err = parseRedisURL(cfg.RedisURL.Reveal()); err != nil {
		return nil, fmt.Errorf("REDIS_URL %w", err)
	}
	if cfg.sealer, err = secret.NewSealer(cfg.SealingKeyset); err != nil {
		return nil, fmt.Errorf("SEALING_KEYSET: %w", err)
	}
	return cfg, nil
}

// readPolicy reads the file of policies, if there is one.
func (c *config) readPolicy() (problems []problem) {
	if c.PolicyFile == "" {
		return nil
	}
	var found []string
	c.policy, found = readPolicy(c.PolicyFile, c.defaultRule(), c.AtlasProjects)
	for _, says := range found {
		problems = append(problems, problem{"POLICY_FILE", says})
	}
	return problems
}

// defaultRule is what holds where no rule of the file does.
func (c *config) defaultRule() approvals.Rule {
	return approvals.Rule{
		Approvers: c.SlackApprovers, Requesters: c.SlackRequesters, Approvals: c.ApprovalsRequired, TTL: c.ApprovalTTL,
	}
}

// policies are all rules together.
func (c *config) policies() approvals.Policy {
	return approvals.Policy{Rules: c.policy.rules, Default: c.defaultRule()}
}

// position is a variable's place in the table, so that problems come in its order.
func position(name string) int {
	i := slices.IndexFunc(variables, func(v variable) bool { return v.name == name || v.secret && v.name+"_FILE" == name })
	if i < 0 {
		return len(variables)
	}
	return i
}

// missing names what is required and not there.
func missing(source *environment) []problem {
	var found []problem
	for _, v := range variables {
		if v.need == required && !source.given[v.name] {
			found = append(found, problem{v.name, "is not set: " + v.mend})
		}
	}
	return found
}

// normalize brings values that may be written in several ways into one.
func (c *config) normalize() {
	c.SlackAPIURL = strings.TrimRight(c.SlackAPIURL, "/") + "/" // slack-go appends the method to it
	c.AtlasBaseURL = strings.TrimRight(c.AtlasBaseURL, "/")
}

// contradictions finds values that are fine by themselves but not together.
func (c *config) contradictions(given map[string]bool) []problem {
	found := credentials(given)
	listed := len(c.SlackApprovers)
	if listed == 0 || slices.ContainsFunc(c.SlackApprovers, isGroup) {
		return found
	}
	requesters := []string(c.SlackRequesters)
	if slices.ContainsFunc(requesters, isGroup) {
		requesters = nil // it may hold somebody who is no approver
	}
	switch {
	case c.ApprovalsRequired > listed:
		found = append(found, problem{"APPROVALS_REQUIRED", fmt.Sprintf(
			"is %d, but SLACK_APPROVERS lists only %d: no request could ever be approved", c.ApprovalsRequired, listed)})
	case !decidable(c.SlackApprovers, requesters, c.ApprovalsRequired):
		found = append(found, problem{"APPROVALS_REQUIRED", fmt.Sprintf("is %d, but SLACK_APPROVERS lists only %s, SLACK_REQUESTERS "+
			"nobody else, and nobody approves their own: no request could ever be approved", c.ApprovalsRequired, people(listed))})
	}
	return found
}

func isGroup(id string) bool { return strings.HasPrefix(id, "S") }

// credentials finds out whether there is one pair of them, whole.
func credentials(given map[string]bool) []problem {
	account := [2]string{"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET"}
	key := [2]string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY"}
	some := func(pair [2]string) bool { return given[pair[0]] || given[pair[1]] }
	var found []problem
	for _, pair := range [][2]string{account, key} {
		for i, name := range pair {
			if other := pair[1-i]; !given[name] && given[other] {
				found = append(found, problem{name, "is not set, but " + other + " is: one is of no use without the other"})
			}
		}
	}
	switch {
	case !some(account) && !some(key):
		found = append(found, problem{account[0], "and " + account[1] + " are not set: make a service account " +
			"with the role Project Owner in Atlas, or set " + key[0] + " and " + key[1]})
	case some(account) && some(key):
		found = append(found, problem{account[0], "and " + key[0] + ", a service account and an API key, are both set: " +
			"remove one of the two pairs, so that it is clear who changes things in Atlas"})
	}
	return found
}
