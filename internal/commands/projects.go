package commands

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// projectList remembers for a minute which projects there are.
type projectList struct {
	guard sync.Mutex
	known []atlas.Project
	until time.Time
}

// offered lists the projects that may be chosen, by name. When Atlas does not
// answer, what it said last still stands: a project that is gone by now is found
// out when it is read.
func (b *Bot) offered(ctx context.Context) ([]atlas.Project, error) {
	if len(b.Projects) > 0 {
		return b.Projects, nil
	}
	list := &b.projects
	list.guard.Lock()
	defer list.guard.Unlock()
	if time.Now().Before(list.until) {
		return list.known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, peopleTime)
	defer cancel()
	projects, err := b.Atlas.Projects(ctx)
	if err != nil {
		if list.known != nil {
			b.log().WarnContext(ctx, "list projects; the list of before stands", "error", err)
			return list.known, nil
		}
		return nil, err
	}
	slices.SortFunc(projects, func(a, b atlas.Project) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	list.known, list.until = projects, time.Now().Add(remembered)
	return projects, nil
}

// findProject finds a project by its name, in any case, or its ID.
func findProject(projects []atlas.Project, typed string) (atlas.Project, bool) {
	for _, p := range projects {
		if strings.EqualFold(p.ID, typed) || strings.EqualFold(p.Name, typed) {
			return p, true
		}
	}
	return atlas.Project{}, false
}

// chosen looks up projects by ID; those that are not offered are left out.
func chosen(projects []atlas.Project, ids []string) []atlas.Project {
	var found []atlas.Project
	for _, id := range ids {
		if i := slices.IndexFunc(projects, func(p atlas.Project) bool { return p.ID == id }); i >= 0 {
			found = append(found, projects[i])
		}
	}
	return found
}
