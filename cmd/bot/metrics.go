package main

import (
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
// somebody typed can end up in one.
type metrics struct {
	registry *prometheus.Registry

	envelopes   *prometheus.CounterVec // by type
	ackSeconds  *prometheus.HistogramVec
	acksFailed  *prometheus.CounterVec
	sockets     prometheus.Gauge
	connections prometheus.Gauge // of the whole app, as Slack counts them
	reconnects  *prometheus.CounterVec
	undecoded   prometheus.Counter
	dropped     *prometheus.CounterVec
	panics      prometheus.Counter
}

func newMetrics() *metrics {
	const namespace = "atlas_integration_bot"
	named := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Name: name, Help: help}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts(
			named("envelopes_total", "Envelopes that Slack delivered, by type.")), []string{"type"}),
		ackSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "ack_seconds", Help: "From receiving an envelope to its ack, by type. Slack waits three seconds.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2, 2.5, 3, 5},
		}, []string{"type"}),
		acksFailed: prometheus.NewCounterVec(prometheus.CounterOpts(
			named("acks_failed_total", "Acks that could not be sent, by type of the envelope.")), []string{"type"}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts(
			named("sockets_up", "Socket Mode connections of this process that work."))),
		connections: prometheus.NewGauge(prometheus.GaugeOpts(
			named("app_connections", "Socket Mode connections of the whole app, as Slack last counted them. Slack allows ten."))),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts(
			named("reconnects_total", "Socket Mode connections that ended, by reason.")), []string{"reason"}),
		undecoded: prometheus.NewCounter(prometheus.CounterOpts(
			named("frames_undecoded_total", "Frames from Slack that could not be read."))),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts(
			named("payloads_dropped_total", "Payloads of another workspace or app that were dropped.")), []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts(
			named("panics_total", "Panics while handling an envelope."))),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": buildVersion()},
	})
	build.Set(1)
	m.registry.MustRegister(m.envelopes, m.ackSeconds, m.acksFailed, m.sockets, m.connections, m.reconnects, m.undecoded, m.dropped, m.panics, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// So that a rate over them begins at zero and not at the first event.
	for _, kind := range envelopeTypes {
		m.envelopes.WithLabelValues(kind)
		m.acksFailed.WithLabelValues(kind)
	}
	for _, reason := range reconnectReasons {
		m.reconnects.WithLabelValues(reason)
	}
	for _, reason := range dropReasons {
		m.dropped.WithLabelValues(reason)
	}
	return m
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
		Panicked:   m.panics.Inc,
		Reconnect:  func(reason string) { m.reconnects.WithLabelValues(label(reason, reconnectReasons)).Inc() },
		Undecoded:  m.undecoded.Inc,
		Standing:   func(connections int) { m.sockets.Set(float64(connections)) },
		ToldNumber: func(connections int) { m.connections.Set(float64(connections)) },
	}
}

// foreign counts a payload that was dropped.
func (m *metrics) foreign(reason string) { m.dropped.WithLabelValues(label(reason, dropReasons)).Inc() }

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
