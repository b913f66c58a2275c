// Package trace tells in spans what became of a request: one trace from the command
// to the card, through every replica and restart between the two. It knows the API of
// OpenTelemetry and no more; where spans go is for whoever makes the provider. A nil
// Tracer is off, and costs nothing.
//
// Nothing that people typed is in a span, and nobody's name: a span says which request
// it is about, and what is about the request is in Redis and in the audit trail.
package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope names the code that spans come from.
const scope = "github.com/atlas-integration-bot/atlas-integration-bot"

// A Key names something that a span says. The values of all of them are IDs, numbers or
// words of a list that is known beforehand.
type Key string

// What a span may say.
const (
	Envelope Key = "slack.envelope"            // its ID, as in the log
	Result   Key = "slack.result"              // ok, or the error that Slack answered
	Status   Key = "http.response.status_code" // of Atlas
	Request  Key = "aib.request"               // its ID
	State    Key = "aib.state"
	Version  Key = "aib.version" // of the request, as drawn
	Type     Key = "aib.type"    // of the integrations
	Project  Key = "aib.project" // its ID
	Outcome  Key = "aib.outcome" // of a target
	Answer   Key = "aib.answer"  // of the script that moved the request, or did not
	Tries    Key = "aib.tries"   // in a row before this one that Atlas did not answer
)

// A Tracer begins spans. The nil Tracer begins none.
type Tracer struct{ spans trace.Tracer }

// New makes a Tracer whose spans go to a provider.
func New(provider trace.TracerProvider) *Tracer { return &Tracer{provider.Tracer(scope)} }

// On reports whether spans are begun at all.
func (t *Tracer) On() bool { return t != nil }

// Receive begins the span of something that Slack delivered, at the moment at which it
// did. It goes on with the trace that a traceparent names, or begins one.
func (t *Tracer) Receive(ctx context.Context, traceparent, name, of string, at time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(extract(ctx, traceparent), name, of, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(at))
}

// Resume begins the span of work on what came in earlier, perhaps in another process:
// it goes on with the trace that a traceparent names, or begins one.
func (t *Tracer) Resume(ctx context.Context, traceparent, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(extract(ctx, traceparent), name, "")
}

// Start begins the span of a step within another. Outside of any it begins none: what
// the bot does on its own account is about no request.
func (t *Tracer) Start(ctx context.Context, name, of string) (context.Context, Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, Span{}
	}
	return t.begin(ctx, name, of)
}

// Call is Start for a call of another system.
func (t *Tracer) Call(ctx context.Context, system, what string) (context.Context, Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, Span{}
	}
	return t.begin(ctx, system, what, trace.WithSpanKind(trace.SpanKindClient))
}

func (t *Tracer) begin(ctx context.Context, name, of string, options ...trace.SpanStartOption) (context.Context, Span) {
	if of != "" {
		name += " " + of
	}
	ctx, span := t.spans.Start(ctx, name, options...)
	return ctx, Span{span}
}

// Span is a step that is timed. The zero Span is none.
type Span struct{ span trace.Span }

// Current is the span that ctx is within.
func Current(ctx context.Context) Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// Set says something of the span.
func (s Span) Set(key Key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(string(key), value))
	}
}

// SetNumber says something of the span that is a number.
func (s Span) SetNumber(key Key, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(string(key), value))
	}
}

// Event notes that something happened now.
func (s Span) Event(name string) {
	if s.span != nil {
		s.span.AddEvent(name)
	}
}

// Fail says that the step did not work out: why, in a word that is known beforehand.
// The text of an error may hold what people typed and is never given here.
func (s Span) Fail(why string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, why)
	}
}

// End ends the step.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// ID is that of the trace that ctx is within, as tools show it; empty without one, and for
// a trace that is not exported.
func ID(ctx context.Context) string {
	if at := trace.SpanContextFromContext(ctx); at.IsSampled() {
		return at.TraceID().String()
	}
	return ""
}

// header is what W3C Trace Context calls the place of a trace at which to go on.
const header = "traceparent"

// Parent is the traceparent of the span that ctx is within, for another process to go on
// with; empty without one.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// extract puts the span that a traceparent names into ctx. What is not one is left out.
func extract(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}
