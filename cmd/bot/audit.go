package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// trailPage is how many entries are read at a time; trailTime how long that may take.
const (
	trailPage = 500
	trailTime = 10 * time.Second
)

// trailFilter says which entries of the audit trail to print.
type trailFilter struct {
	request, user, project string
	since, until           time.Time

	concerned map[string]bool // requests that name the project
}

// auditCommand prints the audit trail, checks one that was printed, or prints all
// that is known of a request.
func auditCommand(ctx context.Context, args []string, env envconfig.Lookuper, stdin io.Reader, stdout io.Writer) error {
	what, rest := "", args
	if len(args) > 0 {
		what, rest = args[0], args[1:]
	}
	switch what {
	case "export":
		filter, err := parseTrailFilter(rest)
		if err != nil {
			return err
		}
		return withStore(ctx, env, func(store *approvals.Store) error { return exportTrail(ctx, store, filter, stdout) })
	case "receipt":
		id, ok := "", len(rest) == 1
		if ok {
			id, ok = approvals.ParseRequestID(rest[0])
		}
		if !ok {
			return misuse("say `bot audit receipt ID`, with the ID of one request, as in req_0123456789")
		}
		return withStore(ctx, env, func(store *approvals.Store) error { return printReceipt(ctx, store, id, stdout) })
	case "verify":
		return verifyCommand(rest, stdin, stdout)
	default:
		return misuse("say `bot audit export`, `bot audit verify` or `bot audit receipt ID`")
	}
}

// withStore lends what reads the requests and the trail.
func withStore(ctx context.Context, env envconfig.Lookuper, use func(*approvals.Store) error) error {
	cfg, err := readConfig(ctx, env)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, trailTime)
	defer cancel()
	// The keys in Redis carry the workspace's ID, which only Slack knows.
	transport := slackTransport()
	defer transport.CloseIdleConnections()
	self, err := cfg.slackClient(slackHTTP(transport)).AuthTestContext(asking)
	if err != nil {
		return fmt.Errorf("ask slack which workspace the bot token is of: %w", slackError(err))
	}
	rdb := cfg.redis.client()
	defer func() { _ = rdb.Close() }() // nothing is left to lose
	return use(&approvals.Store{Redis: rdb, Team: self.TeamID})
}

func parseTrailFilter(args []string) (*trailFilter, error) {
	filter := &trailFilter{}
	flags := flag.NewFlagSet("bot audit export", flag.ContinueOnError)
	flags.Func("request", "what is about the request with this `ID`", func(value string) error {
		id, ok := approvals.ParseRequestID(value)
		filter.request = id
		if !ok {
			return errors.New("it is not the ID of a request")
		}
		return nil
	})
	flags.StringVar(&filter.user, "user", "", "what was done by the person with this Slack user `ID`")
	flags.StringVar(&filter.project, "project", "", "what is about the Atlas project with this `name`, in any case, or ID")
	flags.Func("since", "what happened at this `time` or later: 36h (so long ago), 2026-01-31 (in UTC) or 2026-01-31T15:04:05Z (RFC 3339)", func(value string) (err error) {
		filter.since, err = parseSince(value, time.Now())
		return err
	})
	flags.Func("until", "what happened before this `time`, in the same forms", func(value string) (err error) {
		filter.until, err = parseSince(value, time.Now())
		return err
	})
	return filter, parseFlags(flags, args, 0)
}

// parseSince reads a day, a time or how long ago.
func parseSince(value string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(value); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("write 36h, 2026-01-31 or 2026-01-31T15:04:05Z")
}

func exportTrail(ctx context.Context, store *approvals.Store, filter *trailFilter, w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	after := ""
	if !filter.since.IsZero() && filter.project == "" {
		// The IDs of a stream begin with the time, so what is older need not be read,
		// unless it says which requests are about the project.
		after = strconv.FormatInt(max(filter.since.UnixMilli()-1, 0), 10) + "-18446744073709551615"
	}
	for {
		entries, err := readTrail(ctx, store, after)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil
		}
		for i := range entries {
			after = entries[i].ID
			if !filter.until.IsZero() && !entries[i].At.Before(filter.until) {
				return nil
			}
			if !filter.wants(&entries[i]) {
				continue
			}
			if err := out.Encode(&entries[i]); err != nil {
				return fmt.Errorf("print the audit trail: %w", err)
			}
		}
	}
}

func readTrail(ctx context.Context, store *approvals.Store, after string) ([]approvals.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, trailTime)
	defer cancel()
	return store.Trail(ctx, after, trailPage)
}

// wants reports whether an entry passes. The entries come oldest first: that of
// the submission says which projects all later ones are about.
func (f *trailFilter) wants(e *approvals.Entry) bool {
	request := e.Fields["request"]
	if f.project != "" && !f.concerned[request] && f.aboutProject(e) {
		if f.concerned == nil {
			f.concerned = map[string]bool{}
		}
		f.concerned[request] = true
	}
	return (f.request == "" || request == f.request) &&
		(f.user == "" || e.Fields["by"] == f.user) &&
		(f.project == "" || f.concerned[request]) &&
		!e.At.Before(f.since)
}

// aboutProject reports whether an entry names the project: a submission all of
// its own, the outcome of a target only that one.
func (f *trailFilter) aboutProject(e *approvals.Entry) bool {
	var change struct {
		Targets []atlas.Project `json:"targets"`
	}
	if text := e.Fields["change"]; text != "" && json.Unmarshal([]byte(text), &change) != nil {
		return false
	}
	targets := append(slices.Clip(change.Targets), atlas.Project{ID: e.Fields["project_id"], Name: e.Fields["project"]})
	return slices.ContainsFunc(targets, func(p atlas.Project) bool {
		return strings.EqualFold(p.ID, f.project) || strings.EqualFold(p.Name, f.project)
	})
}
