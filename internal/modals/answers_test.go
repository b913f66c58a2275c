package modals_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	final := newRequest(projects(3)...)
	decided(final)
	halfway := newRequest()
	halfway.Needed, halfway.Votes = 2, []approvals.Vote{{User: "U0APPROVER", At: voted}}
	answers := map[string]modals.Message{
		"not-found": modals.NotFound(), "same-human": modals.SameHuman(newRequest()), "too-many-forms": modals.TooManyForms(), "trail-head": modals.TrailHead(approvals.Head{Hash: strings.Repeat("0a", 20)}),
		"which-request": modals.WhichRequest("status"), "own-request": modals.OwnRequest(newRequest()), "not-requester": modals.NotRequester(newRequest()),
		"voted-already": modals.VotedAlready(halfway), "too-late": modals.TooLate(newRequest()), "state-pending": modals.StateIs(newRequest()),
		"state-applied": modals.StateIs(final), "not-approver": modals.MayNotDecide(modals.Unlisted, "<!subteam^S0ONCALL1> and <@U0APPROVER>"),
		"approvers-unknown": modals.MayNotDecide(modals.Unknown, ""), "guest": modals.MayNotRequest(modals.Guest), "bot": modals.MayNotRequest(modals.Bot),
		"deactivated": modals.MayNotRequest(modals.Deactivated), "stranger": modals.MayNotRequest(modals.Stranger), "unlisted": modals.MayNotRequest(modals.Unlisted),
		"requesters-unknown": modals.MayNotRequest(modals.Unknown), "key-in-command": modals.KeyInCommand(), "unknown-command": modals.UnknownCommand("udpate"),
		"unknown-type": modals.UnknownType("pagerdutty"), "unknown-project": modals.UnknownProject("paymets-prod", projects(8)),
		"unknown-project-none": modals.UnknownProject("zzz", projects(8)), "no-projects": modals.UnknownProject("zzz", nil),
		"storage-away": modals.StorageAway(), "storage-silent": modals.StorageSilent(), "already": modals.Already(final), "atlas-away": modals.AtlasAway(),
		"atlas-refused": modals.AtlasRefused("403 IP_ADDRESS_NOT_ON_ACCESS_LIST: IP address 203.0.113.7 is not allowed to access this resource.",
			"Add that address to the access list of the bot's API credentials, then retry."),
		"project-names": modals.ProjectNames(projects(45)), "project-names-none": modals.ProjectNames(nil),
		"fault": modals.Fault("6f0a5a1e"), "help": modals.Help(),
		"say": modals.Say("One sentence."),
	}
	for name, m := range answers {
		golden(t, "answer-"+name, m)
		assert.Less(t, len(m.Text), 1500, "%s: an answer is short", name)
	}
	assert.Less(t, len([]rune(modals.NothingSent)), 150)
	assert.Less(t, len([]rune(modals.TooManyRequests(20))), 150, "it stands at an input")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRequest()
	for err, want := range map[error]modals.Message{
		approvals.ErrNotFound: modals.NotFound(), approvals.ErrOwnRequest: modals.OwnRequest(r), approvals.ErrNotRequester: modals.NotRequester(r),
		approvals.ErrVotedAlready: modals.VotedAlready(r), approvals.ErrTooLate: modals.TooLate(r),
		error(&approvals.StateError{Request: r}): modals.StateIs(r),
	} {
		got, ok := modals.Refusal(r, err)
		assert.True(t, ok, err)
		assert.Equal(t, want, got, err)
	}
	_, ok := modals.Refusal(r, errors.New("connection refused"))
	assert.False(t, ok)
	_, ok = modals.Refusal(nil, approvals.ErrOwnRequest)
	assert.False(t, ok)
}

// A key lands in a command by mistake: no answer repeats what was typed.
func TestAnswersDoNotRepeatWhatWasTyped(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("ab", 16)
	for _, m := range []modals.Message{modals.UnknownCommand(key), modals.UnknownType(key), modals.UnknownProject(key, projects(3))} {
		assert.False(t, strings.Contains(string(pretty(t, m)), key), "what was typed is repeated")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"aprove": "", "pendign": "pending", "hisory": "history", "HELP!": "help", "updat": "update", "lst": "list", "": ""} {
		text := modals.UnknownCommand(typed).Text
		if want == "" {
			assert.NotContains(t, text, "Did you mean", typed)
		} else {
			assert.Contains(t, text, "`/atlas-integration "+want+"`", typed)
		}
	}
	for typed, want := range map[string]string{"pager": "PagerDuty", "data dog hq": "Datadog", "vicotr ops": "Splunk On-Call (VictorOps)", "team": "Microsoft Teams"} {
		assert.Contains(t, modals.UnknownType(typed).Text, "*"+want+"*", typed)
	}
	assert.Contains(t, modals.UnknownProject("order prod", projects(8)).Text, "• orders-prod")
}

func TestOtherViews(t *testing.T) {
	t.Parallel()
	const approvers = "<!subteam^S0ONCALL1>"
	submitted := newRequest(projects(3)...)
	submitted.State, submitted.Outcomes = approvals.Submitted, nil
	submitted.Warnings = []atlas.Warning{{Field: "serviceKey", Say: "Integration key looks odd."}}
	golden(t, "submitted", modals.SubmittedView(submitted, approvers, "C0APPROVAL", nil))
	submitted.Needed = 2
	golden(t, "submitted-two-approvers", modals.SubmittedView(submitted, strings.Repeat("<@U0APPROVER> ", 100), "C0APPROVAL", nil))
	pending := newRequest(projects(3)...)
	overlapping(pending)
	golden(t, "submitted-card", modals.SubmittedView(pending, approvers, "C0APPROVAL", linkTo(pending)))
	rejected := newRequest(projects(3)...)
	rejected.State, rejected.DecidedAt = approvals.Rejected, asked.Add(time.Second)
	settle(rejected, rejected.Targets[1], approvals.Refused, "Atlas answered 404 INTEGRATION_NOT_CONFIGURED.\nSet it up in Atlas first.")
	golden(t, "submitted-rejected", modals.SubmittedView(rejected, approvers, "C0APPROVAL", nil))
	golden(t, "notice", modals.NoticeView("Already decided, long title", "Somebody else was faster: the request is *denied*."))

	r := newRequest(projects(20)...)
	extreme(r)
	for name, view := range map[string]any{
		"submitted": modals.SubmittedView(r, "", "C0APPROVAL", linkTo(r)), "deny": modals.DenyView(r), "notice": modals.NoticeView("", strings.Repeat("& ", 4000)),
	} {
		text := pretty(t, view)
		if name != "notice" {
			assert.Empty(t, checkScreen(t, text), name)
		}
		require.Less(t, len(text), 16<<10, "%s: a view in an ack must stay well under 20 KB", name)
	}
}
