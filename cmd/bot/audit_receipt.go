package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// A receipt is all that is known of a request: what was asked, seen, decided and
// proven, and what the audit trail says of it. It holds no secret.
type receipt struct {
	Asked     approvals.Submission `json:"asked"`
	Digest    string               `json:"digest"` // of what was asked, which approval and sealed values are bound to
	State     approvals.State      `json:"state"`
	CreatedAt time.Time            `json:"created_at"`
	DecidedAt time.Time            `json:"decided_at,omitzero"`
	Approvals []approvals.Vote     `json:"approvals,omitempty"`
	DecidedBy string               `json:"decided_by,omitempty"` // who denied or cancelled it
	Note      string               `json:"note,omitempty"`
	Targets   []receiptTarget      `json:"targets"`
	Trail     []approvals.Entry    `json:"trail"`
}

type receiptTarget struct {
	Project atlas.Project      `json:"project"`
	Before  *atlas.Integration `json:"before,omitempty"` // as Atlas showed it when the request was made
	Outcome approvals.Outcome  `json:"outcome"`
	Result  approvals.Result   `json:"result,omitzero"`
}

func printReceipt(ctx context.Context, store *approvals.Store, id string, w io.Writer) error {
	reading, cancel := context.WithTimeout(ctx, trailTime)
	defer cancel()
	r, err := store.Get(reading, id)
	if errors.Is(err, approvals.ErrNotFound) {
		return fmt.Errorf("there is no request %s; requests are kept for RETENTION after they are decided", id)
	}
	if err != nil {
		return fmt.Errorf("print a receipt: %w", err)
	}
	out := receipt{
		Asked: r.Submission, Digest: r.Digest, State: r.State, CreatedAt: r.CreatedAt, DecidedAt: r.DecidedAt,
		Approvals: r.Votes, DecidedBy: r.DecidedBy, Note: r.Note,
	}
	for _, project := range r.Targets {
		target := r.Target(project.ID)
		out.Targets = append(out.Targets, receiptTarget{Project: project, Before: target.Baseline, Outcome: target.Outcome, Result: target.Result})
	}
	if out.Trail, err = trailOf(ctx, store, id); err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(out); err != nil {
		return fmt.Errorf("print a receipt: %w", err)
	}
	return nil
}

// trailOf are the entries about one request.
func trailOf(ctx context.Context, store *approvals.Store, id string) ([]approvals.Entry, error) {
	var trail []approvals.Entry
	for after := ""; ; {
		entries, err := readTrail(ctx, store, after)
		if err != nil || len(entries) == 0 {
			return trail, err
		}
		for _, e := range entries {
			after = e.ID
			if e.Fields["request"] == id {
				trail = append(trail, e)
			}
		}
	}
}
