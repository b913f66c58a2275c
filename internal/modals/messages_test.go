package modals_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// lives is a request in every state that people get to see. The name is that of
// its files in testdata.
var lives = []struct {
	name    string
	targets int
	edit    func(r *approvals.Request)
}{
	{"submitted", 1, func(r *approvals.Request) {
		r.State, r.Outcomes = approvals.Submitted, nil
	}},
	{"submitted-atlas-away", 3, func(r *approvals.Request) {
		r.State, r.Outcomes = approvals.Submitted, nil
		r.Trouble = "Atlas does not answer at the moment. The bot keeps trying."
	}},
	{"pending-nobody-sees-it", 3, func(r *approvals.Request) { r.Trouble = modals.Unseen("is_archived", "C0APPROVAL") }},
	{"pending", 1, func(*approvals.Request) {}},
	{"pending-same-region", 3, func(r *approvals.Request) { r.Plain["region"] = "US" }},
	{"pending-one-of-two", 3, func(r *approvals.Request) {
		r.Needed, r.Votes = 2, []approvals.Vote{{User: "U0APPROVER", At: voted}}
	}},
	{"pending-doubts", 1, func(r *approvals.Request) {
		r.Warnings = []atlas.Warning{{Field: "serviceKey", Say: "Integration key looks odd."}}
		r.Secrets["serviceKey"] = approvals.Secret{Mask: atlas.Mask{Length: 32, LastFour: "91f0"}, Fingerprint: "k7m2q4xz"}
		r.Outcomes[r.Targets[0].ID].Baseline.Unknown = []string{"customEndpoint"}
	}},
	{"pending-another-is-open", 3, overlapping},
	{"pending-policy", 2, func(r *approvals.Request) {
		r.Terms = approvals.Terms{
			Needed: 2, TTL: time.Hour, Approvers: []string{"S0OWNERS"}, Rules: []string{"payments", "production"},
			Banners: []string{"Real money. Tell <!here> in *#incidents* first.", strings.Repeat("Everything here is watched. ", 12)},
		}
	}},
	{"pending-20", 20, func(*approvals.Request) {}},
	{"pending-20-differing", 20, func(r *approvals.Request) {
		for i, p := range r.Targets {
			now := r.Outcomes[p.ID].Baseline
			now.Plain["region"] = []string{"US", "EU"}[i%2]
			now.Masks["serviceKey"] = atlas.Mask{Length: 32, LastFour: []string{"91f0", "c0de", "77aa"}[i%3]}
		}
	}},
	{"pending-webhook", 1, func(r *approvals.Request) {
		webhook, _ := atlas.FindType("WEBHOOK")
		now := holding(webhook, "91f0")
		now.Masks["headersTemplate"] = atlas.Mask{LastFour: `91"}`}
		r.Type, r.Plain, r.Needed = webhook.Name, nil, 3
		r.Outcomes[r.Targets[0].ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: now}
		r.Secrets = map[string]approvals.Secret{
			"url":          {Mask: atlas.Mask{Origin: "https://alerts.example.com", LastFour: "a23c"}, Fingerprint: "k7m2q4xz"},
			"bodyTemplate": {Mask: atlas.Mask{Length: 1}, Fingerprint: "p3vb6t2a"},
		}
		r.Warnings = []atlas.Warning{{Field: "bodyTemplate", Say: "Body template looks odd."}}
	}},
	{"pending-long-value", 1, func(r *approvals.Request) {
		victorOps, _ := atlas.FindType("VICTOR_OPS")
		r.Type, r.Plain = victorOps.Name, map[string]string{"routingKey": strings.Repeat("database-", 100)}
		r.Outcomes[r.Targets[0].ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: holding(victorOps, "91f0")}
		r.Secrets = map[string]approvals.Secret{"apiKey": {Mask: atlas.Mask{Length: 36, LastFour: "a23c"}, Fingerprint: "k7m2q4xz"}}
	}},
	{"pending-routing-key-removed", 1, func(r *approvals.Request) {
		victorOps, _ := atlas.FindType("VICTOR_OPS")
		r.Type, r.Plain = victorOps.Name, nil
		r.Outcomes[r.Targets[0].ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: holding(victorOps, "91f0")}
		r.Secrets = map[string]approvals.Secret{"apiKey": {Mask: atlas.Mask{Length: 8}, Fingerprint: "k7m2q4xz"}}
	}},
	{"approved", 1, func(r *approvals.Request) {
		decided(r)
		r.State, r.DecidedAt = approvals.Approved, voted
		settle(r, r.Targets[0], approvals.Waiting, "")
	}},
	{"approved-waits", 1, func(r *approvals.Request) {
		decided(r)
		r.State, r.DecidedAt = approvals.Approved, voted
		settle(r, r.Targets[0], approvals.Waiting, "")
		r.Trouble = "Another request is being applied to one of these projects. This one comes next."
	}},
	{"applying-20", 20, func(r *approvals.Request) {
		decided(r)
		r.State, r.DecidedAt = approvals.Applying, voted
		for _, p := range r.Targets[6:] {
			settle(r, p, approvals.Waiting, "")
		}
		r.Trouble = "Atlas cannot take the change at the moment (429 RATE_LIMITED). The bot keeps trying."
	}},
	{"applied", 1, decided},
	{"applied-20", 20, decided},
	{"applied-two-approvers", 3, func(r *approvals.Request) {
		decided(r)
		r.Needed, r.Votes = 2, append(r.Votes, approvals.Vote{User: "U0SECOND", At: applied})
	}},
	{"applied-unproven", 1, func(r *approvals.Request) {
		prometheus, _ := atlas.FindType("PROMETHEUS")
		r.Type = prometheus.Name
		r.Plain = map[string]string{"enabled": "true", "serviceDiscovery": "file", "username": "prom_user", "sendUserProvidedResourceTagsEnabled": "false"}
		r.Secrets = map[string]approvals.Secret{"password": {Mask: atlas.Mask{Length: 20, LastFour: "a23c"}, Fingerprint: "k7m2q4xz"}}
		p := r.Targets[0]
		r.Outcomes[p.ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: holding(prometheus, "")}
		decided(r)
		target := r.Outcomes[p.ID]
		target.Result.Unseen = []string{"Password"}
		r.Outcomes[p.ID] = target
	}},
	{"failed-partly", 3, func(r *approvals.Request) {
		decided(r)
		r.State, r.RetryUntil = approvals.Failed, applied.Add(time.Hour)
		settle(r, r.Targets[1], approvals.Refused, refusedDetail)
		settle(r, r.Targets[2], approvals.Stale, staleDetail)
	}},
	{"failed-20", 20, func(r *approvals.Request) {
		decided(r)
		r.State, r.RetryUntil = approvals.Failed, applied.Add(time.Hour)
		for i, p := range r.Targets[:9] {
			if i%3 == 0 {
				settle(r, p, approvals.Stale, staleDetail)
			} else {
				settle(r, p, approvals.Refused, refusedDetail)
			}
		}
	}},
	{"failed-stale", 1, func(r *approvals.Request) {
		decided(r)
		r.State = approvals.Failed
		settle(r, r.Targets[0], approvals.Stale, staleDetail)
	}},
	{"failed-too-late", 1, func(r *approvals.Request) {
		decided(r)
		r.State = approvals.Failed
		settle(r, r.Targets[0], approvals.Refused, refusedDetail)
	}},
	{"retried", 3, func(r *approvals.Request) {
		decided(r)
		r.State = approvals.Approved
		settle(r, r.Targets[1], approvals.Waiting, refusedDetail)
	}},
	{"rejected", 3, func(r *approvals.Request) {
		r.State, r.DecidedAt = approvals.Rejected, asked.Add(time.Second)
		settle(r, r.Targets[1], approvals.Refused, "Atlas answered 404 INTEGRATION_NOT_CONFIGURED: The integration of type 'PAGER_DUTY' is not configured for this group.\n"+
			"Set it up in Atlas first.")
	}},
	{"denied", 1, func(r *approvals.Request) {
		r.State, r.DecidedAt, r.DecidedBy, r.Note = approvals.Denied, voted, "U0APPROVER", "Not during the freeze.\nAsk again on Monday."
	}},
	{"cancelled", 1, func(r *approvals.Request) {
		r.State, r.DecidedAt, r.DecidedBy = approvals.Cancelled, voted, "U0ENGINEER"
	}},
	{"expired", 1, func(r *approvals.Request) {
		r.State, r.DecidedAt = approvals.Expired, r.ExpiresAt
	}},
	{"extreme-pending", 20, extreme},
	{"extreme-failed", 20, func(r *approvals.Request) {
		extreme(r)
		decided(r)
		r.State, r.RetryUntil = approvals.Failed, applied.Add(time.Hour)
		for i, p := range r.Targets {
			settle(r, p, approvals.Refused, strings.Repeat("<&> ", i)+strings.Repeat("Atlas says a lot. ", 80))
		}
	}},
	{"extreme-denied", 20, func(r *approvals.Request) {
		extreme(r)
		r.State, r.DecidedAt, r.DecidedBy, r.Note = approvals.Denied, voted, "U0APPROVER", strings.Repeat("<no> & ", 140)
	}},
	{"applied-kept", 3, func(r *approvals.Request) {
		victorOps, _ := atlas.FindType("VICTOR_OPS")
		r.Type, r.Plain = victorOps.Name, nil
		r.Secrets = map[string]approvals.Secret{"apiKey": {Mask: atlas.Mask{Length: 36, LastFour: "a23c"}, Fingerprint: "k7m2q4xz"}}
		for _, p := range r.Targets {
			r.Outcomes[p.ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: holding(victorOps, "91f0")}
		}
		decided(r)
		for i, p := range r.Targets {
			target := r.Outcomes[p.ID]
			if i == 0 {
				delete(target.Result.Shown.Plain, "routingKey")
			} else {
				target.Result.Kept = []string{"Routing key"}
			}
			r.Outcomes[p.ID] = target
		}
	}},
}

// extreme gives a request the longest and oddest of everything.
func extreme(r *approvals.Request) {
	datadog, _ := atlas.FindType("NEW_RELIC")
	r.Type, r.Plain, r.Secrets = datadog.Name, nil, map[string]approvals.Secret{}
	for i := range datadog.Fields {
		r.Secrets[datadog.Fields[i].Name] = approvals.Secret{Mask: atlas.Mask{Length: 40, LastFour: "<&>`"}, Fingerprint: "k7m2q4xz"}
	}
	r.Reason = strings.Repeat("*Approved by* <@U0APPROVER> <!channel> & שלום 👩‍🚒 https://example.com/a?b=1&c=2\n", 36)
	odd := []string{"👩‍🚒", "&", "פ", "<", "m", "`", "_", "*", "\u202e", "\u200b"}
	for i := range r.Targets {
		old := r.Targets[i]
		r.Targets[i].Name = strings.Repeat(odd[i%len(odd)], 79) + string(rune('a'+i))
		r.Targets[i].Name = string([]rune(r.Targets[i].Name)[max(0, len([]rune(r.Targets[i].Name))-80):])
		target := r.Outcomes[old.ID]
		target.Baseline = holding(datadog, string(rune('a'+i))+"bcd")
		r.Outcomes[old.ID] = target
	}
	for range 8 {
		r.Warnings = append(r.Warnings, atlas.Warning{Say: strings.Repeat("This looks odd & <strange>. ", 20)})
	}
	r.Trouble = strings.Repeat("Atlas & the bot <do not> agree. ", 40)
}

func TestEveryMessageInEveryState(t *testing.T) {
	t.Parallel()
	screens := map[string]func(*approvals.Request) modals.Message{
		"card": cardOf, "dm": dmOf, "report": modals.Report, "status": statusOf,
	}
	for _, life := range lives {
		for kind, draw := range screens {
			if kind == "status" && !strings.HasPrefix(life.name, "pending") {
				continue // it is the card without buttons
			}
			t.Run(kind+"-"+life.name, func(t *testing.T) {
				t.Parallel()
				r := newRequest(projects(life.targets)...)
				life.edit(r)
				m := draw(r)
				golden(t, kind+"-"+life.name, m)
				if kind != "report" {
					assert.Contains(t, m.Text, "*"+string(r.State)+"*", "the state by its word, also for screen readers")
				}
			})
		}
	}
}

// actions lists the buttons of a message.
func actions(t *testing.T, m modals.Message) []string {
	t.Helper()
	var found []string
	for _, b := range blocksOf(t, m) {
		if b["type"] != "actions" {
			continue
		}
		for _, e := range b["elements"].([]any) {
			button := e.(map[string]any)
			assert.Equal(t, requestID, button["value"])
			found = append(found, button["action_id"].(string))
		}
	}
	return found
}

func TestButtonsAreThoseThatWork(t *testing.T) {
	t.Parallel()
	for _, life := range lives {
		r := newRequest(projects(life.targets)...)
		life.edit(r)
		var card, dm []string
		if r.State == approvals.Pending {
			card = []string{modals.ActionApprove, modals.ActionDeny}
		}
		if r.State == approvals.Pending || r.State == approvals.Submitted {
			dm = []string{modals.ActionCancel}
		}
		if r.Retryable() {
			card, dm = []string{modals.ActionRetry}, []string{modals.ActionRetry}
		}
		switch life.name {
		case "failed-partly", "failed-20", "failed-stale", "failed-too-late", "rejected", "expired":
			dm = append(dm, modals.ActionNewUpdate)
		}
		assert.Equal(t, card, actions(t, cardOf(r)), life.name)
		assert.Equal(t, dm, actions(t, dmOf(r)), life.name)
		assert.Empty(t, actions(t, statusOf(r)), life.name)
		assert.Empty(t, actions(t, modals.Report(r)), life.name)
	}
}

func TestEveryProjectIsNamed(t *testing.T) {
	t.Parallel()
	for _, life := range lives {
		if strings.HasPrefix(life.name, "extreme") {
			continue
		}
		r := newRequest(projects(life.targets)...)
		life.edit(r)
		card := string(pretty(t, cardOf(r)))
		for _, p := range r.Targets {
			if life.name == "rejected" && r.Target(p.ID).Outcome == approvals.Waiting {
				continue
			}
			assert.Contains(t, card, p.Name, life.name)
		}
	}
}

// What people wrote must not pass for what the bot says.
func TestWhatPeopleWroteIsNoMarkup(t *testing.T) {
	t.Parallel()
	r := newRequest(project(1, "<!channel>"))
	r.Reason = "see https://example.com/x_y?a=1&b=2, and [https://example.com/v1.2].\n*applied* by <@U0APPROVER>\n\u202egnorw"
	r.Plain["region"] = "E`U*_~"
	for name, m := range map[string]modals.Message{"card": modals.Card(r, ""), "dm": modals.DM(r, nil)} {
		text := string(pretty(t, m))
		assert.NotContains(t, m.Text, "<!channel>", name)
		assert.NotContains(t, m.Text, "<@U0APPROVER>", name)
		assert.NotContains(t, text, "\u202e", name)
		assert.Contains(t, m.Text, "`EˋU*_~`", name)
	}
	card := modals.Card(r, "").Text
	assert.Contains(t, card, "<https://example.com/x_y?a=1&amp;b=2>, and [<https://example.com/v1.2>].\n")
	assert.Contains(t, card, "\n> ∗applied∗ by &lt;@U0APPROVER&gt;\n")
}

func TestLists(t *testing.T) {
	t.Parallel()
	var all, many []*approvals.Request
	for i, life := range lives {
		r := newRequest(projects(life.targets)...)
		life.edit(r)
		r.ID = fmt.Sprintf("req_%010d", i)
		if !strings.HasPrefix(life.name, "extreme") {
			all = append(all, r)
		}
		for range 4 {
			many = append(many, r)
		}
	}
	final := all[len(all)-16:]
	turn := func(r *approvals.Request, place int) *modals.Turn {
		return &modals.Turn{Project: projects(1)[0].ID, Request: r.ID, Place: place}
	}
	golden(t, "history", modals.History{Project: "payments-prod", Requests: final[:10], Older: turn(final[9], 9), Links: linkTo(final[0])}.Message())
	golden(t, "history-older", modals.History{Requests: final[10:], From: 10, Newer: &modals.Turn{Request: final[10].ID, Place: 10}}.Message())
	golden(t, "history-none", modals.History{}.Message())
	golden(t, "history-project-none", modals.History{Project: "payments-prod"}.Message())
	golden(t, "history-end", modals.History{Project: "payments-prod", From: 10}.Message())
	golden(t, "pending-list", modals.Pending(all[:1], all[1:2], all[2:4], false, false, linkTo(all[0])))
	golden(t, "pending-list-none", modals.Pending(nil, nil, nil, false, false, nil))
	golden(t, "pending-list-many", modals.Pending(many, many, many, true, false, linkTo(many...)))

	extremes := many[len(many)-10:]
	page := modals.History{Project: strings.Repeat("<", 300), Requests: extremes, From: 990, Newer: turn(extremes[0], 990), Older: turn(extremes[9], 999), Links: linkTo(extremes...)}.Message()
	assert.Empty(t, checkScreen(t, pretty(t, page)))
	for _, r := range extremes {
		assert.Contains(t, string(pretty(t, page)), r.ID, "a page has all of its requests")
	}
	assert.Contains(t, string(pretty(t, page)), modals.ActionOlder)
}

// What a button says leads back to where it was.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, turn := range []modals.Turn{{Request: requestID}, {Project: projects(1)[0].ID, Request: requestID, Place: 1230}} {
		parsed, ok := modals.ParseTurn(turn.String())
		assert.True(t, ok)
		assert.Equal(t, turn, parsed)
	}
	for _, value := range []string{"", "//", "a/b/c", "/" + requestID + "/-1", "/" + requestID + "/x", "x/" + requestID + "/1/2"} {
		_, ok := modals.ParseTurn(value)
		assert.False(t, ok, value)
	}
}

func TestIntegrations(t *testing.T) {
	t.Parallel()
	var found []*atlas.Integration
	for _, it := range atlas.Types {
		if it.Discontinued == "" {
			found = append(found, holding(it, "a23c"))
		}
	}
	found[0].Unknown = []string{"customEndpoint"}
	found = append(found, nil, &atlas.Integration{Type: "<SOME_DAY>"})
	changed, changedSince := newRequest(), newRequest()
	decided(changed)
	decided(changedSince)
	shown := *found[1]
	target := changed.Outcomes[changed.Targets[0].ID]
	target.Result.Shown = &shown
	changed.Outcomes[changed.Targets[0].ID] = target
	last := map[string]*approvals.Request{found[0].Type: changedSince, found[1].Type: changed}
	golden(t, "integrations", modals.Integrations(projects(1)[0], found, last))
	golden(t, "integrations-none", modals.Integrations(projects(1)[0], nil, nil))

	for _, now := range found[:9] {
		for name := range now.Plain {
			now.Plain[name] = strings.Repeat("&", 3000)
		}
		last[now.Type] = changed
	}
	m := modals.Integrations(project(1, strings.Repeat("`", 80)), found, last)
	assert.Empty(t, checkScreen(t, pretty(t, m)))
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for state, want := range map[approvals.State]string{
		approvals.Applied:  ":white_check_mark: *applied*, <@U0ENGINEER>: your request to update *PagerDuty* in *payments-prod*.",
		approvals.Rejected: ":no_entry: *rejected*, <@U0ENGINEER>: your request to update *PagerDuty* in *payments-prod*.",
		approvals.Expired:  ":alarm_clock: *expired*, <@U0ENGINEER>: your request to update *PagerDuty* in *payments-prod*.",
		approvals.Denied:   ":no_entry_sign: *denied*, <@U0ENGINEER>: your request to update *PagerDuty* in *payments-prod*, by <@U0APPROVER>.",
		approvals.Failed: ":x: *failed*, <@U0ENGINEER>: your request to update *PagerDuty* in *payments-prod* (1 refused).\n" +
			"The new values are wiped. To try again what was refused, make a new request.",
	} {
		r := newRequest()
		decided(r)
		if state == approvals.Failed {
			settle(r, r.Targets[0], approvals.Refused, refusedDetail)
		}
		r.State, r.DecidedBy = state, "U0APPROVER"
		assert.Equal(t, want, modals.Verdict(r).Text)
	}
}
