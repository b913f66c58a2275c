package modals

import (
	"fmt"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// ActionOpenForm opens the form from the Home tab.
const ActionOpenForm = "open_form"

// mostListed is how many requests each list of the Home tab has.
const mostListed = 6

// Home is what somebody's Home tab shows.
type Home struct {
	Waiting   []*approvals.Request // for a decision of theirs
	Mine      []*approvals.Request // that they asked for, newest first
	Lately    []*approvals.Request // decided by anybody, newest first
	Links     map[string]string    // to the card of a request, by its ID
	Approves  bool                 // they are an approver
	Approvers string               // markup that names the approvers
	Policy    bool                 // some projects have others
	Away      bool                 // the storage does not answer: the lists are not known
}

// View draws the Home tab.
func (h Home) View() slack.HomeTabViewRequest {
	p := &page{}
	p.header("Atlas integrations")
	p.section("Update the PagerDuty, Datadog and other integrations of MongoDB Atlas projects: you fill in a form, a second person " +
		"approves it, and the bot changes Atlas, checks the result and shows it without the keys.")
	p.blocks = append(p.blocks, slack.NewActionBlock("home", button(ActionOpenForm, "home", "New update", slack.StylePrimary)))
	switch {
	case h.Away:
		p.section(":warning: The bot cannot reach its storage at the moment, so it does not know what is waiting. Open this tab again in a minute.")
	default:
		if h.Approves {
			h.list(p, "Waits for you", "Nothing waits for you.", h.Waiting)
		}
		h.list(p, "You asked for", "Nothing yet.", h.Mine)
		h.list(p, "Changed lately", "Nothing was decided yet.", h.Lately)
	}
	approve := "Nobody can approve yet: tell whoever runs this bot."
	if h.Approvers != "" && length(h.Approvers) <= mostApprovers {
		approve = "Approvers: " + h.Approvers + ". Nobody approves their own request."
		if h.Policy {
			approve += " Some projects have other approvers: the card names them."
		}
	}
	p.context(approve + "\n" + code("/atlas-integration help", 60) + " lists all commands.")
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: p.blocks}}
}

func (h Home) list(p *page, title, none string, requests []*approvals.Request) {
	p.header(title)
	if len(requests) == 0 {
		p.section(none)
		return
	}
	for _, r := range requests[:min(len(requests), mostListed)] {
		text := cutMarkup(entry(r), mostEntry)
		if link := h.Links[r.ID]; link != "" {
			text += fmt.Sprintf(" · <%s|card>", link)
		}
		p.section(text)
	}
	if more := len(requests) - mostListed; more > 0 {
		p.context(fmt.Sprintf("And more: %s lists them.", code("/atlas-integration pending", 60)))
	}
}
