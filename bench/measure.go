package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/drive"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/system"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// A subject is what is measured, with a Redis of its own.
type subject struct {
	system.Program
	env   []string
	redis *redisd.Server
	rdb   *redis.Client
	addr  string
	pid   int // of the Redis
	trace *system.Trace
}

// A run is a subject that runs in a world of its own.
type run struct {
	*subject
	world     *drive.World
	processes []*system.Process
	started   time.Duration // until the first hello
}

// start runs so many replicas and waits until all of them are connected.
func (s *subject) start(ctx context.Context, dir string, seats, replicas int) (*run, error) {
	world, err := drive.NewWorld(seats)
	if err != nil {
		return nil, err
	}
	r := &run{subject: s, world: world}
	env := append(world.Environment(), s.env...)
	if s.redis != nil {
		env = append(env, "REDIS_URL="+s.redis.URL)
	}
	for i := range replicas {
		begun := time.Now()
		process, err := system.Start(s.Program, dir, env)
		if err != nil {
			return nil, errors.Join(err, r.stop())
		}
		r.processes = append(r.processes, process)
		err = r.connected(ctx, process, i*s.Connections+1)
		if i == 0 {
			r.started = time.Since(begun)
		}
		if err = errors.Join(err, r.connected(ctx, process, (i+1)*s.Connections)); err != nil {
			return nil, errors.Join(fmt.Errorf("%s did not connect: %w\n%s", s.Name, err, process.LastWords()), r.stop())
		}
	}
	return r, nil
}

func (r *run) connected(ctx context.Context, p *system.Process, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ctx, cancel = p.While(ctx)
	defer cancel()
	return r.world.Slack.WaitConnections(ctx, n)
}

func (r *run) stop() error {
	for _, p := range r.processes {
		p.Stop()
	}
	return r.world.Close()
}

// spent is the CPU time so far: of the subject, of its Redis, and of this process,
// which is the stand-ins and the people.
type spent struct{ subject, redis, us time.Duration }

func (r *run) spent() (spent, error) {
	var s spent
	for _, p := range r.processes {
		cpu, err := system.CPU(p.PID())
		if err != nil {
			return s, err
		}
		s.subject += cpu
	}
	var err, fault error
	if r.redis != nil {
		s.redis, err = system.CPU(r.pid)
	}
	s.us, fault = system.CPU(os.Getpid())
	return s, errors.Join(err, fault)
}

// effort is how much of everything is measured.
type effort struct {
	loads  []int         // how many at a time
	rounds map[int]int   // in step, for each load
	free   time.Duration // of flows one after another
	people int           // who go through them
	single int           // flows whose traffic with Redis is counted; 0: it is not
	idle   time.Duration
}

// acksOf names the three kinds of acks by the type of their payloads.
var acksOf = map[string]string{"command": "slash_commands", "submission": "view_submission", "click": "block_actions"}

// whole measures everything of a subject that does the whole flow.
func (r *run) whole(ctx context.Context, e effort) (report.Sample, error) {
	sample := report.Sample{"start": ms(r.started)}
	if err := pause(ctx, e.idle); err != nil {
		return nil, err
	}
	if err := r.memory(sample, "idle"); err != nil {
		return nil, err
	}
	most := e.loads[len(e.loads)-1]
	if err := errors.Join(r.world.Together(ctx, most, 1), r.world.Freely(ctx, e.people, e.free/3)); err != nil { // to warm up
		return nil, err
	}
	for _, n := range e.loads {
		var f drive.Figures
		if err := r.world.Measure(&f, func() error { return r.world.Together(ctx, n, e.rounds[n]) }); err != nil {
			return nil, err
		}
		addAcks(sample, &f, n)
		sample.Latencies(fmt.Sprintf("put/%d", n), f.Puts)
		sample["again"] += float64(f.Again)
	}
	if err := r.throughput(ctx, sample, e); err != nil {
		return nil, err
	}
	if err := r.memory(sample, "load"); err != nil {
		return nil, err
	}
	if e.single == 0 {
		return sample, nil
	}
	return sample, r.traffic(ctx, sample, e)
}

func addAcks(sample report.Sample, f *drive.Figures, n int) {
	for name, about := range acksOf {
		sample.Latencies(fmt.Sprintf("ack/%s/%d", name, n), f.Acks[about])
	}
}

// throughput measures flows that follow each other as fast as they can.
func (r *run) throughput(ctx context.Context, sample report.Sample, e effort) error {
	before, err := r.spent()
	if err != nil {
		return err
	}
	begun := time.Now()
	var f drive.Figures
	err = r.world.Measure(&f, func() error { return r.world.Freely(ctx, e.people, e.free) })
	wall := time.Since(begun)
	after, fault := r.spent()
	if err := errors.Join(err, fault); err != nil {
		return err
	}
	flows := float64(len(f.Flows))
	cpu := after.subject - before.subject
	sample["flows/s"] = flows / wall.Seconds()
	sample["cpu/flow"] = ms(cpu) / flows
	sample["flows/cpu"] = flows / cpu.Seconds()
	sample["redis cpu/flow"] = ms(after.redis-before.redis) / flows
	sample["busy/subject"] = cpu.Seconds() / wall.Seconds()
	sample["busy/redis"] = (after.redis - before.redis).Seconds() / wall.Seconds()
	sample["busy/stand-ins"] = (after.us - before.us).Seconds() / wall.Seconds()
	sample.Latencies("flow", f.Flows)
	return nil
}

func (r *run) memory(sample report.Sample, when string) error {
	for _, p := range r.processes {
		now, peak, err := system.Memory(p.PID())
		if err != nil {
			return err
		}
		if when == "load" {
			now = peak
		}
		sample["memory/"+when] += float64(now) / (1 << 20)
	}
	return nil
}

// traffic counts what one flow asks of Redis, without what the bot asks anyway.
func (r *run) traffic(ctx context.Context, sample report.Sample, e effort) error {
	count := func(f func() error) (system.Counters, time.Duration, error) {
		before, err := system.Count(ctx, r.rdb)
		if err != nil {
			return before, 0, err
		}
		begun := time.Now()
		if err := f(); err != nil {
			return before, 0, err
		}
		took := time.Since(begun)
		after, err := system.Count(ctx, r.rdb)
		return after.Sub(before), took, err
	}
	flows := func() error { return r.world.Slowly(ctx, e.single, 50*time.Millisecond) } // nobody clicks faster
	busy, took, err := count(flows)
	if err != nil {
		return err
	}
	quiet, idle, err := count(func() error { return pause(ctx, e.idle) })
	if err != nil {
		return err
	}
	trips, err := system.Watch(ctx, r.addr, flows)
	if err != nil {
		return err
	}
	anyway, err := system.Watch(ctx, r.addr, func() error { return pause(ctx, e.idle) })
	if err != nil {
		return err
	}
	share := took.Seconds() / idle.Seconds()
	each := func(busy, quiet float64) float64 { return max(busy-quiet*share, 0) / float64(e.single) }
	sample["redis/commands"] = each(float64(busy.Commands), float64(quiet.Commands))
	sample["redis/bytes"] = each(float64(busy.In+busy.Out), float64(quiet.In+quiet.Out))
	sample["redis/trips"] = each(float64(trips), float64(anyway))
	return nil
}

// acks measures a subject that does nothing but ack.
func (r *run) acks(ctx context.Context, e effort) (report.Sample, error) {
	sample := report.Sample{"start": ms(r.started)}
	if err := r.world.Acks(ctx, e.loads[len(e.loads)-1], 1); err != nil { // to warm up
		return nil, err
	}
	for _, n := range e.loads {
		var f drive.Figures
		if err := r.world.Measure(&f, func() error { return r.world.Acks(ctx, n, e.rounds[n]) }); err != nil {
			return nil, err
		}
		addAcks(sample, &f, n)
	}
	return sample, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
