package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// Kind is which message about a request.
type Kind string

// The messages about a request. A request has one of each; a copy whose posting
// was not remembered has its reference behind the kind: see Store.Adopt.
const (
	Card   Kind = "card"   // where approvers decide
	DM     Kind = "dm"     // the requester's own
	Report Kind = "report" // in the thread of the card: what Atlas shows now

	// Verdict is in the thread of the requester's: how it ended. Slack tells nobody of a
	// message that is edited, and whoever asked is no longer looking.
	Verdict Kind = "verdict"

	Reminder Kind = "reminder"  // in that thread, at half-time, to those who are waited for
	LastCall Kind = "last_call" // the same, shortly before it expires
)

// once reports whether a message is never edited: it is there to be noticed.
func (k Kind) once() bool { return k == Reminder || k == LastCall || k == Verdict }

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

// UnseenError is a Notifier's way to say that nobody sees a message until a person
// mends something. Say tells what, in a sentence like those of Request.Trouble.
type UnseenError struct {
	Say string
	Err error
}

func (e *UnseenError) Error() string { return e.Err.Error() }
func (e *UnseenError) Unwrap() error { return e.Err }

// A Projector keeps the messages about each request in step with it. It draws
// only what is newest, however many changes there were, and tries again until
// picture and truth agree.
type Projector struct {
	Store    *Store
	Notifier Notifier
}

// The messages of a final request are left as they are after so many failures in a row,
// and so long after it was decided: the channel is gone for good. Slack itself comes back.
const (
	enough     = 20
	longEnough = 24 * time.Hour
)

// Run draws until ctx ends, then finishes what it is at within ten seconds.
func (p *Projector) Run(ctx context.Context) error {
	w := worker{store: p.Store, queue: &p.Store.show, name: "show", key: p.Store.keys().show(), limit: 32, work: p.draw}
	return w.run(ctx)
}

func (p *Projector) draw(ctx context.Context, r *Request) {
	ctx, span := p.Store.resume(ctx, r, "show")
	defer span.End()
	span.SetNumber(trace.Version, r.Version)
	drawn := map[string]Message{}
	// The card comes first: requesters are told if nobody sees it, and the others are in
	// its thread.
	card := p.drawKind(ctx, r, Card, r.Version, drawn)
	version := r.Version
	var unseen *UnseenError
	if errors.As(card, &unseen) && r.State.Open() {
		r.Trouble = strings.TrimSpace(r.Trouble + " " + unseen.Say)
		version-- // to be drawn once more, without this
	}
	failed := errors.Join(card, p.tellRequester(ctx, r, version, drawn))
	for _, kind := range []Kind{Report, Reminder, LastCall} {
		if card == nil {
			card = p.drawKind(ctx, r, kind, version, drawn)
			failed = errors.Join(failed, card)
		}
	}
	pause, tries := r.nextReminder(), 0
	if failed != nil {
		span.Fail("not shown")
		pause, tries = backoff(r.showTries), r.showTries+1
		var later *LaterError
		if errors.As(failed, &later) {
			pause = later.After + backoff(0)/4
		}
		p.Store.log().WarnContext(ctx, "show a request", "request", r.ID, "tries", tries, "pause", pause.String(), "error", failed)
		if tries >= enough && !r.State.Open() && r.ReadAt.Sub(r.DecidedAt) >= longEnough {
			p.Store.log().ErrorContext(ctx, "messages of a request are left as they are", "request", r.ID, "error", failed)
			pause, tries = -1, 0
		}
	}
	if err := p.shown(ctx, r, drawn, pause, tries); err != nil {
		p.Store.log().WarnContext(ctx, "remember the messages of a request", "request", r.ID, "error", err)
	}
}

// tellRequester draws the requester's own message, and another when the request ends: unless
// the first one came no sooner.
func (p *Projector) tellRequester(ctx context.Context, r *Request, version int64, drawn map[string]Message) error {
	told := r.Messages[string(DM)].Ref != ""
	err := p.drawKind(ctx, r, DM, version, drawn)
	switch {
	case err != nil || !r.needs(Verdict):
		return err
	case !told:
		drawn[string(Verdict)] = drawn[string(DM)]
		return nil
	default:
		return p.drawKind(ctx, r, Verdict, version, drawn)
	}
}

// drawKind draws the messages of a kind side by side, where they do not already
// show the request as it is. Version is what they then count as showing.
func (p *Projector) drawKind(ctx context.Context, r *Request, kind Kind, version int64, drawn map[string]Message) error {
	names := slices.DeleteFunc(r.wanted(kind), func(name string) bool {
		now := r.Messages[name]
		return now.Ref != "" && (now.Version >= r.Version || kind.once())
	})
	var guard sync.Mutex
	var failed error
	sideBySide(len(names), len(names), func(i int) {
		var ref string
		err := guarded(func() (err error) {
			ctx, span := p.Store.Trace.Start(ctx, "show", string(kind))
			defer span.End()
			ref, err = p.Notifier.Show(ctx, r, kind, r.Messages[names[i]].Ref)
			return err
		})
		guard.Lock()
		defer guard.Unlock()
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", names[i], err))
			return
		}
		drawn[names[i]] = Message{Ref: ref, Version: version}
	})
	for name, m := range drawn {
		r.Messages[name] = m
	}
	return failed
}

// wanted names the messages of a kind that the request should have in its state:
// those it has, and the one it needs. One that was clicked before it was known who
// posted it may have two names by now; it is drawn once.
func (r *Request) wanted(kind Kind) []string {
	var names []string
	if r.needs(kind) {
		names = append(names, string(kind))
	}
	for name := range r.Messages {
		before, ref, _ := strings.Cut(name, "@")
		if Kind(before) == kind && !slices.Contains(names, name) && (ref == "" || r.Messages[before].Ref != ref) {
			names = append(names, name)
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
	case Verdict: // who cancels knows it
		return !r.State.Open() && r.State != Cancelled
	case Reminder, LastCall:
		at, is := r.reminders()[kind]
		return is && !r.ReadAt.Before(at)
	default:
		return true
	}
}

// shortest is the time to wait below which nobody is reminded: it would be over
// before anybody reads it.
const shortest = 10 * time.Minute

// reminders are when to remind the approvers of a card that waits: at half-time, and
// shortly before it expires.
func (r *Request) reminders() map[Kind]time.Time {
	wait := r.ExpiresAt.Sub(r.CreatedAt)
	if r.State != Pending || wait < shortest || r.Messages[string(Card)].Ref == "" {
		return nil
	}
	return map[Kind]time.Time{
		Reminder: r.CreatedAt.Add(wait / 2),
		LastCall: r.ExpiresAt.Add(-min(wait/6, 10*time.Minute)),
	}
}

// nextReminder is how long it is until the next one; negative: there is none.
func (r *Request) nextReminder() time.Duration {
	next := time.Duration(-1)
	for _, at := range r.reminders() {
		if left := at.Sub(r.ReadAt); left > 0 && (next < 0 || left < next) {
			next = left
		}
	}
	return next
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
	if reply.word == "moved" {
		p.Store.show.wake(r.ID)
	}
	return nil
}
