package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/web"
)

func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: choose another port with -addr, as in -addr 127.0.0.1:8090", addr)
	case err != nil:
		return nil, fmt.Errorf("-addr %s cannot be used: %w", addr, err)
	}
	return listener, nil
}

// serve shows the sandbox on a page until ctx ends.
func serve(ctx context.Context, s *sandbox.Sandbox, listener net.Listener, public bool, out io.Writer) error {
	page := web.New(ctx, s, public)
	defer page.Close()
	server := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if public {
		_, _ = fmt.Fprintln(out, "WARNING: other machines can reach this page, and it asks nobody who they are. Type no real key.")
	}
	_, _ = fmt.Fprintf(out, "open %s in a browser; Ctrl-C ends it\n", address(listener.Addr()))
	select {
	case err := <-ended:
		return fmt.Errorf("serve the page: %w", err)
	case <-ctx.Done():
		_ = server.Close() // streams would hold a graceful end forever
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the page: %w", err)
		}
		return nil
	}
}

// address is where a browser of this machine finds the page.
func address(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return "http://" + addr.String()
	}
	host := "localhost"
	if ip := tcp.IP; !ip.IsLoopback() && !ip.IsUnspecified() {
		host = ip.String()
	}
	return fmt.Sprintf("http://%s", net.JoinHostPort(host, fmt.Sprint(tcp.Port)))
}
