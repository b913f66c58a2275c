package approvals

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Overlap is what a request knows of another one that is open for some of its
// targets. Both may be applied, but where the first of them was, the second finds
// that somebody changed the target.
type Overlap struct {
	Requester string   `json:"requester"`
	Projects  []string `json:"projects"` // IDs of the targets that both have
}

const (
	// mostOverlaps is how many others a request is told of, and mostRead among how
	// many open ones in its projects, of whatever type, these are found.
	mostOverlaps = 5
	mostRead     = 20
	// lookedAt is how many of the newest requests, of all open ones and of each
	// project, are looked through: what is open is new, and so the look costs the same
	// whatever there is in history.
	lookedAt = 100
	// overlapGrace is how soon the messages of a request say so: where many people want
	// the same, several changes make one drawing.
	overlapGrace = 2 * time.Second
)

// Overlapping finds open requests for a type of integration in any of the projects,
// newest first.
func (s *Store) Overlapping(ctx context.Context, t *atlas.Type, projects []atlas.Project) ([]*Request, error) {
	return s.overlapping(ctx, t, projects, "")
}

// overlapping does so and leaves one request out.
func (s *Store) overlapping(ctx context.Context, t *atlas.Type, projects []atlas.Project, except string) ([]*Request, error) {
	ids, err := s.openIn(ctx, projects)
	if err != nil {
		return nil, fmt.Errorf("look for other requests: %w", err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == except })
	found, err := s.read(ctx, ids[:min(len(ids), mostRead)])
	if err != nil {
		return nil, fmt.Errorf("look for other requests: %w", err)
	}
	found = slices.DeleteFunc(found, func(r *Request) bool {
		return r.Type != t.Name || !r.State.Open() || len(r.shared(projects)) == 0
	})
	return found[:min(len(found), mostOverlaps)], nil
}

// openIn names the open requests that name any of the projects, newest first.
func (s *Store) openIn(ctx context.Context, projects []atlas.Project) ([]string, error) {
	asking := s.Redis.Pipeline()
	open := asking.ZRevRange(ctx, s.keys().open(), 0, lookedAt-1)
	lists := make([]*redis.StringSliceCmd, len(projects))
	for i, project := range projects {
		lists[i] = asking.ZRevRange(ctx, s.keys().project(project.ID), 0, lookedAt-1)
	}
	if _, err := asking.Exec(ctx); err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, list := range lists {
		for _, id := range list.Val() {
			named[id] = true
		}
	}
	return slices.DeleteFunc(open.Val(), func(id string) bool { return !named[id] }), nil
}

// Overlap is what the request may know of another.
func (r *Request) Overlap(other *Request) Overlap {
	return Overlap{Requester: other.Requester, Projects: other.shared(r.Targets)}
}

// shared are the IDs of the projects that the request is for, too.
func (r *Request) shared(projects []atlas.Project) []string {
	var ids []string
	for _, project := range projects {
		if slices.ContainsFunc(r.Targets, func(p atlas.Project) bool { return p.ID == project.ID }) {
			ids = append(ids, project.ID)
		}
	}
	return ids
}

// meet has a request and the others that are open for some of its targets know of
// each other, and forget those that no longer are. The messages of the others follow.
// It returns the request as it is then. Each pair is settled by a script that looks at
// both, so it does not matter who comes first, nor how often.
func (s *Store) meet(ctx context.Context, r *Request) (*Request, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	others, err := s.overlapping(ctx, r.Catalog(), r.Targets, r.ID)
	if err != nil {
		return r, err
	}
	ended := map[string]bool{} // until it turns out to be open
	for id := range r.Overlaps {
		ended[id] = true
	}
	for _, other := range others {
		delete(ended, other.ID)
		if _, known := other.Overlaps[r.ID]; known != r.State.Open() {
			if _, err := s.note(ctx, other, r); err != nil {
				return r, err
			}
		}
		if _, known := r.Overlaps[other.ID]; !known && r.State.Open() {
			if r, err = s.note(ctx, r, other); err != nil {
				return r, err
			}
		}
	}
	for id := range ended {
		if r.State.Open() {
			if r, err = s.note(ctx, r, &Request{Submission: Submission{ID: id}}); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// note has a request know whether another is open. It returns the request as it is then.
func (s *Store) note(ctx context.Context, r, other *Request) (*Request, error) {
	text, err := json.Marshal(r.Overlap(other))
	if err != nil {
		return r, fmt.Errorf("note that request %s overlaps %s: %w", other.ID, r.ID, err)
	}
	reply, err := s.run(ctx, overlapScript, r.ID, Actor{}, s.keys().move(r.ID, s.keys().request(other.ID)), other.ID, text, overlapGrace.Milliseconds())
	if err != nil {
		return r, fmt.Errorf("note that request %s overlaps %s: %w", other.ID, r.ID, err)
	}
	if reply.request != nil {
		return reply.request, nil
	}
	return r, nil
}
