package commands

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// projectList remembers for a minute which projects there are.
type projectList struct {
	asking singleflight.Group // who waits for Atlas waits together: everybody's ack is due
	guard  sync.Mutex
	known  []atlas.Project
	until  time.Time
}

// missed is how long the list of before stands when Atlas did not give a newer one.
const missed = 10 * time.Second

// offered lists the projects that may be chosen, by name. When Atlas does not
// answer, what it said last still stands: a project that is gone by now is found
// out when it is read.
func (b *Bot) offered(ctx context.Context) ([]atlas.Project, error) {
	if len(b.Projects) > 0 {
		return b.Projects, nil
	}
	list := &b.projects
	list.guard.Lock()
	known, fresh := list.known, time.Now().Before(list.until)
	list.guard.Unlock()
	if fresh {
		return known, nil
	}
	_, err, _ := list.asking.Do("", func() (any, error) { return nil, b.askForProjects(ctx) })
	list.guard.Lock()
	defer list.guard.Unlock()
	if list.known == nil && err != nil {
		return nil, err
	}
	return list.known, nil
}

// askForProjects asks for all who wait, so it does not end with the first of them.
func (b *Bot) askForProjects(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), peopleTime)
	defer cancel()
	projects, err := b.Atlas.Projects(ctx)
	list := &b.projects
	list.guard.Lock()
	defer list.guard.Unlock()
	if err != nil {
		if list.known != nil {
			b.log().WarnContext(ctx, "list projects; the list of before stands", "error", err)
			list.until = time.Now().Add(missed)
		}
		return err
	}
	slices.SortFunc(projects, func(a, b atlas.Project) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	list.known, list.until = projects, time.Now().Add(remembered)
	return nil
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
