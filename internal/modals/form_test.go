package modals_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func anyProject(string) bool { return true }

// blocksOf decodes the blocks of a view or message, as Slack would.
func blocksOf(t testing.TB, screen any) []map[string]any {
	t.Helper()
	var decoded struct{ Blocks []map[string]any }
	require.NoError(t, json.Unmarshal(pretty(t, screen), &decoded))
	return decoded.Blocks
}

// A person fills in a view: what they type by action_id, on top of what the view
// is prefilled with.
type person map[string]string

// fill gives the state that Slack would send.
func (p person) fill(t testing.TB, view slack.ModalViewRequest) []byte {
	t.Helper()
	values := map[string]map[string]any{}
	for _, block := range blocksOf(t, view) {
		if block["type"] != "input" {
			continue
		}
		e := block["element"].(map[string]any)
		id := e["action_id"].(string)
		value := map[string]any{"type": e["type"]}
		typed, touched := p[id]
		switch e["type"] {
		case "plain_text_input":
			value["value"] = e["initial_value"]
			if touched {
				value["value"] = typed
			}
			if value["value"] == "" {
				value["value"] = nil
			}
		case "static_select":
			value["selected_option"] = e["initial_option"]
			if touched {
				value["selected_option"] = map[string]any{"value": typed}
			}
		default:
			chosen, _ := e["initial_options"].([]any)
			if touched {
				chosen = nil
				for _, id := range strings.Fields(typed) {
					chosen = append(chosen, map[string]any{"value": id})
				}
			}
			value["selected_options"] = chosen
		}
		values[block["block_id"].(string)] = map[string]any{id: value}
	}
	state, err := json.Marshal(map[string]any{"values": values})
	require.NoError(t, err)
	return state
}

func (p person) read(t *testing.T, view slack.ModalViewRequest) modals.Input {
	t.Helper()
	var state modals.State
	require.NoError(t, json.Unmarshal(p.fill(t, view), &state))
	return modals.ReadForm(state)
}

// inputs lists the block IDs of the inputs of a view.
func inputs(t *testing.T, view slack.ModalViewRequest) []string {
	t.Helper()
	var ids []string
	for _, block := range blocksOf(t, view) {
		if block["type"] == "input" {
			ids = append(ids, block["block_id"].(string))
		}
	}
	return ids
}

// current is what Atlas shows of a type in each project.
func current(t *atlas.Type, projects []atlas.Project) map[string]*atlas.Integration {
	now := map[string]*atlas.Integration{}
	for _, p := range projects {
		now[p.ID] = holding(t, "91f0")
	}
	return now
}

// good is a value that a field takes; secrets are made up at run time.
func good(f *atlas.Field) string {
	switch {
	case f.Kind == atlas.Choice:
		return f.Choices[len(f.Choices)-1]
	case f.Kind == atlas.Toggle:
		return "true"
	case f.Kind == atlas.SecretURL:
		return "https://hooks.example.com/" + strings.Repeat("x1", 15)
	case f.Kind == atlas.Template:
		return "{\n\t\"<key>\": \"" + strings.Repeat("é&", 20) + "\"\n}"
	case f.Secret():
		return strings.Repeat("ab", 16)
	default:
		return "new-" + f.Name
	}
}

func updatable() []*atlas.Type {
	return slices.DeleteFunc(slices.Clone(atlas.Types), func(t *atlas.Type) bool { return t.Discontinued != "" })
}

func TestForms(t *testing.T) {
	t.Parallel()
	offered, pagerDuty, datadog := projects(8), typeOf(t, "PAGER_DUTY"), typeOf(t, "DATADOG")
	for _, it := range updatable() {
		form := modals.Form{Offered: offered, Projects: offered[:1], Type: it, Current: current(it, offered[:1])}
		golden(t, "form-"+strings.ToLower(it.Name), form.View())
	}
	differing := current(datadog, offered[:6])
	for i, p := range offered[:6] {
		differing[p.ID].Plain["region"] = []string{"US", "EU", "US"}[i%3]
		differing[p.ID].Masks["apiKey"] = atlas.Mask{Length: 32, LastFour: fmt.Sprintf("%04d", i/2)}
	}
	future := current(datadog, offered[:1])
	future[offered[0].ID].Plain["region"] = "MOON1"
	twins := append(projects(3), project(77, "payments-prod"))
	screens := map[string]modals.Form{
		"empty":          {Offered: offered},
		"discontinued":   {Offered: offered, Projects: offered[:1], Type: typeOf(t, "HIP_CHAT")},
		"loading":        {Offered: offered, Projects: offered[:2], Type: datadog, Note: "The current values are on their way from Atlas."},
		"differing":      {Offered: offered, Projects: offered[:6], Type: datadog, Current: differing},
		"unknown-region": {Offered: offered, Projects: offered[:1], Type: datadog, Current: future},
		"another-is-open": {
			Offered: offered, Projects: offered[:2], Type: pagerDuty, Current: current(pagerDuty, offered[:2]),
			Open: []*approvals.Request{newRequest(offered[0], offered[4]), newRequest(offered...)},
		},
		"twins":         {Offered: twins, Projects: twins[3:], Type: pagerDuty},
		"no-projects":   {Note: "Atlas does not answer, so there are no projects to choose from. Close this and try again in a minute."},
		"many-projects": {Offered: projects(500), Projects: projects(500)[480:], Type: pagerDuty, Current: current(pagerDuty, projects(500)[480:])},
		"policy": {
			Offered: offered, Projects: offered[:2], Type: pagerDuty, Current: current(pagerDuty, offered[:2]),
			Policy: &approvals.Policy{Rules: []approvals.Rule{{Name: "payments", Projects: []string{"*"}, Banner: "Real money. Tell #incidents first."}}},
		},
		"edited": {
			Offered: offered, Projects: offered[:1], Type: datadog, Current: current(datadog, offered[:1]), Generation: 4,
			Plain: map[string]string{"region": "AP1", "sendDatabaseMetrics": "true", "routingKey": "not of this type"},
		},
	}
	for name, form := range screens {
		golden(t, "form-"+name, form.View())
	}
}

func TestFormAtTheExtremes(t *testing.T) {
	t.Parallel()
	odd := []string{"👩‍🚒", "&", "פ", "<", "m", "\u202e"}
	offered := make([]atlas.Project, 100)
	for i := range offered {
		offered[i] = project(i, strings.Repeat(odd[i%len(odd)], 80))
	}
	offered[99].Name = ""
	for _, it := range atlas.Types {
		now := current(it, offered[:20])
		for i, p := range offered[:20] {
			for name := range now[p.ID].Plain {
				now[p.ID].Plain[name] = strings.Repeat(odd[i%len(odd)], 4000)
			}
			for name := range now[p.ID].Masks {
				now[p.ID].Masks[name] = atlas.Mask{Origin: "https://" + strings.Repeat("x", 3000), LastFour: fmt.Sprint(1000 + i)}
			}
		}
		form := modals.Form{
			Offered: offered, Projects: offered[:20], Type: it, Current: now, Note: strings.Repeat("<&", 3000),
			Reason: strings.Repeat("💥", 4000), Generation: 1 << 30,
		}
		assert.Empty(t, checkScreen(t, pretty(t, form.View())), it.Name)
	}
}

func TestWhatIsFilledInIsWhatIsRead(t *testing.T) {
	t.Parallel()
	chosen := projects(3)
	for _, it := range updatable() {
		t.Run(it.Name, func(t *testing.T) {
			t.Parallel()
			form := modals.Form{Offered: projects(8), Projects: chosen, Type: it, Current: current(it, chosen), Generation: 2}
			filled := person{"reason": "  because\n"}
			for i := range it.Fields {
				filled[it.Fields[i].Name] = good(&it.Fields[i])
			}
			in := filled.read(t, form.View())

			assert.Equal(t, []string{chosen[0].ID, chosen[1].ID, chosen[2].ID}, in.Projects)
			assert.Same(t, it, in.Type)
			assert.Equal(t, "because", in.Reason)
			for i := range it.Fields {
				f := &it.Fields[i]
				if f.Secret() {
					assert.True(t, in.Settings.Secrets[f.Name].Reveal() == good(f), f.Name) //nolint:testifylint // Equal would print it
				} else {
					assert.Equal(t, good(f), in.Settings.Plain[f.Name], f.Name)
				}
			}
			errs, _ := in.Check(anyProject)
			assert.Empty(t, errs)
		})
	}
}

func TestUntouchedFieldsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	datadog, chosen := typeOf(t, "DATADOG"), projects(1)
	now := current(datadog, chosen)
	now[chosen[0].ID].Plain["region"], now[chosen[0].ID].Plain["sendQueryStatsMetrics"] = "US5", "true"
	form := modals.Form{Offered: chosen, Projects: chosen, Type: datadog, Current: now, Reason: "because"}
	in := person{"apiKey": strings.Repeat("ab", 16)}.read(t, form.View())
	errs, _ := in.Check(anyProject)
	require.Empty(t, errs)
	assert.Equal(t, map[string]string{
		"region": "US5", "sendDatabaseMetrics": "false", "sendCollectionLatencyMetrics": "false",
		"sendQueryStatsMetrics": "true", "sendUserProvidedResourceTags": "false",
	}, in.Settings.Complete())
}

// A region that nobody has seen or chosen must not become the default.
func TestUnknownSelectsMustBeChosen(t *testing.T) {
	t.Parallel()
	chosen := projects(1)
	form := modals.Form{Offered: chosen, Projects: chosen, Type: typeOf(t, "PAGER_DUTY"), Reason: "because"}
	errs, _ := person{"serviceKey": strings.Repeat("ab", 16)}.read(t, form.View()).Check(anyProject)
	assert.Equal(t, map[string]string{"PAGER_DUTY.region.0": "Choose: Region."}, errs)
}

func TestInlineErrors(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("ab", 16)
	tests := []struct {
		name   string
		typed  person
		block  string
		says   string
		refuse bool // projects are not allowed
	}{
		{name: "no project", typed: person{"project": ""}, block: "project", says: "at least one"},
		{name: "too many", typed: person{"project": strings.Join(ids(projects(21)), " ")}, block: "project", says: "these are 21"},
		{name: "not allowed", typed: person{}, block: "project", says: "may not", refuse: true},
		{name: "several not allowed", typed: person{"project": strings.Join(ids(projects(2)), " ")}, block: "project", says: "2 of these", refuse: true},
		{name: "no type", typed: person{"type": ""}, block: "type", says: "Choose the type"},
		{name: "no such type", typed: person{"type": "FLOWDOCK"}, block: "type", says: "Choose the type"},
		{name: "discontinued", typed: person{"type": "HIP_CHAT"}, block: "type", says: "no longer has HipChat"},
		{name: "before the redraw", typed: person{"type": "DATADOG"}, block: "type", says: "did not show the fields of Datadog yet"},
		{name: "no reason", typed: person{"reason": " \n "}, block: "reason", says: "Say why"},
		{name: "long reason", typed: person{"reason": strings.Repeat("ä", 3001)}, block: "reason", says: "this has 3001"},
		{name: "key in reason", typed: person{"reason": "the new one is " + key}, block: "reason", says: "holds one of the keys"},
		{name: "another key in reason", typed: person{"reason": "instead of " + strings.Repeat("0F", 16) + ", which leaked"}, block: "reason", says: "looks like a key"},
		{name: "another token in reason", typed: person{"reason": "`mdb_sa_" + "sk_0123456789abcdef`"}, block: "reason", says: "looks like a key"},
		{name: "no key", typed: person{"serviceKey": ""}, block: "PAGER_DUTY.serviceKey", says: "Fill in"},
		{name: "short key", typed: person{"serviceKey": "abc"}, block: "PAGER_DUTY.serviceKey", says: "This has 3"},
		{name: "mask", typed: person{"serviceKey": strings.Repeat("*", 28) + "a23c"}, block: "PAGER_DUTY.serviceKey", says: "masked"},
		{name: "space", typed: person{"serviceKey": key + "\n"}, block: "PAGER_DUTY.serviceKey", says: "Remove it"},
		{name: "no such region", typed: person{"region": "MOON1"}, block: "PAGER_DUTY.region.7", says: "Choose one of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pagerDuty, chosen := typeOf(t, "PAGER_DUTY"), projects(1)
			form := modals.Form{Offered: projects(30), Projects: chosen, Type: pagerDuty, Current: current(pagerDuty, chosen), Generation: 7}
			typed := person{"reason": "because", "serviceKey": key}
			for name, value := range tt.typed {
				typed[name] = value
			}
			view := form.View()
			errs, _ := typed.read(t, view).Check(func(string) bool { return !tt.refuse })
			require.Len(t, errs, 1)
			assert.Contains(t, errs[tt.block], tt.says)
			assert.Less(t, len([]rune(errs[tt.block])), 150)
			assert.Contains(t, inputs(t, view), tt.block, "Slack takes errors only at inputs of this view")
		})
	}
}

// A reason may name what people name in reasons.
func TestReasons(t *testing.T) {
	t.Parallel()
	chosen := projects(1)
	form := modals.Form{Offered: chosen, Projects: chosen, Type: typeOf(t, "PAGER_DUTY")}
	for _, reason := range []string{
		"INC-4711, https://status.example.com/incidents/8f14e45f-ceea-467f-a0e6-1f2c3d4e5f60",
		"see da39a3ee5e6b4b0d3255bfef95601890afd80709",                      // a commit
		"project 5f1e2d3c4b5a697887960504, tracked in req_0123456789, v1.2", // an ID of Atlas
	} {
		errs, _ := person{"reason": reason, "serviceKey": strings.Repeat("ab", 16), "region": "EU"}.read(t, form.View()).Check(anyProject)
		assert.Empty(t, errs, reason)
	}
}

func ids(projects []atlas.Project) []string {
	found := make([]string, len(projects))
	for i, p := range projects {
		found[i] = p.ID
	}
	return found
}

// An empty form of every type: every error stands at an input of its view.
func TestErrorsStandAtInputs(t *testing.T) {
	t.Parallel()
	for _, it := range append(updatable(), nil) {
		view := modals.Form{Offered: projects(2), Type: it}.View()
		in := person{}.read(t, view)
		errs, _ := in.Check(anyProject)
		assert.Contains(t, errs, "project")
		assert.Contains(t, errs, in.ReasonBlock())
		for block, say := range errs {
			assert.Contains(t, inputs(t, view), block)
			assert.NotEmpty(t, say)
		}
	}
}

func TestWarningsComeAlong(t *testing.T) {
	t.Parallel()
	opsgenie, chosen := typeOf(t, "OPS_GENIE"), projects(1)
	form := modals.Form{Offered: chosen, Projects: chosen, Type: opsgenie, Current: current(opsgenie, chosen), Reason: "because"}
	errs, warnings := person{"apiKey": "odd-looking-key"}.read(t, form.View()).Check(anyProject)
	assert.Empty(t, errs)
	require.Len(t, warnings, 1)
	assert.Equal(t, "apiKey", warnings[0].Field)
}

// Switching the type keeps what still makes sense and never carries a secret over.
func TestSwitchOfType(t *testing.T) {
	t.Parallel()
	opsgenie, pagerDuty, chosen := typeOf(t, "OPS_GENIE"), typeOf(t, "PAGER_DUTY"), projects(1)
	key := strings.Repeat("ab", 16)
	form := modals.Form{Offered: chosen, Projects: chosen, Type: pagerDuty, Current: current(pagerDuty, chosen), Reason: "because"}
	view := form.View()
	in := person{"type": opsgenie.Name, "region": "EU", "serviceKey": key}.read(t, view)
	require.Same(t, opsgenie, in.Type)
	assert.Empty(t, in.Settings.Secrets)
	assert.Equal(t, map[string]string{"region": "EU"}, in.Edited(view.PrivateMetadata))

	next := modals.Form{Offered: chosen, Projects: chosen, Type: in.Type, Generation: in.Generation + 1, Plain: in.Edited(view.PrivateMetadata)}.View()
	assert.Subset(t, inputs(t, next), []string{"project", "type", "reason", "OPS_GENIE.region.1", "OPS_GENIE.apiKey"})
	assert.False(t, strings.Contains(string(pretty(t, next)), key), "a secret is carried over")
	again := person{"apiKey": key}.read(t, next)
	assert.Equal(t, "EU", again.Settings.Plain["region"])
	assert.Equal(t, 1, again.Generation)
}

// Choosing another project brings its values, but not over what people chose.
func TestEditedIsWhatPeopleChose(t *testing.T) {
	t.Parallel()
	datadog, chosen := typeOf(t, "DATADOG"), projects(2)
	now := current(datadog, chosen)
	now[chosen[1].ID].Plain["region"] = "EU"
	first := modals.Form{Offered: chosen, Projects: chosen[:1], Type: datadog, Current: now}.View()
	in := person{"sendDatabaseMetrics": "true"}.read(t, first)
	edited := in.Edited(first.PrivateMetadata)
	assert.Equal(t, map[string]string{"sendDatabaseMetrics": "true"}, edited)

	second := modals.Form{Offered: chosen, Projects: chosen[1:], Type: datadog, Current: now, Generation: 1, Plain: edited}.View()
	in = person{}.read(t, second)
	assert.Equal(t, "EU", in.Plain["region"])
	assert.Equal(t, edited, in.Edited(second.PrivateMetadata), "what was chosen stays chosen")
	assert.Len(t, in.Edited("not JSON"), len(in.Plain))
}

// No typed secret is in any view, message, error or metadata, whatever the type
// and however wrong the rest of the form is.
func TestTypedSecretsAppearNowhere(t *testing.T) {
	t.Parallel()
	canary := "k\"&<é" + strings.Repeat("canary", 4) + "/+?="
	for _, it := range updatable() {
		for _, wrong := range []person{{}, {"reason": canary}, {"project": ""}, {"type": "DATADOG"}, {"region": canary}, {"username": canary, "routingKey": canary}} {
			chosen := projects(2)
			form := modals.Form{Offered: chosen, Projects: chosen, Type: it, Current: current(it, chosen)}
			typed := person{"reason": "because"}
			for i := range it.Fields {
				if it.Fields[i].Secret() {
					typed[it.Fields[i].Name] = canary
				}
			}
			for name, value := range wrong {
				typed[name] = value
			}
			view := form.View()
			in := typed.read(t, view)
			errs, warnings := in.Check(anyProject)
			form.Plain, form.Type, form.Generation = in.Edited(view.PrivateMetadata), in.Type, in.Generation+1
			out := fmt.Sprintf("%v %v %s %+v", errs, warnings, pretty(t, form.View()), in.Settings.Secrets)
			for how, hidden := range encodings(t, canary) {
				assert.False(t, strings.Contains(out, hidden), "%s: a typed secret appears, %s", it.Name, how)
			}
		}
	}
}

func encodings(t *testing.T, s string) map[string]string {
	t.Helper()
	quoted, err := json.Marshal(s)
	require.NoError(t, err)
	return map[string]string{
		"plain": s, "its middle": "canarycanary", "as JSON": strings.Trim(string(quoted), `"`), "for a URL": url.QueryEscape(s), "for a path": url.PathEscape(s),
		"in base64": base64.RawStdEncoding.EncodeToString([]byte(s))[:40], "for Slack": modals.Escape(s),
	}
}

func TestProjectSearch(t *testing.T) {
	t.Parallel()
	offered := []atlas.Project{project(1, "Legacy orders"), project(2, "orders"), project(3, "orders-prod"), project(4, "reorders"), project(5, "payments")}
	found := func(query string) []string {
		var names []string
		for _, o := range modals.ProjectOptions(offered, query).Options {
			names = append(names, o.Text.Text)
		}
		return names
	}
	assert.Equal(t, []string{"orders", "orders-prod", "Legacy orders", "reorders"}, found(" ORDERS "))
	assert.Equal(t, []string{"orders-prod"}, found("prod ord"))
	assert.Equal(t, []string{"payments"}, found(offered[4].ID))
	assert.Len(t, found(""), 5)
	assert.Len(t, modals.ProjectOptions(projects(500), "").Options, 100)

	none, err := json.Marshal(modals.ProjectOptions(offered, "nothing"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"options":[]}`, string(none))
}

// The trace stays with the form from its opening to its submission, and is nothing that
// somebody changed in it.
func TestTheFormCarriesItsTrace(t *testing.T) {
	t.Parallel()
	const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	empty := modals.Form{Trace: traceparent}.View()
	assert.Equal(t, traceparent, modals.TraceOf(empty.PrivateMetadata))
	assert.Empty(t, modals.Form{}.View().PrivateMetadata, "untraced, it has nothing to carry")
	assert.Empty(t, modals.TraceOf("req_0123456789"), "that is the metadata of another form")

	kind, ok := atlas.FindType("DATADOG")
	require.True(t, ok)
	prefilled := map[string]string{"region": "EU"}
	with := modals.Form{Type: kind, Plain: prefilled, Trace: traceparent}.View().PrivateMetadata
	without := modals.Form{Type: kind, Plain: prefilled}.View().PrivateMetadata
	assert.Equal(t, traceparent, modals.TraceOf(with))
	assert.Empty(t, modals.TraceOf(without))
	in := modals.Input{Plain: map[string]string{"region": "US"}}
	assert.Equal(t, in.Edited(without), in.Edited(with))
}
