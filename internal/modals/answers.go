package modals

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// NotFound answers somebody who asks for a request that there is not.
func NotFound() Message {
	return Say("There is no such request. IDs look like `req_7Q2M4KX9TB`; decided requests are forgotten after a while.\n" +
		code("/atlas-integration history", 60) + " lists the latest.")
}

// WhichRequest answers a command that lacks the ID it is about.
func WhichRequest(command string) Message {
	return Say("Which request? Put its ID behind the command, like " + code("/atlas-integration "+command+" req_7Q2M4KX9TB", 80) + ".\n" +
		code("/atlas-integration pending", 60) + " and " + code("/atlas-integration history", 60) + " show the IDs.")
}

// OwnRequest answers requesters who decide on their own request.
func OwnRequest(r *approvals.Request) Message {
	text := fmt.Sprintf("You asked to update %s, so somebody else has to decide. Your click did nothing.", subject(r))
	if undecided(r) {
		text += "\nTo take it back: " + code("/atlas-integration cancel "+r.ID, 80)
	}
	return Say(text)
}

// NotRequester answers somebody who cancels the request of another.
func NotRequester(r *approvals.Request) Message {
	return Say(fmt.Sprintf("Only %s, who made the request, can take it back. Nothing was changed. Approvers can deny it on its card.", mention(r.Requester)))
}

// VotedAlready answers somebody who approves twice.
func VotedAlready(r *approvals.Request) Message {
	text := "You have approved this one already; it counts once."
	if left := r.Needed - len(r.Votes); left > 0 {
		text += fmt.Sprintf(" It needs %s from somebody else.", count(left, "more approval"))
	}
	return Say(text)
}

// SameHuman answers somebody who asked for a request, or has approved it, with
// another account.
func SameHuman(r *approvals.Request) Message {
	return Say(fmt.Sprintf("The update of %s takes different people, and Slack has the same e-mail address for you and for somebody who asked for it or has "+
		"approved it. Your click did nothing; somebody else has to decide.", subject(r)))
}

// TooManyRequests says in the form why one more request is not taken.
func TooManyRequests(most int) string {
	return fmt.Sprintf("Nothing was sent: %s of yours are under way, the most for one person. Wait, or cancel one; what you typed is still here.",
		count(most, "request"))
}

// KeptBefore says in the form that it was kept before it was edited.
func KeptBefore(id string) string {
	return fmt.Sprintf("This form is kept already, as it was before you edited it: %s. Cancel that request and open a new form.", id)
}

// TooManyForms answers somebody who opens one form after the other.
func TooManyForms() Message {
	return Say("You have opened many forms within a minute, so this one was not opened. Nothing was changed. Try again in a minute.")
}

// TooLate answers somebody who retries a request whose new values are wiped.
func TooLate(r *approvals.Request) Message {
	return Say(fmt.Sprintf("It is too late to retry: the new values for %s are wiped. Nothing was sent. Make a new request.", subject(r)))
}

// StateIs answers somebody who does what the state of a request does not allow.
func StateIs(r *approvals.Request) Message {
	return Say(fmt.Sprintf("Nothing was done. The request to update %s already stands like this:\n%s", subject(r), standing(r)))
}

// Refusal answers an error of Store's moves that is about the request. It reports
// false for a fault.
func Refusal(r *approvals.Request, err error) (m Message, ok bool) {
	var state *approvals.StateError
	switch {
	case errors.Is(err, approvals.ErrNotFound):
		return NotFound(), true
	case errors.As(err, &state):
		return StateIs(state.Request), true
	case r == nil:
		return Message{}, false
	case errors.Is(err, approvals.ErrOwnRequest):
		return OwnRequest(r), true
	case errors.Is(err, approvals.ErrNotRequester):
		return NotRequester(r), true
	case errors.Is(err, approvals.ErrSameHuman):
		return SameHuman(r), true
	case errors.Is(err, approvals.ErrVotedAlready):
		return VotedAlready(r), true
	case errors.Is(err, approvals.ErrTooLate):
		return TooLate(r), true
	}
	return Message{}, false
}

// Standing is why somebody may not do something.
type Standing string

// The reasons.
const (
	Stranger    Standing = "stranger" // of another workspace
	Bot         Standing = "bot"
	Guest       Standing = "guest"
	Deactivated Standing = "deactivated"
	Unlisted    Standing = "unlisted" // not on the list
	Removed     Standing = "removed"  // on the list when the request was made, and no longer
	Hasty       Standing = "hasty"    // has many forms opened within a minute
	Unknown     Standing = "unknown"  // Slack did not say
)

// MayNotRequest answers somebody who may not make requests.
func MayNotRequest(why Standing) Message {
	if why == Unlisted {
		return Say("You are not on the list of people who may ask for updates, so nothing was sent. Ask one of them, or ask whoever runs this bot to put you on the list.")
	}
	return Say(mayNot(why, "ask for updates"))
}

// MayNotLook answers somebody who may not see requests and integrations.
func MayNotLook(why Standing) Message {
	if why == Unlisted {
		return Say("Only people who may ask for updates or approve them can look at requests and integrations. Ask whoever runs this bot to put you on a list.")
	}
	return Say(mayNot(why, "look at requests and integrations"))
}

// MayNotDecide answers somebody who may not approve or deny. Approvers is markup
// that names those who may; it may be empty.
func MayNotDecide(why Standing, approvers string) Message {
	if why == Unlisted {
		who := "Only approvers"
		if approvers != "" && length(approvers) <= 1000 {
			who = "Only " + approvers
		}
		return Say(who + " can decide on this request. Your click did nothing.")
	}
	return Say(mayNot(why, "decide on requests"))
}

func mayNot(why Standing, what string) string {
	switch why {
	case Removed:
		return "You were an approver when this was asked, but the list has changed since and you are no longer on it. Your click did nothing."
	case Stranger:
		return fmt.Sprintf("Only people of this workspace can %s. Nothing was done.", what)
	case Guest:
		return fmt.Sprintf("Guests cannot %s. Nothing was done. Ask a full member of this workspace.", what)
	case Bot:
		return fmt.Sprintf("Apps and bots cannot %s: a person has to. Nothing was done.", what)
	case Deactivated:
		return fmt.Sprintf("Deactivated accounts cannot %s. Nothing was done.", what)
	default:
		return fmt.Sprintf("Slack does not say at the moment who may %s, so nobody can. Nothing was done. Try again in a minute.", what)
	}
}

// KeyInCommand answers somebody who typed what looks like a key into a command.
// It does not repeat it.
func KeyInCommand() Message {
	return Say(":key: That looks like a key, so the command was not carried out and the bot kept none of it. But Slack may have: " +
		"treat the key as known to others and replace it.\nThen type " + code("/atlas-integration update", 60) + " and put the new one into the form.")
}

// UnknownCommand answers a typo with the nearest command. It does not repeat what
// was typed, which may be anything.
func UnknownCommand(typed string) Message {
	usages := make([]string, len(commandHelp))
	for i, c := range commandHelp {
		usages[i] = c.name
	}
	text := "This is not a command of this bot, so nothing was done."
	if near := nearest(typed, usages, 1); len(near) > 0 {
		text += " Did you mean " + code("/atlas-integration "+near[0], 60) + "?"
	}
	return Say(text + "\n" + code("/atlas-integration help", 60) + " lists all commands.")
}

// UnknownType answers a name that is no type's, with the nearest ones.
func UnknownType(typed string) Message {
	var titles, every []string
	title := map[string]string{}
	for _, t := range atlas.Types {
		for _, name := range append([]string{t.Name, t.Title}, t.Aliases...) {
			title[name] = t.Title
			titles = append(titles, name)
		}
		if t.Discontinued == "" {
			every = append(every, Escape(t.Title))
		}
	}
	text := "There is no integration type of that name, so nothing was done."
	var near []string
	for _, name := range nearest(typed, titles, 5) {
		if found := "*" + Escape(title[name]) + "*"; !strings.Contains(strings.Join(near, "\n"), found) && len(near) < 3 {
			near = append(near, found)
		}
	}
	if len(near) > 0 {
		text += " Did you mean " + strings.Join(near, " or ") + "?"
	}
	return Say(text + "\nThere are " + and(every) + ".")
}

// UnknownProject answers a name that is no offered project's, with the nearest.
func UnknownProject(typed string, offered []atlas.Project) Message {
	titles := make([]string, len(offered))
	for i, project := range offered {
		titles[i] = project.Name
	}
	text := "This bot offers no project of that name, so nothing was done."
	if len(offered) == 0 {
		return Say(text + " It sees no project at all; ask whoever runs it.")
	}
	var near []string
	for _, name := range nearest(typed, titles, 5) {
		near = append(near, "• "+inline(name, mostName))
	}
	if len(near) > 0 {
		return Say(text + " Nearest are:\n" + strings.Join(near, "\n"))
	}
	return Say(text + "\n" + code("/atlas-integration update", 60) + " lets you search in all of them.")
}

// NothingSent says, at an input or alone, that the bot does not know of a request to
// have been kept. It may have been, where only the answer was lost.
const NothingSent = "The bot's storage does not answer, so nothing was sent to Atlas. What you typed is still here: send it again in a minute; it counts once."

// StorageAway answers a command or click that only had to read from the storage.
func StorageAway() Message {
	return Say("The bot cannot reach its storage at the moment, so nothing was done. Try again in a minute. If this goes on, tell whoever runs the bot.")
}

// StorageSilent answers a command or click that the storage may have carried out: its
// answer did not come.
func StorageSilent() Message {
	return Say("The bot's storage does not answer, so it is not certain that this counted. Look at the request in a minute, and do it again if need be: " +
		"it counts once. If this goes on, tell whoever runs the bot.")
}

// Errors of the deny form that a second try mends: at its reason, which stays there.
const (
	denySilent  = "The bot's storage does not answer, so it is not certain that this counted. Send it again in a minute; it counts once."
	denyUnknown = "Slack does not say at the moment who may decide on requests, so nothing was done. Send it again in a minute."
)

// DenySilent says in the deny form that it may not have been kept.
func DenySilent() map[string]string { return map[string]string{blockReason: denySilent} }

// DenyUnknown says in the deny form that nobody knows whether this person may deny.
func DenyUnknown() map[string]string { return map[string]string{blockReason: denyUnknown} }

// Already answers somebody who asks for what they have done before. It is also for
// those who asked once: an answer of the storage that is lost makes the bot ask it again.
func Already(r *approvals.Request) Message {
	return Say(fmt.Sprintf("You did this before; it counts once. The request to update %s now stands like this:\n%s", subject(r), standing(r)))
}

// Unseen says why nobody sees a card in its channel, and who can mend it, for
// Request.Trouble; nothing for errors of Slack that no person has to do with.
func Unseen(code, channel string) string {
	place := "<#" + channel + ">"
	const effect = ", so the approvers do not see how this request stands. "
	switch code {
	case "is_archived", "is_inactive":
		return place + " is archived" + effect + "Ask somebody to unarchive it; the bot keeps trying."
	case "not_in_channel":
		return "The bot is not in " + place + effect + "Ask somebody there to invite it; the bot keeps trying."
	case "channel_not_found":
		return "Slack shows the bot no channel " + place + effect + "Ask somebody there to invite it, if the channel still exists; the bot keeps trying."
	case "restricted_action":
		return "Slack does not let the bot post in " + place + effect + "Ask an admin of the workspace to let it; the bot keeps trying."
	}
	return ""
}

// AtlasAway answers a command that needs Atlas.
func AtlasAway() Message {
	return Say("Atlas does not answer at the moment, so there is nothing to show. Nothing was changed. Try again in a minute.")
}

// AtlasRefused answers a command for which Atlas said no: with its words, and what to
// do about it.
func AtlasRefused(words, advice string) Message {
	text := "Atlas said no, so there is nothing to show. Nothing was changed.\n" + quote(words, 1000)
	if advice != "" {
		text += "\n" + inline(advice, 500)
	}
	return Say(text)
}

// Fault answers what nobody foresaw. Reference is what the log calls it; it may
// be empty.
func Fault(reference string) Message {
	text := "Something went wrong in the bot, and it may or may not have done what you asked. Look before you try again: " + code("/atlas-integration pending", 60)
	if reference != "" {
		text += "\nIf it happens again, tell whoever runs the bot: " + code(reference, 80)
	}
	return Say(text)
}

// nearest finds the names that what was typed may have been meant for, best first.
func nearest(typed string, names []string, most int) []string {
	type match struct {
		name     string
		distance int
	}
	var matches []match
	typed = fold(cut(typed, 100))
	if typed == "" {
		return nil
	}
	for _, name := range names {
		folded := fold(cut(name, 100))
		d := distance([]rune(typed), []rune(folded))
		if strings.Contains(folded, typed) || len(folded) > 2 && strings.Contains(typed, folded) {
			d = 1
		}
		if d <= max(2, length(typed)/3) {
			matches = append(matches, match{name, d})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return a.distance - b.distance })
	found := make([]string, 0, most)
	for _, m := range matches[:min(most, len(matches))] {
		found = append(found, m.name)
	}
	return found
}

// fold reduces a name to its letters and digits in lower case.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// distance counts the letters to insert, drop, replace or swap with the next to
// get from one word to the other.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
