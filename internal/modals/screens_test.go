package modals_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// filled gives a request the same text wherever somebody can write one: people,
// admins of Atlas, Atlas itself, whoever writes the policy.
func filled(text string, targets int) *approvals.Request {
	victorOps, _ := atlas.FindType("VICTOR_OPS")
	name := string([]rune(text)[:min(80, utf8.RuneCountInString(text))])
	r := newRequest(projects(targets)...)
	r.Type, r.Reason, r.Note, r.Trouble = victorOps.Name, text, text, text
	r.Plain = map[string]string{"routingKey": text}
	r.Secrets = map[string]approvals.Secret{"apiKey": {Mask: atlas.Mask{Length: 36, LastFour: "`*_<"}, Fingerprint: "k7m2q4xz"}}
	r.Warnings = []atlas.Warning{{Field: "routingKey", Say: text}}
	r.Rules, r.Banners = []string{text}, []string{text}
	for i := range r.Targets {
		r.Targets[i].Name = name
	}
	for id := range r.Outcomes {
		now := holding(victorOps, "*_*_")
		now.Plain["routingKey"], now.Unknown = text, []string{text}
		r.Outcomes[id] = approvals.Target{Outcome: approvals.Waiting, Baseline: now}
	}
	overlapping(r)
	return r
}

// everyScreen draws every view and message of requests in every state.
func everyScreen(text string, targets int) map[string]any {
	screens := map[string]any{}
	var all []*approvals.Request
	for state, edit := range map[approvals.State]func(r *approvals.Request){
		approvals.Submitted: func(r *approvals.Request) { r.Outcomes = nil },
		approvals.Pending:   func(*approvals.Request) {},
		approvals.Approved:  func(r *approvals.Request) { decided(r); settle(r, r.Targets[0], approvals.Waiting, "") },
		approvals.Applying:  decided,
		approvals.Applied:   decided,
		approvals.Failed: func(r *approvals.Request) {
			decided(r)
			for i, p := range r.Targets {
				settle(r, p, []approvals.Outcome{approvals.Refused, approvals.Stale}[i%2], text+strings.Repeat(".", i))
			}
			r.RetryUntil = applied.Add(retryable)
		},
		approvals.Rejected:  func(r *approvals.Request) { settle(r, r.Targets[0], approvals.Refused, text) },
		approvals.Denied:    func(r *approvals.Request) { r.DecidedBy, r.DecidedAt = "U0APPROVER", voted },
		approvals.Cancelled: func(r *approvals.Request) { r.DecidedBy, r.DecidedAt = "U0ENGINEER", voted },
		approvals.Expired:   func(r *approvals.Request) { r.DecidedAt = voted },
	} {
		r := filled(text, targets)
		edit(r)
		r.State = state
		all = append(all, r)
		for name, screen := range map[string]any{
			"card": cardOf(r), "dm": dmOf(r), "report": modals.Report(r), "verdict": modals.Verdict(r), "status": statusOf(r), "reminder": modals.Reminder(r, "<@U0APPROVER>", true),
			"submitted": modals.SubmittedView(r, "<@U0APPROVER>", "C0APPROVAL", linkTo(r)), "deny": modals.DenyView(r), "own": modals.OwnRequest(r),
			"stands": modals.StateIs(r), "already": modals.Already(r), "late": modals.TooLate(r),
		} {
			screens[name+"-"+string(state)] = screen
		}
	}
	offered := all[0].Targets
	victorOps, _ := atlas.FindType("VICTOR_OPS")
	current := map[string]*atlas.Integration{}
	for _, p := range offered {
		current[p.ID] = all[1].Outcomes[p.ID].Baseline
		if current[p.ID] == nil {
			current[p.ID] = holding(victorOps, "*_*_")
		}
	}
	policy := &approvals.Policy{Default: approvals.Rule{Banner: text}}
	screens["form"] = modals.Form{
		Offered: offered, Projects: offered, Type: victorOps, Current: current, Note: text, Reason: text, Plain: map[string]string{"routingKey": text},
		Policy: policy, Open: all[:5],
	}.View()
	screens["history"] = modals.History{Project: text, Requests: all, From: 10, Links: linkTo(all...)}.Message()
	screens["pending"] = modals.Pending(all, all, all, true, true, linkTo(all...))
	screens["home"] = modals.Home{Waiting: all, Mine: all, Lately: all, Links: linkTo(all...), Approves: true, Approvers: "<@U0APPROVER>"}.View()
	screens["integrations"] = modals.Integrations(offered[0], []*atlas.Integration{current[offered[0].ID], {Type: text}}, map[string]*approvals.Request{"VICTOR_OPS": all[2]})
	screens["project names"] = modals.ProjectNames(offered)
	screens["unknown project"] = modals.UnknownProject(text, offered)
	screens["unknown type"] = modals.UnknownType(text)
	screens["unknown command"] = modals.UnknownCommand(text)
	screens["atlas refused"] = modals.AtlasRefused(text, text)
	return screens
}

const retryable = 3600_000_000_000 // an hour

// codeSpan is where no markup works but a backtick's.
var codeSpan = regexp.MustCompile("`[^`\n]*`")

// markupOf are the texts of a screen in which Slack looks for markup.
func markupOf(t *testing.T, screen any) []string {
	t.Helper()
	var found []string
	if m, ok := screen.(modals.Message); ok {
		found = append(found, m.Text)
	}
	for _, b := range blocksOf(t, screen) {
		objects := []any{b["text"]}
		if elements, ok := b["elements"].([]any); ok && b["type"] == "context" {
			objects = elements
		}
		for _, o := range objects {
			if text, ok := o.(map[string]any); ok && text["type"] == slack.MarkdownType {
				found = append(found, text["text"].(string))
			}
		}
	}
	return found
}

// Whatever people write, and wherever, it is not markup: it mentions nobody, links to
// nothing under another name, is not bold, and does not turn around what follows it.
func TestNothingThatPeopleWriteIsMarkup(t *testing.T) {
	t.Parallel()
	const typed = "*bold* _italic_ ~gone~ <!channel> <!here> <@U0VICTIM> <!subteam^S0VICTIM> <#C0VICTIM> " +
		"<https://evil.example|atlas> &lt;!channel&gt; :rotating_light: `code` ```block``` \u202eesrever\u200b &amp;"
	forbidden := []string{
		"*bold*", "_italic_", "~gone~", "<!channel", "<!here", "<@U0VICTIM", "<!subteam^S0VICTIM", "|atlas>",
		":rotating_light: `", "```", "\u202e", "\u200b", "&lt;!channel&gt; ꞉rot",
	}
	for _, targets := range []int{1, 3, 20} {
		for name, screen := range everyScreen(typed, targets) {
			for _, text := range markupOf(t, screen) {
				outside := codeSpan.ReplaceAllString(text, "")
				if strings.Count(text, "`")%2 != 0 {
					t.Errorf("%s with %d projects leaves a backtick open:\n%s", name, targets, text)
				}
				for _, f := range forbidden {
					if before, after, found := strings.Cut(outside, f); found {
						t.Errorf("%s with %d projects has %q as markup: …%s%s%s…", name, targets, f, before[max(0, len(before)-40):], f, after[:min(len(after), 40)])
					}
				}
			}
		}
	}
}

// The longest and oddest that Slack and Atlas let people write fits every screen.
func TestEveryScreenFitsAtItsExtremes(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"letters": "W", "markup": "*", "entities": "<", "ampersands": "&", "backticks": "`", "emoji": "👩‍🚒", "astral": "𝔘", "right to left": "פ ",
		"combining": "e\u0301", "lines": "x\n", "overrides": "\u202e", "spaces": " .", "colons": ":x:", "addresses": "https://example.com/?a=1&b=2 ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string([]rune(strings.Repeat(unit, 3000))[:3000])
			for _, targets := range []int{1, 20} {
				for screen, drawn := range everyScreen(text, targets) {
					assert.Empty(t, checkScreen(t, compact(t, drawn)), "%s, %d projects", screen, targets)
				}
			}
		})
	}
}
