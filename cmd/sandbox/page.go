package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// page serves the sandbox until ctx ends.
func page(ctx context.Context, opt options, out, stderr io.Writer) error {
	// First of all: whoever has the wrong port should not wait for a build.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opt.addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program: say -addr and another port, as in -addr 127.0.0.1:8090", opt.addr)
	case err != nil:
		return fmt.Errorf("-addr %s cannot be used: %w", opt.addr, err)
	}
	defer func() { _ = listener.Close() }()
	_ = stderr
	_, _ = fmt.Fprintln(out, "TODO")
	<-ctx.Done()
	return nil
}

var _ = http.StatusOK
var _ = time.Second

// withoutURL takes the URL out of an error: it may hold a password.
func withoutURL(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}
