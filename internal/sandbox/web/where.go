package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
)

// home is the place of the bot's Home tab; any other place is the ID of a channel.
const home = "home"

// where is what a tab looks at. It stands in the address, so that a tab can be
// opened twice, kept and sent to somebody.
type where struct {
	left, right seat
	project     string // by ID
	request     string // whose story is told; empty: that of the newest
}

// A seat is somebody who looks at a channel.
type seat struct{ person, place string }

func (s seat) String() string { return s.person + "." + s.place }

const (
	left  = "left"
	right = "right"
)

// where reads a query. What it does not say, or says of what there is not, is as at
// the start.
func (p *Page) where(q url.Values) where {
	return where{
		left:    p.seat(q.Get(left), seat{p.s.First(sandbox.RoleEngineer).ID, sandbox.Incidents}),
		right:   p.seat(q.Get(right), seat{p.s.First(sandbox.RoleApprover).ID, sandbox.Approvals}),
		project: q.Get("project"),
		request: q.Get("request"),
	}
}

func (p *Page) seat(text string, otherwise seat) seat {
	person, place, _ := strings.Cut(text, ".")
	known := slices.ContainsFunc(p.s.People, func(one sandbox.Person) bool { return one.ID == person })
	if !known {
		return otherwise
	}
	for _, c := range p.places(person) {
		if c.id == place {
			return seat{person, place}
		}
	}
	return seat{person, otherwise.place}
}

func (w where) query() url.Values {
	q := url.Values{left: {w.left.String()}, right: {w.right.String()}}
	if w.project != "" {
		q.Set("project", w.project)
	}
	if w.request != "" {
		q.Set("request", w.request)
	}
	return q
}

func (w where) href() string { return "/?" + w.query().Encode() }

func (w where) at(side string) seat {
	if side == left {
		return w.left
	}
	return w.right
}

// with is the same with another seat at a side.
func (w where) with(side string, s seat) where {
	if side == left {
		w.left = s
	} else {
		w.right = s
	}
	return w
}

func (w where) withProject(id string) where {
	w.project = id
	return w
}

func (w where) withRequest(id string) where {
	w.request = id
	return w
}

// place is a channel, the direct messages with the bot, or its Home tab.
type place struct{ id, name string }

func (p *Page) places(person string) []place {
	return []place{
		{sandbox.Incidents, "# incidents"},
		{sandbox.Approvals, "# atlas-approvals"},
		{p.s.Slack.Person(person).DM(), "atlas-integration"},
		{home, "Home"},
	}
}
