package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

var operations = filepath.Join("..", "..", "docs", "operations.md")

const (
	metricsBegin = "<!-- metrics:begin -->\n"
	metricsEnd   = "<!-- metrics:end -->"
)

// The table of metrics in docs/operations.md is what the bot shows.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.watch(func(context.Context, int, int) ([]*approvals.Request, error) { return nil, nil })
	m.watchReady(newHealth(m).ready)
	families, err := m.registry.Gather()
	require.NoError(t, err)
	var table strings.Builder
	table.WriteString("\n| Metric | Type | Labels | What it says |\n| --- | --- | --- | --- |\n")
	for _, family := range families { // sorted by name
		if !strings.HasPrefix(family.GetName(), namespace+"_") {
			continue
		}
		var labels []string
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+pair.GetName()+"`")
		}
		_, _ = fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", family.GetName(),
			strings.ToLower(family.GetType().String()), strings.Join(labels, ", "), family.GetHelp())
	}
	table.WriteString("\n")

	text, err := os.ReadFile(operations) //nolint:gosec // of this repository
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(text), metricsBegin)
	got, after, ends := strings.Cut(rest, metricsEnd)
	require.True(t, begins && ends, "docs/operations.md has lost its markers")
	if os.Getenv("UPDATE_OPERATIONS") != "" {
		got = table.String()
		require.NoError(t, os.WriteFile(operations, []byte(before+metricsBegin+got+metricsEnd+after), 0o644)) //nolint:gosec // a page for everybody
	}
	assert.Equal(t, table.String(), got, "write it anew: UPDATE_OPERATIONS=1 go test ./cmd/bot -run TestMetricsAreDocumented")
}

// Whatever the others say, the number of series has a bound.
func TestMetricsHaveABound(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	hear := func(i int) {
		strange := fmt.Sprintf("%s-%d", canary, i)
		told := m.observer()
		told.Envelope(strange)
		told.Dropped(strange)
		told.Acked(strange, time.Second)
		m.foreign(strange)
		for _, event := range []string{"submit", "target", "refuse", strange} {
			m.audited(approvals.Entry{Event: event, Fields: map[string]string{"state": strange, "outcome": strange, "tried": strange, "why": strange}},
				&approvals.Request{Submission: approvals.Submission{Type: strange}})
		}
		refuse := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200 + i, Body: io.NopCloser(strings.NewReader(`{"ok":false,"error":"` + strange + `"}`))}, nil
		})
		for _, through := range []http.RoundTripper{m.slack(nil, "https://slack.invalid/api/", refuse), m.atlas(nil, refuse)} {
			_, err := send(t, through, http.MethodPut, "https://slack.invalid/api/"+strange)
			require.NoError(t, err)
		}
		_ = redisHook{m}.ProcessHook(func(context.Context, redis.Cmder) error { return errors.New(strange) })(t.Context(), redis.NewCmd(t.Context(), strange))
	}
	hear(0)
	for status := range 400 { // every status that there is
		hear(status)
	}
	count := series(t, m)
	for status := range 400 {
		hear(400 + status%200)
	}
	assert.Equal(t, count, series(t, m))
	_, shown := get(t, served(t, newHealth(m))+"/metrics")
	assert.NotContains(t, shown, canary)
}

// series counts what the bot shows.
func series(t *testing.T, m *metrics) (count int) {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		count += len(family.GetMetric())
	}
	return count
}

// valueOf is what a counter has come to.
func valueOf(t *testing.T, counter prometheus.Metric) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(counter.(prometheus.Collector)))
	families, err := registry.Gather()
	require.NoError(t, err)
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// send sends a request through a transport and returns what came back.
func send(t *testing.T, through http.RoundTripper, method, address string) (string, error) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	resp, err := through.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func TestSlackCallsAreCounted(t *testing.T) {
	t.Parallel()
	const api = "https://slack.invalid/api/"
	away, long := errors.New("connection reset"), `{"ok":true,"users":["`+strings.Repeat("U", 2*mostRefusal)+`"]}`
	tests := []struct {
		name   string
		to     string
		status int // 0: no answer
		body   string
		breaks error // after the body
		method string
		result string
	}{
		{"taken", api + "chat.postMessage", 200, `{"ok":true}`, nil, "chat.postMessage", "ok"},
		{"refused", api + "chat.update", 200, `{"ok":false,"error":"channel_not_found"}`, nil, "chat.update", "channel_not_found"},
		{"refused as never before", api + "chat.update", 200, `{"ok":false,"error":"` + canary + `"}`, nil, "chat.update", "other"},
		{"limited", api + "views.open", 429, "", nil, "views.open", "ratelimited"},
		{"down", api + "users.info", 503, "<html>", nil, "users.info", "service_unavailable"},
		{"gone", api + "users.info", 404, "<html>", nil, "users.info", "other"},
		{"no answer", api + "users.info", 0, "", away, "users.info", "no_answer"},
		{"broken off", api + "users.info", 200, `{"ok":`, away, "users.info", "no_answer"},
		{"a long answer", api + "usergroups.users.list", 200, long, nil, "usergroups.users.list", "ok"},
		{"a response URL", "https://hooks.slack.invalid/actions/T/1/" + canary, 200, "ok", nil, "response_url", "ok"},
		{"another method", api + "files.upload", 200, `{"ok":true}`, nil, "other", "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMetrics()
			next := roundTrip(func(*http.Request) (*http.Response, error) {
				if tt.status == 0 {
					return nil, tt.breaks
				}
				answer := io.Reader(strings.NewReader(tt.body))
				if tt.breaks != nil {
					answer = io.MultiReader(answer, broken{tt.breaks})
				}
				return &http.Response{StatusCode: tt.status, Body: io.NopCloser(answer)}, nil
			})
			got, err := send(t, m.slack(nil, api, next), http.MethodPost, tt.to)
			require.ErrorIs(t, err, tt.breaks)
			assert.True(t, got == tt.body, "the caller gets what Slack answered")
			assert.Equal(t, 1.0, valueOf(t, m.slackCalls.WithLabelValues(tt.method, tt.result)))
		})
	}
}

func TestAtlasCallsAreCounted(t *testing.T) {
	t.Parallel()
	const v2, project = "https://atlas.invalid/api/atlas/v2", "/groups/5f1b2c3d4e5f6a7b8c9d0e1f"
	for _, tt := range []struct{ method, address, call string }{
		{"POST", "https://atlas.invalid/api/oauth/token", "token"},
		{"POST", "https://atlas.invalid/api/oauth/revoke", "revoke"},
		{"GET", v2 + "/groups?pageNum=1", "projects"},
		{"GET", v2 + project + "/integrations", "integrations"},
		{"GET", v2 + project + "/integrations/DATADOG", "integration"},
		{"PUT", v2 + project + "/integrations/DATADOG", "update"},
		{"GET", v2 + "/clusters", "other"},
		{"GET", v2 + project + "/clusters", "other"},
	} {
		m := newMetrics()
		next := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 403, Body: http.NoBody}, nil
		})
		_, err := send(t, m.atlas(nil, next), tt.method, tt.address)
		require.NoError(t, err)
		assert.Equal(t, 1.0, valueOf(t, m.atlasCalls.WithLabelValues(tt.call, "403")), tt.address)
	}
}

// A login with an API key begins with a 401 that means nothing.
func TestAChallengeIsNoRefusal(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	answer := func(challenge string) {
		through := m.atlas(nil, roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 401, Body: http.NoBody, Header: http.Header{"Www-Authenticate": {challenge}}}, nil
		}))
		_, err := send(t, through, http.MethodGet, "https://atlas.invalid/api/atlas/v2/groups")
		require.NoError(t, err)
	}
	answer(`Digest realm="MMS Public API"`)
	assert.Zero(t, valueOf(t, m.atlasCalls.WithLabelValues("projects", "401")))
	answer("Bearer")
	assert.Equal(t, 1.0, valueOf(t, m.atlasCalls.WithLabelValues("projects", "401")))
}

func TestRedisIsTimed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		faults float64
	}{{nil, 0}, {redis.Nil, 0}, {context.Canceled, 0}, {context.DeadlineExceeded, 1}, {errors.New("OOM command not allowed"), 1}} {
		m := newMetrics()
		next := func(context.Context, redis.Cmder) error { return tt.err }
		require.ErrorIs(t, redisHook{m}.ProcessHook(next)(t.Context(), redis.NewCmd(t.Context(), "evalsha")), tt.err)
		assert.Equal(t, tt.faults, valueOf(t, m.redisErrors.WithLabelValues("evalsha")), "%v", tt.err)
	}
}

// What is counted does not depend on the level of the log.
func TestHiddenLinesCount(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	var printed bytes.Buffer
	log := m.counted(slog.New(slog.NewJSONHandler(&printed, &slog.HandlerOptions{Level: slog.LevelError}))).With("replica", 1)
	log.Warn("atlas gave no answer")
	log.Error("something else", "error", errors.New("nothing to panic about"))

	assert.Equal(t, 1.0, valueOf(t, m.retries.WithLabelValues("atlas")))
	assert.Zero(t, valueOf(t, m.panics))
	assert.Equal(t, 1, strings.Count(printed.String(), "\n"), "%s", printed.String())
	assert.Contains(t, printed.String(), `"replica":1`)
}

func TestEntriesOfTheTrailCount(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	begun := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r := &approvals.Request{Submission: approvals.Submission{Type: "DATADOG"}, CreatedAt: begun}
	hear := func(after time.Duration, event, state string, more ...string) {
		fields := map[string]string{"state": state}
		for i := 0; i < len(more); i += 2 {
			fields[more[i]] = more[i+1]
		}
		m.audited(approvals.Entry{Event: event, At: begun.Add(after), Fields: fields}, r)
	}
	hear(0, "submit", "submitted")
	hear(time.Second, "prepare", "pending")
	hear(time.Minute, "approve", "pending") // one of two votes
	hear(2*time.Minute, "approve", "approved")
	r.Votes = []approvals.Vote{{At: begun.Add(time.Minute)}, {At: begun.Add(2 * time.Minute)}}
	hear(2*time.Minute+time.Second, "target", "applying", "outcome", "applied")
	hear(2*time.Minute+2*time.Second, "succeed", "applied")
	hear(time.Hour, "refuse", "applied", "tried", "approve", "why", approvals.ErrOwnRequest.Error())
	hear(time.Hour, "refuse", "applied", "tried", "approve", "why", approvals.ErrSameHuman.Error())
	hear(time.Hour, "lapse", "failed")
	m.audited(approvals.Entry{Event: "refuse", Fields: map[string]string{"tried": "update", "why": approvals.ErrTooMany.Error()}}, nil)
	m.audited(approvals.Entry{Event: "refuse", Fields: map[string]string{"tried": "update", "why": "guest"}}, nil) // of no request

	_, shown := get(t, served(t, newHealth(m))+"/metrics")
	for _, line := range []string{
		`requests_total{state="submitted",type="DATADOG"} 1`, `requests_total{state="pending",type="DATADOG"} 1`,
		`requests_total{state="approved",type="DATADOG"} 1`, `requests_total{state="applied",type="DATADOG"} 1`,
		`requests_total{state="failed",type="DATADOG"} 0`, `decision_seconds_sum{state="approved"} 120`,
		`decision_seconds_count{state="approved"} 1`, `proof_seconds_sum{type="DATADOG"} 2`, `targets_total{outcome="applied"} 1`,
		`refusals_total{tried="approve",why="own"} 1`, `refusals_total{tried="update",why="guest"} 1`,
		`refusals_total{tried="approve",why="same_person"} 1`, `refusals_total{tried="update",why="too_many"} 1`,
	} {
		assert.Contains(t, shown, "\n"+namespace+"_"+line+"\n")
	}
}

func TestOpenRequests(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var all []*approvals.Request
	add := func(state approvals.State, kind string, created, decided time.Duration) {
		all = append(all, &approvals.Request{
			Submission: approvals.Submission{Type: kind}, State: state,
			ReadAt: now, CreatedAt: now.Add(-created), DecidedAt: now.Add(-decided),
		})
	}
	for range waitingPage {
		add(approvals.Pending, "DATADOG", time.Minute, 0)
	}
	add(approvals.Pending, "PAGER_DUTY", time.Hour, 0)
	add(approvals.Applying, "DATADOG", time.Hour, 20*time.Second)
	m := newMetrics()
	var away error
	m.watch(func(_ context.Context, offset, most int) ([]*approvals.Request, error) {
		return all[min(offset, len(all)):min(offset+most, len(all))], away
	})
	url := served(t, newHealth(m)) + "/metrics"
	_, shown := get(t, url)
	for _, line := range []string{
		`open_requests{state="pending",type="DATADOG"} 64`, `open_requests{state="pending",type="PAGER_DUTY"} 1`,
		`open_requests{state="approved",type="DATADOG"} 0`, `oldest_request_seconds{state="pending"} 3600`,
		`oldest_request_seconds{state="applying"} 20`, `oldest_request_seconds{state="submitted"} 0`,
	} {
		assert.Contains(t, shown, "\n"+namespace+"_"+line+"\n")
	}

	away = errors.New("redis is away")
	status, shown := get(t, url)
	assert.Equal(t, http.StatusOK, status)
	assert.NotContains(t, shown, "open_requests")
	assert.Contains(t, shown, "sockets_up")
}

// Labels that are known are each known once.
func TestLabelsAreDistinct(t *testing.T) {
	t.Parallel()
	for _, known := range [][]string{envelopeTypes, slackMethods, slackResults, atlasCalls, atlasStatuses, redisCommands, states, standings, queues, integrationTypes()} {
		sorted := slices.Sorted(slices.Values(known))
		assert.Len(t, slices.Compact(slices.Clone(sorted)), len(known), "%v", known)
	}
}
