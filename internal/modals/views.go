package modals

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// maxDenyReason is the longest reason for a no.
const maxDenyReason = 1000

// SubmittedView takes the place of the form: what happens next. Approvers is
// markup that names them, channel the one where the card is or will be.
func SubmittedView(r *approvals.Request, approvers, channel string, links Links) slack.ModalViewRequest {
	p := &page{}
	if approvers == "" || length(approvers) > mostApprovers {
		approvers = "the approvers"
	}
	place := fmt.Sprintf("<#%s>", Escape(channel))
	if card := links.card(r); card != "" {
		place = fmt.Sprintf("%s (%s)", place, card)
	}
	decide := fmt.Sprintf("%s in %s%s.", whoDecides(r.Needed, approvers), place, deadline(r))
	const change = "The bot changes Atlas, checks the result, and tells you in a direct message."
	switch r.State {
	case approvals.Submitted:
		p.section(fmt.Sprintf("%s Your request to update %s is kept.\nNothing has been changed in Atlas yet.", icons[r.State], subject(r)))
		p.section("*What happens next*\n1. The bot asks Atlas what it holds now.\n2. " + decide + "\n3. " + change)
	case approvals.Pending:
		p.section(fmt.Sprintf("%s Your request to update %s waits for approval.\nNothing has been changed in Atlas yet.", icons[r.State], subject(r)))
		p.section("*What happens next*\n1. " + decide + "\n2. " + change)
	default:
		p.section(fmt.Sprintf("Your request to update %s:\n%s", subject(r), standing(r)))
		outcomes(p, r)
	}
	doubts(p, r, overlaps(r))
	small := code(r.ID, 40)
	if undecided(r) {
		small += " · To take it back before somebody decides, press *Cancel request* in the direct message."
	}
	p.context(small)
	return p.view("Request sent", "Close")
}

func whoDecides(needed int, approvers string) string {
	if needed > 1 {
		return fmt.Sprintf("%d of %s have to approve it", needed, approvers)
	}
	return fmt.Sprintf("One of %s has to approve it", approvers)
}

func deadline(r *approvals.Request) string {
	if r.ExpiresAt.IsZero() {
		return ""
	}
	return ", until " + at(r.ExpiresAt)
}

// DenyView asks an approver why they deny a request.
func DenyView(r *approvals.Request) slack.ModalViewRequest {
	p := &page{}
	p.section(fmt.Sprintf("%s asks to update %s.\nIf you deny it, nothing is changed in Atlas, and the new values are wiped.", mention(r.Requester), subject(r)))
	element := slack.NewPlainTextInputBlockElement(nil, ActionReason)
	element.Multiline, element.MaxLength, element.FocusOnLoad = true, maxDenyReason, true
	p.blocks = append(p.blocks, slack.NewInputBlock(blockReason, plain("Reason"),
		plain("The requester and the approvals channel see it."), element))
	view := p.view("Deny request", "Back")
	view.Submit = plain("Deny")
	view.CallbackID = CallbackDeny
	view.PrivateMetadata = r.ID
	return view
}

// ReadDeny reads the deny form: why, without the space around it.
func ReadDeny(s State) (reason string) {
	value, _ := s.in(blockReason, ActionReason)
	return strings.TrimSpace(value.Typed.Reveal())
}

// CheckDeny finds what keeps the deny form from being sent, by block ID.
func CheckDeny(reason string) map[string]string {
	switch {
	case reason == "":
		return map[string]string{blockReason: "Say why, so that the requester knows what to change."}
	case length(reason) > maxDenyReason:
		return map[string]string{blockReason: fmt.Sprintf("At most %d characters; this has %d.", maxDenyReason, length(reason))}
	case otherKey.MatchString(reason):
		return map[string]string{blockReason: looksLikeAKey}
	}
	return nil
}

// RequestOf is the request that a deny form is about.
func RequestOf(privateMetadata string) (id string, ok bool) {
	return approvals.ParseRequestID(privateMetadata)
}

// NoticeView takes the place of a view to say one thing, as markup, and be closed.
func NoticeView(title, text string) slack.ModalViewRequest {
	p := &page{}
	if strings.TrimSpace(text) == "" {
		text = "Nothing was changed."
	}
	if title == "" {
		title = "Update integration"
	}
	p.section(text)
	return p.view(title, "Close")
}
