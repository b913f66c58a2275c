package approvals

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	headEvery = 24 * time.Hour
	headLook  = 15 * time.Second // between two looks whether it is time
	headTime  = 30 * time.Second // for posting it; then another process may
)

// A Head is the end of the audit trail at some time: an export of the trail in which
// no entry has its hash was cut off before it, or is of another trail.
type Head struct {
	Entry string
	Hash  string
}

// Heads posts once a day where the trail ends, to a place that whoever writes to
// Redis does not write to. One of several processes does it; a head that could not
// be posted is posted a little later.
type Heads struct {
	Store *Store
	Post  func(ctx context.Context, head Head) error
}

// Run posts until ctx ends.
func (h *Heads) Run(ctx context.Context) error {
	look := time.NewTimer(headLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if err := guarded(func() error { return h.post(ctx) }); err != nil && ctx.Err() == nil {
				h.Store.log().WarnContext(ctx, "post the head of the audit trail", "error", err)
			}
			look.Reset(headLook*3/4 + rand.N(headLook/2)) //nolint:gosec // spreads replicas, guards nothing
		}
	}
}

func (h *Heads) post(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, headTime)
	defer cancel()
	head, due, err := h.Store.head(ctx, "")
	if err != nil || !due {
		return err
	}
	if err := h.Post(ctx, head); err != nil {
		return err
	}
	h.Store.log().InfoContext(ctx, "head of the audit trail", "entry", head.Entry, "hash", head.Hash)
	_, _, err = h.Store.head(ctx, head.Hash)
	return err
}

// head asks whether it falls to this process to post the head, or says which one it
// has posted.
func (s *Store) head(ctx context.Context, posted string) (head Head, due bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := headScript.Run(ctx, s.Redis, []string{s.keys().audit(), s.keys().name("head")},
		headEvery.Milliseconds(), headTime.Milliseconds(), posted).StringSlice()
	switch {
	case err != nil:
		return Head{}, false, fmt.Errorf("ask whether the head of the audit trail is to be posted: %w", err)
	case len(answer) < 2:
		return Head{}, false, nil
	default:
		return Head{Entry: answer[0], Hash: answer[1]}, true, nil
	}
}
