package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/drive"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
)

// seats is how many people there are: the most that do something at a time.
const seats = 300

// A plan says what is measured, and how often.
type plan struct {
	effort
	histories []int // the last one is written once: what the runs add to it does not count
	usual     int   // the history at which everything else is measured
	repeats   int
	replicas  []int         // besides one
	refreshes time.Duration // how long connections are refreshed
	perSecond int           // commands meanwhile
}

func fullPlan() plan {
	return plan{
		effort: effort{
			loads: []int{1, 50, seats}, rounds: map[int]int{1: 40, 50: 5, seats: 2},
			free: 2500 * time.Millisecond, people: 50, single: 10, idle: time.Second,
		},
		histories: []int{10, 10_000, 1_000_000}, usual: 10_000, repeats: 3, replicas: []int{2, 4},
		refreshes: 12 * time.Second, perSecond: 100,
	}
}

// quickPlan shows that everything works. Its numbers say nothing.
func quickPlan() plan {
	return plan{
		effort: effort{
			loads: []int{1, 50, seats}, rounds: map[int]int{1: 5, 50: 1, seats: 1},
			free: time.Second / 2, people: 50, single: 5, idle: 200 * time.Millisecond,
		},
		histories: []int{10, 1_000}, usual: 10, repeats: 1, replicas: []int{2},
		refreshes: 3 * time.Second, perSecond: 50,
	}
}

// measure carries out a plan. Systems take turns, so that whatever else happens on the
// machine happens to all of them.
func (b *bench) measure(ctx context.Context, p *plan) (runs []report.Run, err error) {
	log("one request of each, of which histories are made")
	for _, s := range []*subject{b.bot, b.peer} {
		if err := s.learn(ctx, b.dir); err != nil {
			return nil, err
		}
	}
	note := func(run report.Run, err error) error {
		if err == nil {
			runs = append(runs, run)
		}
		return err
	}
	for _, history := range p.histories {
		if err := b.write(ctx, p, history); err != nil {
			return nil, err
		}
		for i := range p.repeats {
			log("history of %d: turn %d of %d", history, i+1, p.repeats)
			for _, s := range []*subject{b.bot, b.peer} {
				if err := b.fresh(ctx, s, p, history); err != nil {
					return nil, err
				}
				if err := note(b.flows(ctx, s, p, history, i)); err != nil {
					return nil, err
				}
			}
			if history == p.usual {
				err := errors.Join(note(b.acks(ctx, p)), note(b.floors(ctx, p.loads)), b.replicas(ctx, p, note))
				if err != nil {
					return nil, err
				}
			}
			if history == p.usual && i == 0 {
				if err := b.refresh(ctx, p, note); err != nil {
					return nil, err
				}
			}
		}
	}
	return runs, nil
}

// write makes the last history, for both at a time: each Redis has one thread.
func (b *bench) write(ctx context.Context, p *plan, history int) error {
	if history != p.histories[len(p.histories)-1] {
		return nil
	}
	log("write a history of %d", history)
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range []*subject{b.bot, b.peer} {
		g.Go(func() error { return s.remember(ctx, history) })
	}
	return g.Wait()
}

// fresh makes any other history anew, without what the run before has added to it.
func (b *bench) fresh(ctx context.Context, s *subject, p *plan, history int) error {
	if history == p.histories[len(p.histories)-1] {
		return nil
	}
	return s.remember(ctx, history)
}

// flows measures a subject with everything that it does. What it asks of Redis is the
// same each time, and counted the first time only.
func (b *bench) flows(ctx context.Context, s *subject, p *plan, history, turn int) (report.Run, error) {
	e := p.effort
	if turn > 0 {
		e.single = 0
	}
	values, err := b.with(ctx, s, 1, func(r *run) (report.Sample, error) { return r.whole(ctx, e) })
	return report.Run{System: s.Name, What: "flows", History: history, Replicas: 1, Values: values}, err
}

// acks measures the loop that does nothing else.
func (b *bench) acks(ctx context.Context, p *plan) (report.Run, error) {
	values, err := b.with(ctx, b.bare, 1, func(r *run) (report.Sample, error) { return r.acks(ctx, p.effort) })
	return report.Run{System: b.bare.Name, What: "flows", History: p.usual, Replicas: 1, Values: values}, err
}

// replicas measures the throughput of more of them.
func (b *bench) replicas(ctx context.Context, p *plan, note func(report.Run, error) error) error {
	for _, s := range []*subject{b.bot, b.peer} {
		for _, n := range p.replicas {
			if err := s.remember(ctx, p.usual); err != nil {
				return err
			}
			values, err := b.with(ctx, s, n, func(r *run) (report.Sample, error) {
				sample := report.Sample{}
				return sample, errors.Join(r.world.Freely(ctx, p.people, p.free/3), r.throughput(ctx, sample, p.effort))
			})
			if err := note(report.Run{System: s.Name, What: "replicas", History: p.usual, Replicas: n, Values: values}, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// refresh measures what becomes of commands while connections are refreshed.
func (b *bench) refresh(ctx context.Context, p *plan, note func(report.Run, error) error) error {
	for _, s := range []*subject{b.bot, b.peer} {
		log("connections are refreshed: %s", s.Name)
		values, err := b.with(ctx, s, 1, func(r *run) (report.Sample, error) {
			seen, err := r.world.Refresh(ctx, p.perSecond, p.refreshes)
			return refreshed(seen), err
		})
		if err := note(report.Run{System: s.Name, What: "refresh", History: p.usual, Replicas: 1, Values: values}, err); err != nil {
			return err
		}
	}
	return nil
}

func refreshed(r drive.Refreshed) report.Sample {
	return report.Sample{
		"refresh/commands": float64(r.Commands), "refresh/lost": float64(r.Lost), "refresh/late": float64(r.Late),
		"refresh/slowest": ms(r.Slowest),
	}
}

// with runs a subject for as long as it is measured.
func (b *bench) with(ctx context.Context, s *subject, replicas int, measure func(*run) (report.Sample, error)) (report.Sample, error) {
	r, err := s.start(ctx, b.dir, seats, replicas)
	if err != nil {
		return nil, err
	}
	values, err := measure(r)
	if err != nil {
		err = fmt.Errorf("%s: %w\nthe end of its log:\n%s", s.Name, err, r.processes[0].LastWords())
	}
	return values, errors.Join(err, r.stop())
}

var begun = time.Now()

// log says what goes on, for whoever waits.
func log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
}
