package approvals

import (
	"context"
	"errors"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// traceTime is how long a click may wait to learn which trace it belongs to: it has
// three seconds, and needs most of them for what it is about.
const traceTime = 300 * time.Millisecond

// Traceparent is where the trace of a request goes on. It is empty if nothing is traced,
// and if Redis does not say at once: then whatever asks begins a trace of its own.
func (s *Store) Traceparent(ctx context.Context, id string) string {
	if !s.Trace.On() || id == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, traceTime)
	defer cancel()
	r, err := s.Get(ctx, id)
	if err != nil {
		return ""
	}
	return r.Traceparent
}

// resume begins the span of a worker's look at a request.
func (s *Store) resume(ctx context.Context, r *Request, errand string) (context.Context, trace.Span) {
	ctx, span := s.Trace.Resume(ctx, r.Traceparent, errand)
	span.Set(trace.Request, r.ID)
	span.Set(trace.State, string(r.State))
	span.Set(trace.Type, r.Type)
	if r.Tries > 0 {
		span.SetNumber(trace.Tries, int64(r.Tries))
	}
	return ctx, span
}

// errand is what a look at a request in a state is for.
func errand(state State) string {
	switch state {
	case Submitted:
		return "prepare"
	case Approved, Applying:
		return "apply"
	default:
		return "look" // whether its time is up
	}
}

// aim begins the span of what is done to one target.
func (s *Store) aim(ctx context.Context, what string, r *Request, project atlas.Project) (context.Context, trace.Span) {
	ctx, span := s.Trace.Start(ctx, what, "target")
	span.Set(trace.Project, project.ID)
	span.Set(trace.Type, r.Type)
	return ctx, span
}

// cameOut says in its span how a target came out.
func cameOut(span trace.Span, outcome Outcome, err error) {
	if err == nil {
		span.Set(trace.Outcome, string(outcome))
		return
	}
	var refusal *atlas.Error
	if errors.As(err, &refusal) {
		span.SetNumber(trace.Status, int64(refusal.Status))
	}
	span.Fail("no answer to rely on")
}

// noted says in its span what became of a move.
func noted(span trace.Span, r reply, err error) {
	if err != nil {
		span.Fail("redis")
		return
	}
	span.Set(trace.Answer, r.word)
	if r.request != nil {
		span.Set(trace.Request, r.request.ID)
		span.Set(trace.State, string(r.request.State))
	}
}
