package approvals

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// MaxTargets is the number of projects that one request may name: what still
// fits one phone screen and one minute of Atlas calls.
const MaxTargets = 20

// A Submission is what was asked for. It never changes: its digest is bound to
// the sealed secrets, so what was approved is what runs.
type Submission struct {
	ID        string            `json:"id"`
	Team      string            `json:"team"`
	Type      string            `json:"type"`
	Plain     map[string]string `json:"plain,omitempty"`   // new plain values by field name
	Secrets   map[string]Secret `json:"secrets,omitempty"` // what may be known of the new secrets
	Targets   []atlas.Project   `json:"targets"`
	Requester string            `json:"requester"` // a Slack user ID
	Reason    string            `json:"reason"`
	Warnings  []atlas.Warning   `json:"warnings,omitempty"`
	Terms
}

// Secret is what may be known of a new secret.
type Secret struct {
	Mask        atlas.Mask `json:"mask"`
	Fingerprint string     `json:"fingerprint"`
}

// A Request is a submission and what has become of it.
type Request struct {
	Submission

	State     State
	Version   int64              // rises with everything that people can see
	Digest    string             // of the submission as it was stored, in hex
	Votes     []Vote             // approvals so far, in no order
	DecidedBy string             // who denied or cancelled it
	Note      string             // why it was denied
	Outcomes  map[string]Target  // by project ID; see Target
	Messages  map[string]Message // by name; see Kind
	Overlaps  map[string]Overlap // others that are open for some of its targets, by ID, as long as it is open itself

	CreatedAt  time.Time
	ExpiresAt  time.Time // when an undecided request expires
	DecidedAt  time.Time // when it was approved or became final
	ApplyUntil time.Time // when applying gives up on an Atlas that does not answer
	RetryUntil time.Time // until when a failed request can be retried; zero: not at all
	ReadAt     time.Time // the clock of Redis when this was read
	Tries      int       // attempts in a row that Atlas did not answer

	Trouble string // why it does not go on at the moment, in a sentence

	Traceparent string // where its trace goes on; empty: it is not traced

	doc       string // the submission as it was stored
	lease     string // of the worker that claimed it, as are the three below
	showLease string
	showTries int
}

// A Vote is one person's approval.
type Vote struct {
	User string    `json:"user"`
	At   time.Time `json:"at"`
}

// Target is what is known of one project of a request.
type Target struct {
	Outcome  Outcome
	Baseline *atlas.Integration // what Atlas showed at submission; nil until it was asked
	Result   Result

	sent bool // an earlier attempt may have changed it though Atlas did not say so
}

// Result is what the last look at a target found.
type Result struct {
	Detail string             `json:"detail,omitempty"` // why it is refused or stale, in sentences for people
	Unseen []string           `json:"unseen,omitempty"` // labels of secrets that Atlas does not show, so they are not proven
	Kept   []string           `json:"kept,omitempty"`   // labels of plain fields that were left empty, and that Atlas still shows
	Shown  *atlas.Integration `json:"shown,omitempty"`  // what Atlas showed
	At     time.Time          `json:"at,omitzero"`
}

// Message is where a message is and what it shows.
type Message struct {
	Ref     string `json:"ref"`     // opaque here
	Version int64  `json:"version"` // of the request, as shown
}

// Target returns what is known of a target; before Atlas was asked, that it waits.
func (r *Request) Target(projectID string) Target {
	if target, ok := r.Outcomes[projectID]; ok {
		return target
	}
	return Target{Outcome: Waiting}
}

// Catalog returns the type of the integrations.
func (r *Request) Catalog() *atlas.Type {
	t, ok := atlas.FindType(r.Type)
	if !ok {
		return &atlas.Type{Name: r.Type, Title: r.Type}
	}
	return t
}

// mayBeChanged reports whether an attempt of the bot's own may have changed the target
// though it has no outcome that says so.
func (t Target) mayBeChanged() bool { return t.sent || t.Result.Shown != nil }

// whatWasSent is a sentence for whoever reads why the bot does not go on.
func (t Target) whatWasSent() string {
	if t.mayBeChanged() {
		return "An earlier attempt may have gone through: look in Atlas before you try again."
	}
	return "Nothing was sent."
}

// Retryable reports whether trying again can help: a refused target is left, and
// the secrets are still there.
func (r *Request) Retryable() bool {
	return r.State == Failed && !r.RetryUntil.IsZero() && r.ReadAt.Before(r.RetryUntil)
}

// ApprovedBy reports whether the user has approved the request.
func (r *Request) ApprovedBy(user string) bool {
	for _, vote := range r.Votes {
		if vote.User == user {
			return true
		}
	}
	return false
}

// Doubts are the warnings for requester and approver: those of the form, and
// those that what Atlas holds now gives rise to. They come without a value.
func (r *Request) Doubts() []string {
	var doubts []string
	for _, w := range r.Warnings {
		doubts = append(doubts, w.Say)
	}
	t := r.Catalog()
	for i := range t.Fields {
		f := &t.Fields[i]
		if !f.Secret() {
			continue
		}
		if same := r.targetsWith(func(now *atlas.Integration) bool { return r.looksTheSame(f, now) }); same != "" {
			doubts = append(doubts, fmt.Sprintf("%s looks like the one that is set now (%s).", f.Label, same))
		}
		if lost := r.targetsWith(func(now *atlas.Integration) bool { return r.leavesOut(f, now) }); lost != "" {
			doubts = append(doubts, fmt.Sprintf("%s is left empty, so Atlas may remove the one that is set now (%s).", f.Label, lost))
		}
	}
	if unknown := r.targetsWith(func(now *atlas.Integration) bool { return len(now.Unknown) > 0 }); unknown != "" {
		doubts = append(doubts, fmt.Sprintf("Atlas shows settings that this bot does not know, and may reset them (%s).", unknown))
	}
	return doubts
}

func (r *Request) looksTheSame(f *atlas.Field, now *atlas.Integration) bool {
	next, sent := r.Secrets[f.Name]
	mask, shown := now.Masks[f.Name]
	return sent && shown && mask.LastFour != "" && mask == next.Mask
}

func (r *Request) leavesOut(f *atlas.Field, now *atlas.Integration) bool {
	_, sent := r.Secrets[f.Name]
	_, shown := now.Masks[f.Name]
	return !sent && shown
}

// targetsWith names the projects whose baseline the test is true of.
func (r *Request) targetsWith(test func(now *atlas.Integration) bool) string {
	var names []string
	for _, p := range r.Targets {
		if now := r.Target(p.ID).Baseline; now != nil && test(now) {
			names = append(names, p.Name)
		}
	}
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}

// RequestID is the ID of the request that a view submits. A view submits once,
// so a submission that arrives twice has the ID of the request it already made.
func RequestID(team, viewID string) string {
	sum := sha256.Sum256([]byte(team + "\x00" + viewID))
	return "req_" + crockford.EncodeToString(sum[:])[:10]
}

// crockford is without the letters that are taken for digits, since IDs are read
// aloud and typed.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

var requestID = regexp.MustCompile(`^req_[0-9A-HJKMNP-TV-Z]{10}$`)

// ParseRequestID reads an ID as people type it: any case, with or without req_.
func ParseRequestID(typed string) (string, bool) {
	typed = strings.ToUpper(strings.Trim(typed, "`<> "))
	id := "req_" + strings.TrimPrefix(typed, "REQ_")
	return id, requestID.MatchString(id)
}

// encode gives the bytes that are stored, and digested: encoding/json writes
// fields in order and sorts maps, so the same submission gives the same bytes.
func (s *Submission) encode() (doc []byte, digest string, err error) {
	doc, err = json.Marshal(s)
	if err != nil {
		return nil, "", fmt.Errorf("encode request %s: %w", s.ID, err)
	}
	return doc, digestOf(doc), nil
}

func digestOf(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// decodeRequest reads the hash of a request whose submission is decoded. Whatever does not read is an error:
// a record that was tampered with is not guessed at.
func decodeRequest(asked remembered, fields map[string]string, now time.Time) (*Request, error) {
	r := &Request{
		Submission: *asked.sub, doc: asked.doc, State: State(fields["state"]), Digest: fields["digest"], DecidedBy: fields["decided_by"], Note: fields["note"],
		Trouble: fields["trouble"], Traceparent: fields["traceparent"], ReadAt: now,
		lease: fields["lease"], showLease: fields["show"], showTries: int(number(fields["show_tries"])),
		Outcomes: map[string]Target{}, Messages: map[string]Message{},
	}
	var errs []error
	if text := fields["overlaps"]; text != "" {
		errs = append(errs, json.Unmarshal([]byte(text), &r.Overlaps))
	}
	r.Version = number(fields["version"])
	r.Tries = int(number(fields["tries"]))
	r.CreatedAt = clock(fields["created"])
	r.ExpiresAt = clock(fields["expires"])
	r.DecidedAt = clock(fields["decided"])
	r.ApplyUntil = clock(fields["apply_until"])
	r.RetryUntil = clock(fields["retry_until"])
	for name, value := range fields {
		if value == "" {
			continue // unset by the move that answers with it
		}
		kind, key, _ := strings.Cut(name, ":")
		target := r.Outcomes[key]
		switch kind {
		case "vote":
			r.Votes = append(r.Votes, Vote{User: key, At: clock(value)})
		case "message":
			var m Message
			errs = append(errs, json.Unmarshal([]byte(value), &m))
			r.Messages[key] = m
		case "outcome":
			target.Outcome = Outcome(value)
			r.Outcomes[key] = target
		case "sent":
			target.sent = true
			r.Outcomes[key] = target
		case "baseline":
			errs = append(errs, json.Unmarshal([]byte(value), &target.Baseline))
			r.Outcomes[key] = target
		case "result":
			errs = append(errs, json.Unmarshal([]byte(value), &target.Result))
			r.Outcomes[key] = target
		}
	}
	slices.SortFunc(r.Votes, func(a, b Vote) int { return a.At.Compare(b.At) })
	r.takeUpCard()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read request %s: the record in Redis is not readable: %w", r.ID, err)
	}
	return r, nil
}

// takeUpCard has the card that somebody clicked, the first one if there are several, stand
// for the one whose posting was not remembered: else there would soon be another.
func (r *Request) takeUpCard() {
	if _, known := r.Messages[string(Card)]; known {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Messages)) {
		if kind, _, _ := strings.Cut(name, "@"); Kind(kind) == Card {
			r.Messages[string(Card)] = r.Messages[name]
			return
		}
	}
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// clock reads a time of Redis: milliseconds since 1970.
func clock(ms string) time.Time {
	if n := number(ms); n > 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}
