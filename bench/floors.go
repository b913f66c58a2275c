package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/drive"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// keepVote is the least that a bot does which acks a click after it counts: it keeps who
// clicked, once, and notes it.
var keepVote = redis.NewScript(`
local new = redis.call('HSETNX', KEYS[1], ARGV[1], 1)
redis.call('XADD', KEYS[2], '*', 'who', ARGV[1], 'request', KEYS[1])
return new`)

// floors measures the round trips that no bot can do without: to Redis and to Atlas.
func (b *bench) floors(ctx context.Context, loads []int) (report.Run, error) {
	run := report.Run{System: "round trips", What: "floors", Values: report.Sample{}}
	world, err := drive.NewWorld(seats)
	if err != nil {
		return run, err
	}
	defer func() { _ = world.Close() }() // nothing is lost with it
	admin, err := atlas.NewClient(atlas.Config{
		BaseURL: world.Atlas.URL(), ClientID: world.Atlas.ClientID(), ClientSecret: secret.New(world.Atlas.ClientSecret()),
	})
	if err != nil {
		return run, err
	}
	defer func() { _ = admin.Close(ctx) }() // its Atlas ends, too
	projects, err := admin.Projects(ctx)
	if err != nil {
		return run, err
	}
	pagerDuty, _ := atlas.FindType("PAGER_DUTY")
	settings := &atlas.Settings{
		Type: pagerDuty, Plain: map[string]string{"region": "US"},
		Secrets: map[string]secret.Text{"serviceKey": secret.New(fmt.Sprintf("%032x", time.Now().UnixNano()))},
	}
	trips := map[string]func(i int) error{
		"redis": func(int) error { return b.bot.rdb.Ping(ctx).Err() },
		"redis vote": func(i int) error {
			return keepVote.Run(ctx, b.bot.rdb, []string{fmt.Sprintf("vote:%d", i), "votes"}, "U0APPROVER").Err()
		},
		"atlas get": func(i int) error {
			_, err := admin.Integration(ctx, projects[i].ID, pagerDuty)
			return err
		},
		"atlas put": func(i int) error {
			_, err := admin.Update(ctx, projects[i].ID, settings)
			return err
		},
	}
	for name, trip := range trips {
		for _, n := range loads {
			times, err := atATime(n, 20, trip)
			if err != nil {
				return run, fmt.Errorf("%s: %w", name, err)
			}
			run.Values.Latencies(fmt.Sprintf("%s/%d", name, n), times)
		}
	}
	return run, nil
}

// atATime has n do something, each so often, and gives how long it took each time.
func atATime(n, often int, do func(i int) error) ([]time.Duration, error) {
	var mu sync.Mutex
	var times []time.Duration
	var errs []error
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for range often {
				begun := time.Now()
				err := do(i)
				took := time.Since(begun)
				mu.Lock()
				times, errs = append(times, took), append(errs, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return times, errors.Join(errs...)
}
