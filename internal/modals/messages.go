package modals

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
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
		approvers = "Approvers"
	}
	if last {
		return Say(fmt.Sprintf(":alarm_clock: %s: the request to update %s expires %s. After that nothing is changed, and %s has to ask again.",
			approvers, subject(r), at(r.ExpiresAt), mention(r.Requester)))
	}
	return Say(fmt.Sprintf(":bell: %s: the request to update %s still waits for you, until %s.", approvers, subject(r), at(r.ExpiresAt)))
}

// Verdict is for the thread of the requester's message, when it is over: a mention is what
// Slack tells people of.
func Verdict(r *approvals.Request) Message {
	text := fmt.Sprintf("%s *%s*, %s: your request to update %s", icons[r.State], r.State, mention(r.Requester), subject(r))
	switch r.State {
	case approvals.Denied:
		text += ", by " + mention(r.DecidedBy)
	case approvals.Failed:
		text += fmt.Sprintf(" (%s).\n%s", score(r), advice(r))
	}
	return Say(strings.TrimRight(text, ".\n") + ".")
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

// Status answers somebody who asks about a request: the card without its buttons,
// with a link to it.
func Status(r *approvals.Request, links Links) Message {
	p := details(r, "")
	if link := links.card(r); link != "" {
		p.context(link)
	}
	return p.message()
}

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
		p.section("Why it was denied:\n" + why)
	}
	outcomes(p, r)
	changeList(p, r)
	if undecided(r) && len(r.Targets) > 1 {
		p.list(count(len(r.Targets), "project"), targetLines(r))
	}
	const rest = 2800 // for what follows the reason
	p.folded(asks(r, min(mostSection-100, max(mostBlocks-rest-p.used, 300))), asks(r, 600))
	doubts(p, r, overlaps(r))
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
	text := mention(r.Requester) + " asked for this"
	if r.State.Open() {
		text = mention(r.Requester) + " asks for this"
	}
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
			"Below is why. When that is mended, make a new request."
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
	seen, kept := true, false
	for _, project := range r.Targets {
		result := r.Target(project.ID).Result
		seen, kept = seen && len(result.Unseen) == 0, kept || len(result.Kept) > 0
	}
	switch {
	case kept:
		return "Atlas took the new values, but kept something that was left empty."
	case !seen:
		return "Atlas took the new values; what it shows of them is as asked."
	default:
		return "Atlas shows the new values."
	}
}

// advice says what can be done about a failed request.
func advice(r *approvals.Request) string {
	var lines []string
	n := tally(r)
	if n[approvals.Refused] > 0 {
		if r.Retryable() {
			lines = append(lines, fmt.Sprintf("*Retry* tries what was refused again, until %s. No new approval is needed.", at(r.RetryUntil)))
		} else {
			lines = append(lines, "The new values are wiped. To try again what was refused, make a new request.")
		}
	}
	if n[approvals.Stale] > 0 {
		lines = append(lines, "What is stale takes a new request, if it is still needed: what was approved is no longer what is there.")
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

// doubts says what to look at twice: what seems odd, and which other requests are
// open for the same.
func doubts(p *page, r *approvals.Request, others []string) {
	if !r.State.Open() {
		return
	}
	lines := []string{":warning: *Look twice*"}
	for _, doubt := range r.Doubts() {
		lines = append(lines, "• "+cutMarkup(inline(doubt, 500), 700))
	}
	for _, other := range others {
		lines = append(lines, "• "+other)
	}
	if len(others) > 0 {
		lines = append(lines, overlapEffect)
	}
	if len(lines) > 1 {
		p.section(cutMarkup(strings.Join(lines, "\n"), 2500))
	}
}

// overlaps says which other requests a request knows to be open for the same.
func overlaps(r *approvals.Request) []string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(r.Overlaps)) {
		other := r.Overlaps[id]
		lines = append(lines, overlap(id, other.Requester, among(r.Targets, other.Projects)))
	}
	return lines
}

// overlap says that another request is open for the same projects.
func overlap(id, requester string, projects []atlas.Project) string {
	return fmt.Sprintf("%s by %s is open for %s as well.", code(id, 40), mention(requester), where(projects))
}

// overlapEffect is what comes of requests that are open for the same projects.
const overlapEffect = "Whichever is applied first makes the others *stale* there: they change nothing."

func ids(projects []atlas.Project) []string {
	all := make([]string, len(projects))
	for i, project := range projects {
		all[i] = project.ID
	}
	return all
}

// among are those of the projects that have one of these IDs.
func among(projects []atlas.Project, ids []string) []atlas.Project {
	return slices.DeleteFunc(slices.Clone(projects), func(p atlas.Project) bool { return !slices.Contains(ids, p.ID) })
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
		p.section(outcome(g, share))
	}
}

// outcome says of a group of projects how they came out, its word first, and what
// there is to say of it.
func outcome(g group, most int) string {
	word, remark, _ := strings.Cut(g.what, "\x00")
	text := "*" + word + "*"
	if len(g.names) > 1 {
		text += fmt.Sprintf(" (%d)", len(g.names))
	}
	text += ": " + enumerate(g.names, most/2)
	if remark = strings.TrimPrefix(remark, "\n"); remark != "" {
		text += "\n" + remark
	}
	return cutMarkup(text, most)
}

// remark is what there is to say of one target's outcome.
func remark(target approvals.Target) string {
	switch target.Outcome {
	case approvals.Refused, approvals.Stale:
		return quote(target.Result.Detail, 900)
	case approvals.Proven:
		var lines []string
		if kept := target.Result.Kept; len(kept) > 0 {
			lines = append(lines, "> Atlas kept: "+inline(and(kept), 200)+". If it should go, remove it in Atlas.")
		}
		if unseen := target.Result.Unseen; len(unseen) > 0 {
			lines = append(lines, "> Atlas shows too little of "+inline(and(unseen), 200)+", so that part is not proven.")
		}
		return strings.Join(lines, "\n")
	}
	return ""
}

// DM keeps the requester up to date.
func DM(r *approvals.Request, links Links) Message {
	p := &page{}
	p.section(fmt.Sprintf("Your request to update %s:\n%s", subject(r), standing(r)))
	trouble(p, r)
	if why := quote(r.Note, 1200); why != "" {
		p.section("Why it was denied:\n" + why)
	}
	outcomes(p, r)
	if r.State.Open() {
		changeList(p, r)
	}
	if undecided(r) && len(r.Targets) > 3 {
		p.list(count(len(r.Targets), "project"), []string{enumerate(names(r.Targets), mostSection-100)})
	}
	doubts(p, r, overlaps(r))
	p.context(strings.TrimSuffix(code(r.ID, 40)+" · "+links.card(r), " · "))
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
	p.section(fmt.Sprintf("What Atlas shows now for %s. Keys are masked, as in Atlas.", subject(r)))
	var groups []group
	for _, project := range r.Targets {
		target := r.Target(project.ID)
		what := string(target.Outcome) + "\x00" + remark(target)
		if target.Result.Shown != nil {
			what += "\n" + settingLines(target.Result.Shown)
		}
		groups = join(groups, what, nameIn(project))
	}
	share := min(mostSection, (mostBlocks-p.used-200)/max(len(groups), 1))
	for _, g := range groups {
		p.section(outcome(g, share))
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

// Say is a message of one sentence, in markup.
func Say(text string) Message {
	p := &page{}
	p.section(text)
	return p.message()
}
