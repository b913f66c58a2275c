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
	keys := s.keys().move("", s.keys().name("started"))
	if _, err := s.run(ctx, startedScript, "", Actor{Via: "bot"}, keys, start.Version, start.Config, s.Policy.Digest(), start.Keys); err != nil {
		return fmt.Errorf("note the start: %w", err)
	}
	return nil
}
