package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collected "go.opentelemetry.io/proto/otlp/collector/trace/v1" // as a collector reads it, not as the bot writes it
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// collector takes spans over OTLP/HTTP, as those of OpenTelemetry do.
type collector struct {
	url string

	guard   sync.Mutex
	raw     bytes.Buffer // everything that it was sent
	spans   []span
	changed chan struct{} // closed and made anew when there are more
}

type span struct {
	*otlp.Span
	process string // service.instance.id
	service string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{changed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("the collector cannot read what it is sent: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// settings are what a bot is told so that its spans arrive here at once.
func (c *collector) settings(w *world) {
	w.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = c.url
	w.env["OTEL_BSP_SCHEDULE_DELAY"] = "20" // ms
}

func (c *collector) take(r *http.Request) error {
	from := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		from = unzipped
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	var batch collected.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &batch); err != nil {
		return err
	}
	c.guard.Lock()
	defer c.guard.Unlock()
	c.raw.Write(body)
	for _, of := range batch.GetResourceSpans() {
		process, service := said(of.GetResource().GetAttributes(), "service.instance.id"), said(of.GetResource().GetAttributes(), "service.name")
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{s, process, service})
			}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// everything is all that was exported.
func (c *collector) everything() []byte {
	c.guard.Lock()
	defer c.guard.Unlock()
	return bytes.Clone(c.raw.Bytes())
}

// wait waits for a span of a name of which more is true, if that is asked.
func (c *collector) wait(t *testing.T, name string, more ...func(span) bool) span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		c.guard.Lock()
		spans, changed := slices.Clone(c.spans), c.changed
		c.guard.Unlock()
		for _, s := range spans {
			if s.GetName() == name && !slices.ContainsFunc(more, func(is func(span) bool) bool { return !is(s) }) {
				return s
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			var names []string
			for _, s := range spans {
				names = append(names, s.GetName())
			}
			require.Fail(t, "there is no such span", "%s among %s", name, names)
		}
	}
}

// says is the value that a span gives a key.
func (s span) says(key string) string { return said(s.GetAttributes(), key) }

func said(attributes []*common.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			if number, ok := a.GetValue().GetValue().(*common.AnyValue_IntValue); ok {
				return strconv.FormatInt(number.IntValue, 10)
			}
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

func (s span) trace() string { return hex.EncodeToString(s.GetTraceId()) }

// TestOneTraceFromCommandToCard: the request is made at one replica, which is killed,
// approved at another, which is killed in the middle of the PUT, and finished by a third.
// It is one trace, and nothing in it is what people typed.
func TestOneTraceFromCommandToCard(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	w := newWorld(t, c.settings)
	first := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("7777", "payments-prod")).Errors)
	card := w.card(t, "pending")
	command := c.wait(t, "command update")
	opened := c.wait(t, "slack views.open")
	submission := c.wait(t, "submission update_integration")
	prepare := c.wait(t, "prepare")
	read := c.wait(t, "read target")
	posted := c.wait(t, "show card")
	first.kill()
	require.NoError(t, w.slack.WaitDisconnected(deadline(t)))

	second := w.start(t)
	late := w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)
	w.click(t, jo, card, "approve")
	require.NoError(t, late.Wait(t.Context(), 1))
	click := c.wait(t, "click approve")
	approve := c.wait(t, "approve")
	second.kill()
	require.NoError(t, w.slack.WaitDisconnected(deadline(t)))

	third := w.start(t)
	w.card(t, "applied")
	put := c.wait(t, "atlas update")
	target := c.wait(t, "apply target")
	apply := c.wait(t, "apply")
	shown := c.wait(t, "slack chat.update", func(s span) bool { return s.process == put.process })

	id := requestID(t, card)
	for _, s := range []span{command, opened, submission, prepare, read, posted, click, approve, put, target, apply, shown} {
		assert.Equal(t, command.trace(), s.trace(), s.GetName())
		assert.Equal(t, "atlas-integration-bot", s.service)
	}
	for _, s := range []span{prepare, approve, apply} {
		assert.Equal(t, id, s.says("aib.request"), s.GetName())
	}
	assert.Empty(t, command.GetParentSpanId(), "the command begins it")
	assert.Equal(t, command.GetSpanId(), submission.GetParentSpanId())
	assert.Equal(t, click.GetSpanId(), approve.GetParentSpanId())
	assert.Equal(t, target.GetSpanId(), put.GetParentSpanId())
	assert.Equal(t, command.process, submission.process)
	assert.NotEqual(t, command.process, click.process)
	assert.NotEqual(t, click.process, put.process)
	assert.Equal(t, otlp.Span_SPAN_KIND_CONSUMER, click.GetKind())
	assert.Equal(t, otlp.Span_SPAN_KIND_CLIENT, put.GetKind())
	assert.Equal(t, "applied", target.says("aib.outcome"))
	assert.Equal(t, w.atlas.ProjectID("payments-prod"), target.says("aib.project"))
	assert.Equal(t, "200", put.says("http.response.status_code"))
	assert.Equal(t, "ok", shown.says("slack.result"))
	for event, bot := range map[string]*process{"submit": first, "approve": second, "succeed": third} {
		assert.Contains(t, bot.logs.String(), `"event":"`+event+`"`)
		for line := range strings.Lines(bot.logs.String()) {
			switch {
			case strings.Contains(line, `"msg":"audit"`) && strings.Contains(line, `"event":"start"`):
				assert.NotContains(t, line, "trace_id", "the start of a process is of no request")
			case strings.Contains(line, `"msg":"audit"`):
				assert.Contains(t, line, `"trace_id":"`+command.trace()+`"`)
			}
		}
	}
	for _, typed := range []string{"INC-42", "payments-prod", key("7777"), mira, jo} {
		assert.False(t, bytes.Contains(c.everything(), []byte(typed)), "%q is in a span", typed)
	}
}

// Without a collector that answers, requests are made, approved and applied as ever.
func TestACollectorThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
		w.env["OTEL_BSP_SCHEDULE_DELAY"] = "20"
		w.env["OTEL_RESOURCE_ATTRIBUTES"] = "not an attribute " + key("5555")
	})
	bot := w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("8888", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "applied")
	bot.stop(t)
	assert.Equal(t, 1, strings.Count(bot.logs.String(), `"msg":"export the last spans"`), bot.logs)
	assert.LessOrEqual(t, strings.Count(bot.logs.String(), `"msg":"export spans"`), 1, bot.logs)
	assert.NotContains(t, bot.logs.String(), key("5555"), "what the SDK cannot read may be a credential")
	for line := range strings.Lines(bot.logs.String()) {
		assert.True(t, strings.HasPrefix(line, "{"), "a line that is not of the bot's log: %s", line)
	}
}
