package main

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/socket"
)

// metrics are the numbers that the bot shows of itself. No label takes a value
// that comes from outside as it is, so their number is bounded and nothing that
// somebody typed can end up in one. docs/operations.md lists them.
type metrics struct {
	registry *prometheus.Registry

	// The sockets.
	envelopes        *prometheus.CounterVec
	envelopesDropped *prometheus.CounterVec
	ackSeconds       *prometheus.HistogramVec
	acksFailed       *prometheus.CounterVec
	sockets          prometheus.Gauge
	connections      prometheus.Gauge
	reconnects       *prometheus.CounterVec
	undecoded        prometheus.Counter
	payloadsDropped  *prometheus.CounterVec
	panics           prometheus.Counter

	// The calls of others: metrics_calls.go.
	slackCalls   *prometheus.CounterVec
	slackSeconds *prometheus.HistogramVec
	atlasCalls   *prometheus.CounterVec
	atlasSeconds *prometheus.HistogramVec
	redisErrors  *prometheus.CounterVec
	redisSeconds *prometheus.HistogramVec

	// The requests: metrics_requests.go.
	requests        *prometheus.CounterVec
	decisionSeconds *prometheus.HistogramVec
	proofSeconds    *prometheus.HistogramVec
	targets         *prometheus.CounterVec
	refusals        *prometheus.CounterVec
	retries         *prometheus.CounterVec
	lagSeconds      *prometheus.HistogramVec
}

const namespace = "atlas_integration_bot"

// Bounds of what is measured, in seconds. Slack waits three for an ack.
var (
	ackBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2, 2.5, 3, 5}
	callBuckets   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10}
	peopleBuckets = []float64{10, 30, 60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600}
	proofBuckets  = []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
	lagBuckets    = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	redisBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3}
)

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := m.gauge("build_info", "Always 1; the label says which version runs.", "version")
	build.WithLabelValues(buildVersion()).Set(1)
	m.ofSockets()
	m.ofCalls()
	m.ofRequests()
	return m
}

func (m *metrics) ofSockets() {
	m.envelopes = m.counter("envelopes_total", "Envelopes that Slack delivered, by type.", "type")
	m.envelopesDropped = m.counter("envelopes_dropped_total",
		"Envelopes that were neither handled nor acked, because there were too many or it was too late, by type.", "type")
	m.ackSeconds = m.histogram("ack_seconds",
		"From receiving an envelope to its ack, by type. Slack waits three seconds.", ackBuckets, "type")
	m.acksFailed = m.counter("acks_failed_total", "Acks that could not be sent, by type of the envelope.", "type")
	m.sockets = m.gauge("sockets_up", "Socket Mode connections of this process that work.").WithLabelValues()
	m.connections = m.gauge("app_connections",
		"Socket Mode connections of the whole app, as Slack last counted them, without those of this process that ended since. Slack allows ten.").WithLabelValues()
	m.reconnects = m.counter("reconnects_total", "Socket Mode connections that ended, by reason.", "reason")
	m.undecoded = m.counter("frames_undecoded_total", "Frames from Slack that could not be read.").WithLabelValues()
	m.payloadsDropped = m.counter("payloads_dropped_total", "Payloads of another workspace or app that were dropped.", "reason")
	m.panics = m.counter("panics_total", "Panics while handling an envelope or working on a request; the bot went on.").WithLabelValues()
	// So that a rate over them begins at zero and not at the first event.
	for _, kind := range envelopeTypes {
		m.envelopes.WithLabelValues(kind)
		m.envelopesDropped.WithLabelValues(kind)
		m.ackSeconds.WithLabelValues(kind)
		m.acksFailed.WithLabelValues(kind)
	}
	for _, reason := range reconnectReasons {
		m.reconnects.WithLabelValues(reason)
	}
	for _, reason := range dropReasons {
		m.payloadsDropped.WithLabelValues(reason)
	}
}

func (m *metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

// other is the label of everything that has none of its own.
const other = "other"

var (
	envelopeTypes    = []string{"slash_commands", "interactive", "events_api", other}
	reconnectReasons = []string{"warning", "refresh_requested", "link_disabled", "too_many_websockets", other}
	dropReasons      = []string{"team", "app", other}
)

// label is the value itself if it is one of those known.
func label(value string, known []string) string {
	if slices.Contains(known, value) {
		return value
	}
	return other
}

// observer counts what happens on the sockets.
func (m *metrics) observer() socket.Observer {
	return socket.Observer{
		Envelope: func(kind string) { m.envelopes.WithLabelValues(label(kind, envelopeTypes)).Inc() },
		Acked: func(kind string, after time.Duration) {
			m.ackSeconds.WithLabelValues(label(kind, envelopeTypes)).Observe(after.Seconds())
		},
		AckFailed:  func(kind string) { m.acksFailed.WithLabelValues(label(kind, envelopeTypes)).Inc() },
		Dropped:    func(kind string) { m.envelopesDropped.WithLabelValues(label(kind, envelopeTypes)).Inc() },
		Panicked:   m.panics.Inc,
		Reconnect:  func(reason string) { m.reconnects.WithLabelValues(label(reason, reconnectReasons)).Inc() },
		Undecoded:  m.undecoded.Inc,
		Standing:   func(connections int) { m.sockets.Set(float64(connections)) },
		ToldNumber: func(connections int) { m.connections.Set(float64(connections)) },
	}
}

// foreign counts a payload that was dropped.
func (m *metrics) foreign(reason string) {
	m.payloadsDropped.WithLabelValues(label(reason, dropReasons)).Inc()
}

// watchReady shows what /readyz would answer.
func (m *metrics) watchReady(ready func(ctx context.Context) error) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "ready", Help: "1 if /readyz would say that the bot is ready, 0 if not.",
	}, func() float64 {
		if ready(context.Background()) != nil { // it has a deadline of its own
			return 0
		}
		return 1
	}))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
