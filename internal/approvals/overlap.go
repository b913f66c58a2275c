package approvals

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Overlap is what a request knows of another one that is open for some of its
// targets. Both may be applied, but where the first of them was, the second finds
// that somebody changed the target. Submission and end of a request tell the others:
// see prelude.lua.
type Overlap struct {
	Requester string   `json:"requester"`
	Projects  []string `json:"projects"` // IDs of the targets that both have
}

// mostOverlaps is how many of the newest others for a target a request is told of.
const mostOverlaps = 5

// Overlapping finds open requests for a type of integration in any of the projects,
// newest first: for whoever is about to make one.
func (s *Store) Overlapping(ctx context.Context, t *atlas.Type, projects []atlas.Project) ([]*Request, error) {
	asking := s.Redis.Pipeline()
	lists := make([]*redis.StringSliceCmd, len(projects))
	for i, project := range projects {
		lists[i] = asking.ZRevRange(ctx, s.keys().openFor(project.ID, t.Name), 0, mostOverlaps-1)
	}
	if _, err := asking.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for other requests: %w", err)
	}
	var ids []string
	for _, list := range lists {
		ids = append(ids, list.Val()...)
	}
	slices.Sort(ids)
	found, err := s.read(ctx, slices.Compact(ids))
	if err != nil {
		return nil, fmt.Errorf("look for other requests: %w", err)
	}
	found = slices.DeleteFunc(found, func(r *Request) bool { return !r.State.Open() })
	slices.SortFunc(found, func(a, b *Request) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return found[:min(len(found), mostOverlaps)], nil
}
