package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// A step is one thing that happened on the way of a request.
type step struct {
	at   time.Time
	lane string // who, or between whom
	what string
	raw  json.RawMessage // what was sent, with what was typed left out
	key  bool            // it carried what was typed as a secret
	bad  bool
}

// Lanes of a story: where a step happens.
const (
	laneToBot = "Slack → bot"
	laneToUs  = "bot → Slack"
	laneRedis = "Redis"
	laneAtlas = "bot → Atlas"
	laneDay   = "bad day"
)

// aftermath is how long after its end a request still has calls of its own.
const aftermath = 2 * time.Second

// story draws what happened to a request, and the way to those of others.
func (p *Page) story(ctx context.Context, w where) *node {
	n := el("section", "story").set("id", "story").set("aria-labelledby", "story-title")
	n.add(el("h2", "", text("What happened")).set("id", "story-title"))
	requests, err := p.requests(ctx)
	if err != nil {
		return n.add(el("p", "error", text("Redis does not answer, so what it keeps cannot be shown.")))
	}
	if len(requests) == 0 {
		return n.add(el("p", "empty", text("No request yet. What becomes of one is told here, step by step: from the command to what Atlas shows.")))
	}
	chosen := requests[0]
	list := el("nav", "requests").set("aria-label", "Requests")
	for _, r := range requests {
		if r.ID == w.request {
			chosen = r
		}
	}
	for _, r := range requests {
		entry := el("a", "", el("code", "", text(r.ID)), text(" "+r.Type+" "), el("span", "state "+string(r.State), text(string(r.State)))).
			set("href", w.withRequest(r.ID).href()).set("data-go", "")
		if r.ID == chosen.ID {
			entry.set("aria-current", "true")
		}
		list.add(entry)
	}
	steps, err := p.steps(ctx, chosen)
	if err != nil {
		return n.add(list, el("p", "error", text("Redis does not answer, so what it keeps cannot be shown.")))
	}
	return n.add(list, p.whereabouts(ctx, chosen), timeline(steps))
}

func timeline(steps []step) *node {
	n := el("ol", "timeline")
	if len(steps) == 0 {
		return n
	}
	begun := steps[0].at
	for _, s := range steps {
		entry := el("li", "", el("time", "", text(since(s.at.Sub(begun)))), el("span", "lane", text(s.lane)))
		if s.bad {
			entry.set("class", "bad")
		}
		if s.key {
			entry.add(el("span", "key", text("🔑")).set("title", "carries what was typed as a secret"))
		}
		if s.raw == nil {
			entry.add(el("span", "what", text(s.what)))
		} else {
			entry.add(el("details", "what", el("summary", "", text(s.what)), code(s.raw)))
		}
		n.add(entry)
	}
	return n
}

// since is a time in a story, in milliseconds as long as these say something.
func since(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("+%d ms", d.Milliseconds())
	}
	return "+" + d.Round(time.Second).String()
}

// requests are all that Redis keeps, newest first.
func (p *Page) requests(ctx context.Context) ([]*approvals.Request, error) {
	const most = 20
	open, err := p.store.Undecided(ctx, 0, most)
	if err != nil {
		return nil, fmt.Errorf("list open requests: %w", err)
	}
	decided, err := p.store.Decided(ctx, 0, most)
	if err != nil {
		return nil, fmt.Errorf("list decided requests: %w", err)
	}
	all := map[string]*approvals.Request{}
	for _, r := range slices.Concat(open, decided) {
		all[r.ID] = r
	}
	newestFirst := func(a, b *approvals.Request) int { return b.CreatedAt.Compare(a.CreatedAt) }
	return slices.SortedFunc(maps.Values(all), newestFirst), nil
}

// steps are all that happened to a request, as Slack, Redis and Atlas saw it.
func (p *Page) steps(ctx context.Context, r *approvals.Request) ([]step, error) {
	trail, err := p.trail(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	told := p.slackSteps(r)
	begun, ended := r.CreatedAt, r.ReadAt
	if len(told) > 0 {
		begun = told[0].at
	}
	if !r.State.Open() && !r.Retryable() {
		ended = r.DecidedAt.Add(aftermath)
	}
	for _, entry := range trail {
		ended = later(ended, entry.at)
	}
	steps := slices.Concat(told, trail, p.atlasSteps(r, begun, ended), p.daySteps(begun, ended))
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	return steps, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// trail is the audit trail of a request.
func (p *Page) trail(ctx context.Context, id string) ([]step, error) {
	entries, err := p.store.Trail(ctx, "", 10_000)
	if err != nil {
		return nil, fmt.Errorf("read the trail: %w", err)
	}
	var steps []step
	for _, e := range entries {
		if e.Fields["request"] != id {
			continue
		}
		raw, _ := json.Marshal(e.Fields) //nolint:errchkjson // a map of texts
		what := e.Event
		if outcome := e.Fields["outcome"]; outcome != "" {
			what += " " + e.Fields["project"] + ": " + outcome
		}
		if state := e.Fields["state"]; state != "" && e.Event != "target" {
			what += ", the request is " + state
		}
		steps = append(steps, step{at: e.At, lane: laneRedis, what: what, raw: raw})
	}
	return steps, nil
}

// slackSteps are what Slack saw of a request. Its events are found by what they
// name: the request, its form, the command that opened that, and their envelopes.
func (p *Page) slackSteps(r *approvals.Request) []step {
	events := p.s.Slack.Log()
	about := map[int]bool{}
	known := [][]byte{[]byte(r.ID)}
	if view := viewOf(r.ID, events); view != "" {
		known = append(known, []byte(view))
	}
	for len(known) > 0 {
		var found [][]byte
		for i := range events {
			if !about[i] && namesOne(&events[i], known) {
				about[i] = true
				found = append(found, leads(&events[i])...)
			}
		}
		known = found
	}
	var steps []step
	for i := range events {
		if e := &events[i]; about[i] {
			if e.Kind == "envelope" && e.Method == "slash_commands" {
				steps = append(steps, typedBefore(events[:i], p))
			}
			steps = append(steps, p.slackStep(e)...)
		}
	}
	return steps
}

// viewOf finds the form that a request was submitted with.
func viewOf(request string, events []slacksim.Event) string {
	for i := range events {
		if events[i].Kind != "submit" {
			continue
		}
		for _, word := range strings.Fields(events[i].Summary) {
			if approvals.RequestID(slacksim.TeamID, word) == request {
				return word
			}
		}
	}
	return ""
}

// namesOne reports whether an event names one of those.
func namesOne(e *slacksim.Event, ids [][]byte) bool {
	return slices.ContainsFunc(ids, func(id []byte) bool {
		return bytes.Contains(e.JSON, id) || bytes.Contains([]byte(e.Summary), id)
	})
}

// leads are what an event tells of others: an envelope of its ack, the opening of a
// form of the command before it.
func leads(e *slacksim.Event) [][]byte {
	switch e.Kind {
	case "envelope":
		if _, id, found := strings.Cut(e.Summary, " "); found {
			return [][]byte{[]byte(id)}
		}
	case "api":
		var call struct {
			Arguments struct {
				TriggerID string `json:"trigger_id"`
			} `json:"arguments"`
		}
		if json.Unmarshal(e.JSON, &call) == nil && call.Arguments.TriggerID != "" {
			return [][]byte{[]byte(call.Arguments.TriggerID)}
		}
	}
	return nil
}

// typedBefore is the command that an envelope carries.
func typedBefore(events []slacksim.Event, p *Page) step {
	for _, e := range slices.Backward(events) {
		if e.Kind == "command" {
			return step{at: e.At, lane: "@" + p.person(e.Actor).Name, what: "types " + e.Summary}
		}
	}
	return step{}
}

// slackStep is an event as a step, if it says something that others do not.
func (p *Page) slackStep(e *slacksim.Event) []step {
	s := step{at: e.At, raw: e.JSON}
	switch e.Kind {
	case "click":
		s.lane, s.what, s.raw = "@"+p.person(e.Actor).Name, "uses "+e.Method, nil
	case "submit":
		s.lane, s.what, s.raw = "@"+p.person(e.Actor).Name, "submits the form", nil
	case "envelope":
		s.lane, s.what = laneToBot, "envelope: "+cmp.Or(kindOf(e), e.Method)
		s.key = kindOf(e) == "view_submission"
	case "ack":
		_, took, _ := strings.Cut(e.Summary, " ")
		s.lane, s.what = laneToUs, took
	case "api":
		s.lane, s.what, s.bad = laneToUs, e.Summary, !strings.HasSuffix(e.Summary, ": ok")
	case "violation":
		s.lane, s.what, s.bad = laneToUs, "breaks a rule of Slack's: "+e.Summary, true
	default: // views and messages are told by the calls that made them
		return nil
	}
	return []step{s}
}

func kindOf(e *slacksim.Event) string {
	var payload struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(e.JSON, &payload) // commands have no type
	return payload.Type
}

// atlasSteps are the calls for the integrations of a request, while it lived.
func (p *Page) atlasSteps(r *approvals.Request, begun, ended time.Time) []step {
	var steps []step
	for _, c := range p.s.Atlas.Calls() {
		if c.Type != r.Type || c.At.Before(begun) || c.At.After(ended) {
			continue
		}
		i := slices.IndexFunc(r.Targets, func(t atlas.Project) bool { return t.ID == c.GroupID })
		if i < 0 {
			continue
		}
		s := step{at: c.At, lane: laneAtlas, key: c.Method == http.MethodPut, bad: c.Status != http.StatusOK}
		s.what = fmt.Sprintf("%s %s of %s: %d", c.Method, c.Type, r.Targets[i].Name, c.Status)
		if c.Status == 0 {
			s.what = fmt.Sprintf("%s %s of %s: no answer", c.Method, c.Type, r.Targets[i].Name)
		}
		if c.ErrorCode != "" {
			s.what += " " + c.ErrorCode
		}
		if c.Applied {
			s.what += ", stored"
		}
		steps = append(steps, s)
	}
	return steps
}

func (p *Page) daySteps(begun, ended time.Time) []step {
	p.days.mu.Lock()
	defer p.days.mu.Unlock()
	var steps []step
	for _, h := range p.days.had {
		if !h.at.Before(begun) && !h.at.After(ended) {
			steps = append(steps, step{at: h.at, lane: laneDay, what: h.what, bad: true})
		}
	}
	return steps
}
