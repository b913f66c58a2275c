package approvals

import (
	"context"
	"fmt"
)

// A Start is with what a process of the bot began. None of it is secret.
type Start struct {
	Version string
	Config  string // a digest of the settings, without the secrets among them, in hex
	Keys    string // IDs of the keys that seal, the primary one first
}

// Started notes in the audit trail that a process began, and whether the policy or
// the keys are others than those of the process that began before it.
func (s *Store) Started(ctx context.Context, start Start) error {
	if _, err := s.run(ctx, startedScript, "", Actor{Via: "bot"}, s.keys().move("", s.keys().started()), start.Version, start.Config, s.Policy.Digest(), start.Keys); err != nil {
		return fmt.Errorf("note the start: %w", err)
	}
	return nil
}

// Rekeyed notes in the audit trail that a process goes on with other keys. Keys are
// as in Start.
func (s *Store) Rekeyed(ctx context.Context, keys string) error {
	if _, err := s.run(ctx, rekeyedScript, "", Actor{Via: "bot"}, s.keys().move("", s.keys().started()), keys); err != nil {
		return fmt.Errorf("note other keys: %w", err)
	}
	return nil
}
