package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Kind is which message about a request.
type Kind string

// The messages about a request. A request has one of each; a copy whose posting
// was not remembered has its reference behind the kind: see Store.Adopt.
const (
	Card   Kind = "card"   // where approvers decide
	DM     Kind = "dm"     // the requester's own
	Report Kind = "report" // in the thread of the card: what Atlas shows now
)

// A Notifier shows people where a request stands. It may fail or lag behind; the
// request does not wait for it.
type Notifier interface {
	// Show posts a message, or updates the one that ref refers to, and returns the
	// reference of the message that now shows the request.
	Show(ctx context.Context, r *Request, kind Kind, ref string) (string, error)
}

// LaterError is a Notifier's way to say when to try again.
type LaterError struct {
	After time.Duration
	Err   error
}

func (e *LaterError) Error() string { return e.Err.Error() }
func (e *LaterError) Unwrap() error { return e.Err }

// A Projector keeps the messages about each request in step with it. It draws
// only what is newest, however many changes there were, and tries again until
// picture and truth agree.
type Projector struct {
	Store    *Store
	Notifier Notifier
}

// enough is after how many failures in a row the messages of a final request are
// left as they are: the channel is gone for good.
const enough = 20

// Run draws until ctx ends, then finishes what it is at within ten seconds.
func (p *Projector) Run(ctx context.Context) error {
	w := worker{store: p.Store, queue: &p.Store.show, name: "show", key: p.Store.keys().show(), limit: 32, work: p.draw}
	return w.run(ctx)
}

func (p *Projector) draw(ctx context.Context, r *Request) {
	var failed error
	drawn := map[string]Message{}
	for _, round := range [][]Kind{{Card, DM}, {Report}} { // the report needs the card's thread
		if err := p.drawKinds(ctx, r, round, drawn); err != nil {
			failed = err
			break
		}
	}
	pause, tries := time.Duration(-1), 0
	if failed != nil {
		pause, tries = backoff(r.showTries), r.showTries+1
		var later *LaterError
		if errors.As(failed, &later) {
			pause = later.After + backoff(0)/4
		}
		p.Store.log().WarnContext(ctx, "show a request", "request", r.ID, "tries", tries, "pause", pause.String(), "error", failed)
		if tries >= enough && !r.State.Open() {
			p.Store.log().ErrorContext(ctx, "messages of a request are left as they are", "request", r.ID, "error", failed)
			pause = -1
		}
	}
	if err := p.shown(ctx, r, drawn, pause, tries); err != nil {
		p.Store.log().WarnContext(ctx, "remember the messages of a request", "request", r.ID, "error", err)
	}
}

// drawKinds draws the messages of some kinds side by side, where they do not
// already show the request as it is.
func (p *Projector) drawKinds(ctx context.Context, r *Request, kinds []Kind, drawn map[string]Message) error {
	var guard sync.Mutex
	var drawing errgroup.Group
	for name, kind := range r.wanted(kinds) {
		now := r.Messages[name]
		if now.Ref != "" && now.Version >= r.Version {
			continue
		}
		drawing.Go(func() error {
			var ref string
			err := guarded(func() (err error) {
				ref, err = p.Notifier.Show(ctx, r, kind, now.Ref)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			guard.Lock()
			defer guard.Unlock()
			drawn[name] = Message{Ref: ref, Version: r.Version}
			return nil
		})
	}
	err := drawing.Wait()
	for name, m := range drawn {
		r.Messages[name] = m
	}
	return err
}

// wanted names the messages of some kinds that the request should have in its
// state: those it has, and those it needs.
func (r *Request) wanted(kinds []Kind) map[string]Kind {
	names := map[string]Kind{}
	for _, kind := range kinds {
		for name := range r.Messages {
			if before, _, _ := strings.Cut(name, "@"); Kind(before) == kind {
				names[name] = kind
			}
		}
		if r.needs(kind) {
			names[string(kind)] = kind
		}
	}
	return names
}

func (r *Request) needs(kind Kind) bool {
	switch kind {
	case Card: // what nobody has to decide needs none
		return r.State == Pending || r.State == Approved || r.State == Applying || r.State == Applied || r.State == Failed
	case Report:
		return r.State == Applied || r.State == Failed
	default:
		return true
	}
}

// shown writes down what was drawn, even when the process is about to end.
func (p *Projector) shown(ctx context.Context, r *Request, drawn map[string]Message, pause time.Duration, tries int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	ms := int64(-1)
	if pause >= 0 {
		ms = pause.Milliseconds()
	}
	args := []any{r.showLease, r.Version, ms, tries}
	for name, m := range drawn {
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		args = append(args, name, text)
	}
	reply, err := p.Store.run(ctx, shownScript, r.ID, Actor{}, p.Store.keys().move(r.ID), args...)
	if err != nil {
		return err
	}
	if pause < 0 && reply.request != nil && reply.request.Version != r.Version {
		p.Store.show.wake(r.ID)
	}
	return nil
}
