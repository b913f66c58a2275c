package commands

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// projectList remembers for a minute which projects there are.
type projectList struct {
	guard  sync.Mutex
	known  []atlas.Project
	until  time.Time
	asking *question      // nil: nobody asks
	asked  sync.WaitGroup // the goroutine that asks; Close waits for it
	closed bool
}

// A question is one for the whole list, which everybody who needs it meanwhile waits for.
type question struct {
	cancel context.CancelFunc
	begun  time.Time
	done   chan struct{} // closed when it has an answer
	err    error         // then: why it is none
}

const (
	// listTime is how long the whole list may take. A large organization has many pages,
	// and Atlas may be slow: longer than an ack can wait.
	listTime = 30 * time.Second
	// missed is how long the list of before stands when Atlas did not give a newer one.
	missed = 10 * time.Second
)

var (
	errNotYet = errors.New("atlas has not listed its projects yet")
	errClosed = errors.New("the bot is ending")
)

// offered lists the projects that may be chosen, by name. It waits for Atlas as long as an
// ack can; the list that comes later is for whoever asks next. Until then, what Atlas said
// last still stands: a project that is gone by now is found out when it is read.
func (b *Bot) offered(ctx context.Context) ([]atlas.Project, error) {
	if len(b.Projects) > 0 {
		return b.Projects, nil
	}
	list := &b.projects
	list.guard.Lock()
	if time.Now().Before(list.until) {
		defer list.guard.Unlock()
		return list.known, nil
	}
	q := b.askForProjects(ctx)
	list.guard.Unlock()
	err := q.wait(ctx)

	list.guard.Lock()
	defer list.guard.Unlock()
	if err == nil {
		return list.known, nil
	}
	if list.known == nil {
		return nil, err
	}
	if !time.Now().Before(list.until) { // so that the next need not wait as well
		list.until = time.Now().Add(missed)
	}
	return list.known, nil
}

// namedProject reports whether a word is one of the name of a project that the bot knows
// of. It does not ask Atlas.
func (b *Bot) namedProject(word string) bool {
	projects := b.Projects
	if len(projects) == 0 {
		b.projects.guard.Lock()
		projects = b.projects.known
		b.projects.guard.Unlock()
	}
	return slices.ContainsFunc(projects, func(p atlas.Project) bool {
		return slices.ContainsFunc(strings.Fields(p.Name), func(part string) bool { return strings.EqualFold(part, word) })
	})
}

// wait waits for the answer, but no longer than an ack can.
func (q *question) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, peopleTime)
	defer cancel()
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return errNotYet
	}
}

// askForProjects asks for all who wait and for those who come later, so it does not end
// with the first of them. The list is locked.
func (b *Bot) askForProjects(ctx context.Context) *question {
	list := &b.projects
	if list.asking != nil {
		return list.asking
	}
	q := &question{begun: time.Now(), done: make(chan struct{})}
	if list.closed {
		q.err = errClosed
		close(q.done)
		return q
	}
	ctx, q.cancel = context.WithTimeout(context.WithoutCancel(ctx), listTime)
	list.asking = q
	list.asked.Go(func() {
		defer q.cancel()
		projects, err := b.listProjects(ctx)
		b.keepProjects(ctx, q, projects, err)
	})
	return q
}

// listProjects makes a panic an error: outside of a handler, nobody else recovers from it.
// Of its value only the type is told, as nobody knows what is in it.
func (b *Bot) listProjects(ctx context.Context) (projects []atlas.Project, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic of type %T at %s", p, debug.Stack())
		}
	}()
	return b.Atlas.Projects(ctx)
}

// keepProjects answers a question.
func (b *Bot) keepProjects(ctx context.Context, q *question, projects []atlas.Project, err error) {
	list := &b.projects
	list.guard.Lock()
	defer list.guard.Unlock()
	defer close(q.done)
	list.asking, q.err = nil, err
	switch {
	case err == nil:
		slices.SortFunc(projects, func(a, b atlas.Project) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		list.known, list.until = projects, time.Now().Add(remembered)
	case list.closed:
	case list.known != nil:
		b.log().WarnContext(ctx, "list projects; the list of before stands", "error", err)
		list.until = time.Now().Add(missed)
	case time.Since(q.begun) >= peopleTime: // whoever waited was told that it is not there yet, and not why
		b.log().WarnContext(ctx, "list projects", "error", err)
	}
}

// Close ends what the bot still asks Atlas for, and waits for that. After it, nothing is
// asked any more.
func (b *Bot) Close() {
	list := &b.projects
	list.guard.Lock()
	list.closed = true
	if list.asking != nil {
		list.asking.cancel()
	}
	list.guard.Unlock()
	list.asked.Wait()
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
