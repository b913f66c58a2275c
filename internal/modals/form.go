package modals

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Identifiers that come back from Slack. The action_id of every other input is
// the name of its field in Atlas' JSON.
const (
	CallbackUpdate = "update_integration"
	CallbackDeny   = "deny_request"

	ActionProject   = "project"
	ActionType      = "type"
	ActionReason    = "reason"
	ActionApprove   = "approve"
	ActionDeny      = "deny"
	ActionCancel    = "cancel"
	ActionRetry     = "retry"
	ActionNewUpdate = "new_update"
	ActionNewer     = "history_newer"
	ActionOlder     = "history_older"

	blockProject = "project"
	blockType    = "type"
	blockReason  = "reason"
)

// Form is the form for an update, as it is to be drawn. Drawn anew, it keeps what
// was typed in every block whose ID stays: Slack then ignores what a block is
// prefilled with.
type Form struct {
	Offered    []atlas.Project               // what may be chosen
	Projects   []atlas.Project               // what is chosen
	Type       *atlas.Type                   // nil: none chosen yet
	Current    map[string]*atlas.Integration // what Atlas shows now, by project ID, as far as known
	Note       string                        // why the current values are missing, or that they are on their way
	Open       []*approvals.Request          // that are open already for some of the projects and this type
	Generation int                           // to be raised when Current or Plain is to show in the plain inputs
	Reason     string                        // prefills the first drawing only
	Plain      map[string]string             // plain values that people have chosen already, by field name; see Input.Edited
	Policy     *approvals.Policy             // whose banners are shown for what is chosen; nil: none
	Trace      string                        // traceparent of what opened it; see TraceOf
}

// View draws the form. Plain fields show what people have chosen, else what Atlas
// has now. Where neither is known a select is left open, so that nobody resets a
// region by not looking.
func (f Form) View() slack.ModalViewRequest {
	p := &page{}
	p.blocks = append(p.blocks, f.projects(), f.types())
	if f.Policy != nil {
		banners(p, f.Policy.Banners(f.Projects))
	}
	if f.Note != "" {
		p.section(":information_source: " + inline(f.Note, 1000))
	}
	if len(f.Open) > 0 {
		lines := []string{":warning: *Somebody has asked already*"}
		for _, r := range f.Open {
			lines = append(lines, "• "+overlap(r.ID, r.Requester, among(f.Projects, ids(r.Targets))))
		}
		p.section(strings.Join(append(lines, overlapEffect), "\n"))
	}
	if f.Type != nil {
		f.about(p)
		for i := range f.Type.Fields {
			if field := &f.Type.Fields[i]; !field.Secret() {
				p.blocks = append(p.blocks, f.plainInput(field))
			}
		}
	}
	p.blocks = append(p.blocks, f.reason())
	if f.Type != nil && f.Type.Discontinued == "" {
		p.context(":eyes: Slack cannot hide what you type: the fields below show it on your screen. " +
			"The bot keeps it sealed until Atlas has it, and shows others no more than the last four characters.")
		for i := range f.Type.Fields {
			if field := &f.Type.Fields[i]; field.Secret() {
				p.blocks = append(p.blocks, f.secretInput(field))
			}
		}
	}
	view := p.view("Update integration", "Cancel")
	view.Submit = plain("Request")
	view.CallbackID = CallbackUpdate
	view.PrivateMetadata = f.metadata()
	return view
}

func (f Form) projects() slack.Block {
	element := &slack.MultiSelectBlockElement{
		Type: slack.MultiOptTypeStatic, ActionID: ActionProject, Placeholder: plain("Choose projects"),
	}
	most := approvals.MaxTargets
	element.MaxSelectedItems = &most
	if len(f.Offered) == 0 || len(f.Offered) > mostOptions {
		least := 0
		element.Type, element.MinQueryLength = slack.MultiOptTypeExternal, &least
		element.Placeholder = plain("Type a part of the name")
	} else {
		element.Options = options(f.Offered, f.Offered)
	}
	for _, project := range f.Projects[:min(len(f.Projects), most)] {
		if element.Type == slack.MultiOptTypeExternal {
			element.InitialOptions = append(element.InitialOptions, options([]atlas.Project{project}, f.Offered)...)
			continue
		}
		for _, option := range element.Options { // Slack takes only what is exactly one of these
			if option.Value == project.ID {
				element.InitialOptions = append(element.InitialOptions, option)
			}
		}
	}
	block := slack.NewInputBlock(blockProject, plain("Projects"), plain("The same values go to every project you choose."), element)
	block.DispatchAction = true
	return block
}

func (f Form) types() slack.Block {
	element := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Choose a type"), ActionType)
	for _, t := range atlas.Types {
		title := t.Title
		if t.Discontinued != "" {
			title += " (discontinued)"
		}
		option := slack.NewOptionBlockObject(t.Name, plain(title), nil)
		element.Options = append(element.Options, option)
		if t == f.Type {
			element.InitialOption = option
		}
	}
	block := slack.NewInputBlock(blockType, plain("Type"), nil, element)
	block.DispatchAction = true
	return block
}

// about says what to know before filling in the fields.
func (f Form) about(p *page) {
	t := f.Type
	if t.Discontinued != "" {
		p.section(":no_entry: " + Escape(t.Discontinued))
		return
	}
	if t.Caveat != "" {
		p.section(":warning: " + Escape(t.Caveat))
	}
	where := Escape(t.Where)
	if t.Guide != "" {
		where += fmt.Sprintf(" <%s|Guide>", t.Guide)
	}
	p.context("*Where to find it:* " + where +
		"\n*When it changes:* once the request is *applied*. Until then Atlas uses the old values: leave them valid." +
		"\n*If a value is wrong:* " + Escape(t.Effect))
}

func (f Form) plainInput(field *atlas.Field) slack.Block {
	value := f.value(field)
	var element slack.BlockElement
	if selected(field) {
		choices := field.Choices
		if field.Kind == atlas.Toggle {
			choices = []string{"true", "false"}
		}
		list := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Choose"), field.Name)
		for _, choice := range choices {
			option := slack.NewOptionBlockObject(choice, plain(say(field, choice)), nil)
			list.Options = append(list.Options, option)
			if choice == value {
				list.InitialOption = option
			}
		}
		element = list
	} else {
		text := slack.NewPlainTextInputBlockElement(nil, field.Name)
		text.MaxLength = field.MaxLength
		if field.MaxLength == 0 || length(value) <= field.MaxLength {
			text.InitialValue = cut(value, maxReason)
		}
		element = text
	}
	block := slack.NewInputBlock(blockID(f.Type, field, f.Generation), plain(field.Label), hint(field.Hint, f.now(field)), element)
	block.Optional = !field.Required && !selected(field)
	return block
}

func (f Form) reason() slack.Block {
	element := slack.NewPlainTextInputBlockElement(nil, ActionReason)
	element.Multiline, element.MaxLength, element.InitialValue = true, maxReason, cut(f.Reason, maxReason)
	return slack.NewInputBlock(blockReason, plain("Reason"), plain("For the person who approves it: why now, and which ticket. No keys here."), element)
}

func (f Form) secretInput(field *atlas.Field) slack.Block {
	element := slack.NewPlainTextInputBlockElement(nil, field.Name)
	element.Multiline = field.Kind == atlas.Template
	block := slack.NewInputBlock(blockID(f.Type, field, f.Generation), plain(field.Label), hint(field.Hint, f.nowSecret(field)), element)
	block.Optional = !field.Required
	return block
}

func hint(sentences ...string) *slack.TextBlockObject {
	sentences = slices.DeleteFunc(sentences, func(s string) bool { return s == "" })
	if len(sentences) == 0 {
		return nil
	}
	return plain(cut(strings.Join(sentences, " "), 2000))
}

// value is what a plain input is prefilled with: what people have chosen, if the
// field can have it, else what Atlas has.
func (f Form) value(field *atlas.Field) string {
	if typed := f.Plain[field.Name]; typed != "" && possible(field, typed) {
		return typed
	}
	value, _ := f.current(field)
	return value
}

func possible(field *atlas.Field, value string) bool {
	switch field.Kind {
	case atlas.Choice:
		return slices.Contains(field.Choices, value)
	case atlas.Toggle:
		return value == "true" || value == "false"
	default:
		return true
	}
}

// current is what Atlas has in the first project whose integration is known.
func (f Form) current(field *atlas.Field) (value string, known bool) {
	for _, project := range f.Projects {
		if now := f.Current[project.ID]; now != nil {
			return held(field, now), true
		}
	}
	return "", false
}

// held is the plain value of an integration. What Atlas leaves out has its default.
func held(field *atlas.Field, now *atlas.Integration) string {
	if value := now.Plain[field.Name]; value != "" {
		return value
	}
	return field.Default
}

// now says in a plain input's hint what the input itself cannot show: that the
// projects differ, or that Atlas has a value that is not in the list.
func (f Form) now(field *atlas.Field) string {
	groups := f.groups(func(now *atlas.Integration) string { return say(field, held(field, now)) })
	if len(groups) > 1 {
		return "Now " + describe(groups) + ". All of them get what is chosen here."
	}
	if value, known := f.current(field); known && value != "" && !possible(field, value) {
		return "Now " + line(value, 40) + ", which this form does not know."
	}
	return ""
}

// nowSecret says in a secret input's hint what is set now.
func (f Form) nowSecret(field *atlas.Field) string {
	groups := f.groups(func(now *atlas.Integration) string {
		if mask, shown := now.Masks[field.Name]; shown {
			return line(maskOf(field, mask), 100)
		}
		return ""
	})
	groups = slices.DeleteFunc(groups, func(g group) bool { return g.what == "" })
	switch {
	case len(groups) == 0:
		return ""
	case len(groups) == 1 && len(groups[0].names) == len(f.Projects):
		return "Now " + groups[0].what + "."
	default:
		return "Now " + describe(groups) + "."
	}
}

// A group is the projects of which the same is true.
type group struct {
	what  string
	names []string
}

func (f Form) groups(what func(now *atlas.Integration) string) []group {
	var groups []group
	for _, project := range f.Projects {
		if now := f.Current[project.ID]; now != nil {
			groups = join(groups, what(now), line(project.Name, 80))
		}
	}
	return groups
}

// join adds a name to the group of which the same is true.
func join(groups []group, what, name string) []group {
	for i := range groups {
		if groups[i].what == what {
			groups[i].names = append(groups[i].names, name)
			return groups
		}
	}
	return append(groups, group{what, []string{name}})
}

// describe tells in a hint's length which projects have what.
func describe(groups []group) string {
	var parts []string
	for i, g := range groups {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("other values in %d more", len(groups)-3))
			break
		}
		what := g.what
		if what == "" {
			what = "nothing"
		}
		parts = append(parts, what+" in "+enumerate(g.names, 100))
	}
	return strings.Join(parts, "; ")
}

// metadata notes what the plain inputs are prefilled with before anybody changes
// them, as digests, since Slack keeps it, and the trace; see Input.Edited and TraceOf.
func (f Form) metadata() string {
	noted := map[string]string{}
	if f.Trace != "" {
		noted[metadataTrace] = f.Trace
	}
	for i := range f.fields() {
		field := &f.Type.Fields[i]
		if field.Secret() {
			continue
		}
		if value, _ := f.current(field); value != "" && possible(field, value) {
			noted[field.Name] = digest(strings.TrimSpace(value))
		}
	}
	if len(noted) == 0 {
		return ""
	}
	text, err := json.Marshal(noted)
	if err != nil {
		return ""
	}
	return string(text)
}

func (f Form) fields() []atlas.Field {
	if f.Type == nil {
		return nil
	}
	return f.Type.Fields
}

// metadataTrace is the one entry of the metadata that is no field of Atlas'.
const metadataTrace = "traceparent"

// TraceOf is the Trace of the form that a view's metadata is of, empty if it has none.
func TraceOf(privateMetadata string) string {
	var noted map[string]string
	if json.Unmarshal([]byte(privateMetadata), &noted) != nil {
		return "" // that of another view
	}
	return noted[metadataTrace]
}
