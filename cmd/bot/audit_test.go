package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// submitOne keeps a request for one project in the store.
func submitOne(t *testing.T, store *approvals.Store, view, user string, p atlas.Project) *approvals.Request {
	t.Helper()
	kind, ok := atlas.FindType("PAGER_DUTY")
	require.True(t, ok)
	r, err := store.Submit(t.Context(), view, &atlas.Settings{
		Type: kind, Plain: map[string]string{"region": "US"},
		Secrets: map[string]secret.Text{"serviceKey": secret.New(canary)},
	}, approvals.Submission{Targets: []atlas.Project{p}, Reason: "rotation"}, approvals.Actor{User: user, Via: "modal"})
	require.NoError(t, err)
	return r
}

func TestExportTrail(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(redisd.Shared(t).URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	cfg, err := readConfig(t.Context(), complete(t))
	require.NoError(t, err)
	store := &approvals.Store{
		Redis: client, Sealer: cfg.sealer, Team: "T0AUDIT" + strconv.FormatInt(time.Now().UnixNano(), 36),
		Policy: approvals.Policy{Default: approvals.Rule{Approvals: 1, TTL: time.Hour}}, Retention: time.Hour,
	}
	payments := atlas.Project{ID: projectNumber("1"), Name: "payments"}
	search := atlas.Project{ID: projectNumber("2"), Name: "search"}
	first := submitOne(t, store, "V1", "U0MIRA", payments)
	second := submitOne(t, store, "V2", "U0SAM", search)
	_, err = store.Cancel(t.Context(), first.ID, approvals.Actor{User: "U0MIRA", Via: "command"})
	require.NoError(t, err)

	tests := []struct {
		name string
		args []string
		want []string // event and request
	}{
		{"everything", nil, []string{"submit " + first.ID, "submit " + second.ID, "cancel " + first.ID}},
		{"one request", []string{"-request", first.ID[4:]}, []string{"submit " + first.ID, "cancel " + first.ID}},
		{"one person", []string{"-user", "U0SAM"}, []string{"submit " + second.ID}},
		{"one project by name", []string{"-project", "PAYMENTS"}, []string{"submit " + first.ID, "cancel " + first.ID}},
		{"one project by ID", []string{"-project", search.ID}, []string{"submit " + second.ID}},
		{"until an hour ago", []string{"-until", "1h"}, nil},
		{"until tomorrow", []string{"-until", time.Now().Add(24 * time.Hour).Format(time.RFC3339)}, []string{"submit " + first.ID, "submit " + second.ID, "cancel " + first.ID}},
		{"the last hour", []string{"-since", "1h"}, []string{"submit " + first.ID, "submit " + second.ID, "cancel " + first.ID}},
		{"from a day on", []string{"-since", "2199-01-01"}, nil},
		{"both", []string{"-user", "U0MIRA", "-project", "search"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			filter, err := parseTrailFilter(tt.args)
			require.NoError(t, err)
			var out bytes.Buffer
			require.NoError(t, exportTrail(t.Context(), store, filter, &out))
			var got []string
			for line := range bytes.Lines(out.Bytes()) {
				var e approvals.Entry
				require.NoError(t, json.Unmarshal(line, &e))
				assert.False(t, e.At.IsZero())
				got = append(got, e.Event+" "+e.Fields["request"])
			}
			assert.Equal(t, tt.want, got)
			assert.NotContains(t, out.String(), canary)
		})
	}

	var whole, said bytes.Buffer
	require.NoError(t, exportTrail(t.Context(), store, &trailFilter{}, &whole))
	t.Run("what was exported can be verified", func(t *testing.T) {
		require.NoError(t, verifyTrail(bytes.NewReader(whole.Bytes()), "", &said))
		assert.Contains(t, said.String(), "3 entries, from ")
		_, head, _ := strings.Cut(said.String(), "\nhead ")
		require.NoError(t, verifyTrail(bytes.NewReader(whole.Bytes()), strings.TrimSpace(head), &bytes.Buffer{}))

		lines := strings.SplitAfter(whole.String(), "\n")
		cut := strings.Join(lines[:2], "")
		require.NoError(t, verifyTrail(strings.NewReader(cut), "", &bytes.Buffer{}), "by itself it does not show")
		assert.ErrorContains(t, verifyTrail(strings.NewReader(cut), strings.TrimSpace(head), &bytes.Buffer{}), "the end of the trail was cut off")
		assert.ErrorContains(t, verifyTrail(strings.NewReader(lines[0]+lines[2]), "", &bytes.Buffer{}), "line 2: entry")
		altered := strings.Replace(whole.String(), "U0SAM", "U0EVE", 1)
		assert.ErrorContains(t, verifyTrail(strings.NewReader(altered), "", &bytes.Buffer{}), "line 2: entry")
		assert.ErrorContains(t, verifyTrail(strings.NewReader("{}\nx\n"), "", &bytes.Buffer{}), "line 1: entry")
		assert.ErrorContains(t, verifyTrail(strings.NewReader("x\n"), "", &bytes.Buffer{}), "line 1 is not an entry")
		assert.ErrorContains(t, verifyTrail(strings.NewReader(""), "", &bytes.Buffer{}), "no entry")
		for name, forged := range map[string]string{
			"the event, with the true one below":  strings.Replace(lines[2], `"event":"cancel","fields":{`, `"event":"approve","fields":{"event":"cancel",`, 1),
			"the event, with the true one beside": strings.Replace(lines[2], `"event":"cancel"`, `"event":"approve","Event":"cancel"`, 1),
			"the event, twice":                    strings.Replace(lines[2], `"event":"cancel"`, `"event":"approve","event":"cancel"`, 1),
			"a field, with the true ones beside":  strings.Replace(lines[2], `"fields":{`, `"fields":{"by":"U0EVE"},"Fields":{`, 1),
			"a field, twice":                      strings.Replace(lines[2], `"by":`, `"by":"U0EVE","by":`, 1),
			"something else":                      strings.Replace(lines[2], `"fields":{`, `"note":"approved","fields":{`, 1),
			"another time":                        strings.Replace(lines[2], `"fields":{`, `"At":"2199-01-01T00:00:00Z","fields":{`, 1),
			"more on the line":                    strings.TrimSpace(lines[2]) + ` {"event":"approve"}`,
			"no object":                           `["approve"]`,
			"no object of fields":                 strings.Replace(lines[2], `"fields":{`, `"fields":["approve"],"fields":{`, 1),
			"a field that is no text":             strings.Replace(lines[2], `"fields":{`, `"fields":{"votes":1,`, 1),
		} {
			require.NotEqual(t, lines[2], forged, name)
			assert.ErrorContains(t, verifyTrail(strings.NewReader(lines[0]+lines[1]+forged), "", &bytes.Buffer{}), "line 3", name)
		}
		said.Reset()
		require.NoError(t, verifyTrail(strings.NewReader(lines[1]), "", &said))
		assert.Contains(t, said.String(), "older than RETENTION")
	})
	t.Run("the receipt of one request", func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, printReceipt(t.Context(), store, first.ID, &out))
		var got receipt
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		assert.Equal(t, first.ID, got.Asked.ID)
		assert.Equal(t, approvals.Cancelled, got.State)
		assert.Equal(t, "U0MIRA", got.DecidedBy)
		assert.Equal(t, []receiptTarget{{Project: payments, Outcome: approvals.Waiting}}, got.Targets)
		require.Len(t, got.Trail, 2)
		assert.Equal(t, got.Digest, got.Trail[0].Fields["digest"])
		assert.NotContains(t, out.String(), canary)
		assert.ErrorContains(t, printReceipt(t.Context(), store, "req_0000000000", &out), "there is no request req_0000000000")
	})
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"36h":                  now.Add(-36 * time.Hour),
		"2026-01-31":           time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31T15:04:05Z": time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC),
	} {
		got, err := parseSince(value, now)
		require.NoError(t, err, value)
		assert.True(t, want.Equal(got), value)
	}
	_, err := parseSince("-1h", now)
	assert.Error(t, err)
}
