package approvals

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPropertiesOfRequests lets people, workers, Atlas and time do what they like
// in some order, and after each step looks for anything that must never be. A
// sequence that breaks a promise is cut down to its shortest form by rapid, whose
// flags -rapid.checks and -rapid.steps make for longer searches.
func TestPropertiesOfRequests(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	base, replicas := newStore(t), newMortals(t)
	reached := map[string]int{}
	sequences, steps := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		o := newOffice(t, base, replicas)
		defer func() { forget(t, o.stores[0].keys(), base.Redis) }()
		if rapid.Bool().Draw(rt, "begins with approved requests") {
			o.approved(rt)
		}
		rt.Repeat(map[string]func(*rapid.T){ // rapid prefers what comes first in the alphabet
			"":          o.check,
			"1 round":   o.round,
			"2 agree":   o.agree,
			"3 submit":  o.submit,
			"4 retry":   o.retry,
			"5 time":    o.timePasses,
			"6 work":    func(rt *rapid.T) { o.work(drawShift(rt, o, true)) },
			"7 approve": func(rt *rapid.T) { o.click(drawClick(rt, o, Approve)) },
			"8 drift":   o.drift,
			"9 decide":  func(rt *rapid.T) { o.click(drawClick(rt, o, Cancel, Deny)) },
		})
		sequences++
		steps += o.steps
		for what, n := range o.reached {
			reached[what] += n
		}
	})
	t.Logf("%d sequences, %d steps, %s; reached %v", sequences, steps, time.Since(begun).Round(time.Millisecond), reached)
	reached["ended before"] = reached[string(Denied)] + reached[string(Cancelled)] + reached[string(Expired)] + reached[string(Rejected)]
	for _, what := range []string{string(Applied), string(Failed), "ended before", "target stale", "busy", "crash", "taken over", "meanwhile"} {
		assert.Positive(t, reached[what], "no sequence got as far as %q", what)
	}
}

// check looks at everything after a step.
func (o *office) check(rt *rapid.T) {
	o.steps++
	require.Empty(rt, o.faults)
	for _, q := range o.requests {
		r, err := o.stores[0].Get(o.t.Context(), q.id)
		require.NoError(rt, err)
		q.failed = r.State == Failed && !r.RetryUntil.IsZero()
		o.checkDecision(rt, q, r)
		o.checkEnd(rt, q, r)
		o.checkKept(rt, q, r)
		o.checkTargets(rt, q, r)
	}
	o.checkTrail(rt)
}

// checkDecision: nothing is on its way to Atlas, or was there, without the people
// who must have agreed; and no is no.
func (o *office) checkDecision(rt *rapid.T, q *asked, r *Request) {
	if slices.Contains([]State{Approved, Applying, Applied, Failed}, r.State) {
		require.True(rt, q.entitled(), "%s is %s with the approval of %v, and needs %d others than %s", q.id, r.State, q.yes, q.needed, q.requester)
	}
	if strings.HasPrefix(r.Trouble, "Another request") {
		o.reached["busy"]++
	}
	if q.ended != "" {
		require.Equal(rt, q.ended, r.State, "what was decided stands")
	}
	for _, vote := range r.Votes {
		require.Contains(rt, q.yes, vote.User)
	}
	require.Len(rt, r.Votes, len(q.yes))
}

// checkEnd: what is final stays as it is, to the letter.
func (o *office) checkEnd(rt *rapid.T, q *asked, r *Request) {
	final := !r.State.Open() && r.RetryUntil.IsZero()
	if !final {
		require.Nil(rt, q.final, "%s was final, and is %s", q.id, r.State)
		return
	}
	fields, err := o.stores[0].Redis.HGetAll(o.t.Context(), o.stores[0].keys().request(q.id)).Result()
	require.NoError(rt, err)
	for _, name := range []string{"lease", "lease_until", "expires"} {
		delete(fields, name) // who looked at it last, and what the test itself does to time
	}
	if q.final == nil {
		q.final = fields
		o.reached[string(r.State)]++
		for _, target := range r.Outcomes {
			o.reached["target "+string(target.Outcome)]++
		}
	}
	require.Equal(rt, q.final, fields, "%s is final", q.id)
}

// checkKept: secrets are kept exactly as long as they may be needed, and never
// without an end; a request that is not over is on the lists that bring it on.
func (o *office) checkKept(rt *rapid.T, q *asked, r *Request) {
	ctx, s := o.t.Context(), o.stores[0]
	life, err := s.Redis.PTTL(ctx, s.keys().sealed(q.id)).Result()
	require.NoError(rt, err)
	going := r.State.Open() || !r.RetryUntil.IsZero()
	require.Equal(rt, going, life > 0, "sealed secrets of %s, which is %s, live for %s", q.id, r.State, life)
	if r.State == Failed {
		require.LessOrEqual(rt, life, retryWindow)
	}
	if going {
		next, err := s.Redis.ZScore(ctx, s.keys().due(), q.id).Result()
		require.NoError(rt, err, "nobody would look at %s, which is %s", q.id, r.State)
		latest := r.ReadAt.Add(2 * time.Minute) // the longest pause, and some
		switch r.State {
		case Pending:
			latest = latest.Add(s.Policy.Default.TTL)
		case Failed:
			latest = latest.Add(retryWindow)
		}
		require.LessOrEqual(rt, next, float64(latest.UnixMilli()), "when somebody looks at %s, which is %s", q.id, r.State)
	}
	for list, want := range map[string]bool{s.keys().open(): r.State.Open(), s.keys().due(): going, s.keys().history(): !r.State.Open()} {
		found, err := s.Redis.ZRange(ctx, list, 0, -1).Result()
		require.NoError(rt, err)
		require.Equal(rt, want, slices.Contains(found, q.id), "%s, which is %s, on the list %s", q.id, r.State, list)
	}
}

// checkTargets: a target is changed at most once, is only called applied if it
// was, and is free again when its request is over.
func (o *office) checkTargets(rt *rapid.T, q *asked, r *Request) {
	o.atlas.guard.Lock()
	defer o.atlas.guard.Unlock()
	s := o.stores[0]
	for _, target := range q.targets {
		id := raceProject(target).ID
		changes := o.atlas.changes[change{q.key, target}]
		require.LessOrEqual(rt, changes, 1, "%s changed %s so many times", q.id, id)
		if outcome := r.Target(id).Outcome; outcome == Proven {
			require.Equal(rt, 1, changes, "%s calls %s applied", q.id, id)
		}
		holder, err := s.Redis.Get(o.t.Context(), s.keys().target(id, r.Type)).Result()
		if err == nil && holder == q.id {
			require.Equal(rt, Applying, r.State, "%s holds %s", q.id, id)
		}
	}
	if r.State == Applied {
		require.Equal(rt, len(q.targets), o.changed(q))
	}
}

// lives is the life of a request as its trail must tell it: what can come next,
// and the states that this leads to.
var lives = map[State]map[string][]State{
	"":        {"submit": {Submitted}},
	Submitted: {"prepare": {Pending}, "reject": {Rejected}, "cancel": {Cancelled}, "expire": {Expired}},
	Pending:   {"approve": {Pending, Approved}, "deny": {Denied}, "cancel": {Cancelled}, "expire": {Expired}},
	Approved:  {"begin": {Applying}},
	Applying:  {"target": {Applying}, "succeed": {Applied}, "fail": {Failed}},
	Failed:    {"retry": {Approved}, "lapse": {Failed}},
}

// checkTrail reads the audit trail as an auditor would, who has nothing else: it
// must tell each accepted move once, in an order that can be, and end where the
// request is.
func (o *office) checkTrail(rt *rapid.T) {
	trail, err := o.stores[0].Trail(o.t.Context(), "", 10_000)
	require.NoError(rt, err)
	told := map[string]*life{}
	var chain Chain
	for i := range trail {
		e := trail[i]
		require.NoError(rt, chain.Add(&e))
		l, ok := told[e.Fields["request"]]
		if !ok {
			l = &life{outcomes: map[string]string{}}
			told[e.Fields["request"]] = l
		}
		l.read(rt, e)
	}
	require.Len(rt, told, len(o.requests))
	for _, q := range o.requests {
		r, err := o.stores[0].Get(o.t.Context(), q.id)
		require.NoError(rt, err)
		l := told[q.id]
		require.Equal(rt, r.State, l.state)
		require.Equal(rt, r.Digest, l.digest)
		require.GreaterOrEqual(rt, r.Version, l.version)
		require.Equal(rt, q.acts, l.acts, "what people did to %s and were told was done", q.id)
		for project, outcome := range l.outcomes {
			if was := string(r.Target(project).Outcome); was != string(Waiting) { // it is tried again
				require.Equal(rt, outcome, was)
			}
		}
		o.reached[string(Lapse)] += l.lapses - q.lapses
		q.lapses = l.lapses
	}
}

// A life is what the trail tells of one request.
type life struct {
	state    State
	version  int64
	digest   string
	acts     []act
	outcomes map[string]string
	lapses   int
}

// An act is what somebody did.
type act struct{ event, by string }

func (l *life) read(rt *rapid.T, e Entry) {
	state, version := State(e.Fields["state"]), number(e.Fields["version"])
	require.Contains(rt, slices.Collect(maps.Keys(lives[l.state])), e.Event, "after %s", l.state)
	require.Contains(rt, lives[l.state][e.Event], state, "%s in %s", e.Event, l.state)
	if e.Event == "target" {
		require.GreaterOrEqual(rt, version, l.version)
		l.outcomes[e.Fields["project_id"]] = e.Fields["outcome"]
	} else {
		require.Greater(rt, version, l.version, "each move is told once")
	}
	if l.digest != "" {
		require.Equal(rt, l.digest, e.Fields["digest"])
	}
	if slices.Contains([]string{"submit", "approve", "deny", "cancel", "retry"}, e.Event) {
		l.acts = append(l.acts, act{e.Event, e.Fields["by"]})
	}
	if e.Event == "lapse" {
		l.lapses++
	}
	l.state, l.version, l.digest = state, version, e.Fields["digest"]
}
