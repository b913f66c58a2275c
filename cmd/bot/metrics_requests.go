package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// Labels of the requests.
var (
	openStates = []string{string(approvals.Submitted), string(approvals.Pending), string(approvals.Approved), string(approvals.Applying)}
	states     = append(slices.Clip(openStates), string(approvals.Applied), string(approvals.Failed), string(approvals.Rejected),
		string(approvals.Denied), string(approvals.Cancelled), string(approvals.Expired))
	decisions = []string{string(approvals.Approved), string(approvals.Denied), string(approvals.Cancelled), string(approvals.Expired)}
	outcomes  = []string{string(approvals.Proven), string(approvals.Refused), string(approvals.Stale)}
	tries     = []string{"update", "approve", "deny", "cancel", "retry", other}
	standings = []string{
		whyOwn, whySame, whyNotTheirs, whyTooMany, string(modals.Stranger), string(modals.Bot), string(modals.Guest), string(modals.Deactivated),
		string(modals.Unlisted), string(modals.Removed), string(modals.Hasty), other,
	}
	retried = []string{retriedAtlas, retriedSlack, retriedPeople}
	queues  = []string{"due", "show"}
)

const (
	whyOwn       = "own"
	whySame      = "same_person"
	whyNotTheirs = "not_requester"
	whyTooMany   = "too_many"

	retriedAtlas  = "atlas"
	retriedSlack  = "slack"
	retriedPeople = "person"
)

func (m *metrics) ofRequests() {
	m.requests = m.counter("requests_total", "Requests that came into a state, by state and type of integration.", "state", "type")
	m.decisionSeconds = m.histogram("decision_seconds",
		"From making a request to its decision, by the state that it led to.", peopleBuckets, "state")
	m.proofSeconds = m.histogram("proof_seconds",
		"From the approval of a request to the proof of all that it asked for, by type of integration.", proofBuckets, "type")
	m.targets = m.counter("targets_total", "Projects of requests that came out, by outcome.", "outcome")
	m.refusals = m.counter("refusals_total", "What people tried and may not, by what and why.", "tried", "why")
	m.retries = m.counter("retries_total",
		"Work that has to be done again: Atlas gave no answer, Slack did not take a message, or a person asked for it.", "of")
	for _, t := range integrationTypes() {
		m.proofSeconds.WithLabelValues(t)
		for _, state := range states {
			m.requests.WithLabelValues(state, t)
		}
	}
	for _, state := range decisions {
		m.decisionSeconds.WithLabelValues(state)
	}
	for _, outcome := range outcomes {
		m.targets.WithLabelValues(outcome)
	}
	for _, tried := range tries {
		m.refusals.WithLabelValues(tried, string(modals.Unlisted))
	}
	m.lagSeconds = m.histogram("claim_lag_seconds",
		"From the moment at which a request was due to be looked at until a replica took it, by queue: due is the work on requests, "+
			"show their messages.", lagBuckets, "queue")
	for _, of := range retried {
		m.retries.WithLabelValues(of)
	}
	for _, queue := range queues {
		m.lagSeconds.WithLabelValues(queue)
	}
}

func integrationTypes() []string {
	names := make([]string, 0, len(atlas.Types)+1)
	for _, t := range atlas.Types {
		names = append(names, t.Name)
	}
	return append(names, other)
}

// A tap counts what the log says is done again, and what it says of panics.
type tap struct {
	slog.Handler
	m *metrics
}

// counted is a logger whose lines are counted, also those that its level hides.
func (m *metrics) counted(log *slog.Logger) *slog.Logger { return slog.New(tap{log.Handler(), m}) }

// Enabled implements slog.Handler.
func (t tap) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || t.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (t tap) Handle(ctx context.Context, line slog.Record) error {
	switch line.Message {
	case "atlas gave no answer":
		t.m.retries.WithLabelValues(retriedAtlas).Inc()
	case "show a request":
		t.m.retries.WithLabelValues(retriedSlack).Inc()
	}
	if line.Message != "messages of a request are left as they are" && panicked(line) { // it repeats the error of the line before
		t.m.panics.Inc()
	}
	if !t.Handler.Enabled(ctx, line.Level) {
		return nil
	}
	return t.Handler.Handle(ctx, line)
}

// panicked reports whether a line is about a panic. Those in the work on requests
// become errors there, so that they take nothing else along, and the line says only
// what was being done. One in a handler is no error, and the sockets tell of it.
func panicked(line slog.Record) (is bool) {
	line.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		is = ok && a.Key == "error" && strings.Contains(err.Error(), "panic of type ")
		return !is
	})
	return is
}

// WithAttrs implements slog.Handler.
func (t tap) WithAttrs(attrs []slog.Attr) slog.Handler { return tap{t.Handler.WithAttrs(attrs), t.m} }

// WithGroup implements slog.Handler.
func (t tap) WithGroup(name string) slog.Handler { return tap{t.Handler.WithGroup(name), t.m} }

// claimed notes how late a replica took a request.
func (m *metrics) claimed(queue string, late time.Duration) {
	m.lagSeconds.WithLabelValues(label(queue, queues)).Observe(late.Seconds())
}

// audited counts an entry of the audit trail. Each is told to the one replica that
// made it, so over all replicas it counts once.
func (m *metrics) audited(e approvals.Entry, r *approvals.Request) {
	switch e.Event {
	case "target":
		m.targets.WithLabelValues(label(e.Fields["outcome"], outcomes)).Inc()
	case "refuse":
		m.refusals.WithLabelValues(label(e.Fields["tried"], tries), whyNot(e.Fields["why"])).Inc()
	case string(approvals.Lapse):
	case string(approvals.Approve):
		if e.Fields["state"] != string(approvals.Pending) { // or more votes are needed
			m.moved(e, r)
		}
	case string(approvals.Retry):
		m.retries.WithLabelValues(retriedPeople).Inc()
		m.moved(e, r)
	default:
		m.moved(e, r)
	}
}

// moved counts that a request came into a state.
func (m *metrics) moved(e approvals.Entry, r *approvals.Request) {
	if r == nil {
		return
	}
	kind, state := label(r.Type, integrationTypes()), label(e.Fields["state"], states)
	m.requests.WithLabelValues(state, kind).Inc()
	switch approvals.Event(e.Event) {
	case approvals.Approve, approvals.Deny, approvals.Cancel, approvals.Expire:
		m.decisionSeconds.WithLabelValues(state).Observe(e.At.Sub(r.CreatedAt).Seconds())
	case approvals.Succeed:
		if votes := r.Votes; len(votes) > 0 { // the last one approved it
			m.proofSeconds.WithLabelValues(kind).Observe(e.At.Sub(votes[len(votes)-1].At).Seconds())
		}
	}
}

func whyNot(why string) string {
	switch why {
	case approvals.ErrOwnRequest.Error():
		return whyOwn
	case approvals.ErrSameHuman.Error():
		return whySame
	case approvals.ErrTooMany.Error():
		return whyTooMany
	case approvals.ErrNotRequester.Error():
		return whyNotTheirs
	default:
		return label(why, standings)
	}
}

// A waiting collector reads, at each scrape, the requests to which something is
// still to happen.
type waiting struct {
	list         func(ctx context.Context, offset, most int) ([]*approvals.Request, error)
	open, oldest *prometheus.Desc
}

// Requests are read so many at a time, and so many at most: more than people leave
// undecided.
const (
	waitingPage = 64
	waitingMost = 8 * waitingPage
)

// watch shows the requests that wait.
func (m *metrics) watch(list func(ctx context.Context, offset, most int) ([]*approvals.Request, error)) {
	m.registry.MustRegister(&waiting{
		list: list,
		open: prometheus.NewDesc(namespace+"_open_requests",
			"Requests to which something is still to happen, by state and type. Every replica shows the same: take the maximum.",
			[]string{"state", "type"}, nil),
		oldest: prometheus.NewDesc(namespace+"_oldest_request_seconds",
			"For how long the oldest open request waits, by state: since it was made or, once approved, since it was decided. "+
				"Every replica shows the same: take the maximum.", []string{"state"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (w *waiting) Describe(to chan<- *prometheus.Desc) { to <- w.open; to <- w.oldest }

// Collect implements prometheus.Collector. Without Redis there is nothing to show;
// everything else still is.
func (w *waiting) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	count, oldest := map[[2]string]int{}, map[string]time.Duration{}
	types := integrationTypes()
	for offset := 0; offset < waitingMost; offset += waitingPage {
		page, err := w.list(ctx, offset, waitingPage)
		if err != nil {
			return
		}
		for _, r := range page {
			state := label(string(r.State), openStates)
			count[[2]string{state, label(r.Type, types)}]++
			oldest[state] = max(oldest[state], age(r))
		}
		if len(page) < waitingPage {
			break
		}
	}
	for _, state := range openStates {
		to <- prometheus.MustNewConstMetric(w.oldest, prometheus.GaugeValue, oldest[state].Seconds(), state)
		for _, t := range types {
			to <- prometheus.MustNewConstMetric(w.open, prometheus.GaugeValue, float64(count[[2]string{state, t}]), state, t)
		}
	}
}

// age is for how long an open request waits, by the clock of Redis.
func age(r *approvals.Request) time.Duration {
	if r.State == approvals.Approved || r.State == approvals.Applying {
		return r.ReadAt.Sub(r.DecidedAt)
	}
	return r.ReadAt.Sub(r.CreatedAt)
}
