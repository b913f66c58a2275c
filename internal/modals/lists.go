package modals

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// mostEntry is the longest entry of a list of requests.
const mostEntry = 1000

// Links are addresses of the cards of requests, by ID. Of some there may be none.
type Links map[string]string

// card is markup that leads to a request's card; empty if nothing does.
func (l Links) card(r *approvals.Request) string {
	if link := l[r.ID]; link != "" {
		return fmt.Sprintf("<%s|card>", link)
	}
	return ""
}

// History is a page of what was decided, newest first.
type History struct {
	Project  string // its name; empty: of all projects
	Requests []*approvals.Request
	From     int   // how many newer ones there are
	Newer    *Turn // to the pages beside this one; nil: there is none
	Older    *Turn
	Links    Links
}

// Message answers `history`, and a click that turns its page.
func (h History) Message() Message {
	p := &page{}
	title := "*History*"
	if h.Project != "" {
		title = fmt.Sprintf("*History of %s*", inline(h.Project, mostName))
	}
	switch {
	case len(h.Requests) == 0 && h.From == 0 && h.Project != "":
		p.section(title + "\nNobody has asked for a change in this project yet.")
		return p.message()
	case len(h.Requests) == 0 && h.From == 0:
		p.section(title + "\nNothing has been decided yet.")
		return p.message()
	case len(h.Requests) == 0:
		p.section(title + "\nThere is nothing older: decided requests are forgotten after a while.")
	case h.From > 0:
		p.section(fmt.Sprintf("%s · %d to %d, newest first", title, h.From+1, h.From+len(h.Requests)))
	default:
		p.section(title + " · newest first")
	}
	for _, r := range h.Requests {
		p.section(entry(r, h.Links))
	}
	p.context(fullStatus)
	var turns []slack.BlockElement
	if h.Newer != nil {
		turns = append(turns, button(ActionNewer, h.Newer.String(), "Newer", slack.StyleDefault))
	}
	if h.Older != nil {
		turns = append(turns, button(ActionOlder, h.Older.String(), "Older", slack.StyleDefault))
	}
	p.buttons(turns...)
	return p.message()
}

var fullStatus = code("/atlas-integration status ID", 60) + " shows a request in full."

// A Turn leads to the page of a history that begins after a request, or ends before
// it. The button holds all there is to know, so any replica can turn the page.
type Turn struct {
	Project string // its ID; empty: of all projects
	Request string // ID of the last one shown, or of the first
	Place   int    // that one's place in the list, as it was when it was shown
}

func (t Turn) String() string { return fmt.Sprintf("%s/%s/%d", t.Project, t.Request, t.Place) }

// ParseTurn reads the value of a button that turns the page.
func ParseTurn(value string) (t Turn, ok bool) {
	parts := strings.Split(value, "/")
	if len(parts) != 3 {
		return Turn{}, false
	}
	t.Project = parts[0]
	t.Request, ok = approvals.ParseRequestID(parts[1])
	place, err := strconv.Atoi(parts[2])
	t.Place = place
	return t, ok && err == nil && place >= 0
}

// Pending answers `pending`: what waits for the person, what they wait for, and what
// waits for others, each newest first.
func Pending(theirs, own, others []*approvals.Request, more, unknown bool, links Links) Message {
	p := &page{}
	if unknown {
		p.section(":warning: " + unsure + " Ask again in a minute.")
	}
	for _, part := range []struct {
		title    string
		requests []*approvals.Request
	}{{"Waits for you", theirs}, {"You asked for", own}, {"Waits for others", others}} {
		if len(part.requests) == 0 {
			continue
		}
		p.section("*" + part.title + "*")
		for _, r := range part.requests {
			if p.used > mostBlocks-mostEntry-300 || len(p.blocks) > mostNumber-3 {
				more = true
				break
			}
			p.section(entry(r, links))
		}
	}
	switch {
	case len(theirs)+len(own)+len(others) == 0:
		p.section("Nothing is waiting.")
	case more:
		p.context("There are more, older than these. " + fullStatus)
	default:
		p.context(fullStatus)
	}
	return p.message()
}

// entry is a request in a list: how it stands, what it changes, who had to do with it.
func entry(r *approvals.Request, links Links) string {
	text := fmt.Sprintf("%s *%s* · %s\n", icons[r.State], r.State, subject(r))
	if change := brief(r); change != "" {
		text += change + "\n"
	}
	parts := []string{code(r.ID, 40), mention(r.Requester)}
	switch {
	case !r.DecidedAt.IsZero():
		parts = append(parts, at(r.DecidedAt))
	case !r.CreatedAt.IsZero():
		parts = append(parts, at(r.CreatedAt))
	}
	switch {
	case r.State == approvals.Pending:
		parts = append(parts, approvalsSoFar(r))
	case r.State == approvals.Failed:
		parts = append(parts, score(r))
	case r.State == approvals.Denied && r.DecidedBy != "":
		parts = append(parts, "denied by "+mention(r.DecidedBy))
	case len(r.Votes) > 0:
		parts = append(parts, "approved by "+voters(r))
	}
	if link := links.card(r); link != "" {
		parts = append(parts, link)
	}
	head := strings.TrimRight(cutMarkup(text, mostEntry-510), "\n")
	return head + "\n" + cutMarkup(strings.Join(parts, " · "), 500)
}

// ProjectNames answers `list` without a project: which ones it can be asked about.
func ProjectNames(projects []atlas.Project) Message {
	if len(projects) == 0 {
		return Say("This bot sees no project in Atlas. Ask whoever runs it.")
	}
	p := &page{}
	p.section("Name a project to see its integrations: " + code("/atlas-integration list "+nameOf(projects[0]), 150))
	const most = 40
	var lines []string
	for _, project := range projects[:min(len(projects), most)] {
		lines = append(lines, "• "+nameIn(project))
	}
	if more := len(projects) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	p.list(count(len(projects), "project"), lines)
	return p.message()
}

// Integrations answers `list` with a project: what is configured there, masked, and
// since when it is so. Changed are the requests by which this bot changed it last, by type.
func Integrations(project atlas.Project, found []*atlas.Integration, changed map[string]*approvals.Request) Message {
	p := &page{}
	p.header("Integrations of " + line(nameOf(project), mostName))
	found = slices.DeleteFunc(slices.Clone(found), func(now *atlas.Integration) bool { return now == nil })
	slices.SortStableFunc(found, func(a, b *atlas.Integration) int { return cmp.Compare(offeredAs(a), offeredAs(b)) })
	for _, now := range found {
		t, known := atlas.FindType(now.Type)
		if !known {
			p.section(code(now.Type, 60) + "\nThis bot does not know this type.")
			continue
		}
		since := sinceWhen(project, now, changed[t.Name])
		settings := cutMarkup(settingLines(now), mostSection-length(since)-200)
		p.section(fmt.Sprintf("*%s* %s\n%s\n%s", Escape(t.Title), code(t.Name, 60), settings, since))
	}
	if len(found) == 0 {
		p.section("None is configured. The first set-up of an integration happens in Atlas itself; after that, this bot can update it.")
		return p.message()
	}
	p.context("Keys are masked, as in Atlas. Who changed what is known as far back as the bot's history goes.\n" +
		"To change one: " + code("/atlas-integration update "+nameOf(project)+" TYPE", 150))
	return p.message()
}

// offeredAs is the place of an integration's type among those that people are offered;
// types that this bot does not know come last.
func offeredAs(now *atlas.Integration) int {
	i := slices.IndexFunc(atlas.Types, func(t *atlas.Type) bool { return t.Name == now.Type })
	if i < 0 {
		return len(atlas.Types)
	}
	return i
}

// sinceWhen says who changed an integration last through this bot, and whether it is
// still as it was then.
func sinceWhen(project atlas.Project, now *atlas.Integration, last *approvals.Request) string {
	if last == nil {
		return "_Not changed by this bot._"
	}
	result := last.Target(project.ID).Result
	text := fmt.Sprintf("Changed by this bot %s: asked by %s%s, %s.", at(result.At), mention(last.Requester), approvers(last), code(last.ID, 40))
	if result.Shown != nil && !result.Shown.Same(now) {
		text += "\n:warning: Somebody has changed it since then, without this bot."
	}
	return text
}

func approvers(r *approvals.Request) string {
	if len(r.Votes) == 0 {
		return ""
	}
	return ", approved by " + voters(r)
}
