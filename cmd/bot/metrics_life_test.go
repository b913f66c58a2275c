package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// numbers reads what a bot shows of itself.
func (p *process) numbers(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.addr+"/metrics", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

// TestMetricsOfALife: what the life of a few requests leaves in the metrics.
func TestMetricsOfALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(t)
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Status: 503}, 1)
	require.Empty(t, w.ask(t, jo, rotation("0e0e", "payments-prod")).Errors)
	card := w.card(t, "pending")
	shown := p.numbers(t)
	assert.Contains(t, shown, `atlas_integration_bot_open_requests{state="pending",type="PAGER_DUTY"} 1`)
	w.click(t, jo, card, "approve") // refused: their own
	w.told(t, jo, approvals, "somebody else has to decide")
	w.click(t, kim, card, "approve")
	w.card(t, "applied")

	want := []string{
		`ready 1`,
		`requests_total{state="submitted",type="PAGER_DUTY"} 1`,
		`requests_total{state="pending",type="PAGER_DUTY"} 1`,
		`requests_total{state="approved",type="PAGER_DUTY"} 1`,
		`requests_total{state="applied",type="PAGER_DUTY"} 1`,
		`decision_seconds_count{state="approved"} 1`,
		`proof_seconds_count{type="PAGER_DUTY"} 1`,
		`targets_total{outcome="applied"} 1`,
		`refusals_total{tried="approve",why="own"} 1`,
		`retries_total{of="atlas"} 1`,
		`atlas_calls_total{call="update",status="503"} 1`,
		`atlas_calls_total{call="update",status="200"} 1`,
		`atlas_calls_total{call="token",status="200"} 1`,
		`slack_calls_total{method="auth.test",result="ok"} 1`,
		`slack_calls_total{method="apps.connections.open",result="ok"} 2`,
		`slack_calls_total{method="views.open",result="ok"} 1`,
		`envelopes_dropped_total{type="interactive"} 0`,
		`open_requests{state="pending",type="PAGER_DUTY"} 0`,
		`redis_seconds_bucket{command="evalsha",le="+Inf"} `,
	}
	var missing []string
	require.Eventually(t, func() bool {
		shown = p.numbers(t)
		missing = nil
		for _, line := range want {
			if !strings.Contains(shown, "\natlas_integration_bot_"+line) {
				missing = append(missing, line)
			}
		}
		return len(missing) == 0
	}, patience, 50*time.Millisecond, "%v", &missing)
	w.noSecrets(t)
}
