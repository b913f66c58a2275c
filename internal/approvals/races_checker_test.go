package approvals

import (
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheCheckerOfRacesCanFail tells it lies about a history that it finds right,
// one at a time: each must be found out.
func TestTheCheckerOfRacesCanFail(t *testing.T) {
	t.Parallel()
	truth := tell(t)
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(raceModel(2), truth, time.Minute))
	for name, lie := range map[string]func(h []porcupine.Operation) []porcupine.Operation{
		"the requester's vote counts": answerInstead(callApprove, "own", func(out *output) {
			out.word, out.view.votes, out.view.version = "ok", out.view.votes|1, out.view.version+1
		}),
		"a vote counts twice": answerInstead(callApprove, "again", func(out *output) {
			out.word, out.view.version = "ok", out.view.version+1
		}),
		"one vote is enough of two": answerInstead(callApprove, "ok", func(out *output) { out.view.state = Approved }),
		"a decided request is denied": answerInstead(callDeny, "state", func(out *output) {
			out.word, out.view.state = "ok", Denied
		}),
		"two appliers for a target":       answerInstead(callBegin, "busy", func(out *output) { out.word = "ok" }),
		"a worker that is not fenced off": answerInstead(callRenew, "fenced", func(out *output) { out.word = "ok" }),
		"secrets are left":                answerInstead(callLook, "ok", func(out *output) { out.sealed = true }),
		"the trail lacks an entry":        answerInstead(callLook, "ok", func(out *output) { out.trail-- }),
		"the trail tells it twice":        answerInstead(callLook, "ok", func(out *output) { out.trail++ }),
		"a target is not freed":           answerInstead(callLook, "ok", func(out *output) { out.holders[0] = 1 }),
		"an answer from an hour ago": answerInstead(callGet, "ok", func(out *output) {
			out.view = truth[0].Output.(output).view
		}),
		"a move that nobody made": func(h []porcupine.Operation) []porcupine.Operation {
			at := slices.IndexFunc(h, func(op porcupine.Operation) bool { return op.Input.(input).call == callPrepare })
			return slices.Delete(slices.Clone(h), at, at+1)
		},
		"an answer before the question": func(h []porcupine.Operation) []porcupine.Operation {
			early := slices.Clone(h)
			last := &early[len(early)-1]
			last.Call, last.Return = early[0].Call-2, early[0].Call-1
			return early
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(raceModel(2), lie(truth), time.Minute))
		})
	}
	for _, needed := range []int{1, 3} {
		assert.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(raceModel(needed), truth, time.Minute),
			"a model of %d approvers should not explain what two did", needed)
	}
}

// tell has one client take two requests through their lives, one call after the other.
func tell(t *testing.T) []porcupine.Operation {
	t.Helper()
	c := &racer{race: newRace(t, newStore(t), newReplicas(t, 1, 0), 2)}
	c.store = c.stores[0]
	var history []porcupine.Operation
	for _, in := range []input{
		{call: callSubmit, text: "first"},
		{call: callSubmit, request: 1, text: "second"},
		{call: callClaim},
		{call: callClaim, request: 1},
		{call: callPrepare, outcome: Waiting},
		{call: callPrepare, request: 1, outcome: Waiting},
		{call: callApprove, who: 1},
		{call: callApprove, who: 1},
		{call: callApprove, who: raceRequester},
		{call: callApprove, who: 2},
		{call: callApprove, request: 1, who: 3},
		{call: callApprove, request: 1, who: 4},
		{call: callDeny, who: 3},
		{call: callBegin},
		{call: callBegin, request: 1},
		{call: callOutcome, outcome: Proven},
		{call: callRenew},
		{call: callLook},
		{call: callGet},
	} {
		in.lease = c.lease[in.request]
		call := time.Since(c.start)
		out, err := c.do(t.Context(), in)
		require.NoError(t, err)
		history = append(history, porcupine.Operation{Input: in, Call: int64(call), Output: out, Return: int64(time.Since(c.start))})
	}
	return history
}

// answerInstead changes the first answer of a call that has that word.
func answerInstead(call, word string, change func(*output)) func([]porcupine.Operation) []porcupine.Operation {
	return func(h []porcupine.Operation) []porcupine.Operation {
		lie := slices.Clone(h)
		at := slices.IndexFunc(lie, func(op porcupine.Operation) bool {
			return op.Input.(input).call == call && op.Output.(output).word == word
		})
		out := lie[at].Output.(output)
		change(&out)
		lie[at].Output = out
		return lie
	}
}
