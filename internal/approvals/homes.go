package approvals

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// homeTime is how long a Home tab is kept current after somebody looked at it:
	// Slack does not tell when they turn away.
	homeTime = 30 * time.Minute
	// homePause is between two looks for tabs that show something old.
	homePause = 2 * time.Second
	// homesAtOnce bounds the calls for them.
	homesAtOnce = 4
)

// Homes keeps the Home tabs in step with the requests: those that somebody looked
// at lately. A tab that could not be drawn is drawn with the next change.
type Homes struct {
	Store *Store
	Draw  func(ctx context.Context, user string) error
}

// Run draws until ctx ends.
func (h *Homes) Run(ctx context.Context) error {
	tick := time.NewTicker(homePause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		users, err := h.Store.homesBehind(ctx)
		if err != nil {
			continue // the queues of the same Redis say so
		}
		var drawing errgroup.Group
		drawing.SetLimit(homesAtOnce)
		for _, user := range users {
			drawing.Go(func() error {
				if err := guarded(func() error { return h.Draw(ctx, user) }); err != nil {
					h.Store.log().WarnContext(ctx, "draw a home tab", "user", user, "error", err)
				}
				return nil
			})
		}
		_ = drawing.Wait() // none gives an error
	}
}

// Looked notes that somebody looks at their Home tab, before it is drawn.
func (s *Store) Looked(ctx context.Context, user string) error {
	if err := lookedScript.Run(ctx, s.Redis, s.keys().homes(), user).Err(); err != nil {
		return fmt.Errorf("note who looks at their home tab: %w", err)
	}
	return nil
}

// homesBehind takes those whose Home tab shows an older state than there is.
func (s *Store) homesBehind(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	users, err := homesScript.Run(ctx, s.Redis, s.keys().homes(), homeTime.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("find home tabs to draw: %w", err)
	}
	return users, nil
}

// homes lists the keys in the order in which homes.lua takes them.
func (k keys) homes() []string { return []string{k.name("homes"), k.name("homes:drawn"), k.audit()} }
