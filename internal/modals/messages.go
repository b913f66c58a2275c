package modals

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Card is what approvers decide on, and afterwards the record of it. Approvers is
// markup that names them: while they are waited for it mentions them, once, since
// Slack tells nobody of a message that is edited.
func Card(r *approvals.Request, approvers string) Message {
	p := details(r, approvers)
	switch {
	case r.State == approvals.Pending:
		approve := button(ActionApprove, r.ID, "Approve", slack.StylePrimary)
		approve.Confirm = confirmApproval(r)
		p.buttons(approve, button(ActionDeny, r.ID, "Deny…", slack.StyleDanger))
	case r.Retryable():
		p.buttons(button(ActionRetry, r.ID, "Retry", slack.StyleDefault))
	}
	return p.message()
}

// mostApprovers is the longest text that names them: more are a list, not a mention.
const mostApprovers = 1000

// Reminder is for the thread of a card that still waits.
func Reminder(r *approvals.Request, approvers string, last bool) Message {
	if approvers == "" || length(approvers) > mostApprovers {
		approvers = "The approvers"
	}
	if last {
		return Say(fmt.Sprintf(":alarm_clock: %s: this expires %s. Then nothing is changed, and %s has to ask again.", approvers, at(r.ExpiresAt), mention(r.Requester)))
	}
	return Say(fmt.Sprintf(":bell: %s: this still waits for you, until %s.", approvers, at(r.ExpiresAt)))
}

// confirmApproval asks again before a vote, and names what it is for: on a phone
// the button is far from the top of the card.
func confirmApproval(r *approvals.Request) *slack.ConfirmationBlockObject {
	then := "Atlas is changed at once."
	if left := r.Needed - len(r.Votes) - 1; left > 0 {
		then = fmt.Sprintf("Atlas is changed after %s.", count(left, "more approval"))
	}
	titles := make([]string, len(r.Targets))
	for i, project := range r.Targets {
		titles[i] = line(nameOf(project), mostName)
	}
	before := fmt.Sprintf("%s in ", r.Catalog().Title)
	if len(r.Banners) > 0 {
		before = line(strings.Join(r.Banners, " "), mostConfirm/2) + "\n" + before
	}
	text := before + enumerate(titles, mostConfirm-length(before)-length(then)-2) + ".\n" + then
	return slack.NewConfirmationBlockObject(plain("Approve this update?"), plain(cut(text, mostConfirm)), plain("Approve"), plain("Back"))
}

// Status answers somebody who asks about a request: the card without its buttons.
func Status(r *approvals.Request) Message { return details(r, "").message() }

// details is everything that may be known of a request: where it stands, what
// changes, where, why, and what to look at twice.
func details(r *approvals.Request, approvers string) *page {
	p := &page{}
	p.header(headline(r))
	if r.State.Open() {
		banners(p, r.Banners)
	}
	where := standing(r)
	if r.State == approvals.Pending && approvers != "" && length(approvers) <= mostApprovers {
		where += "\nWaits for " + approvers + "."
	}
	p.section(where)
	trouble(p, r)
	if why := quote(r.Note, 1200); why != "" {
		p.section("The reason for the no:\n" + why)
	}
	outcomes(p, r)
	changeList(p, r)
	if undecided(r) && len(r.Targets) > 1 {
		p.list(count(len(r.Targets), "project"), targetLines(r))
	}
	const rest = 2800 // for what follows the reason
	p.folded(asks(r, min(mostSection-100, max(mostBlocks-rest-p.used, 300))), asks(r, 600))
	doubts(p, r)
	small := code(r.ID, 40)
	if !r.CreatedAt.IsZero() {
		small += " · asked " + at(r.CreatedAt)
	}
	if len(r.Rules) > 0 {
		small += " · policy " + inline(and(r.Rules), 200)
	}
	if effect := r.Catalog().Effect; effect != "" && undecided(r) {
		small = "If a new value is wrong: " + Escape(effect) + "\n" + small
	}
	p.context(small)
	return p
}

// banners are what the policy wants everybody to read first.
func banners(p *page, texts []string) {
	for _, text := range texts {
		p.section(":rotating_light: *" + inline(text, 300) + "*")
	}
}

func undecided(r *approvals.Request) bool {
	return r.State == approvals.Submitted || r.State == approvals.Pending
}

func asks(r *approvals.Request, most int) string {
	text := mention(r.Requester) + " asks for this"
	if why := quote(r.Reason, most); why != "" {
		return text + ", because:\n" + why
	}
	return text + "."
}

// standing says where a request stands, beginning with its word; in a second line
// what was not changed, or what to do next.
func standing(r *approvals.Request) string {
	word := fmt.Sprintf("%s *%s*", icons[r.State], r.State)
	switch r.State {
	case approvals.Submitted:
		return word + " · The bot asks Atlas what it holds now. Then the approvers are asked."
	case approvals.Pending:
		return word + " · " + approvalsSoFar(r)
	case approvals.Approved:
		return word + by(r, voters(r)) + "\nAtlas is changed next."
	case approvals.Applying:
		done := len(r.Targets) - tally(r)[approvals.Waiting]
		return fmt.Sprintf("%s · %d of %s done", word, done, count(len(r.Targets), "project")) + approvedBy(r)
	case approvals.Applied:
		return word + " · " + proven(r) + approvedBy(r)
	case approvals.Failed:
		return strings.TrimRight(word+" · "+score(r)+approvedBy(r)+"\n"+advice(r), "\n")
	case approvals.Rejected:
		return word + " · Not every project can be updated, so nobody was asked to approve it. Nothing was changed.\n" +
			"See below why. Then make a new request."
	case approvals.Denied, approvals.Cancelled:
		return word + by(r, mention(r.DecidedBy)) + "\nNothing was changed."
	case approvals.Expired:
		return word + " · " + approvalsSoFar(r) + "\nNothing was changed."
	}
	return word
}

// approvalsSoFar counts the approvals and says by when the rest are due.
func approvalsSoFar(r *approvals.Request) string {
	text := fmt.Sprintf("%d of %s", len(r.Votes), count(max(r.Needed, 1), "approval"))
	if len(r.Votes) > 0 {
		text += fmt.Sprintf(" (%s)", voters(r))
	}
	switch {
	case r.ExpiresAt.IsZero():
	case r.State == approvals.Expired:
		text += " by " + at(r.ExpiresAt)
	default:
		text += " · expires " + at(r.ExpiresAt)
	}
	return text
}

var icons = map[approvals.State]string{
	approvals.Submitted: ":inbox_tray:",
	approvals.Pending:   ":hourglass_flowing_sand:",
	approvals.Approved:  ":thumbsup:",
	approvals.Applying:  ":gear:",
	approvals.Applied:   ":white_check_mark:",
	approvals.Failed:    ":x:",
	approvals.Rejected:  ":no_entry:",
	approvals.Denied:    ":no_entry_sign:",
	approvals.Cancelled: ":leftwards_arrow_with_hook:",
	approvals.Expired:   ":alarm_clock:",
}

func by(r *approvals.Request, who string) string {
	text := ""
	if who != "" {
		text = " by " + who
	}
	if !r.DecidedAt.IsZero() {
		text += ", " + at(r.DecidedAt)
	}
	return text
}

func approvedBy(r *approvals.Request) string {
	if len(r.Votes) == 0 {
		return ""
	}
	return "\nApproved by " + voters(r) + ", " + at(r.Votes[len(r.Votes)-1].At)
}

func voters(r *approvals.Request) string {
	mentions := make([]string, len(r.Votes))
	for i, vote := range r.Votes {
		mentions[i] = mention(vote.User)
	}
	return enumerate(mentions, 200)
}

// tally counts the targets by outcome.
func tally(r *approvals.Request) map[approvals.Outcome]int {
	n := map[approvals.Outcome]int{}
	for _, project := range r.Targets {
		n[r.Target(project.ID).Outcome]++
	}
	return n
}

// score is the tally in words: 18 applied, 1 refused.
func score(r *approvals.Request) string {
	n := tally(r)
	var parts []string
	for _, outcome := range []approvals.Outcome{approvals.Proven, approvals.Refused, approvals.Stale, approvals.Waiting} {
		if n[outcome] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[outcome], outcome))
		}
	}
	return strings.Join(parts, ", ")
}

// proven says how sure it is that Atlas holds what was asked for.
func proven(r *approvals.Request) string {
	seen := true
	for _, project := range r.Targets {
		seen = seen && len(r.Target(project.ID).Result.Unseen) == 0
	}
	if !seen {
		return "Atlas took the new values; what it shows of them is as asked."
	}
	return "Atlas shows the new values."
}

// advice says what can be done about a failed request.
func advice(r *approvals.Request) string {
	var lines []string
	n := tally(r)
	if n[approvals.Refused] > 0 {
		if r.Retryable() {
			lines = append(lines, fmt.Sprintf("*Retry* sends the refused ones again, until %s; no new approval is needed.", at(r.RetryUntil)))
		} else {
			lines = append(lines, "The new values are wiped. To try the refused ones again, make a new request.")
		}
	}
	if n[approvals.Stale] > 0 {
		lines = append(lines, "For the stale ones make a new request, if it is still needed: what was approved is no longer what is there.")
	}
	return strings.Join(lines, "\n")
}

// trouble says what a request waits for that should not take so long. It may name a
// channel.
func trouble(p *page, r *approvals.Request) {
	if r.Trouble != "" && r.State.Open() {
		p.section(":warning: " + cutMarkup(namedChannel.ReplaceAllString(inline(r.Trouble, 500), "<#$1>"), 700))
	}
}

var namedChannel = regexp.MustCompile(`&lt;#([CG][0-9A-Z]{6,20})&gt;`)

// changeList shows everything a request does, field by field.
func changeList(p *page, r *approvals.Request) {
	if lines := changeLines(r); len(lines) > 0 {
		p.list("Change", lines)
	}
}

func doubts(p *page, r *approvals.Request) {
	found := r.Doubts()
	if len(found) == 0 || !r.State.Open() {
		return
	}
	lines := []string{":warning: *Look twice*"}
	for _, doubt := range found {
		lines = append(lines, "• "+cutMarkup(inline(doubt, 500), 700))
	}
	p.section(cutMarkup(strings.Join(lines, "\n"), 2000))
}

// outcomes says how each target came out, those with the same outcome together:
// what went wrong first.
func outcomes(p *page, r *approvals.Request) {
	if undecided(r) || r.State == approvals.Approved && tally(r)[approvals.Waiting] == len(r.Targets) {
		return
	}
	var groups []group
	for _, outcome := range []approvals.Outcome{approvals.Refused, approvals.Stale, approvals.Waiting, approvals.Proven} {
		for _, project := range r.Targets {
			target := r.Target(project.ID)
			if target.Outcome != outcome || outcome == approvals.Waiting && !r.State.Open() {
				continue
			}
			groups = join(groups, string(outcome)+"\x00"+remark(target), nameIn(project))
		}
	}
	share := min(mostSection, 5000/max(len(groups), 1)) // so that many different answers leave room for the rest
	for _, g := range groups {
		outcome, remark, _ := strings.Cut(g.what, "\x00")
		title := "*" + outcome + "*"
		if len(g.names) > 1 {
			title += fmt.Sprintf(" (%d)", len(g.names))
		}
		text := title + ": " + enumerate(g.names, share/2)
		if remark != "" {
			text += "\n" + remark
		}
		p.section(cutMarkup(text, share))
	}
}

// remark is what there is to say of one target's outcome.
func remark(target approvals.Target) string {
	switch target.Outcome {
	case approvals.Refused, approvals.Stale:
		return quote(target.Result.Detail, 900)
	case approvals.Proven:
		if len(target.Result.Unseen) > 0 {
			return "> Atlas never shows " + inline(and(target.Result.Unseen), 200) + ", so that part is not proven."
		}
	}
	return ""
}

// DM keeps the requester up to date.
func DM(r *approvals.Request) Message {
	p := &page{}
	p.section(fmt.Sprintf("Your request to update %s:\n%s", subject(r), standing(r)))
	trouble(p, r)
	if why := quote(r.Note, 1200); why != "" {
		p.section("The reason for the no:\n" + why)
	}
	outcomes(p, r)
	if r.State.Open() {
		changeList(p, r)
	}
	if undecided(r) && len(r.Targets) > 3 {
		p.list(count(len(r.Targets), "project"), []string{enumerate(names(r.Targets), mostSection-100)})
	}
	doubts(p, r)
	p.context(code(r.ID, 40))
	p.buttons(requesterButtons(r)...)
	return p.message()
}

func requesterButtons(r *approvals.Request) []slack.BlockElement {
	var buttons []slack.BlockElement
	if undecided(r) {
		cancel := button(ActionCancel, r.ID, "Cancel request", slack.StyleDefault)
		cancel.Confirm = slack.NewConfirmationBlockObject(plain("Cancel this request?"),
			plain("Nothing is changed in Atlas, and the new values are wiped."), plain("Cancel request"), plain("Keep it"))
		buttons = append(buttons, cancel)
	}
	if r.Retryable() {
		buttons = append(buttons, button(ActionRetry, r.ID, "Retry", slack.StyleDefault))
	}
	again := r.State == approvals.Rejected || r.State == approvals.Expired ||
		r.State == approvals.Failed && (!r.Retryable() || tally(r)[approvals.Stale] > 0)
	if again {
		buttons = append(buttons, button(ActionNewUpdate, r.ID, "New request", slack.StyleDefault))
	}
	return buttons
}

// Report is for the thread of the card: what Atlas shows now in each project.
func Report(r *approvals.Request) Message {
	p := &page{}
	p.section(fmt.Sprintf("What Atlas shows of %s now. Keys are masked, as in Atlas.", subject(r)))
	var groups []group
	for _, project := range r.Targets {
		target := r.Target(project.ID)
		what := "*" + string(target.Outcome) + "*"
		if detail := remark(target); detail != "" {
			what += "\n" + detail
		}
		if target.Result.Shown != nil {
			what += "\n" + settingLines(target.Result.Shown)
		}
		groups = join(groups, what, nameIn(project))
	}
	share := min(mostSection, (mostBlocks-p.used-200)/max(len(groups), 1))
	for _, g := range groups {
		word, rest, _ := strings.Cut(g.what, "\n")
		text := enumerate(g.names, share/2) + ": " + word
		if rest != "" {
			text += "\n" + rest
		}
		p.section(cutMarkup(text, share))
	}
	p.context(code(r.ID, 40))
	return p.message()
}

// settingLines shows an integration as Atlas does, one field a line.
func settingLines(now *atlas.Integration) string {
	t, known := atlas.FindType(now.Type)
	if !known {
		return "This bot does not know this type."
	}
	var lines []string
	for i := range t.Fields {
		f := &t.Fields[i]
		if value := nowIn(f, now); value != notSet {
			lines = append(lines, "• "+Escape(f.Label)+": "+value)
		}
	}
	if len(now.Unknown) > 0 {
		lines = append(lines, "• Not known to this bot: "+inline(strings.Join(now.Unknown, ", "), 300))
	}
	if len(lines) == 0 {
		return "Atlas shows no settings."
	}
	return strings.Join(lines, "\n")
}

// mostEntry is the longest entry of a list of requests.
const mostEntry = 1000

// Requests answers `pending` and `history`: one entry a request, newest first.
func Requests(title string, rs []*approvals.Request, more bool) Message {
	p := &page{}
	p.section("*" + inline(title, 200) + "*")
	if len(rs) == 0 {
		p.section("There are none.")
		return p.message()
	}
	for _, r := range rs {
		if p.used > mostBlocks-mostEntry-300 || len(p.blocks) > mostNumber-3 {
			more = true
			break
		}
		p.section(cutMarkup(entry(r), mostEntry))
	}
	if more {
		p.context("There are older ones. " + code("/atlas-integration status ID", 60) + " shows any request.")
	} else {
		p.context(code("/atlas-integration status ID", 60) + " shows a request in full.")
	}
	return p.message()
}

// Pending answers `pending`: what waits for the person, what they wait for, and what
// waits for others, each newest first.
func Pending(theirs, own, others []*approvals.Request, more bool) Message {
	p := &page{}
	for _, part := range []struct {
		title    string
		requests []*approvals.Request
	}{{"Waits for you", theirs}, {"You wait for", own}, {"Waits for others", others}} {
		if len(part.requests) == 0 {
			continue
		}
		p.section("*" + part.title + "*")
		for _, r := range part.requests {
			if p.used > mostBlocks-mostEntry-300 || len(p.blocks) > mostNumber-3 {
				more = true
				break
			}
			p.section(cutMarkup(entry(r), mostEntry))
		}
	}
	switch {
	case len(p.blocks) == 0:
		p.section("Nothing is waiting.")
	case more:
		p.context("There are older ones. " + code("/atlas-integration status ID", 60) + " shows any request.")
	default:
		p.context(code("/atlas-integration status ID", 60) + " shows a request in full.")
	}
	return p.message()
}

func entry(r *approvals.Request) string {
	text := fmt.Sprintf("%s *%s* · %s\n%s · %s", icons[r.State], r.State, subject(r), code(r.ID, 40), mention(r.Requester))
	switch {
	case !r.DecidedAt.IsZero():
		text += " · " + at(r.DecidedAt)
	case !r.CreatedAt.IsZero():
		text += " · " + at(r.CreatedAt)
	}
	switch {
	case r.State == approvals.Pending:
		text += " · " + approvalsSoFar(r)
	case r.State == approvals.Failed:
		text += " · " + score(r)
	case r.State == approvals.Denied && r.DecidedBy != "":
		text += " · denied by " + mention(r.DecidedBy)
	case len(r.Votes) > 0:
		text += " · approved by " + voters(r)
	}
	return text
}

// Integrations answers `list`: what is configured in a project, masked.
func Integrations(p atlas.Project, found []*atlas.Integration) Message {
	page := &page{}
	page.header("Integrations of " + line(nameOf(p), mostName))
	n := 0
	for _, now := range found {
		if now == nil {
			continue
		}
		n++
		t, known := atlas.FindType(now.Type)
		if !known {
			page.section(code(now.Type, 60) + "\nThis bot does not know this type.")
			continue
		}
		page.section(fmt.Sprintf("*%s* %s\n%s", Escape(t.Title), code(t.Name, 60), settingLines(now)))
	}
	if n == 0 {
		page.section("None is configured. The first set-up of an integration happens in Atlas itself; after that, this bot can update it.")
		return page.message()
	}
	page.context("Keys are masked, as in Atlas. To change one: " + code("/atlas-integration update "+nameOf(p)+" TYPE", 150))
	return page.message()
}

// Help says what the bot does, with commands to copy.
func Help() Message {
	p := &page{}
	p.section("*Update the third-party integrations of MongoDB Atlas projects.*\n" +
		"You fill in a form, a second person approves it, the bot changes Atlas, checks the result, and shows it without the keys.")
	lines := make([]string, len(commandHelp))
	for i, c := range commandHelp {
		lines[i] = code("/atlas-integration "+c.usage, 100) + "  " + c.does
	}
	p.section(strings.Join(lines, "\n"))
	p.section("*Examples*\n" + code("/atlas-integration update", 100) + "\n" + code("/atlas-integration update payments-prod pagerduty", 100))
	var titles []string
	for _, t := range atlas.Types {
		if t.Discontinued == "" {
			titles = append(titles, Escape(t.Title))
		}
	}
	p.section("*Types:* " + and(titles) + ". Case, spaces, - and _ do not matter.")
	p.context(":key: Keys belong into the form, never into the command: what you type here may be logged.")
	return p.message()
}

// commandHelp is every subcommand, in the order of help.
var commandHelp = []struct{ name, usage, does string }{
	{"update", "update [project] [TYPE]", "open the form"},
	{"list", "list [project]", "what is configured"},
	{"pending", "pending", "what waits, for you and for others"},
	{"history", "history [project]", "what was decided"},
	{"status", "status ID", "one request in full"},
	{"cancel", "cancel ID", "take back your request"},
	{"help", "help", "this"},
}

// Say is a message of one sentence, in markup.
func Say(text string) Message {
	p := &page{}
	p.section(text)
	return p.message()
}
