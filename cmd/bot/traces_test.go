package main

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestSpansTo(t *testing.T) {
	t.Parallel()
	const (
		endpoint       = otlpPrefix + otlpEndpoint
		tracesEndpoint = otlpPrefix + "TRACES_" + otlpEndpoint
		protocol       = otlpPrefix + otlpProtocol
		to             = "http://collector:4318"
	)
	nowhere := filepath.Join(t.TempDir(), "nowhere.pem")
	tests := []struct {
		name string
		env  []string
		to   string
		hint string // what it contains
	}{
		{name: "nothing is set"},
		{name: "an endpoint", env: []string{endpoint, to}, to: to + "/v1/traces"},
		{name: "with a path", env: []string{endpoint, "https://otlp.example.com/otlp/"}, to: "https://otlp.example.com/otlp/v1/traces"},
		{name: "for traces, as it is", env: []string{tracesEndpoint, to + "/spans", endpoint, "http://other:4318"}, to: to + "/spans"},
		{name: "disabled", env: []string{endpoint, to, otelDisabled, "TRUE"}},
		{name: "no exporter", env: []string{endpoint, to, otelExporter, "none"}},
		{name: "another exporter", env: []string{endpoint, to, otelExporter, "zipkin"}, hint: otelExporter + " must be otlp or none"},
		{name: "otlp", env: []string{endpoint, to, otelExporter, "otlp", protocol, "http/protobuf"}, to: to + "/v1/traces"},
		{name: "gRPC", env: []string{endpoint, "http://collector:4317", protocol, "grpc"}, hint: protocol + " must be http/protobuf, which collectors take at port 4318"},
		{name: "gRPC for all else", env: []string{endpoint, to, protocol, "grpc", otlpPrefix + "TRACES_PROTOCOL", "http/protobuf"}, to: to + "/v1/traces"},
		{name: "no URL", env: []string{endpoint, "collector:4318"}, hint: endpoint + " is not an absolute URL"},
		{name: "a password", env: []string{tracesEndpoint, "http://me:" + canary + "@collector:4318"}, hint: tracesEndpoint + " must be a plain URL, without a user"},
		{name: "no header", env: []string{endpoint, to, otlpPrefix + otlpHeaders, "Bearer " + canary}, hint: otlpPrefix + otlpHeaders + " is not name=value"},
		{name: "no time", env: []string{endpoint, to, otlpPrefix + otlpTimeout, "10s"}, hint: otlpPrefix + otlpTimeout + " must be a whole number of milliseconds"},
		{name: "compression", env: []string{endpoint, to, otlpPrefix + otlpCompression, "zstd"}, hint: otlpPrefix + otlpCompression + " must be gzip or none"},
		{name: "no certificate", env: []string{endpoint, to, otlpPrefix + otlpCA, nowhere}, hint: otlpPrefix + otlpCA + " is no file of a certificate"},
		{name: "no pair", env: []string{endpoint, to, otlpPrefix + otlpCertificate, nowhere}, hint: otlpPrefix + otlpCertificate + " and " + otlpPrefix + otlpKey + " are no files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := readConfig(t.Context(), complete(t).with(tt.env...))
			require.NoError(t, err, "the bot works without traces")
			if tt.to == "" {
				assert.Nil(t, cfg.spans)
			} else if assert.NotNil(t, cfg.spans) {
				assert.Equal(t, tt.to, cfg.spans.endpoint)
			}
			if tt.hint == "" {
				assert.Empty(t, cfg.hints)
				return
			}
			require.Len(t, cfg.hints, 1)
			assert.Contains(t, cfg.hints[0], tt.hint)
			assert.Contains(t, cfg.hints[0], "nothing is traced")
			assert.NotContains(t, cfg.hints[0], canary)
		})
	}
}

// What a collector may ask for: its own certificate, credentials, compression, patience.
func TestExportingSpans(t *testing.T) {
	t.Parallel()
	const password = "a b=" + canary
	var attempts atomic.Int32
	var body []byte
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if attempts.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		assert.Equal(t, "/v1/traces", r.URL.Path)
		assert.Equal(t, password, r.Header.Get("Api-Key"))
		assert.Equal(t, "application/x-protobuf", r.Header.Get("Content-Type"))
		unzipped, err := gzip.NewReader(r.Body)
		if assert.NoError(t, err) {
			body, err = io.ReadAll(unzipped)
			assert.NoError(t, err)
		}
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	spans, log := exportingTo(t, server.URL, otlpPrefix+otlpCA, ca,
		otlpPrefix+otlpHeaders, "api-key="+url.PathEscape(password)+" , other=1", otlpPrefix+otlpCompression, "gzip")
	traced(t, spans)
	require.NoError(t, spans.provider.ForceFlush(t.Context()))
	spans.close(t.Context())
	assert.EqualValues(t, 2, attempts.Load())
	var sent tracepb.TracesData
	require.NoError(t, proto.Unmarshal(body, &sent))
	require.Len(t, sent.GetResourceSpans(), 1)
	assert.Equal(t, "command update", sent.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName())
	assert.NotContains(t, log.text(), "export spans")
	assert.NotContains(t, log.text(), canary)
}

// A collector may take some spans and leave others out.
func TestACollectorThatLeavesSpansOut(t *testing.T) {
	t.Parallel()
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), "too old")
	spans, log := exporting(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial))
	})
	traced(t, spans)
	spans.close(t.Context())
	assert.Contains(t, log.line(t, "export spans")["error"], "the collector left out 1 spans: too old")
	assert.NoError(t, rejected([]byte("<html>")), "what is no such answer says nothing of it")
}

// A collector that refuses costs the bot a line of the log, however often it does.
func TestACollectorThatRefuses(t *testing.T) {
	t.Parallel()
	spans, log := exporting(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("no. ", 1000), http.StatusForbidden)
	})
	for range 3 {
		traced(t, spans)
		require.NoError(t, spans.provider.ForceFlush(t.Context()))
	}
	spans.close(t.Context())
	line := log.line(t, "export spans")
	assert.Contains(t, line["error"], "403")
	assert.Less(t, len(line["error"].(string)), 310)
	assert.Equal(t, 1, strings.Count(log.text(), "export spans"))
}

// One that never answers does not keep the bot from ending.
func TestACollectorThatHangs(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	spans, log := exporting(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees when the bot goes away
		<-r.Context().Done()
		close(cut)
	})
	traced(t, spans)
	spans.close(t.Context())
	log.line(t, "export the last spans")
	select {
	case <-cut:
	case <-time.After(soon):
		require.Fail(t, "the call outlives the bot")
	}
}

// exporting is what exports to a collector, and its log.
func exporting(t *testing.T, collector http.HandlerFunc) (*traces, *running) {
	t.Helper()
	server := httptest.NewServer(collector)
	t.Cleanup(server.Close)
	return exportingTo(t, server.URL)
}

func exportingTo(t *testing.T, address string, more ...string) (*traces, *running) {
	t.Helper()
	cfg, err := readConfig(t.Context(), complete(t).with(otlpPrefix+otlpEndpoint, address).with(more...))
	require.NoError(t, err)
	require.Empty(t, cfg.hints)
	log := &running{changed: make(chan struct{})}
	spans := cfg.openTraces(t.Context(), cfg.logger(log))
	require.True(t, spans.tracer.On())
	return spans, log
}

func traced(t *testing.T, spans *traces) {
	t.Helper()
	_, span := spans.tracer.Receive(t.Context(), "", "command", "update", time.Now())
	span.End()
}

// bot check tries the collector; one that is no use is nothing to fail for.
func TestCheckTraces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer int
		want   string
	}{
		{"takes spans", http.StatusOK, "ok http://"},
		{"refuses", http.StatusUnauthorized, "warn the collector answers 401 Unauthorized: look at OTEL_EXPORTER_OTLP_ENDPOINT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.NoError(t, proto.Unmarshal(body, &tracepb.TracesData{}))
				w.WriteHeader(tt.answer)
			}))
			t.Cleanup(server.Close)
			cfg, err := readConfig(t.Context(), complete(t).with(otlpPrefix+otlpEndpoint, server.URL))
			require.NoError(t, err)
			var out bytes.Buffer
			r := &report{w: &out}
			checkTraces(t.Context(), r, cfg)
			assert.Contains(t, read(t, out.String())["traces"], tt.want)
			assert.False(t, r.failed)
		})
	}
}
