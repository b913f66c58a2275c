package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// How long things may take.
const (
	// applyWindow is how long applying goes on against an Atlas that does not
	// answer. After it, a change would surprise people more than its absence.
	applyWindow = time.Hour
	// unreadGrace is how long the first message waits for Atlas to be read, so
	// that people normally get one message with everything rather than two.
	unreadGrace = 1500 * time.Millisecond
	// applyGrace is how long Atlas normally takes at most, so that people see the
	// result and not each step.
	applyGrace = 700 * time.Millisecond
	// retryWindow is how long, from its first failure on, the secrets of a request are kept
	// for other tries: an approval is no licence for good.
	retryWindow = time.Hour
	// slack keeps what one deadline guards a little longer than the deadline.
	slack = 10 * time.Minute
)

// Store keeps requests in Redis and carries out their moves. Each is one Lua
// script: it checks the state, the actor and the clock of Redis, and writes
// everything or nothing. Its methods are safe for use by several goroutines and
// processes.
type Store struct {
	Redis     redis.UniversalClient
	Sealer    *secret.Sealer
	Team      string // the Slack workspace
	Policy    Policy
	Retention time.Duration // how long a decided request stays in history
	MostOpen  int           // requests that one person may have under way; 0: any number
	Log       *slog.Logger  // nil is silent

	// Observe is told of each entry that this store adds to the audit trail, with the request
	// as it is from then on (nil: there is none). For metrics: it must be quick. May be nil.
	Observe func(e Entry, r *Request)

	// Claimed is told, when a worker of this store takes a request, of which queue (due or
	// show) and how long after it was due. For metrics: it must be quick. May be nil.
	Claimed func(queue string, late time.Duration)

	// MakeWay is called by a worker before it takes a request, and returns when what people
	// wait for more has been done. May be nil.
	MakeWay func()

	Trace *trace.Tracer // nil: nothing is traced

	asked submissions

	work, show queue // local ones, woken by what moves here; see Reconciler and Projector
}

// Actor is who does something, and by way of what (card, command, modal…).
type Actor struct {
	User  string // a Slack user ID; empty: the bot itself
	Human string // the same for all accounts of one person; empty: not known
	Via   string
}

// Errors that tell the person who asked why nothing happened.
var (
	ErrNotFound     = errors.New("there is no such request")
	ErrOwnRequest   = errors.New("the requester cannot decide on their own request")
	ErrNotRequester = errors.New("only the requester can cancel a request")
	ErrSameHuman    = errors.New("this person asked for it, or has approved it, with another account")
	ErrTooMany      = errors.New("this person has too many requests under way")
	ErrVotedAlready = errors.New("this person has approved it already")
	ErrTooLate      = errors.New("it is too late to retry: the new values are wiped")
)

// StateError is that a request is no longer, or not yet, in a state in which what
// was asked for can happen.
type StateError struct{ Request *Request }

func (e *StateError) Error() string {
	return fmt.Sprintf("request %s is %s", e.Request.ID, e.Request.State)
}

// KeptError is that a view was submitted before, with something else in it: that is what
// is kept.
type KeptError struct{ Request *Request }

func (e *KeptError) Error() string {
	return fmt.Sprintf("request %s is kept as this form was before", e.Request.ID)
}

// Submit keeps a new request with its secrets sealed. ID, team and terms are filled
// in. The same view submitted again finds the request it made; one that was edited
// meanwhile is a *KeptError. What the policy says about requester and type is the
// caller's to look at; projects that it does not let go together are a *MixedError,
// and one more than the requester may have is ErrTooMany.
func (s *Store) Submit(ctx context.Context, viewID string, settings *atlas.Settings, sub Submission, by Actor) (*Request, error) {
	sub.ID, sub.Team, sub.Requester = RequestID(s.Team, viewID), s.Team, by.User
	var err error
	if sub.Terms, err = s.Policy.Terms(sub.Targets); err != nil {
		return nil, fmt.Errorf("submit request %s: %w", sub.ID, err)
	}
	sub.Type, sub.Plain, sub.Secrets = settings.Type.Name, settings.Complete(), s.known(settings)

	doc, digest, err := sub.encode()
	if err != nil {
		return nil, err
	}
	sealed, err := s.Sealer.Seal(settings.Secrets, []byte(digest))
	if err != nil {
		return nil, fmt.Errorf("submit request %s: %w", sub.ID, err)
	}
	lists := []string{s.keys().underWay(sub.Requester), s.keys().person(sub.Requester)}
	var targets []any
	for _, p := range sub.Targets {
		lists = append(lists, s.keys().project(p.ID), s.keys().openFor(p.ID, sub.Type))
		targets = append(targets, p.ID)
	}
	ctx, span := s.Trace.Start(ctx, "submit", "")
	defer span.End()
	reply, err := s.run(ctx, submitScript, sub.ID, by, s.keys().move(sub.ID, lists...), append([]any{
		doc, digest, sealed, sub.TTL.Milliseconds(), (sub.TTL + slack).Milliseconds(), sub.Needed,
		s.listed(sub.TTL).Milliseconds(), unreadGrace.Milliseconds(), sub.change(), trace.Parent(ctx), by.Human, s.mostOpen(), mostOverlaps,
	}, targets...)...)
	noted(span, reply, err)
	switch {
	case err != nil:
	case reply.word == "many":
		err = ErrTooMany
	case reply.request.Digest != digest:
		err = &KeptError{reply.request}
	}
	if err != nil {
		return nil, fmt.Errorf("submit request %s: %w", sub.ID, err)
	}
	s.moved(reply.request)
	return reply.request, nil
}

// listed is for how long lists name a request that is open for at most ttl: its whole life
// and, after that, as long as history goes back.
func (s *Store) listed(ttl time.Duration) time.Duration {
	return s.Retention + ttl + applyWindow + retryWindow + applyWindow + slack
}

func (s *Store) mostOpen() int {
	if s.MostOpen <= 0 {
		return math.MaxInt32
	}
	return s.MostOpen
}

// known reduces the new secrets to what may be known of them.
func (s *Store) known(settings *atlas.Settings) map[string]Secret {
	known := map[string]Secret{}
	for name, value := range settings.Secrets {
		if f, ok := settings.Type.Field(name); ok && !value.IsZero() {
			known[name] = Secret{Mask: f.Mask(value), Fingerprint: s.Sealer.Fingerprint(value)}
		}
	}
	return known
}

// change is what the submission asks for, for the audit trail.
func (s *Submission) change() string {
	text, err := json.Marshal(map[string]any{
		"type": s.Type, "plain": s.Plain, "secrets": s.Secrets, "targets": s.Targets, "reason": s.Reason,
		"needed": s.Needed, "approvers": s.Approvers, "rules": s.Rules, "policy": s.Policy,
	})
	if err != nil {
		return ""
	}
	return string(text)
}

// Approve counts one approver's vote; the last one needed approves the request.
// Whether the person is an approver is the caller's to know.
func (s *Store) Approve(ctx context.Context, id string, by Actor) (*Request, error) {
	return s.act(ctx, Approve, approveScript, id, by, nil,
		applyWindow.Milliseconds(), (applyWindow + slack).Milliseconds(), applyGrace.Milliseconds(), by.Human)
}

// Deny ends a pending request.
func (s *Store) Deny(ctx context.Context, id, why string, by Actor) (*Request, error) {
	return s.act(ctx, Deny, denyScript, id, by, nil, why, by.Human)
}

// Cancel takes back a request that nobody has decided; only its requester can.
func (s *Store) Cancel(ctx context.Context, id string, by Actor) (*Request, error) {
	return s.act(ctx, Cancel, cancelScript, id, by, nil)
}

// Retry has the refused targets of a failed request tried again.
func (s *Store) Retry(ctx context.Context, id string, by Actor) (*Request, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	args := []any{
		applyWindow.Milliseconds(), (applyWindow + slack).Milliseconds(), applyGrace.Milliseconds(),
		mostOverlaps, s.listed(r.TTL).Milliseconds(),
	}
	var open []string
	for _, p := range r.Targets {
		open = append(open, s.keys().openFor(p.ID, r.Type))
		args = append(args, p.ID)
	}
	return s.act(ctx, Retry, retryScript, id, by, open, args...)
}

// act carries out what a person asked for and turns the script's word into an
// error. With an error that is about the request, the request comes along.
func (s *Store) act(ctx context.Context, event Event, script *redis.Script, id string, by Actor, more []string, args ...any) (*Request, error) {
	ctx, span := s.Trace.Start(ctx, string(event), "")
	defer span.End()
	reply, err := s.run(ctx, script, id, by, s.keys().move(id, more...), args...)
	noted(span, reply, err)
	if err != nil {
		return nil, fmt.Errorf("%s request %s: %w", event, id, err)
	}
	switch reply.word {
	case "ok":
		s.moved(reply.request)
		return reply.request, nil
	case "missing":
		return nil, ErrNotFound
	case "own":
		return reply.request, ErrOwnRequest
	case "not_requester":
		return reply.request, ErrNotRequester
	case "same":
		return reply.request, ErrSameHuman
	case "again":
		return reply.request, ErrVotedAlready
	case "late":
		return reply.request, ErrTooLate
	default:
		s.moved(reply.request) // the script may have expired it
		return reply.request, &StateError{Request: reply.request}
	}
}

// mostRefusals is how many refusals of one person the trail takes a minute.
const mostRefusals = 20

// Refuse notes in the audit trail that somebody tried what they may not.
func (s *Store) Refuse(ctx context.Context, id string, by Actor, tried, why string) error {
	if _, err := s.run(ctx, refuseScript, id, by, s.keys().move(id, s.keys().refused(by.User)), tried, why, mostRefusals); err != nil {
		return fmt.Errorf("note a refused %s of request %s: %w", tried, id, err)
	}
	return nil
}

// Get reads a request.
func (s *Store) Get(ctx context.Context, id string) (*Request, error) {
	requests, err := s.read(ctx, []string{id})
	if err != nil {
		return nil, fmt.Errorf("read request %s: %w", id, err)
	}
	if len(requests) == 0 {
		return nil, ErrNotFound
	}
	return requests[0], nil
}

// Undecided lists the requests to which something is still to happen, newest first.
func (s *Store) Undecided(ctx context.Context, offset, most int) ([]*Request, error) {
	return s.list(ctx, s.keys().open(), offset, most)
}

// OfProject lists the requests that named a project, newest first.
func (s *Store) OfProject(ctx context.Context, projectID string, offset, most int) ([]*Request, error) {
	return s.list(ctx, s.keys().project(projectID), offset, most)
}

// OfPerson lists the requests that somebody made, newest first.
func (s *Store) OfPerson(ctx context.Context, user string, offset, most int) ([]*Request, error) {
	return s.list(ctx, s.keys().person(user), offset, most)
}

// Decided lists the requests that were decided, newest first.
func (s *Store) Decided(ctx context.Context, offset, most int) ([]*Request, error) {
	return s.list(ctx, s.keys().history(), offset, most)
}

// Place finds a request in the list of a project, or without one of all that were
// decided, by the place that it had there once: newer ones have come before it since,
// and one that is tried again has left. A request that is no longer near has the place
// that it had.
func (s *Store) Place(ctx context.Context, projectID, id string, place int) (int, error) {
	const more, fewer = 200, 20
	key := s.keys().history()
	if projectID != "" {
		key = s.keys().project(projectID)
	}
	first := max(0, place-fewer)
	ids, err := s.Redis.ZRevRange(ctx, key, int64(first), int64(place+more)).Result()
	if err != nil {
		return 0, fmt.Errorf("find the place of request %s: %w", id, err)
	}
	if i := slices.Index(ids, id); i >= 0 {
		return first + i, nil
	}
	return place, nil
}

// lookedAt is how many of the newest requests that named a project are looked through.
const lookedAt = 100

// Changed finds the requests by which the integrations of a project were changed
// last, by type, among the newest that named it.
func (s *Store) Changed(ctx context.Context, projectID string) (map[string]*Request, error) {
	requests, err := s.OfProject(ctx, projectID, 0, lookedAt)
	if err != nil {
		return nil, err
	}
	last := map[string]*Request{}
	for _, r := range requests {
		target := r.Target(projectID)
		before := last[r.Type]
		if target.Outcome == Proven && (before == nil || target.Result.At.After(before.Target(projectID).Result.At)) {
			last[r.Type] = r
		}
	}
	return last, nil
}

func (s *Store) list(ctx context.Context, key string, offset, most int) ([]*Request, error) {
	ids, err := s.Redis.ZRevRange(ctx, key, int64(offset), int64(offset+most-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	requests, err := s.read(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	return requests, nil
}

// read reads requests in one round trip, and with them the clock by which their
// deadlines count. Those past their retention are left out.
func (s *Store) read(ctx context.Context, ids []string) ([]*Request, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	records := make([]string, len(ids))
	for i, id := range ids {
		records[i] = s.keys().request(id)
	}
	answer, err := readScript.Run(ctx, s.Redis, records).Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) != len(ids)+1 {
		return nil, fmt.Errorf("a script answered %d values", len(answer))
	}
	ms, _ := answer[0].(string)
	var requests []*Request
	for i, id := range ids {
		fields := pairs(answer[i+1])
		if len(fields) == 0 {
			continue
		}
		r, err := s.decode(id, fields, clock(ms))
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// Adopt has a message about a request drawn again, also one that nobody remembers
// posting because the bot died between the two.
func (s *Store) Adopt(ctx context.Context, r *Request, kind Kind, ref string) error {
	name := string(kind) + "@" + ref
	for known, m := range r.Messages {
		if m.Ref == ref {
			name = known
		}
	}
	message, err := json.Marshal(Message{Ref: ref})
	if err != nil {
		return fmt.Errorf("adopt a message of request %s: %w", r.ID, err)
	}
	if _, err := s.run(ctx, adoptScript, r.ID, Actor{}, s.keys().move(r.ID), name, message); err != nil {
		return fmt.Errorf("adopt a message of request %s: %w", r.ID, err)
	}
	s.show.wake(r.ID)
	return nil
}

// Ping asks whether Redis answers for the keys of the workspace. In a Cluster, other nodes
// may answer when the one that has them does not.
func (s *Store) Ping(ctx context.Context) error {
	return s.Redis.Exists(ctx, s.keys().due()).Err()
}

// Stalled names the queue (due or show) whose loop in this process has not come round for
// so long, or none. It comes round about once a second, also without Redis, unless every
// worker is at something that does not end.
func (s *Store) Stalled(after time.Duration) string {
	switch {
	case s.work.stalled(after):
		return "due"
	case s.show.stalled(after):
		return "show"
	default:
		return ""
	}
}

func (s *Store) keys() keys { return keys{s.Team} }

// moved wakes the local workers for a request that moved, so that they need not
// find out. What is not woken here, their regular look finds.
func (s *Store) moved(r *Request) {
	if r.State == Submitted || r.State == Approved {
		s.work.wake(r.ID)
	}
	if r.State != Submitted && r.State != Approved && r.State != Applying {
		s.show.wake(r.ID)
	}
}

func (s *Store) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}
