package approvals

import (
	"context"
	"fmt"
	"slices"

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
	keys := []string{s.keys().open()}
	for _, project := range projects {
		keys = append(keys, s.keys().openFor(project.ID, t.Name))
	}
	answer, err := overlappingScript.Run(ctx, s.Redis, keys, mostOverlaps, s.keys().request("")).Slice()
	if err != nil {
		return nil, fmt.Errorf("look for other requests: %w", err)
	}
	var found []*Request
	for i := 1; i+1 < len(answer); i += 2 {
		ms, _ := answer[0].(string)
		id, _ := answer[i].(string)
		fields := pairs(answer[i+1])
		if len(fields) == 0 {
			continue // Redis lost it
		}
		r, err := s.decode(id, fields, clock(ms))
		if err != nil {
			return nil, fmt.Errorf("look for other requests: %w", err)
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b *Request) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return found[:min(len(found), mostOverlaps)], nil
}
