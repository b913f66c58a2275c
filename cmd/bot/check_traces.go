package main

import "context"

// checkTraces sends the collector, if there is one, a batch without spans. The bot works
// without it, so nothing here is a failure.
func checkTraces(ctx context.Context, r *report, cfg *config) {
	if cfg.spans == nil {
		return // what is wrong with the variables, if anything is, is among the hints
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client := newOTLPClient(cfg.spans)
	defer func() { _ = client.Stop(ctx) }() // it has no error to give
	if err := client.send(ctx, nil); err != nil {
		r.add(doubt, "traces", shortened(err.Error()), "look at OTEL_EXPORTER_OTLP_ENDPOINT and at what answers there; until then nothing is traced")
		return
	}
	r.ok("traces", "%s takes spans", cfg.spans.endpoint)
}
