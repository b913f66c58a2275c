package approvals

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/anishathalye/porcupine"
)

// This file says what requests may do, once more and from the design alone: it
// calls nothing of the code under test and reads neither its table nor its
// scripts. A history of calls is right if the model, taking the same calls one
// after the other in some order that agrees with the clock, gives the same answers.

// What the races are about: some requests, each for one or both of two projects.
const (
	raceRequests = 3
	raceTargets  = 2
)

// raceTargetsOf names the targets of each request. The middle one contends with both others.
var raceTargetsOf = [raceRequests][]int{{0}, {0, 1}, {1}}

// raceRequester is who makes each request; everybody else may approve it.
const raceRequester = 0

// racePeople is how many there are, the requester among them.
const racePeople = 5

// What a client can do.
const (
	callSubmit  = "submit"
	callApprove = "approve"
	callDeny    = "deny"
	callCancel  = "cancel"
	callRetry   = "retry"
	callExpire  = "expire"
	callLapse   = "lapse"
	callClaim   = "claim"
	callRenew   = "renew"
	callRelease = "release"
	callPrepare = "prepare"
	callBegin   = "begin"
	callOutcome = "outcome"
	callGet     = "get"
	callLook    = "look"       // at what people do not see: the sealed secrets, the locks, the length of the trail
	callTimeUp  = "time is up" // for its approvers, by the clock of Redis
	callHourUp  = "hour is up" // in which it can be retried
)

// An input is one call.
type input struct {
	call    string
	request int
	who     int     // people
	lease   int64   // workers: the one they think they hold
	target  int     // outcome
	outcome Outcome // outcome; prepare: Refused rejects the request
	version int64   // release: that the worker acted on
	text    string  // submit: the reason; release: the trouble
}

// A view is what an answer shows of a request.
type view struct {
	exists    bool
	state     State
	version   int64
	votes     uint8 // one bit for each person
	decidedBy int   // -1: nobody
	outcomes  [raceTargets]Outcome
	reason    string
	trouble   string
	retryable bool // until some time
	lease     int64
}

// An output is what a call answered.
type output struct {
	unknown bool // the connection broke: it may have happened or not
	word    string
	view    view
	sealed  bool // begin, look: whether the secrets are there
	trail   int  // look: entries in the trail
	holders [raceTargets]int
}

// A modelRequest is a request as the model knows it.
type modelRequest struct {
	view
	late   bool // its time is up
	over   bool // the hour to retry it is over
	held   bool // a worker has it
	sealed bool
	knows  uint8 // of which others that are open for some of its targets, a bit for each
}

// A world is the whole state of the model; worlds are compared with ==.
type world struct {
	requests [raceRequests]modelRequest
	holders  [raceTargets]int // the request that holds the target, from 1; 0: none
	trail    int
}

func newWorld() world {
	var w world
	for i := range w.requests {
		w.requests[i].decidedBy = -1
	}
	return w
}

// raceModel is the model of a workspace in which requests need that many approvers.
func raceModel(needed int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return newWorld() },
		Step: func(state, in, out any) (bool, any) {
			before, call, answer := state.(world), in.(input), out.(output)
			want, after := before.step(call, answer, needed)
			return answer.unknown || want == answer, after
		},
		DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func describe(in input, out output) string {
	if out.unknown {
		return fmt.Sprintf("%+v -> no answer", in)
	}
	return fmt.Sprintf("%s %d %+v -> %s %+v", in.call, in.request, in, out.word, out)
}

// step takes one call and gives the answer it must get. Only of a claim the model
// cannot know whether it comes in time, so there it takes what was answered.
func (w world) step(in input, answer output, needed int) (output, world) {
	r := &w.requests[in.request]
	var out output
	switch in.call {
	case callLook:
		out.word, out.trail, out.holders = "ok", w.trail, w.holders
		out.sealed = r.sealed
	case callClaim:
		out.word = w.claim(r, answer)
	case callBegin:
		out.word = w.begin(r, in)
		out.sealed = (out.word == "ok" || out.word == "again") && r.sealed
	default:
		out.word = w.word(r, in, needed)
	}
	out.view = r.view
	return out, w
}

func (w *world) word(r *modelRequest, in input, needed int) string {
	switch in.call {
	case callSubmit:
		return w.submit(r, in)
	case callTimeUp:
		r.late = r.exists
		return "ok"
	case callHourUp:
		r.over = r.retryable
		return "ok"
	case callPrepare, callOutcome, callRelease, callRenew:
		return w.work(r, in)
	}
	switch {
	case !r.exists:
		return "missing"
	case in.call == callApprove:
		return w.approve(r, in, needed)
	case in.call == callDeny:
		return w.deny(r, in)
	case in.call == callCancel:
		return w.cancel(r, in)
	case in.call == callRetry:
		return w.retry(r)
	case in.call == callExpire:
		return w.expire(r)
	case in.call == callLapse:
		return w.lapse(r)
	default:
		return "ok" // get
	}
}

// submit is how a request begins. The same form again finds what it made.
func (w *world) submit(r *modelRequest, in input) string {
	if !r.exists {
		r.exists, r.reason, r.sealed = true, in.text, true
		w.move(r, Submitted)
		w.join(r)
	}
	return "ok"
}

func (w *world) approve(r *modelRequest, in input, needed int) string {
	switch {
	case in.who == raceRequester:
		return "own"
	case w.afterTime(r) != Pending:
		return "state"
	case r.votes&(1<<in.who) != 0:
		return "again"
	}
	r.votes |= 1 << in.who
	if bits.OnesCount8(r.votes) >= needed {
		w.move(r, Approved)
	} else {
		w.move(r, Pending)
	}
	return "ok"
}

func (w *world) deny(r *modelRequest, in input) string {
	switch {
	case in.who == raceRequester:
		return "own"
	case w.afterTime(r) != Pending:
		return "state"
	}
	r.decidedBy = in.who
	w.finish(r, Denied)
	return "ok"
}

func (w *world) cancel(r *modelRequest, in input) string {
	if in.who != raceRequester {
		return "not_requester"
	}
	if s := w.afterTime(r); s != Submitted && s != Pending {
		return "state"
	}
	r.decidedBy = in.who
	w.finish(r, Cancelled)
	return "ok"
}

func (w *world) expire(r *modelRequest) string {
	switch {
	case r.state != Submitted && r.state != Pending:
		return "state"
	case w.afterTime(r) != Expired:
		return "early"
	}
	return "ok"
}

func (w *world) retry(r *modelRequest) string {
	switch {
	case r.state != Failed:
		return "state"
	case !r.retryable || r.over || !r.sealed:
		return "late"
	}
	for i, outcome := range r.outcomes {
		if outcome == Refused {
			r.outcomes[i] = Waiting
		}
	}
	r.retryable, r.over = false, false
	w.join(r)
	w.move(r, Approved)
	return "ok"
}

func (w *world) lapse(r *modelRequest) string {
	switch {
	case r.state != Failed || !r.retryable:
		return "state"
	case !r.over:
		return "early"
	}
	r.retryable, r.over, r.sealed, r.held = false, false, false, false
	w.move(r, Failed)
	return "ok"
}

func (w *world) claim(r *modelRequest, answer output) string {
	if !r.exists {
		return answer.word // 'early' or 'missing': nothing was due, or there is nothing
	}
	if answer.unknown || answer.word == "ok" {
		r.lease, r.held = r.lease+1, true
		return "ok"
	}
	return "early"
}

// work is what only the worker that holds the request can do.
func (w *world) work(r *modelRequest, in input) string {
	if r.lease != in.lease {
		return "fenced"
	}
	switch in.call {
	case callPrepare:
		return w.prepare(r, in)
	case callOutcome:
		return w.outcome(r, in)
	case callRenew:
		if !r.held {
			return "fenced"
		}
	case callRelease:
		r.held = false
		final := slices.Contains([]State{Applied, Failed, Rejected, Denied, Cancelled, Expired}, r.state) && !r.retryable
		if !final && r.version == in.version && r.trouble != in.text {
			r.trouble = in.text
			r.version++ // no move, so the trail does not tell
		}
	}
	return "ok"
}

func (w *world) prepare(r *modelRequest, in input) string {
	if w.afterTime(r) != Submitted {
		return "state"
	}
	for _, target := range raceTargetsOf[in.request] {
		r.outcomes[target] = Waiting
	}
	if in.outcome == Refused {
		r.outcomes[in.target] = Refused
		w.finish(r, Rejected)
		return "ok"
	}
	r.held = false
	w.move(r, Pending)
	return "ok"
}

func (w *world) begin(r *modelRequest, in input) string {
	switch {
	case r.lease != in.lease:
		return "fenced"
	case r.state != Approved && r.state != Applying:
		return "state"
	}
	for _, target := range raceTargetsOf[in.request] {
		if holder := w.holders[target]; holder != 0 && holder != in.request+1 {
			return "busy"
		}
	}
	for _, target := range raceTargetsOf[in.request] {
		w.holders[target] = in.request + 1
	}
	if r.state == Applying {
		return "again"
	}
	w.move(r, Applying)
	return "ok"
}

func (w *world) outcome(r *modelRequest, in input) string {
	switch {
	case r.state != Applying:
		return "state"
	case r.outcomes[in.target] != Waiting:
		return "ok" // it has one, which stands
	}
	r.outcomes[in.target] = in.outcome
	w.trail++
	count := map[Outcome]int{}
	for _, target := range raceTargetsOf[in.request] {
		count[r.outcomes[target]]++
	}
	if count[Waiting] > 0 {
		return "ok"
	}
	for i, holder := range w.holders {
		if holder == in.request+1 {
			w.holders[i] = 0
		}
	}
	switch {
	case count[Refused] > 0: // can be tried again, so the secrets stay
		r.retryable, r.held = true, false
		w.move(r, Failed)
		w.part(r)
	case count[Stale] > 0:
		w.finish(r, Failed)
	default:
		w.finish(r, Applied)
	}
	return "ok"
}

// afterTime lets time decide before people do.
func (w *world) afterTime(r *modelRequest) State {
	if r.late && (r.state == Submitted || r.state == Pending) {
		w.finish(r, Expired)
	}
	return r.state
}

// finish ends a request: from here on nobody needs its secrets.
func (w *world) finish(r *modelRequest, s State) {
	r.held, r.sealed = false, false
	w.move(r, s)
	w.part(r)
}

// join has a request that is open from now on and the others that are know of each other.
func (w *world) join(r *modelRequest) {
	this := w.index(r)
	r.knows = 0
	for i := range w.requests {
		if i != this && w.requests[i].state.Open() && share(i, this) {
			r.knows |= 1 << i
			w.tell(i, this, true)
		}
	}
}

// part has the others forget a request that is no longer open.
func (w *world) part(r *modelRequest) {
	for i := range w.requests {
		if r.knows&(1<<i) != 0 && w.requests[i].state.Open() {
			w.tell(i, w.index(r), false)
		}
	}
}

// tell has one request know whether another is open. People see it; the trail does not tell.
func (w *world) tell(i, other int, open bool) {
	r := &w.requests[i]
	r.version++
	r.knows &^= 1 << other
	if open {
		r.knows |= 1 << other
	}
}

func (w *world) index(r *modelRequest) int {
	for i := range w.requests {
		if r == &w.requests[i] {
			return i
		}
	}
	panic("it is one of these")
}

// share reports whether two requests have a target in common.
func share(i, j int) bool {
	return slices.ContainsFunc(raceTargetsOf[i], func(target int) bool { return slices.Contains(raceTargetsOf[j], target) })
}

// move is what every move has in common: people see it, and the trail tells of it once.
func (w *world) move(r *modelRequest, s State) {
	r.state, r.trouble = s, ""
	r.version++
	w.trail++
}
