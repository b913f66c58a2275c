package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// traces are the spans of this process, on their way out.
type traces struct {
	tracer   *trace.Tracer // nil: nothing is traced
	provider *sdktrace.TracerProvider
	exporter *loudExporter
	log      *slog.Logger
}

// openTraces begins to export spans, if there is somewhere to export them to. Whatever is
// wrong with that, the bot goes on.
func (c *config) openTraces(ctx context.Context, log *slog.Logger) *traces {
	if c.spans == nil {
		return &traces{}
	}
	exporter, err := otlptrace.New(ctx, newOTLPClient(c.spans))
	if err != nil {
		log.WarnContext(ctx, "nothing is traced", "error", err)
		return &traces{}
	}
	loud := &loudExporter{SpanExporter: exporter, log: log}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(loud), sdktrace.WithResource(ourselves(ctx, log)))
	log.InfoContext(ctx, "what happens to requests is traced", "to", c.spans.endpoint)
	return &traces{tracer: trace.New(provider), provider: provider, exporter: loud, log: log}
}

// ourselves is what every span says of the process that it comes from. What
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before it.
func ourselves(ctx context.Context, log *slog.Logger) *resource.Resource {
	self, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(), // the name of the pod
		resource.WithAttributes(
			attribute.String("service.name", "atlas-integration-bot"),
			attribute.String("service.version", buildVersion()),
			attribute.String("service.instance.id", rand.Text()),
		),
		resource.WithFromEnv())
	if err != nil { // it is what could be found out
		log.WarnContext(ctx, "read OTEL_RESOURCE_ATTRIBUTES", "error", "they are not key=value, comma separated")
	}
	return self
}

// close exports what is left, for as long as there is time, and lets nothing outlive the bot.
func (t *traces) close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.WarnContext(ctx, "export the last spans", "error", shortened(err.Error()))
		_ = t.exporter.Shutdown(ctx) // cuts the call that is under way
	}
}

// A loudExporter says in the log what does not get out. That may happen every few seconds
// for as long as a collector is away, so it says it once a minute.
type loudExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger

	guard sync.Mutex
	said  time.Time
	lost  int // since then
}

// loudTime is the least between two lines of the log about it.
const loudTime = time.Minute

// ExportSpans implements sdktrace.SpanExporter. It gives no error: the SDK would print it.
func (e *loudExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.guard.Lock()
	defer e.guard.Unlock()
	e.lost += len(spans)
	if now := time.Now(); now.Sub(e.said) >= loudTime {
		e.log.WarnContext(ctx, "export spans", "lost", e.lost, "error", shortened(err.Error()))
		e.said, e.lost = now, 0
	}
	return nil
}

// shortened is the beginning of a text that somebody else wrote: a collector may answer
// with a whole page.
func shortened(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	text = text[:most]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}

// tracedLines says of each line of the log in which trace it belongs.
type tracedLines struct{ slog.Handler }

// Handle implements slog.Handler.
func (l tracedLines) Handle(ctx context.Context, line slog.Record) error {
	if id := trace.ID(ctx); id != "" {
		line = line.Clone() // another handler may hold it too
		line.AddAttrs(slog.String("trace_id", id))
	}
	return l.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (l tracedLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedLines{l.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l tracedLines) WithGroup(name string) slog.Handler {
	return tracedLines{l.Handler.WithGroup(name)}
}
