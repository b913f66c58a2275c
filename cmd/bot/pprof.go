package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // the multiplexer that it registers with by itself is served nowhere
)

// serveProfiles serves profiles of this process at PPROF_ADDR, if it is set, until
// ctx ends. What is in memory is for whoever is on the machine, so it is an address
// of its own, on loopback only.
func serveProfiles(ctx context.Context, addr string, log *slog.Logger) error {
	if addr == "" {
		return nil
	}
	listener, err := listen(ctx, "PPROF_ADDR", addr)
	if err != nil {
		return err
	}
	log.WarnContext(ctx, "profiles are served to this machine", "pprof", listener.Addr().String())
	return serveHTTP(ctx, "PPROF_ADDR", listener, profiles(), log)
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// checkLoopback takes the address of a port that no other machine reaches.
func checkLoopback(value string) string {
	if wrong := checkAddr(value); wrong != "" {
		return wrong
	}
	if host, _, err := net.SplitHostPort(value); err != nil || !loopback(host) {
		return "must be on loopback, as in 127.0.0.1:6060: whoever reaches it can read what is in memory"
	}
	return ""
}
