package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
)

// profiled is for how long the bot is watched.
const profiled = 10 * time.Second

// profile measures the bot alone, without history, prints its values, and writes what its
// processor did during flows that follow each other.
func (b *bench) profile(ctx context.Context, p *plan, file string) error {
	if err := b.bot.learn(ctx, b.dir); err != nil {
		return err
	}
	if err := b.bot.remember(ctx, p.histories[0]); err != nil {
		return err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	b.bot.env = append(b.bot.env, "PPROF_ADDR="+addr)
	values, err := b.with(ctx, b.bot, 1, func(r *run) (report.Sample, error) {
		values, err := r.whole(ctx, p.effort)
		if err != nil {
			return nil, err
		}
		watching, done := context.WithCancel(ctx)
		defer done()
		var both errgroup.Group
		both.Go(func() error { return r.world.Freely(watching, p.people, profiled) })
		both.Go(func() error {
			return download(watching, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", addr, profiled.Seconds()-1), file)
		})
		return values, both.Wait()
	})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Printf("%-24s %.2f\n", name, values[name])
	}
	return err
}

func freeAddr(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func download(ctx context.Context, url, file string) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	f, err := os.Create(file) //nolint:gosec // where the caller wants it
	if err != nil {
		return err
	}
	_, err = io.Copy(f, response.Body)
	return errors.Join(err, f.Close())
}
