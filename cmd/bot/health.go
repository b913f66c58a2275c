package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// readyTime is how long /readyz waits for what it asks.
const readyTime = time.Second

// health answers whether the process lives and whether it can do its work.
type health struct {
	metrics *metrics

	guard  sync.Mutex
	unfit  string                          // why it is not ready; empty: it may be
	redis  func(ctx context.Context) error // asks whether Redis answers
	socket func() error
	stuck  func() error // nil: nothing works yet that could be
}

// starting is why a bot that has only begun is not ready.
const starting = "slack has not yet said which workspace the bot token is of"

func newHealth(m *metrics) *health { return &health{metrics: m, unfit: starting} }

// fit says that the bot works from now on, as long as redis and socket find no fault.
// Stuck says why only a new process would go on, if that is so.
func (h *health) fit(redis func(ctx context.Context) error, socket, stuck func() error) {
	h.guard.Lock()
	defer h.guard.Unlock()
	h.unfit, h.redis, h.socket, h.stuck = "", redis, socket, stuck
}

// notFit says why the bot is not ready.
func (h *health) notFit(why string) {
	h.guard.Lock()
	defer h.guard.Unlock()
	h.unfit = why
}

// ready finds out whether commands and clicks would be answered now. Atlas is no
// part of it: without it requests are taken and wait.
func (h *health) ready(ctx context.Context) error {
	h.guard.Lock()
	unfit, redis, socket := h.unfit, h.redis, h.socket
	h.guard.Unlock()
	if unfit != "" {
		return errors.New(unfit)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := redis(ctx); err != nil {
		return fmt.Errorf("redis does not answer: %w", err)
	}
	return socket()
}

// alive finds out whether the process is of use. Whatever it waits for, Slack or Redis, a
// new one would wait for as well.
func (h *health) alive() error {
	h.guard.Lock()
	stuck := h.stuck
	h.guard.Unlock()
	if stuck == nil {
		return nil
	}
	return stuck()
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.alive(); err != nil {
			say(w, http.StatusServiceUnavailable, "to be restarted: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.ready(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", h.metrics.handler())
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // whoever asked is gone
}

// listen opens the address that a variable names. HTTP_ADDR is opened before anything
// else is begun: an address that is taken ends the bot at once.
func listen(ctx context.Context, variable, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return l, nil
}

// serveHTTP serves until ctx ends, then lets answers under way finish.
func serveHTTP(ctx context.Context, variable string, l net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", variable, err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close() // whatever takes longer is cut
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", variable, err)
	}
	return nil
}
