package modals_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

const requestID = "req_7Q2M4KX9TB"

var (
	asked   = time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)
	voted   = asked.Add(7 * time.Minute)
	applied = voted.Add(2 * time.Second)
)

func typeOf(t testing.TB, name string) *atlas.Type {
	t.Helper()
	found, ok := atlas.FindType(name)
	require.True(t, ok, name)
	return found
}

// project makes a project with an ID that follows from its number.
func project(n int, name string) atlas.Project {
	return atlas.Project{ID: fmt.Sprintf("%024x", 0x64b0000+n), Name: name}
}

func projects(n int) []atlas.Project {
	teams := []string{"payments", "orders", "search", "billing"}
	stages := []string{"prod", "staging", "dev", "load", "demo"}
	all := make([]atlas.Project, n)
	for i := range all {
		name := teams[i%4] + "-" + stages[i/4%5]
		if i >= 20 {
			name += fmt.Sprintf("-%d", i/20)
		}
		all[i] = project(i, name)
	}
	return all
}

// holding is an integration as Atlas shows it: every plain field has its default
// or a value, every secret a mask with these last four.
func holding(t *atlas.Type, lastFour string) *atlas.Integration {
	now := &atlas.Integration{Type: t.Name, ID: "64c0ffee", Plain: map[string]string{}, Masks: map[string]atlas.Mask{}}
	for i := range t.Fields {
		f := &t.Fields[i]
		switch {
		case f.NeverShown:
		case f.Kind == atlas.SecretURL:
			now.Masks[f.Name] = atlas.Mask{Origin: "https://hooks.example.com", LastFour: lastFour}
		case f.Kind == atlas.Template: // mostly there is none
		case f.Secret():
			now.Masks[f.Name] = atlas.Mask{Length: 32, LastFour: lastFour}
		case f.Default != "":
			now.Plain[f.Name] = f.Default
		default:
			now.Plain[f.Name] = "atlas-" + strings.ToLower(f.Name)
		}
	}
	return now
}

// newRequest asks for a PagerDuty key in the EU for some projects, and is pending.
func newRequest(targets ...atlas.Project) *approvals.Request {
	if len(targets) == 0 {
		targets = projects(1)
	}
	pagerDuty, _ := atlas.FindType("PAGER_DUTY")
	r := &approvals.Request{
		Submission: approvals.Submission{
			ID: requestID, Team: "T0ONCALL01", Type: pagerDuty.Name, Targets: targets, Requester: "U0ENGINEER",
			Plain: map[string]string{"region": "EU"},
			Secrets: map[string]approvals.Secret{
				"serviceKey": {Mask: atlas.Mask{Length: 32, LastFour: "a23c"}, Fingerprint: "k7m2q4xz"},
			},
			Reason: "The key was in a support ticket, OPS-4711.", Terms: approvals.Terms{Needed: 1, TTL: time.Hour},
		},
		State: approvals.Pending, Version: 3, CreatedAt: asked, ExpiresAt: asked.Add(time.Hour), ReadAt: voted,
		Outcomes: map[string]approvals.Target{}, Messages: map[string]approvals.Message{},
	}
	for _, p := range targets {
		r.Outcomes[p.ID] = approvals.Target{Outcome: approvals.Waiting, Baseline: holding(pagerDuty, "91f0")}
	}
	return r
}

// now is the integration after the update.
func after(r *approvals.Request) *atlas.Integration {
	shown := holding(r.Catalog(), "a23c")
	for name, value := range r.Plain {
		shown.Plain[name] = value
	}
	return shown
}

// decided gives a request its votes and every target the outcome applied.
func decided(r *approvals.Request) {
	r.State, r.DecidedAt = approvals.Applied, applied
	r.Votes = []approvals.Vote{{User: "U0APPROVER", At: voted}}
	for _, p := range r.Targets {
		settle(r, p, approvals.Proven, "")
	}
}

func settle(r *approvals.Request, p atlas.Project, outcome approvals.Outcome, detail string) {
	target := r.Outcomes[p.ID]
	target.Outcome = outcome
	target.Result = approvals.Result{Detail: detail, At: applied}
	if outcome == approvals.Proven {
		target.Result.Shown = after(r)
	}
	r.Outcomes[p.ID] = target
}

const (
	refusedDetail = "Atlas answered 403 IP_ADDRESS_NOT_ON_ACCESS_LIST: IP address 203.0.113.7 is not allowed to access this resource.\n" +
		"Add that address to the access list of the bot's API credentials, then retry."
	staleDetail = "Somebody changed it after this request was made. Nothing was written; make a new request if it is still needed."
)

// cardOf is the card as two approvers are asked.
func cardOf(r *approvals.Request) modals.Message {
	return modals.Card(r, "<!subteam^S0ONCALL1> and <@U0APPROVER>")
}

// dmOf is the requester's message about a request whose card can be linked to.
func dmOf(r *approvals.Request) modals.Message { return modals.DM(r, linkTo(r)) }

// statusOf is what `status` answers.
func statusOf(r *approvals.Request) modals.Message { return modals.Status(r, linkTo(r)) }

// linkTo leads to the cards of requests.
func linkTo(rs ...*approvals.Request) modals.Links {
	links := modals.Links{}
	for _, r := range rs {
		links[r.ID] = "https://oncall.slack.com/archives/C0APPROVAL/p1795442700000100"
	}
	return links
}

// overlapping has a request know of two others that are open for some of its projects.
func overlapping(r *approvals.Request) {
	var all []string
	for _, p := range r.Targets {
		all = append(all, p.ID)
	}
	r.Overlaps = map[string]approvals.Overlap{
		"req_0000000002": {Requester: "U0ENGINE2", Projects: all[:1]},
		"req_0000000003": {Requester: "U0ENGINE3", Projects: all},
	}
}
