package modals

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// maxReason is the longest reason, in characters: Slack's longest input.
const maxReason = 3000

// maxSentence is the longest error at an input that fits a phone.
const maxSentence = 150

// Input is what somebody has put into the form.
type Input struct {
	Projects   []string          // IDs, each once
	Type       *atlas.Type       // nil: none chosen
	Settings   *atlas.Settings   // nil without a type
	Reason     string            // without the space around it
	Generation int               // of the plain inputs that the form shows; see Form
	Plain      map[string]string // what the plain inputs hold, by field name, also those of a type that was chosen before

	blocks map[string]string // the block ID of each input of the type that the view has, by field name
	unset  []string          // names of the selects in it that nothing is chosen in
	keys   []secret.Text     // everything typed into secret inputs, whatever the type
}

// ReadForm reads the form. Inputs of another type than the one chosen are left
// over from before the choice: of these only the plain values are kept, in Plain.
func ReadForm(s State) Input {
	in := Input{Plain: map[string]string{}, blocks: map[string]string{}}
	projects, _ := s.in(blockProject, ActionProject)
	for _, id := range projects.Chosen {
		if !slices.Contains(in.Projects, id) {
			in.Projects = append(in.Projects, id)
		}
	}
	reason, _ := s.in(blockReason, ActionReason)
	in.Reason = strings.TrimSpace(reason.Typed.Reveal())
	chosen, _ := s.in(blockType, ActionType)
	for _, t := range atlas.Types {
		if t.Name == chosen.one() {
			in.Type = t
			in.Settings = &atlas.Settings{Type: t, Plain: map[string]string{}, Secrets: map[string]secret.Text{}}
		}
	}
	for blockID := range s.Values {
		in.read(s, blockID)
	}
	slices.Sort(in.unset)
	return in
}

// read reads the input of one block, if it is one for a field.
func (in *Input) read(s State, blockID string) {
	t, f, generation, ok := parseBlock(blockID)
	if !ok {
		return
	}
	value, ok := s.in(blockID, f.Name)
	if !ok {
		return
	}
	own := t == in.Type
	if f.Secret() {
		in.keys = append(in.keys, value.Typed)
		if own {
			in.blocks[f.Name] = blockID
			if !value.Typed.IsZero() {
				in.Settings.Secrets[f.Name] = value.Typed
			}
		}
		return
	}
	in.Generation = max(in.Generation, generation)
	text := strings.TrimSpace(value.Typed.Reveal())
	if selected(f) {
		text = value.one()
	}
	if _, known := in.Plain[f.Name]; own || !known {
		in.Plain[f.Name] = text
	}
	if !own {
		return
	}
	in.blocks[f.Name] = blockID
	if text != "" {
		in.Settings.Plain[f.Name] = text
	} else if selected(f) {
		in.unset = append(in.unset, f.Name)
	}
}

// blockID names the block of a field's input. A plain one changes its name with
// the generation, because Slack prefills only blocks that are new; a secret one
// does not, so that what was typed stays. Both change with the type.
func blockID(t *atlas.Type, f *atlas.Field, generation int) string {
	id := t.Name + "." + f.Name
	if !f.Secret() {
		id += "." + strconv.Itoa(generation)
	}
	return id
}

func parseBlock(id string) (t *atlas.Type, f *atlas.Field, generation int, ok bool) {
	parts := strings.Split(id, ".")
	if len(parts) < 2 {
		return nil, nil, 0, false
	}
	i := slices.IndexFunc(atlas.Types, func(t *atlas.Type) bool { return t.Name == parts[0] })
	if i < 0 {
		return nil, nil, 0, false
	}
	t = atlas.Types[i]
	f, ok = t.Field(parts[1])
	if ok && len(parts) == 3 {
		generation, _ = strconv.Atoi(parts[2])
	}
	return t, f, generation, ok && id == blockID(t, f, generation)
}

// selected reports whether a field's value is chosen from a list, not typed.
func selected(f *atlas.Field) bool { return f.Kind == atlas.Choice || f.Kind == atlas.Toggle }

// Edited returns what people changed in the plain inputs since the form was
// prefilled, by field name: what Form.Plain should carry over when the form is
// drawn anew. The form notes in its metadata what it was prefilled with.
func (in Input) Edited(privateMetadata string) map[string]string {
	var prefilled map[string]string
	if json.Unmarshal([]byte(privateMetadata), &prefilled) != nil {
		prefilled = nil
	}
	edited := map[string]string{}
	for name, value := range in.Plain {
		if value != "" && prefilled[name] != digest(value) && !in.holdsKey(value) {
			edited[name] = value
		}
	}
	return edited
}

// holdsKey reports whether a text holds something that was typed as a secret. Such
// a text is never written into a view again.
func (in Input) holdsKey(text string) bool {
	return slices.ContainsFunc(in.keys, func(key secret.Text) bool { return atlas.Quoted(key, text) })
}

// otherKey finds what can only be a key, if not one of those in the form: 32 hexadecimal
// digits are one of PagerDuty's or Datadog's, and tokens say themselves what they are.
var otherKey = regexp.MustCompile(`(?i)\b([0-9a-f]{32}|(xox[a-z]-|xapp-|mdb_sa_sk_|NRAK-)[\w-]{8,})\b`)

const looksLikeAKey = "This holds what looks like a key, and everybody can read it here. Take it out."

// digest stands for a value where the value itself need not be.
func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:4])
}

// ReasonBlock is the input at which to show what concerns the form as a whole.
func (in Input) ReasonBlock() string { return blockReason }

// Check finds what keeps the form from being sent, as sentences by the block ID
// of the input each belongs to, and what merely looks wrong. A project that is
// not allowed may have been when the form was opened.
func (in Input) Check(allowed func(id string) bool) (errors map[string]string, warnings []atlas.Warning) {
	errors = map[string]string{}
	if say := in.checkProjects(allowed); say != "" {
		errors[blockProject] = say
	}
	if say := in.checkReason(); say != "" {
		errors[blockReason] = say
	}
	switch {
	case in.Type == nil:
		errors[blockType] = "Choose the type of the integration."
	case in.Type.Discontinued != "":
		errors[blockType] = fmt.Sprintf("Atlas no longer has %s integrations, so none can be updated. Choose another type.", in.Type.Title)
	case in.Undrawn():
		errors[blockType] = fmt.Sprintf("The form did not show the fields of %s yet. Fill them in when they are here, then send it again.", in.Type.Title)
	default:
		warnings = in.checkFields(errors)
	}
	return errors, warnings
}

// Undrawn reports whether the form did not show the fields of the type that was chosen.
func (in Input) Undrawn() bool {
	return in.Type != nil && in.Type.Discontinued == "" && len(in.blocks) == 0
}

func (in Input) checkProjects(allowed func(id string) bool) string {
	switch n := len(in.Projects); {
	case n == 0:
		return "Choose at least one project."
	case n > approvals.MaxTargets:
		return fmt.Sprintf("At most %d projects in one request; these are %d. Make a second request for the rest.", approvals.MaxTargets, n)
	}
	gone := 0
	for _, id := range in.Projects {
		if !allowed(id) {
			gone++
		}
	}
	switch {
	case gone == 0:
		return ""
	case len(in.Projects) == 1:
		return "This bot may not, or no longer, change this project. Choose another."
	default:
		return fmt.Sprintf("This bot may not, or no longer, change %d of these projects. Remove them.", gone)
	}
}

func (in Input) checkReason() string {
	switch {
	case in.Reason == "":
		return "Say why, for the person who approves it."
	case length(in.Reason) > maxReason:
		return fmt.Sprintf("At most %d characters; this has %d.", maxReason, length(in.Reason))
	case in.holdsKey(in.Reason):
		return "This holds one of the keys below, or a part of it, and everybody can read it here. Take it out."
	case otherKey.MatchString(in.Reason):
		return looksLikeAKey
	}
	return ""
}

// checkFields checks the settings and adds their errors to those of the form.
func (in Input) checkFields(errors map[string]string) []atlas.Warning {
	problems, warnings := in.Settings.Check()
	for _, name := range in.unset {
		if f, ok := in.Type.Field(name); ok {
			problems = append(problems, atlas.Problem{Field: name, Say: "Choose: " + f.Label + "."})
		}
	}
	for _, problem := range problems {
		block, ok := in.blocks[problem.Field]
		if !ok {
			block = blockReason
		}
		if _, said := errors[block]; !said {
			errors[block] = cut(problem.Say, maxSentence-1)
		}
	}
	return warnings
}
