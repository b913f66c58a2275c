package approvals

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// A shift is one look of a worker at one request, and what befalls it meanwhile.
// All is decided beforehand: targets are worked on side by side, and rapid must
// be able to repeat it.
type shift struct {
	request   *asked
	replica   int
	gone      int                    // the number after that of the target that Atlas does not know, when it is read
	answers   [officeProjects]answer // of Atlas to updates
	commands  int                    // of Redis, at the last of which the process dies; 0: it lives
	after     bool                   // it dies after that command
	during    int                    // in the update of which target something else happens
	meanwhile []func()
	once      sync.Once
}

// An answer is how Atlas takes an update.
type answer string

const (
	fine       answer = "fine"
	forbidden  answer = "forbidden"
	lostBefore answer = "lost before it arrived"
	lostAfter  answer = "arrived, but the answer is lost"
)

// drawShift plans a look. While it updates Atlas, people click, and workers of
// other replicas look at other requests.
func drawShift(rt *rapid.T, o *office, busy bool) *shift {
	w := &shift{
		request: drawRequest(rt, o), gone: rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}).Draw(rt, "gone"), replica: rapid.IntRange(0, officeReplicas-1).Draw(rt, "replica"),
		after: rapid.Bool().Draw(rt, "dies after the command"), during: rapid.IntRange(0, officeProjects-1).Draw(rt, "during"),
		commands: rapid.SampledFrom([]int{0, 0, 0, 0, 0, 4, 3, 2, 1}).Draw(rt, "dies at command"),
	}
	for i := range w.answers {
		w.answers[i] = rapid.SampledFrom([]answer{fine, forbidden, fine, lostAfter, lostBefore, fine}).Draw(rt, "answer")
	}
	if !busy {
		return w
	}
	for range rapid.IntRange(0, 3).Draw(rt, "meanwhile") {
		other := (w.replica + 1) % officeReplicas
		if rapid.Bool().Draw(rt, "another worker") {
			next := drawShift(rt, o, false)
			next.replica = other
			w.meanwhile = append(w.meanwhile, func() { o.work(next) })
			continue
		}
		c := drawClick(rt, o, Approve, Deny, Cancel, Retry)
		c.store = o.stores[other]
		w.meanwhile = append(w.meanwhile, func() { o.click(c) })
	}
	return w
}

// round has workers look at all requests.
func (o *office) round(rt *rapid.T) {
	for _, q := range o.requests {
		w := drawShift(rt, o, true)
		w.request = q
		o.work(w)
	}
}

// work has a worker look at a request as it would when the request is due, or
// when the lease of a worker that died is over.
func (o *office) work(w *shift) {
	ctx, s, q := o.t.Context(), o.stores[w.replica], w.request
	if !q.open.CompareAndSwap(false, true) {
		return // the one who has it lives, so its lease does not end
	}
	defer q.open.Store(false)
	if err := s.Redis.ZAddXX(ctx, s.keys().due(), redis.Z{Member: q.id}).Err(); err != nil {
		o.fault("make %s due: %v", q.id, err)
		return
	}
	m := o.replicas[w.replica]
	m.live(w.commands, w.after)
	defer m.live(0, false)
	look := worker{store: s, name: "due"}
	r, err := look.claim(ctx, q.id)
	if err != nil && !errors.Is(err, errDead) {
		o.fault("claim %s: %v", q.id, err)
	}
	if err != nil || r == nil {
		return
	}
	if r.State == Applying {
		o.reach("taken over")
	}
	(&Reconciler{Store: s, Atlas: o.atlas}).look(context.WithValue(ctx, shiftKey{}, w), r)
	if m.dead.Load() {
		o.reach("crash")
	}
}

type shiftKey struct{}

// A drawer is an Atlas that answers as planned, and watches who changes what.
type drawer struct {
	office   *office
	projects [officeProjects]*project

	guard    sync.Mutex
	inFlight [officeProjects]*asked
	changes  map[change]int // updates that changed something
}

// A change is of one project, to one key.
type change struct {
	key    string
	target int
}

func (d *drawer) Integration(ctx context.Context, projectID string, _ *atlas.Type) (*atlas.Integration, error) {
	target := projectNumber(projectID)
	if ctx.Value(shiftKey{}).(*shift).gone == target+1 {
		return nil, &atlas.Error{Status: 404, Code: "INTEGRATION_NOT_CONFIGURED", Detail: "not configured"}
	}
	return d.projects[target].get(ctx, projectID)
}

// Update is where it would show if something went wrong.
func (d *drawer) Update(ctx context.Context, projectID string, s *atlas.Settings) (*atlas.Integration, error) {
	target, q := projectNumber(projectID), d.office.requestOf(s)
	d.begin(q, target)
	defer d.end(target)
	w := ctx.Value(shiftKey{}).(*shift)
	if target == w.during {
		w.once.Do(func() {
			for _, happen := range w.meanwhile {
				d.office.reach("meanwhile")
				happen()
			}
		})
	}
	switch w.answers[target] {
	case forbidden:
		return nil, &atlas.Error{Status: 403, Code: "USER_UNAUTHORIZED", Detail: "no role"}
	case lostBefore:
		return nil, errors.New("connection reset by peer")
	}
	shown, err := d.change(ctx, q, target, s)
	if w.answers[target] == lostAfter {
		return nil, errors.New("connection reset by peer")
	}
	return shown, err
}

func (d *drawer) begin(q *asked, target int) {
	d.guard.Lock()
	defer d.guard.Unlock()
	if other := d.inFlight[target]; other != nil {
		d.office.fault("%s updates target %d while %s does", q.id, target, other.id)
	}
	d.inFlight[target] = q
	d.office.guard.Lock()
	entitled := q.entitled()
	d.office.guard.Unlock()
	if !entitled {
		d.office.fault("%s updates target %d with the approval of %v", q.id, target, q.yes)
	}
}

func (d *drawer) end(target int) {
	d.guard.Lock()
	defer d.guard.Unlock()
	d.inFlight[target] = nil
}

func (d *drawer) change(ctx context.Context, q *asked, target int, s *atlas.Settings) (*atlas.Integration, error) {
	d.guard.Lock()
	defer d.guard.Unlock()
	p := d.projects[target]
	p.guard.Lock()
	before := p.held.Secrets["serviceKey"].Reveal()
	p.guard.Unlock()
	if before != q.key {
		d.changes[change{q.key, target}]++
	}
	return p.put(ctx, "", s)
}
