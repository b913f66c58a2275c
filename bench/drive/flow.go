package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// patience is how long a flow waits for each thing that it waits for.
const patience = 30 * time.Second

// tries is how often somebody does again what an overloaded bot did not take.
const tries = 5

type message struct {
	Channel string          `json:"channel"`
	TS      string          `json:"ts"`
	Blocks  json.RawMessage `json:"blocks"`
}

func readMessage(text []byte) (m message, ok bool) {
	return m, json.Unmarshal(text, &m) == nil
}

// flow is one rotation, from the command to the card that says that it is applied.
// Together is called before the submission and before the click: in it, flows may wait for
// each other.
func (w *World) flow(ctx context.Context, s *seat, together func()) error {
	begun := time.Now()
	if err := w.open(ctx, s); err != nil {
		return err
	}
	s.turn++
	if err := s.person.Type(keyInput, fmt.Sprintf("%08x%024x", s.turn, time.Now().UnixNano())); err != nil {
		return fmt.Errorf("%s: type the key: %w", s.project, err)
	}
	if err := s.person.Type("reason", "It was shown in a screenshot of the incident."); err != nil {
		return fmt.Errorf("%s: type the reason: %w", s.project, err)
	}
	together()
	drain(s.card)
	if err := w.submit(ctx, s); err != nil {
		return err
	}
	shown, err := await(ctx, s.card, patience)
	if err != nil {
		return fmt.Errorf("%s: wait for the card: %w", s.project, err)
	}
	together()
	if err := w.approve(ctx, s, shown); err != nil {
		return err
	}
	w.measure(func(f *Figures) { f.flow(time.Since(begun)) })
	return nil
}

// open has the form opened. A bot that comes too late for Slack's trigger, which lives
// three seconds, cannot open it, and the person types the command again.
func (w *World) open(ctx context.Context, s *seat) (err error) {
	for range tries {
		drain(s.form)
		if _, err := s.person.Command(ctx, incidents, command, "update "+s.project+" "+typ); err != nil {
			return fmt.Errorf("%s: command: %w", s.project, err)
		}
		if _, err = await(ctx, s.form, patience/tries); err == nil {
			return nil
		}
		w.measure(func(f *Figures) { f.Again++ })
	}
	return fmt.Errorf("%s: wait for the form: %w", s.project, err)
}

// submit sends the form, again if it says that this did not work: it counts once.
func (w *World) submit(ctx context.Context, s *seat) error {
	var result slacksim.SubmitResult
	for range tries {
		var err error
		if result, err = s.person.Submit(ctx); err != nil {
			return fmt.Errorf("%s: submit: %w", s.project, err)
		}
		if result.Trouble == "" && len(result.Errors) == 0 {
			return nil
		}
		w.measure(func(f *Figures) { f.Again++ })
	}
	return fmt.Errorf("%s: submit: %s %v", s.project, result.Trouble, result.Errors)
}

func (w *World) approve(ctx context.Context, s *seat, card string) error {
	drain(s.applied)
	s.mu.Lock()
	s.shown, s.clicked = card, time.Now()
	s.mu.Unlock()
	if err := w.Slack.Person(approver).Click(ctx, slacksim.Message{Channel: Approvals, TS: card}, "approve"); err != nil {
		return fmt.Errorf("%s: approve: %w", s.project, err)
	}
	if _, err := await(ctx, s.applied, patience); err != nil {
		return fmt.Errorf("%s: wait until it is applied: %w", s.project, err)
	}
	return nil
}

// Together has n people go through a flow in step, so that n commands, then n
// submissions and then n clicks come at a time, so many rounds.
func (w *World) Together(ctx context.Context, n, rounds int) error {
	for range rounds {
		w.Slack.Gather(n)
		step := newBarrier(n, w.Slack.Gather)
		if err := each(n, func(i int) error {
			err := w.flow(ctx, w.seats[i], step.wait)
			if err != nil {
				step.leave()
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Freely has n people go through one flow after another for a time.
func (w *World) Freely(ctx context.Context, n int, d time.Duration) error {
	end := time.Now().Add(d)
	return each(n, func(i int) error {
		for time.Now().Before(end) {
			if err := w.flow(ctx, w.seats[i], func() {}); err != nil {
				return err
			}
		}
		return nil
	})
}

// each runs f for 0…n-1 at a time and returns the first error.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// await takes what comes next.
func await[V any](ctx context.Context, c <-chan V, within time.Duration) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case value := <-c:
		return value, nil
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// drain forgets what a flow before did not wait for.
func drain[V any](c <-chan V) {
	select {
	case <-c:
	default:
	}
}

// barrier lets a number of goroutines wait for each other, again and again. Before each
// time that they go on, it says how many they are.
type barrier struct {
	before  func(members int)
	mu      sync.Mutex
	members int
	waiting int
	open    chan struct{}
}

func newBarrier(members int, before func(members int)) *barrier {
	return &barrier{members: members, before: before, open: make(chan struct{})}
}

func (b *barrier) wait() {
	b.mu.Lock()
	b.waiting++
	open := b.open
	b.release()
	b.mu.Unlock()
	<-open
}

// leave has the others wait for one less.
func (b *barrier) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members--
	b.release()
}

func (b *barrier) release() {
	if b.waiting < b.members || b.waiting == 0 {
		return
	}
	b.before(b.members)
	close(b.open)
	b.open, b.waiting = make(chan struct{}), 0
}

// Slowly has one person go through flows, who thinks before each next step: what the
// bot does meanwhile is then done.
func (w *World) Slowly(ctx context.Context, rounds int, think time.Duration) error {
	for range rounds {
		if err := w.flow(ctx, w.seats[0], func() { time.Sleep(think) }); err != nil {
			return err
		}
		time.Sleep(think)
	}
	return nil
}
