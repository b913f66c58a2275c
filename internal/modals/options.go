package modals

import (
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Options answers a block_suggestion. Unlike slack-go's type it says so when there
// are none.
type Options struct {
	Options []*slack.OptionBlockObject `json:"options"`
}

// ProjectOptions finds the projects whose name or ID has every word of a query,
// best first, as many as Slack takes.
func ProjectOptions(projects []atlas.Project, query string) Options {
	type match struct {
		project atlas.Project
		rank    int
	}
	var matches []match
	for _, project := range projects {
		if r := rank(project, query); r >= 0 {
			matches = append(matches, match{project, r})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return a.rank - b.rank })
	found := make([]atlas.Project, 0, mostOptions)
	for _, m := range matches[:min(len(matches), mostOptions)] {
		found = append(found, m.project)
	}
	return Options{options(found, projects)}
}

// rank says how well a project fits a query; the lower the better, negative for
// not at all.
func rank(project atlas.Project, query string) int {
	name, query := strings.ToLower(project.Name), strings.ToLower(strings.TrimSpace(query))
	for _, word := range strings.Fields(query) {
		if !strings.Contains(name, word) && !strings.Contains(project.ID, word) {
			return -1
		}
	}
	switch {
	case name == query || project.ID == query:
		return 0
	case strings.HasPrefix(name, query):
		return 1
	case strings.Contains(name, "-"+query) || strings.Contains(name, " "+query) || strings.Contains(name, "_"+query):
		return 2
	case strings.Contains(name, query):
		return 3
	default:
		return 4
	}
}

// options offers projects. Where several of all have the same name, the ID tells
// them apart. Never nil.
func options(projects, all []atlas.Project) []*slack.OptionBlockObject {
	named := make(map[string]int, len(all))
	for _, project := range all {
		named[project.Name]++
	}
	offered := make([]*slack.OptionBlockObject, 0, len(projects))
	for _, project := range projects {
		var description *slack.TextBlockObject
		if named[project.Name] > 1 {
			description = plain(project.ID)
		}
		name := line(project.Name, mostOption-2)
		if name == "" {
			name = project.ID
		}
		offered = append(offered, slack.NewOptionBlockObject(project.ID, plain(name), description))
	}
	return offered
}
