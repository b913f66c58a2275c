package approvals

// State is where a request stands. Its word is what people read on the card.
type State string

// The states of a request.
const (
	Submitted State = "submitted" // kept; Atlas has not yet been asked what it holds
	Pending   State = "pending"   // waits for approvers
	Approved  State = "approved"  // waits for an applier
	Applying  State = "applying"  // Atlas is being changed, target by target
	Applied   State = "applied"   // every target is proven
	Failed    State = "failed"    // at least one target is not as asked
	Rejected  State = "rejected"  // a target cannot be updated at all
	Denied    State = "denied"    // an approver said no
	Cancelled State = "cancelled" // the requester took it back
	Expired   State = "expired"   // nobody decided in time
)

// Event is what can happen to a request, and how the audit trail calls it.
type Event string

// The events in the life of a request.
const (
	Prepare Event = "prepare" // every target was read
	Reject  Event = "reject"  // a target cannot be updated
	Approve Event = "approve" // by one approver; the last vote needed decides
	Deny    Event = "deny"
	Cancel  Event = "cancel"
	Expire  Event = "expire"
	Begin   Event = "begin"   // an applier took the targets
	Succeed Event = "succeed" // the last target was proven
	Fail    Event = "fail"    // every target has an outcome, and not all are applied
	Retry   Event = "retry"
	Lapse   Event = "lapse" // too late to retry: the secrets are wiped
)

// moves is the whole life of a request after its submission: what can happen to
// it in each state, and where that leads. The scripts carry it out; TestMoves
// tries each of them in every state.
//
// A request that still waits for Atlas to be read can be cancelled and expires
// like a pending one: otherwise an Atlas that is away would keep its secret.
var moves = map[State]map[Event]State{
	Submitted: {Prepare: Pending, Reject: Rejected, Cancel: Cancelled, Expire: Expired},
	Pending:   {Approve: Approved, Deny: Denied, Cancel: Cancelled, Expire: Expired},
	Approved:  {Begin: Applying},
	Applying:  {Succeed: Applied, Fail: Failed}, // unknown outcomes stay here
	Failed:    {Retry: Approved, Lapse: Failed},
}

// Open reports whether something is still to happen to a request in this state.
func (s State) Open() bool {
	return s == Submitted || s == Pending || s == Approved || s == Applying
}

// Outcome is how one target of a request came out.
type Outcome string

// The outcomes of a target. Of these, only Refused can be retried: a stale
// target is no longer what was approved.
const (
	Waiting Outcome = "waiting"
	Proven  Outcome = "applied"
	Refused Outcome = "refused" // Atlas said no, or what it shows is not what was sent
	Stale   Outcome = "stale"   // changed between submission and apply; nothing was written
)
