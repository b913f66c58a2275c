package modals

import (
	"fmt"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Lengths to which single values are cut, in characters.
const (
	mostName  = 80
	mostValue = 200
)

const (
	notSet   = "_not set_"
	notShown = "_not shown by Atlas_"
)

// say shows the value of a plain field without markup.
func say(f *atlas.Field, value string) string {
	switch {
	case f.Kind == atlas.Toggle && value == "true":
		return "On"
	case f.Kind == atlas.Toggle && value == "false":
		return "Off"
	default:
		return line(value, mostValue)
	}
}

// shown shows the value of a plain field to the letter, as markup.
func shown(f *atlas.Field, value string) string {
	switch {
	case value == "":
		return notSet
	case f.Kind == atlas.Toggle:
		return Escape(say(f, value))
	case length(value) > mostValue:
		return fmt.Sprintf("%s (%s)", code(value, mostValue), count(length(value), "character"))
	default:
		return code(value, mostValue)
	}
}

// maskOf shows what may be known of a secret. Of a template that is its length, if
// Atlas shows it: the last four of JSON say nothing.
func maskOf(f *atlas.Field, mask atlas.Mask) string {
	switch {
	case f.Kind != atlas.Template:
		return mask.String()
	case mask.Length > 0:
		return fmt.Sprintf("%s (%s)", atlas.Mask{}, count(mask.Length, "character"))
	default:
		return atlas.Mask{}.String()
	}
}

// nowIn shows what an integration holds in a field, as markup.
func nowIn(f *atlas.Field, now *atlas.Integration) string {
	if !f.Secret() {
		return shown(f, held(f, now))
	}
	if mask, ok := now.Masks[f.Name]; ok {
		return code(maskOf(f, mask), mostValue)
	}
	if f.NeverShown {
		return notShown
	}
	return notSet
}

// A change is what a request does to one field.
type change struct {
	field *atlas.Field
	olds  []group // what it is now, as markup, with the IDs of the projects; none if not yet known
	new   string  // as markup; empty if the field is not sent
	same  bool    // a plain value that stays what it is, everywhere
}

// changes lists what a request does, field by field.
func changes(r *approvals.Request) []change {
	var all []change
	t := r.Catalog()
	for i := range t.Fields {
		f := &t.Fields[i]
		c := change{field: f, new: next(r, f)}
		for _, project := range r.Targets {
			if now := r.Target(project.ID).Baseline; now != nil {
				c.olds = join(c.olds, nowIn(f, now), project.ID)
			}
		}
		c.same = !f.Secret() && c.new != "" && len(c.olds) == 1 && c.olds[0].what == c.new
		if c.new == "" && (len(c.olds) == 0 || len(c.olds) == 1 && (c.olds[0].what == notSet || c.olds[0].what == notShown)) {
			continue // neither there nor sent
		}
		all = append(all, c)
	}
	return all
}

// next shows the new value of a field, as markup.
func next(r *approvals.Request, f *atlas.Field) string {
	if !f.Secret() {
		if value, ok := r.Plain[f.Name]; ok {
			return shown(f, value)
		}
		return ""
	}
	value, ok := r.Secrets[f.Name]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s · fingerprint %s", code(maskOf(f, value.Mask), mostValue), code(value.Fingerprint, 20))
}

// String shows a change as a line: old → new.
func (c change) String() string {
	label := "*" + Escape(c.field.Label) + "*: "
	after := c.new
	if after == "" {
		after = "_left empty_"
	}
	switch len(c.olds) {
	case 0:
		return label + "→ " + after
	case 1:
		return label + c.olds[0].what + " → " + after
	default:
		return label + "_differs by project_ → " + after
	}
}

// changeLines shows everything a request does. What stays as it is comes last, in
// one line: an approver reads what changes.
func changeLines(r *approvals.Request) []string {
	var lines, kept []string
	for _, c := range changes(r) {
		if c.same {
			kept = append(kept, Escape(c.field.Label)+" "+c.new)
		} else {
			lines = append(lines, c.String())
		}
	}
	if len(kept) > 0 {
		lines = append(lines, "As before: "+strings.Join(kept, ", "))
	}
	return lines
}

// brief is what a request changes, in one line: the new values of what does not stay as
// it is.
func brief(r *approvals.Request) string {
	var parts []string
	for _, c := range changes(r) {
		after := c.new
		if secret, ok := r.Secrets[c.field.Name]; ok && c.field.Secret() {
			after = code(maskOf(c.field, secret.Mask), 60)
		}
		if !c.same && after != "" {
			parts = append(parts, Escape(c.field.Label)+" → "+after)
		}
	}
	if all := strings.Join(parts, ", "); length(all) <= 300 {
		return all
	}
	return enumerate(parts, 300)
}

// targetLines names the projects of an undecided request. Where they hold
// different values now, each has a line of its own that says which.
func targetLines(r *approvals.Request) []string {
	var differing []*atlas.Field
	for _, c := range changes(r) {
		if len(c.olds) > 1 {
			differing = append(differing, c.field)
		}
	}
	if len(differing) == 0 {
		return []string{enumerate(names(r.Targets), mostSection-100)}
	}
	lines := make([]string, len(r.Targets))
	for i, project := range r.Targets {
		lines[i] = "• " + nameIn(project)
		now := r.Target(project.ID).Baseline
		if now == nil {
			continue
		}
		parts := make([]string, len(differing))
		for j, f := range differing {
			parts[j] = Escape(f.Label) + " " + nowIn(f, now)
		}
		lines[i] += ": " + strings.Join(parts, ", ")
	}
	return lines
}

// names shows projects, as markup.
func names(projects []atlas.Project) []string {
	shown := make([]string, len(projects))
	for i, project := range projects {
		shown[i] = nameIn(project)
	}
	return shown
}

// nameIn shows a project's name as markup, even of entities alone no longer than
// leaves room for twenty.
func nameIn(project atlas.Project) string {
	return cutMarkup(inline(nameOf(project), mostName), 2*mostName)
}

func nameOf(project atlas.Project) string {
	if strings.TrimSpace(project.Name) == "" {
		return project.ID
	}
	return project.Name
}

// subject says what a request is about, as markup: type and projects.
func subject(r *approvals.Request) string {
	return fmt.Sprintf("*%s* in %s", Escape(r.Catalog().Title), where(r.Targets))
}

// where names up to three projects, as markup, and counts more.
func where(projects []atlas.Project) string {
	if len(projects) > 3 {
		return count(len(projects), "project")
	}
	named := names(projects)
	for i := range named {
		named[i] = "*" + named[i] + "*"
	}
	return and(named)
}

// headline is the same for plain text.
func headline(r *approvals.Request) string {
	title := r.Catalog().Title
	if len(r.Targets) == 1 {
		return fmt.Sprintf("Update %s in %s", title, line(nameOf(r.Targets[0]), mostName))
	}
	return fmt.Sprintf("Update %s in %s", title, count(len(r.Targets), "project"))
}
