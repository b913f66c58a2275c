package report

import (
	"fmt"
	"math"
)

// Names of the systems.
const (
	Bot    = "bot"
	Peer   = "peer"
	Bare   = "bare loop"
	Floors = "round trips"
)

// A Run is what one run of a system gave.
type Run struct {
	System   string `json:"system"`
	What     string `json:"what"` // flows, replicas, refresh, floors, size
	History  int    `json:"history,omitempty"`
	Replicas int    `json:"replicas,omitempty"`
	Values   Sample `json:"values"`
}

// Results are everything that was measured, and where.
type Results struct {
	Date      string            `json:"date"`
	Quick     bool              `json:"quick,omitempty"` // it only shows that everything works
	Processor string            `json:"processor"`
	Cores     int               `json:"cores"`
	MemoryGiB int               `json:"memory_gib"`
	Versions  map[string]string `json:"versions"`
	Usual     int               `json:"usual"` // the history at which most is measured
	Histories []int             `json:"histories"`
	Loads     []int             `json:"loads"`
	Replicas  []int             `json:"replicas"`
	Repeats   int               `json:"repeats"`
	Runs      []Run             `json:"runs"`
	Goals     []Goal            `json:"goals"`
}

// of summarizes a value over the runs of a system that are alike.
func (r *Results) of(system, what string, history, replicas int, name string) (Summary, bool) {
	var alike []Sample
	for _, run := range r.Runs {
		if run.System == system && run.What == what && run.History == history && run.Replicas == replicas {
			alike = append(alike, run.Values)
		}
	}
	return Summarize(alike, name)
}

// usual is a value at the usual history, with one replica.
func (r *Results) usual(system, name string) (Summary, bool) {
	return r.of(system, "flows", r.Usual, 1, name)
}

// A Goal is something that was set before it was measured.
type Goal struct {
	Goal string `json:"goal"`
	Held bool   `json:"held"`
	By   string `json:"by"` // what was measured
}

// Judge holds what was measured against the goals.
func (r *Results) Judge() {
	most := r.Loads[len(r.Loads)-1]
	r.Goals = nil
	for _, kind := range []string{"command", "submission", "click"} {
		name := fmt.Sprintf("ack/%s/%d/p99", kind, most)
		r.ratio(fmt.Sprintf("ack of a %s, p99 at %d at a time: five times better than the peer", kind, most), Peer, Bot, name, name, 5, math.Inf(1))
	}
	for _, kind := range []string{"command", "click"} {
		name := fmt.Sprintf("ack/%s/%d/p99", kind, most)
		r.ratio(fmt.Sprintf("ack of a %s, p99 at %d at a time: within three times of the bare loop", kind, most), Bot, Bare, name, name, 0, 3)
	}
	name := fmt.Sprintf("ack/click/%d/p99", most)
	r.ratio(fmt.Sprintf("ack of a submission, p99 at %d at a time: within three times of the bare loop's click", most), Bot, Bare,
		fmt.Sprintf("ack/submission/%d/p99", most), name, 0, 3)
	r.ratio("flows per CPU second: five times the peer's", Bot, Peer, "flows/cpu", "flows/cpu", 5, math.Inf(1))
	r.ratio("memory under load: at most a third of the peer's", Bot, Peer, "memory/load", "memory/load", 0, 1./3)
	r.ratio("cold start to hello: under a third of the peer's", Bot, Peer, "start", "start", 0, 1./3)
	r.refreshes()
	if trips, ok := r.usual(Bot, "redis/trips"); ok {
		r.goal("at most 12 Redis round trips in a flow, to the nearest whole", trips.Median < 12.5, fmt.Sprintf("%.1f", trips.Median))
	}
	r.flat()
	r.rises()
}

func (r *Results) goal(goal string, held bool, by string) {
	r.Goals = append(r.Goals, Goal{goal, held, by})
}

// ratio holds the quotient of two values between two bounds.
func (r *Results) ratio(goal, over, under, nameOver, nameUnder string, least, most float64) {
	a, ok := r.usual(over, nameOver)
	b, also := r.usual(under, nameUnder)
	if !ok || !also || b.Median == 0 {
		return
	}
	q := a.Median / b.Median
	r.goal(goal, q >= least && q <= most, fmt.Sprintf("%.2f", q))
}

func (r *Results) refreshes() {
	lost, ok := r.of(Bot, "refresh", r.Usual, 1, "refresh/lost")
	late, _ := r.of(Bot, "refresh", r.Usual, 1, "refresh/late")
	all, _ := r.of(Bot, "refresh", r.Usual, 1, "refresh/commands")
	if ok {
		r.goal("no command lost or later than a second while connections are refreshed every second", lost.Most == 0 && late.Most == 0,
			fmt.Sprintf("%.0f lost, %.0f late of %.0f", lost.Most, late.Most, all.Median))
	}
}

// flatness is how much more a request may cost with the longest history.
const flatness = 1.10

func (r *Results) flat() {
	for _, cost := range []struct{ name, title string }{
		{"cpu/flow", "CPU of the bot"}, {"redis cpu/flow", "CPU of Redis"}, {"redis/commands", "commands"}, {"redis/bytes", "bytes"},
	} {
		few, ok := r.of(Bot, "flows", r.Histories[0], 1, cost.name)
		many, also := r.of(Bot, "flows", r.Histories[len(r.Histories)-1], 1, cost.name)
		if ok && also {
			q := many.Median / few.Median
			r.goal(fmt.Sprintf("%s for a flow, flat within 10 %% from %s to %s in history", cost.title,
				thousands(r.Histories[0]), thousands(r.Histories[len(r.Histories)-1])), q <= flatness, fmt.Sprintf("%+.0f %%", 100*(q-1)))
		}
	}
}

// full is from when on the machine has nothing left.
const full = 0.9

// rises holds that more replicas do more, until something else is the limit.
func (r *Results) rises() {
	one, ok := r.usual(Bot, "flows/s")
	if !ok || len(r.Replicas) == 0 {
		return
	}
	best, by := one.Median, ""
	for _, n := range r.Replicas {
		if s, ok := r.of(Bot, "replicas", r.Usual, n, "flows/s"); ok {
			best = max(best, s.Median)
		}
	}
	limit := r.Limit(Bot, 1)
	by = fmt.Sprintf("%.2f times the flows of one replica at best; the limit at one is %s", best/one.Median, limit)
	r.goal("throughput rises with replicas until Redis or the stand-in is the limit", best > 1.2*one.Median || limit != "bot itself", by)
}

// Limit names what keeps a number of replicas from doing more.
func (r *Results) Limit(system string, replicas int) string {
	what := "replicas"
	if replicas == 1 {
		what = "flows"
	}
	busy := func(who string) float64 {
		s, _ := r.of(system, what, r.Usual, replicas, "busy/"+who)
		return s.Median
	}
	subject, redis, us := busy("subject"), busy("redis"), busy("stand-ins")
	switch {
	case redis >= full:
		return "Redis"
	case subject+redis+us >= full*float64(r.Cores):
		return fmt.Sprintf("the machine, of which the stand-ins have %.0f %%", 100*us/(subject+redis+us))
	default:
		return system + " itself"
	}
}

// thousands writes a number as people read it.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
