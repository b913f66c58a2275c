package socket

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnswersOfSlack: each answer of apps.connections.open, as slack-go lets it
// through, leads to the pause that it calls for.
func TestAnswersOfSlack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, retryAfter, body string
		status                 int
		least, most            time.Duration
		refused                bool
	}{
		{"limited", "120", "", 429, 120 * time.Second, 151 * time.Second, false},
		{"limited for no time", "0", "", 429, limitPause, limitPause * 5 / 4, false},
		{"limited, no Retry-After", "", "", 429, limitPause, limitPause * 5 / 4, false},
		{"limited, an odd Retry-After", "soon", "", 429, limitPause, limitPause * 5 / 4, false},
		{"limited, in the body", "", `{"ok":false,"error":"ratelimited"}`, 200, limitPause, limitPause * 5 / 4, false},
		{"an error of Slack's", "", `{"ok":false,"error":"internal_error"}`, 200, firstPause / 2, firstPause * 2, false},
		{"an error that is new", "", `{"ok":false,"error":"brand_new_error"}`, 200, firstPause / 2, firstPause * 2, false},
		{"no reason", "", `{"ok":false}`, 200, firstPause / 2, firstPause * 2, false},
		{"no JSON", "", `<html>`, 200, firstPause / 2, firstPause * 2, false},
		{"down", "", "", 503, firstPause / 2, firstPause * 2, false},
		{"refused", "", `{"ok":false,"error":"invalid_auth"}`, 200, mendPause, mendPause * 5 / 4, true},
		{"not enough", "", `{"ok":false,"error":"missing_scope","needed":"connections:write","provided":""}`, 200, mendPause, mendPause * 5 / 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/apps.connections.open", r.URL.Path)
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				_, err := w.Write([]byte(tt.body))
				assert.NoError(t, err)
			}))
			t.Cleanup(server.Close)
			client := server.Client()
			t.Cleanup(client.CloseIdleConnections)
			l := &Listener{Opener: slack.New("", slack.OptionAPIURL(server.URL+"/"), slack.OptionHTTPClient(client), slack.OptionAppLevelToken("xapp"+"-test"))}
			var refused error
			require.NoError(t, l.prepare(func(err error) { refused = err }))
			_, err := l.connect(t.Context(), t.Context())
			require.Error(t, err)
			pause := newSlot(l).pauseAfterFailure(err)
			assert.GreaterOrEqual(t, pause, tt.least)
			assert.LessOrEqual(t, pause, tt.most)
			assert.Equal(t, tt.refused, refused != nil)
			held := l.openings.reserve(time.Now()) > 0
			assert.Equal(t, isLimited(err), held, "a limit holds every slot")
		})
	}
}

// TestARefusalLeavesWhatStands: the last connection that goes takes the bot along.
func TestARefusalLeavesWhatStands(t *testing.T) {
	t.Parallel()
	l := &Listener{}
	var ended error
	require.NoError(t, l.prepare(func(err error) { ended = err }))
	first, second := &conn{}, &conn{}
	l.joined(first, hello{})
	l.joined(second, hello{})
	revoked := errors.New("revoked")
	l.refused(revoked)
	l.left(first)
	require.NoError(t, ended)
	assert.Equal(t, 1, l.Status().NumConnections, "what stands, Slack counts as well")
	l.left(second)
	require.ErrorIs(t, ended, revoked)
}

func TestOpeningsAreRare(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	o := &openings{every: time.Minute, burst: 3}
	var waits []time.Duration
	for range 5 {
		waits = append(waits, o.reserve(start))
	}
	assert.Equal(t, []time.Duration{0, 0, 0, time.Minute, 2 * time.Minute}, waits)

	later := start.Add(4 * time.Minute)
	assert.Zero(t, o.reserve(later), "it recovers, one a minute")
	assert.Zero(t, o.reserve(later))
	assert.Equal(t, time.Minute, o.reserve(later))

	rested := start.Add(time.Hour)
	for range 3 {
		assert.Zero(t, o.reserve(rested), "and no further than to the burst")
	}
	assert.Equal(t, time.Minute, o.reserve(rested))

	o.hold(rested.Add(time.Hour))
	o.hold(rested)
	assert.Equal(t, time.Hour, o.reserve(rested), "the longest hold counts")
	assert.Zero(t, o.reserve(rested.Add(2*time.Hour)))
}
