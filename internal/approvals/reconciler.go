package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// Atlas is what the reconciler needs of the Admin API.
type Atlas interface {
	Integration(ctx context.Context, projectID string, t *atlas.Type) (*atlas.Integration, error)
	Update(ctx context.Context, projectID string, s *atlas.Settings) (*atlas.Integration, error)
}

// A Reconciler does what the state of each request calls for: it reads the
// targets of a new one, applies an approved one, ends one whose time is up. It
// looks at the state and never at what happened before, so a crash anywhere costs
// no more than a second look. Several may run on the same Redis.
type Reconciler struct {
	Store *Store
	Atlas Atlas
}

// atOnce bounds how many targets of one request are worked on at a time, to stay
// far from Atlas' rate limits.
const atOnce = 4

// Run reconciles until ctx ends, then finishes what it is at within ten seconds.
func (r *Reconciler) Run(ctx context.Context) error {
	w := worker{store: r.Store, queue: &r.Store.work, name: "due", key: r.Store.keys().due(), limit: 32, work: r.look}
	return w.run(ctx)
}

func (r *Reconciler) look(ctx context.Context, req *Request) {
	ctx, span := r.Store.resume(ctx, req, errand(req.State))
	defer span.End()
	var err error
	switch req.State {
	case Submitted:
		err = r.prepare(ctx, req)
	case Pending:
		err = r.expire(ctx, req)
	case Approved, Applying:
		err = r.apply(ctx, req)
	case Failed:
		err = r.lapse(ctx, req)
	default:
		err = r.release(ctx, req, 0, 0, "")
	}
	if err != nil {
		span.Fail("given up") // until somebody looks again
	}
	if err != nil && !errors.Is(err, errFenced) {
		// The lease ends by itself, and then somebody looks again.
		r.Store.log().WarnContext(ctx, "reconcile", "request", req.ID, "state", string(req.State), "error", err)
	}
}

// errFenced is that another worker has the request now.
var errFenced = errors.New("another worker has the request")

// prepare reads what Atlas holds in every target. A request for something that
// cannot be updated ends here, before anybody is asked to approve it.
func (r *Reconciler) prepare(ctx context.Context, req *Request) error {
	if !req.ReadAt.Before(req.ExpiresAt) {
		return r.expire(ctx, req)
	}
	found := make([]prepared, len(req.Targets))
	sideBySide(len(req.Targets), atOnce, func(i int) {
		found[i].err = guarded(func() error {
			found[i] = r.read(ctx, req, req.Targets[i])
			return found[i].err
		})
	})

	args := []any{req.lease}
	var refused bool
	var unanswered error
	for i, project := range req.Targets {
		refused = refused || found[i].target.Outcome == Refused
		unanswered = lastsLonger(unanswered, found[i].err)
		args = append(args, project.ID, string(found[i].target.Outcome), encode(found[i].target.Baseline), encode(found[i].target.Result))
	}
	if unanswered != nil && !refused {
		return r.wait(ctx, req, unanswered)
	}
	return r.move(ctx, req, prepareScript, nil, args...)
}

// prepared is what reading a target gave: its state, or an error that says that
// Atlas did not answer.
type prepared struct {
	target Target
	err    error
}

func (r *Reconciler) read(ctx context.Context, req *Request, project atlas.Project) prepared {
	ctx, span := r.Store.aim(ctx, "read", req, project)
	defer span.End()
	target := Target{Outcome: Waiting}
	shown, err := r.Atlas.Integration(ctx, project.ID, req.Catalog())
	switch detail, final := explain(err); {
	case err == nil:
		target.Baseline = shown
	case final:
		target.Outcome, target.Result = Refused, Result{Detail: detail, At: req.ReadAt}
		err = nil
	}
	cameOut(span, target.Outcome, err)
	return prepared{target, err}
}

// expire ends an undecided request whose time is up, or looks again when it is.
func (r *Reconciler) expire(ctx context.Context, req *Request) error {
	if req.ReadAt.Before(req.ExpiresAt) {
		return r.release(ctx, req, req.ExpiresAt.Sub(req.ReadAt), 0, "")
	}
	return r.move(ctx, req, expireScript, nil)
}

// lapse wipes the secrets of a failed request when it is too late to retry.
func (r *Reconciler) lapse(ctx context.Context, req *Request) error {
	if req.ReadAt.Before(req.RetryUntil) {
		return r.release(ctx, req, req.RetryUntil.Sub(req.ReadAt), 0, "")
	}
	return r.move(ctx, req, lapseScript, nil)
}

// apply changes every target that has no outcome yet.
func (r *Reconciler) apply(ctx context.Context, req *Request) error {
	locks := r.locks(req)
	reply, err := r.Store.run(ctx, beginScript, req.ID, Actor{}, r.Store.keys().move(req.ID, locks...),
		req.lease, (applyWindow + slack).Milliseconds(), applyGrace.Milliseconds())
	switch {
	case err != nil:
		return fmt.Errorf("begin: %w", err)
	case reply.word == "busy":
		return r.release(ctx, req, time.Second, 0, "Another request is being applied to one of these projects. This one comes next.")
	case reply.word != "ok" && reply.word != "again":
		return errFenced
	}
	req = reply.request
	settings, detail, err := r.open(req, []byte(reply.more))
	if errors.Is(err, secret.ErrNoKey) && req.ReadAt.Before(req.ApplyUntil.Add(keyTime-applyWindow)) {
		return r.release(ctx, req, backoff(req.Tries), req.Tries+1, waitsForKey)
	}
	if detail == "" && !req.ReadAt.Before(req.ApplyUntil) {
		detail = "Atlas gave no answer for an hour, so the bot stopped trying."
	}

	waiting := slices.DeleteFunc(slices.Clone(req.Targets), func(p atlas.Project) bool { return req.Target(p.ID).Outcome != Waiting })
	var unanswered, unkept error
	var sent []any // IDs of projects that may have been changed though Atlas did not say so
	var guard sync.Mutex
	applying, stop := context.WithCancel(ctx)
	defer stop()
	sideBySide(len(waiting), atOnce, func(i int) {
		project := waiting[i]
		outcome, result, err := Refused, Result{Detail: detail + " " + req.Target(project.ID).whatWasSent()}, error(nil)
		if detail == "" {
			err = guarded(func() (err error) {
				ctx, span := r.Store.aim(applying, "apply", req, project)
				defer span.End()
				outcome, result, err = r.applyTarget(ctx, req, project, settings)
				cameOut(span, outcome, err)
				return err
			})
		}
		answered := err == nil
		if answered {
			err = r.record(ctx, req, project, outcome, result, locks)
		}
		guard.Lock()
		defer guard.Unlock()
		switch {
		case err == nil:
		case answered:
			unkept = err
			stop() // the others need not go on
		default:
			unanswered = lastsLonger(unanswered, err)
			if errors.As(err, new(sentError)) {
				sent = append(sent, project.ID)
			}
		}
	})
	if unkept != nil {
		return unkept
	}
	if unanswered != nil {
		return r.wait(ctx, req, unanswered, sent...)
	}
	return nil
}

// lastsLonger is that one of two errors after which Atlas wants to be left alone for longer.
func lastsLonger(a, b error) error {
	var asked, other *atlas.Error
	if b == nil || errors.As(a, &asked) && (!errors.As(b, &other) || other.RetryAfter < asked.RetryAfter) {
		return a
	}
	return b
}

// While keys are rotated, one replica may have sealed with a key that another has
// not been given yet. So whoever lacks a key leaves the request to others, and to
// its own later self, for a while.
const (
	keyTime     = 10 * time.Minute
	waitsForKey = "The key that sealed the new values is not there at the moment, perhaps since keys are being rotated. Nothing is sent without it; the bot keeps trying for ten minutes."
)

// open unseals the new values. What was stored must be, to the letter, what was
// approved, and approved by enough people; a sentence says so if it is not, and the
// error why it did not open.
func (r *Reconciler) open(req *Request, sealed []byte) (settings *atlas.Settings, detail string, err error) {
	if len(sealed) == 0 {
		return nil, "The new values are no longer stored: make a new request.", nil
	}
	others := 0
	for _, vote := range req.Votes {
		if vote.User != req.Requester {
			others++
		}
	}
	secrets, err := r.Store.Sealer.Open(sealed, []byte(digestOf([]byte(req.doc))))
	if err != nil || others < req.Needed {
		return nil, "What is stored is not what was approved, or the key it was sealed with is gone. Make a new request, and tell whoever runs the bot.", err
	}
	return &atlas.Settings{Type: req.Catalog(), Plain: req.Plain, Secrets: secrets}, "", nil
}

// applyTarget changes one target and proves it. An error says that Atlas gave no
// answer to rely on; then the target is looked at again later.
//
// Whether it must be sent is decided by whether the target is as it was at
// submission, or as our own change left it, not by whether it already looks as
// wanted: two keys may end alike, and some secrets Atlas never shows.
func (r *Reconciler) applyTarget(ctx context.Context, req *Request, project atlas.Project, settings *atlas.Settings) (Outcome, Result, error) {
	target := req.Target(project.ID)
	written := "Nothing was written"
	if target.mayBeChanged() {
		written = "An earlier attempt of the bot may have gone through before that"
	}
	shown, err := r.Atlas.Integration(ctx, project.ID, settings.Type)
	if err != nil {
		detail, final := explain(err)
		switch {
		case notConfigured(err):
			return Stale, Result{Detail: "The integration is no longer configured in this project. " + written + "."}, nil
		case final && target.mayBeChanged():
			return Refused, Result{Detail: detail + "\n" + target.whatWasSent()}, nil
		case final:
			return Refused, Result{Detail: detail}, nil
		default:
			return "", Result{}, err
		}
	}
	proof := settings.Prove(shown)
	switch {
	case target.Baseline != nil && shown.Same(target.Baseline):
		return r.put(ctx, project, settings)
	case target.Result.Shown != nil && shown.Same(target.Result.Shown):
		// Atlas took our change and showed something else than was sent; that is still there.
		return r.put(ctx, project, settings)
	case proof.Full():
		return Proven, Result{Shown: shown}, nil
	case proof.Holds() && target.sent:
		// Most likely this is what was sent before. Atlas does not show every secret
		// of it, so send it again: that changes nothing if it is.
		return r.put(ctx, project, settings)
	default:
		return Stale, Result{Shown: shown, Detail: "Somebody changed it after this request was made. " + written + "; make a new request if it is still needed."}, nil
	}
}

// sentError is an error after which Atlas may have made the change all the same.
type sentError struct{ error }

func (e sentError) Unwrap() error { return e.error }

func (r *Reconciler) put(ctx context.Context, project atlas.Project, settings *atlas.Settings) (Outcome, Result, error) {
	shown, err := r.Atlas.Update(ctx, project.ID, settings)
	if err != nil {
		if detail, final := explain(err); final {
			return Refused, Result{Detail: detail}, nil
		}
		if refusal := (*atlas.Error)(nil); errors.As(err, &refusal) && refusal.Status < 500 {
			return "", Result{}, err // it said no, for now
		}
		return "", Result{}, sentError{err}
	}
	proof := settings.Prove(shown)
	if !proof.Holds() { // the answer may have been made before the change: one more look decides
		again, err := r.Atlas.Integration(ctx, project.ID, settings.Type)
		switch _, final := explain(err); {
		case err == nil:
			shown, proof = again, settings.Prove(again)
		case !final:
			return "", Result{}, sentError{err}
		}
	}
	if !proof.Holds() {
		return Refused, Result{Shown: shown, Detail: fmt.Sprintf(
			"Atlas accepted the change but shows something else in: %s. Look at it in Atlas.", strings.Join(proof.Wrong, ", "))}, nil
	}
	return Proven, Result{Shown: shown, Unseen: proof.Unseen, Kept: proof.Kept}, nil
}

func (r *Reconciler) record(ctx context.Context, req *Request, project atlas.Project, outcome Outcome, result Result, locks []string) error {
	result.At = req.ReadAt // when applying began, by the clock that all replicas share
	return r.move(ctx, req, outcomeScript, locks, req.lease, project.ID, project.Name, string(outcome), encode(result), result.Detail,
		retryWindow.Milliseconds())
}

// wait looks again later: after what Atlas asked for, or longer each time. Work
// that was cut short says nothing of Atlas, and anybody may go on with it at once.
// It takes the IDs of projects that may have been changed meanwhile.
func (r *Reconciler) wait(ctx context.Context, req *Request, unanswered error, sent ...any) error {
	if ctx.Err() != nil {
		return r.release(ctx, req, 0, req.Tries, req.Trouble, sent...)
	}
	pause := backoff(req.Tries)
	var refusal *atlas.Error
	if errors.As(unanswered, &refusal) && refusal.RetryAfter > pause {
		pause = refusal.RetryAfter + backoff(0)
	}
	// Not past the moment at which the state calls for something else.
	limit := req.ApplyUntil
	if req.State == Submitted {
		limit = req.ExpiresAt
	}
	if left := limit.Sub(req.ReadAt); pause > left {
		pause = max(left, 0)
	}
	r.Store.log().WarnContext(ctx, "atlas gave no answer", "request", req.ID, "tries", req.Tries+1, "pause", pause.String(), "error", unanswered)
	trouble, _ := explain(unanswered)
	return r.release(ctx, req, pause, req.Tries+1, trouble, sent...)
}

// release gives the request back. It does so even when the work was cut short,
// so that another process can go on at once.
func (r *Reconciler) release(ctx context.Context, req *Request, pause time.Duration, tries int, trouble string, sent ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	reply, err := r.Store.run(ctx, releaseScript, req.ID, Actor{}, r.Store.keys().move(req.ID),
		append([]any{req.lease, req.Version, pause.Milliseconds(), tries, trouble}, sent...)...)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if reply.request != nil && reply.request.Version != req.Version {
		r.Store.work.wake(req.ID)
		r.Store.show.wake(req.ID)
	}
	return nil
}

// move carries out a move of the reconciler's own. What it decided is written
// even when the process is about to end.
func (r *Reconciler) move(ctx context.Context, req *Request, script scripter, more []string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	reply, err := r.Store.run(ctx, script, req.ID, Actor{Via: "bot"}, r.Store.keys().move(req.ID, more...), args...)
	switch {
	case err != nil:
		return err
	case reply.word != "ok":
		return errFenced
	}
	r.Store.moved(reply.request)
	return nil
}

func (r *Reconciler) locks(req *Request) []string {
	locks := make([]string, len(req.Targets))
	for i, project := range req.Targets {
		locks[i] = r.Store.keys().target(project.ID, req.Type)
	}
	return locks
}
