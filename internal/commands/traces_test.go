package commands

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// Spans are called after what is known beforehand, and never after what somebody typed.
func TestNamesOfSpans(t *testing.T) {
	t.Parallel()
	const typed = "canary-41c9"
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	const metadata = `"private_metadata":"{\"traceparent\":\"` + parent + `\"}"`
	tests := []struct {
		payload string // of an interaction, or the text of a command
		want    string
		follows bool // the trace of the form
	}{
		{"", "command help", false},
		{"  UPDATE " + typed, "command update", false},
		{"cancel " + typed, "command cancel", false},
		{typed + " update", "command other", false},
		{`{"type":"block_actions","actions":[{"action_id":"approve","value":"` + typed + `"}]}`, "click approve", false},
		{`{"type":"block_actions","actions":[{"action_id":"` + typed + `"}]}`, "click other", false},
		{`{"type":"block_actions","view":{` + metadata + `},"actions":[{"action_id":"type"}]}`, "click type", true},
		{`{"type":"view_submission","view":{"callback_id":"update_integration",` + metadata + `}}`, "submission update_integration", true},
		{`{"type":"view_submission","view":{"callback_id":"deny_request","private_metadata":"` + typed + `"}}`, "submission deny_request", false},
		{`{"type":"view_submission","view":{"callback_id":"` + typed + `"}}`, "submission other", false},
		{`{"type":"block_suggestion","value":"` + typed + `","view":{` + metadata + `}}`, "interaction block_suggestion", true},
		{`{"type":"` + typed + `"}`, "interaction other", false},
	}
	for _, tt := range tests {
		spans := tracetest.NewSpanRecorder()
		b := &Bot{Trace: trace.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))), Requests: &approvals.Store{}}
		e := Envelope{ID: "an ID", ReceivedAt: time.Now()}
		var i interaction
		if json.Unmarshal([]byte(tt.payload), &i) == nil {
			_, span := b.receivedInteraction(t.Context(), e, &i)
			span.End()
		} else {
			_, span := b.receivedCommand(t.Context(), e, &slashCommand{Text: tt.payload})
			span.End()
		}
		require.Len(t, spans.Ended(), 1, tt.payload)
		span := spans.Ended()[0]
		assert.Equal(t, tt.want, span.Name(), tt.payload)
		assert.Equal(t, tt.follows, span.SpanContext().TraceID().String() == parent[3:35], tt.payload)
		for _, said := range span.Attributes() {
			assert.NotContains(t, said.Value.AsString(), typed, tt.payload)
		}
	}
}
