package trace_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// Off, a whole request's worth of spans allocates nothing.
func TestOffCostsNothing(t *testing.T) {
	var off *trace.Tracer
	ctx, received, request := t.Context(), time.Now(), "req_0123456789"
	allocated := testing.AllocsPerRun(1000, func() {
		ctx, span := off.Receive(ctx, "", "command", "update", received)
		trace.Current(ctx).Event("ack")
		ctx, step := off.Start(ctx, "submit", "")
		step.Set(trace.Request, request)
		_, call := off.Call(ctx, "slack", "views.open")
		call.SetNumber(trace.Status, 200)
		call.Fail("no_answer")
		call.End()
		ctx, later := off.Resume(ctx, trace.Parent(ctx), "prepare")
		later.Set(trace.State, request)
		later.End()
		_ = trace.ID(ctx)
		step.End()
		span.End()
		_ = ctx
	})
	assert.Zero(t, allocated)
	assert.False(t, off.On())
}

func recorded() (*trace.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return trace.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))), spans
}

// What another process does with the traceparent is in the same trace.
func TestTheTraceGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	here, spans := recorded()
	there, others := recorded()
	received := time.Now().Add(-time.Second)
	ctx, span := here.Receive(t.Context(), "", "submission", "update_integration", received)
	parent := trace.Parent(ctx)
	assert.Contains(t, parent, trace.ID(ctx))
	span.End()
	ctx, span = there.Resume(context.Background(), parent, "apply") //nolint:usetesting // a context of another process
	_, call := there.Call(ctx, "atlas", "update")
	call.SetNumber(trace.Status, 200)
	call.End()
	span.End()

	require.Len(t, spans.Ended(), 1)
	require.Len(t, others.Ended(), 2)
	submission, update, apply := spans.Ended()[0], others.Ended()[0], others.Ended()[1]
	assert.Equal(t, "submission update_integration", submission.Name())
	assert.Equal(t, received.UnixNano(), submission.StartTime().UnixNano())
	assert.Equal(t, submission.SpanContext().TraceID(), update.SpanContext().TraceID())
	assert.Equal(t, submission.SpanContext().SpanID(), apply.Parent().SpanID())
	assert.True(t, apply.Parent().IsRemote())
	assert.Equal(t, apply.SpanContext().SpanID(), update.Parent().SpanID())
}

// What was decided about sampling at the beginning holds to the end.
func TestWhatIsNotSampledStaysSo(t *testing.T) {
	t.Parallel()
	never := trace.New(sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())))
	ctx, span := never.Receive(t.Context(), "", "command", "update", time.Now())
	span.End()
	there, spans := recorded()
	_, span = there.Resume(t.Context(), trace.Parent(ctx), "apply")
	span.End()
	assert.NotEmpty(t, trace.Parent(ctx))
	assert.Empty(t, trace.ID(ctx), "nobody would find it")
	assert.Empty(t, spans.Ended())
}

func TestSpansOfNoRequest(t *testing.T) {
	t.Parallel()
	tracer, spans := recorded()
	ctx, span := tracer.Call(t.Context(), "slack", "auth.test")
	span.End()
	_, span = tracer.Start(ctx, "approve", "")
	span.End()
	assert.Empty(t, spans.Started(), "what the bot does on its own account is not traced")
	assert.Empty(t, trace.Parent(ctx))

	_, span = tracer.Resume(t.Context(), "not a traceparent", "prepare")
	span.End()
	require.Len(t, spans.Ended(), 1)
	assert.False(t, spans.Ended()[0].Parent().IsValid(), "what cannot be read begins a trace of its own")
}
