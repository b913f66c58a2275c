package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// shownCalls is how many calls are listed.
const shownCalls = 30

// atlas draws what the API shows of a project, and the calls that it answered.
func (p *Page) atlas(w where) *node {
	n := el("section", "atlas").set("id", "atlas").set("aria-labelledby", "atlas-title")
	n.add(el("h2", "", text("Atlas")).set("id", "atlas-title"))
	projects := p.s.Atlas.Projects()
	if len(projects) == 0 {
		return n.add(el("p", "empty", text("There is no project.")))
	}
	chosen := projects[max(0, slices.IndexFunc(projects, func(o atlassim.Project) bool { return o.ID == w.project }))]
	if w.project == "" {
		chosen = p.startProject(projects)
	}
	choice := el("select", "").set("data-go", "").set("aria-label", "Project")
	for _, o := range projects {
		label := o.Name
		if o.Role != atlassim.RoleOwner {
			label += " (" + string(o.Role) + ")"
		}
		choice.add(el("option", "", text(label)).set("value", w.withProject(o.ID).href()).setIf(o.ID == chosen.ID, "selected"))
	}
	n.add(choice)
	for _, typ := range atlassim.Types() {
		if shown, there := p.s.Atlas.Shown(chosen.ID, typ); there {
			n.add(p.integration(chosen.ID, typ, shown))
		}
	}
	return n.add(p.calls(projects))
}

// startProject is the project that most samples are about, or else the first.
func (p *Page) startProject(projects []atlassim.Project) atlassim.Project {
	i := slices.IndexFunc(projects, func(o atlassim.Project) bool { return o.Name == "payments-prod" })
	return projects[max(0, i)]
}

func (p *Page) integration(project, typ string, shown map[string]any) *node {
	title := typ
	if t, known := atlas.FindType(typ); known {
		title = t.Title
	}
	head := el("summary", "", el("b", "", text(title)))
	n := el("details", "integration", head).set("id", "held-"+typ)
	if effects := p.s.Atlas.Effects(project, typ); effects > 0 {
		changed := fmt.Sprintf("changed %d times", effects)
		if effects == 1 {
			changed = "changed once"
		}
		head.add(el("span", "changed", text(changed)))
		n.set("open", "")
	}
	table := el("table", "")
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if name == "type" {
			continue
		}
		table.add(el("tr", "", el("th", "", text(name)).set("scope", "row"), el("td", "", text(fmt.Sprint(shown[name])))))
	}
	return n.add(table)
}

func (p *Page) calls(projects []atlassim.Project) *node {
	all := p.s.Atlas.Calls()
	n := el("details", "calls", el("summary", "", text(fmt.Sprintf("%d calls", len(all))))).set("id", "calls")
	list := el("ol", "")
	for _, c := range slices.Backward(all[max(0, len(all)-shownCalls):]) {
		about := c.Path
		if i := slices.IndexFunc(projects, func(o atlassim.Project) bool { return o.ID == c.GroupID }); i >= 0 {
			about = projects[i].Name + " " + cmp.Or(c.Type, "all integrations")
		}
		status := fmt.Sprint(c.Status)
		if c.Status == 0 {
			status = "no answer"
		}
		entry := el("li", "", el("time", "", text(c.At.Format("15:04:05"))), el("b", "", text(c.Method)), text(" "+about+" "),
			el("span", "status", text(status)), text(fmt.Sprintf(" %d ms", c.Duration.Milliseconds())))
		if c.Status != http.StatusOK {
			entry.set("class", "bad")
		}
		list.add(entry)
	}
	return n.add(list)
}
