package modals

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// ActionOpenForm opens the form from the Home tab.
const ActionOpenForm = "open_form"

// mostListed is how many requests each list of the Home tab has.
const mostListed = 6

// Home is what somebody's Home tab shows.
type Home struct {
	Waiting    []*approvals.Request // for a decision of theirs
	Mine       []*approvals.Request // that they asked for, newest first
	Lately     []*approvals.Request // decided by anybody, newest first; shown is what they changed
	Links      Links
	Approves   bool   // they are an approver
	Approvers  string // markup that names the approvers
	Requesters string // markup that names who may ask; empty: every full member
	Policy     bool   // some projects have others
	Away       bool   // the storage does not answer: the lists are not known
	Unsure     bool   // Slack does not say who they are: the lists may be incomplete
	Guest      bool   // they can do nothing
	Outsider   bool   // they are on no list, and see what they asked for themselves
}

// View draws the Home tab.
func (h Home) View() slack.HomeTabViewRequest {
	p := &page{}
	p.header("Atlas integrations")
	p.section("Update the PagerDuty, Datadog and other integrations of MongoDB Atlas projects. You fill in a form, a second person " +
		"approves it, and the bot changes Atlas, checks the result and shows it without the keys.")
	if h.Guest {
		p.section("Guests can neither ask for updates nor decide on them.")
	} else {
		p.blocks = append(p.blocks, slack.NewActionBlock("home", button(ActionOpenForm, "home", "New update", slack.StylePrimary)))
		h.lists(p)
	}
	p.context(h.who() + "\n" + code("/atlas-integration help", 60) + " lists all commands.")
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: p.blocks}}
}

func (h Home) lists(p *page) {
	if h.Away {
		p.section(":warning: The bot cannot reach its storage at the moment, so it does not know what is waiting. Open this tab again in a minute.")
		return
	}
	if h.Unsure {
		p.section(":warning: " + unsure + " Open this tab again in a minute.")
	}
	if h.Approves && (!h.Unsure || len(h.Waiting) > 0) {
		h.list(p, "Waits for you", "Nothing waits for you.", "pending", h.Waiting)
	}
	if !h.Unsure || len(h.Mine) > 0 {
		h.list(p, "You asked for", "Nothing yet.", "history", h.Mine)
	}
	if !h.Outsider && (!h.Unsure || len(h.Lately) > 0) {
		h.changed(p)
	}
}

// unsure is what lists may lack when Slack does not say whether somebody is an approver.
const unsure = "Slack does not say at the moment who you are to this bot, so what waits for you may be missing."

// who says who may do what.
func (h Home) who() string {
	ask := "every full member of this workspace"
	if h.Requesters != "" {
		ask = "only those on a list"
		if length(h.Requesters) <= mostApprovers {
			ask = h.Requesters
		}
	}
	approve := "nobody yet: tell whoever runs this bot"
	if h.Approvers != "" {
		approve = "those on a list"
		if length(h.Approvers) <= mostApprovers {
			approve = h.Approvers
		}
	}
	text := fmt.Sprintf("*Who may ask:* %s.\n*Who may approve:* %s. Nobody approves their own request.", ask, approve)
	if h.Policy {
		text += " Some projects have other people for it: the form and the card say so."
	}
	return text
}

func (h Home) list(p *page, title, none, command string, requests []*approvals.Request) {
	p.header(title)
	if len(requests) == 0 {
		p.section(none)
		return
	}
	for _, r := range requests[:min(len(requests), mostListed)] {
		p.section(entry(r, h.Links))
	}
	if len(requests) > mostListed {
		p.context(code("/atlas-integration "+command, 60) + " lists more.")
	}
}

// changed says what changed lately in each project, the latest first, each type of
// integration once. Projects of which the same is true stand together: twenty of them
// may have got one new key.
func (h Home) changed(p *page) {
	p.header("Changed lately")
	lines := map[string][]string{} // by project ID
	said := map[string]bool{}      // by project ID and type
	var order []atlas.Project
	for _, r := range h.Lately {
		for _, project := range r.Targets {
			if r.Target(project.ID).Outcome != approvals.Proven || said[project.ID+r.Type] {
				continue
			}
			if lines[project.ID] == nil {
				order = append(order, project)
			}
			said[project.ID+r.Type] = true
			lines[project.ID] = append(lines[project.ID], h.change(r, project))
		}
	}
	if len(order) == 0 {
		p.section("Nothing has been changed yet.")
		return
	}
	var groups []group
	for _, project := range order {
		changes := lines[project.ID]
		groups = join(groups, strings.Join(changes[:min(len(changes), mostChanges)], "\n"), nameIn(project))
	}
	for _, g := range groups[:min(len(groups), mostListed)] {
		p.section("*" + enumerate(g.names, 400) + "*\n" + g.what)
	}
	p.context(code("/atlas-integration history [project]", 60) + " lists everything, also what was denied or has expired.")
}

// mostChanges is how many changes of one project the Home tab lists.
const mostChanges = 3

// change says that a request changed a project.
func (h Home) change(r *approvals.Request, project atlas.Project) string {
	text := fmt.Sprintf("• %s · %s · by %s%s", Escape(r.Catalog().Title), at(r.Target(project.ID).Result.At), mention(r.Requester), approvers(r))
	if link := h.Links.card(r); link != "" {
		text += " · " + link
	}
	return text
}
