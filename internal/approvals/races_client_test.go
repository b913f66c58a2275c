package approvals

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

// A racer is one client: people who click, and a worker that does what a
// reconciler does, with the lease it last got however long ago that was.
type racer struct {
	*race
	number int
	store  *Store
	dice   *rand.Rand
	lease  [raceRequests]int64
	seen   [raceRequests]int64 // the version that it last saw
	last   int                 // the request that it last did something at
}

// The calls of a racer, as often as they are here. Most are what brings requests
// on, so that histories get as far as retries.
var raceDice = slices.Concat(
	slices.Repeat([]string{callApprove, callOutcome}, 32), slices.Repeat([]string{callBegin}, 24), slices.Repeat([]string{callPrepare}, 20),
	slices.Repeat([]string{callClaim}, 16), slices.Repeat([]string{callRetry}, 8),
	slices.Repeat([]string{callSubmit, callRelease, callRenew, callGet, callLook}, 6),
	slices.Repeat([]string{callHourUp, callLapse, callExpire}, 4), slices.Repeat([]string{callDeny, callCancel, callTimeUp}, 2),
)

func (c *racer) run() []porcupine.Operation {
	calls := make([]porcupine.Operation, 0, raceCalls)
	for len(calls) < raceCalls {
		in, ok := c.next()
		if !ok {
			continue
		}
		call := time.Since(c.start)
		out, err := c.do(c.t.Context(), in)
		op := porcupine.Operation{ClientId: c.number, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(c.start))}
		if err != nil {
			op.ClientId, op.Output, op.Return = int(c.nobody.Add(1))-1, output{unknown: true}, math.MaxInt64
		}
		calls = append(calls, op)
	}
	return calls
}

// next decides what to do, if it is something that this client can do.
func (c *racer) next() (input, bool) {
	in := input{call: raceDice[c.dice.IntN(len(raceDice))], request: c.last, who: c.dice.IntN(racePeople)}
	if c.dice.IntN(3) == 0 {
		in.request = c.dice.IntN(raceRequests)
	}
	c.last = in.request
	targets := raceTargetsOf[in.request]
	switch in.call {
	case callSubmit:
		in.text = "reason of " + strconv.Itoa(c.number)
	case callDeny:
		in.who = c.dice.IntN(2)
	case callPrepare:
		in.target, in.outcome = targets[0], Waiting
		if c.dice.IntN(12) == 0 {
			in.outcome = Refused
		}
	case callOutcome:
		in.target = targets[c.dice.IntN(len(targets))]
		in.outcome = []Outcome{Proven, Refused, Refused, Refused, Stale}[c.dice.IntN(5)]
	case callRelease:
		in.text, in.version = []string{"", "Atlas is away."}[c.dice.IntN(2)], c.seen[in.request]
	}
	in.lease = c.lease[in.request]
	works := slices.Contains([]string{callRenew, callRelease, callPrepare, callBegin, callOutcome}, in.call)
	return in, in.lease > 0 || !works
}

// do makes a call. An error says that there was no answer.
func (c *racer) do(ctx context.Context, in input) (output, error) {
	out, err := c.call(ctx, in)
	if err != nil {
		return output{}, err
	}
	c.seen[in.request] = out.view.version
	if in.call == callClaim && out.word == "ok" {
		c.lease[in.request] = out.view.lease
	}
	return out, nil
}

func (c *racer) call(ctx context.Context, in input) (output, error) {
	id, by := c.ids[in.request], racePerson(in.who)
	switch in.call {
	case callSubmit:
		sub := Submission{Reason: in.text}
		for _, target := range raceTargetsOf[in.request] {
			sub.Targets = append(sub.Targets, raceProject(target))
		}
		return answered(c.store.Submit(ctx, raceView(in.request), pagerDuty(c.t, newKey("beef")), sub, racePerson(raceRequester)))
	case callApprove:
		return answered(c.store.Approve(ctx, id, by))
	case callDeny:
		return answered(c.store.Deny(ctx, id, "not now", by))
	case callCancel:
		return answered(c.store.Cancel(ctx, id, by))
	case callRetry:
		return answered(c.store.Retry(ctx, id, by))
	case callGet:
		return answered(c.store.Get(ctx, id))
	case callLook, callTimeUp, callHourUp:
		return c.peek(ctx, in)
	default:
		return c.work(ctx, in)
	}
}

// answered reads the answer that a person gets.
func answered(r *Request, err error) (output, error) {
	var state *StateError
	word, err := "ok", err
	switch {
	case errors.Is(err, ErrNotFound):
		word = "missing"
	case errors.Is(err, ErrOwnRequest):
		word = "own"
	case errors.Is(err, ErrNotRequester):
		word = "not_requester"
	case errors.Is(err, ErrVotedAlready):
		word = "again"
	case errors.Is(err, ErrTooLate):
		word = "late"
	case errors.As(err, &state):
		word = "state"
	case err != nil:
		return output{}, err
	}
	return output{word: word, view: viewOf(r)}, nil
}

// work makes the moves of a worker, with the arguments of the reconciler. Those
// are not behind methods that tell one answer from another.
func (c *racer) work(ctx context.Context, in input) (output, error) {
	k, id := c.store.keys(), c.ids[in.request]
	locks := c.locksOf(in.request)
	var r reply
	var err error
	switch in.call {
	case callClaim:
		if err := c.store.Redis.ZAdd(ctx, k.due(), zNow(id)).Err(); err != nil {
			return output{}, err
		}
		r, err = c.store.run(ctx, claimScript, id, Actor{}, k.move(id), "due", lease.Milliseconds())
	case callRenew:
		r, err = c.store.run(ctx, renewScript, id, Actor{}, k.move(id), "due", in.lease, lease.Milliseconds())
	case callRelease:
		r, err = c.store.run(ctx, releaseScript, id, Actor{}, k.move(id), in.lease, in.version, 1000, 1, in.text)
	case callPrepare:
		r, err = c.store.run(ctx, prepareScript, id, Actor{Via: "bot"}, k.move(id), c.prepared(in)...)
	case callBegin:
		r, err = c.store.run(ctx, beginScript, id, Actor{}, k.move(id, locks...), in.lease, time.Hour.Milliseconds(), 0)
	case callOutcome:
		p := raceProject(in.target)
		r, err = c.store.run(ctx, outcomeScript, id, Actor{Via: "bot"}, k.move(id, locks...),
			in.lease, p.ID, p.Name, string(in.outcome), "{}", "", retryWindow.Milliseconds())
	case callExpire:
		r, err = c.store.run(ctx, expireScript, id, Actor{Via: "bot"}, k.move(id))
	case callLapse:
		r, err = c.store.run(ctx, lapseScript, id, Actor{Via: "bot"}, k.move(id))
	}
	return output{word: r.word, view: viewOf(r.request), sealed: in.call == callBegin && r.more != ""}, err
}

func (c *racer) prepared(in input) []any {
	args := []any{in.lease}
	for _, target := range raceTargetsOf[in.request] {
		outcome := Waiting
		if target == in.target {
			outcome = in.outcome
		}
		args = append(args, raceProject(target).ID, string(outcome), "null", "{}")
	}
	return args
}

func (c *race) locksOf(request int) []string {
	var locks []string
	for _, target := range raceTargetsOf[request] {
		locks = append(locks, c.stores[0].keys().target(raceProject(target).ID, c.kind.Name))
	}
	return locks
}

// peekScript looks at everything in one step, and before that lets time pass.
// KEYS  1 request  2 its sealed secrets  3 audit  4… locks of all targets    ARGV  1 field of a time  2 whose time is up
var peekScript = redis.NewScript(`
if ARGV[1] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], 1) end
local seen = {redis.call('HGETALL', KEYS[1]), redis.call('EXISTS', KEYS[2]), redis.call('XLEN', KEYS[3])}
for i = 4, #KEYS do seen[i] = redis.call('GET', KEYS[i]) or '' end
return seen`)

func (c *racer) peek(ctx context.Context, in input) (output, error) {
	k, id := c.store.keys(), c.ids[in.request]
	keys := append([]string{k.request(id), k.sealed(id), k.audit()}, c.locksOf(1)...) // of the request for both
	field := map[string]string{callTimeUp: "expires", callHourUp: "retry_until"}[in.call]
	seen, err := peekScript.Run(ctx, c.store.Redis, keys, field).Slice()
	if err != nil {
		return output{}, err
	}
	r, err := (&Store{}).decode("", pairs(seen[0]), time.Time{})
	if err != nil && len(seen[0].([]any)) > 0 {
		return output{}, err
	}
	out := output{word: "ok", view: viewOf(r)}
	if in.call != callLook {
		return out, nil
	}
	out.sealed, out.trail = seen[1].(int64) == 1, int(seen[2].(int64))
	for i := range out.holders {
		out.holders[i] = slices.Index(c.ids[:], seen[3+i].(string)) + 1
	}
	return out, nil
}

// viewOf reduces a request to what the model knows of it.
func viewOf(r *Request) view {
	v := view{decidedBy: -1}
	if r == nil {
		return v
	}
	v.exists, v.state, v.version, v.reason, v.trouble = true, r.State, r.Version, r.Reason, r.Trouble
	v.retryable, v.lease = !r.RetryUntil.IsZero(), number(r.lease)
	for _, vote := range r.Votes {
		v.votes |= 1 << personNumber(vote.User)
	}
	if r.DecidedBy != "" {
		v.decidedBy = personNumber(r.DecidedBy)
	}
	for i := range v.outcomes {
		v.outcomes[i] = r.Outcomes[raceProject(i).ID].Outcome
	}
	return v
}

func personNumber(user string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(user, "U"))
	if err != nil {
		return racePeople // nobody who took part
	}
	return n
}
