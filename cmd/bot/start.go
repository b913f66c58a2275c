package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// noteTime is how long one entry of the trail may take.
const noteTime = 2 * time.Second

// noteKeys puts into the audit trail with what this process began, and from then on
// which other keys it takes up.
func noteKeys(ctx context.Context, store *approvals.Store, cfg *config, log *slog.Logger) error {
	if err := noteStart(ctx, store, cfg, log); err != nil {
		return err
	}
	if cfg.keyset == "" {
		return nil
	}
	follower := &keysetFollower{path: cfg.keyset, sealer: cfg.sealer, note: store.Rekeyed, log: log, noted: keyIDs(cfg.sealer)}
	return follower.run(ctx)
}

// noteStart notes the start, again and again while Redis is away. Nothing waits for it.
func noteStart(ctx context.Context, store *approvals.Store, cfg *config, log *slog.Logger) error {
	start := approvals.Start{Version: buildVersion(), Config: cfg.digest, Keys: keyIDs(cfg.sealer)}
	note := func() (struct{}, error) {
		call, cancel := context.WithTimeout(ctx, noteTime)
		defer cancel()
		return struct{}{}, store.Started(call, start)
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = time.Second, time.Minute
	_, err := backoff.Retry(ctx, note, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			log.WarnContext(ctx, "note the start in the audit trail", "error", err, "pause", pause.String())
		}))
	if ctx.Err() != nil {
		return nil // the bot ends before Redis came back
	}
	return err
}

// digestOf names the settings: all that is set and no secret, so that nobody can
// guess one by it.
func digestOf(settings func(name string) string) string {
	sum := sha256.New()
	for _, v := range variables {
		if !v.secret {
			value := settings(v.name)
			_, _ = fmt.Fprintf(sum, "%s=%d:%s", v.name, len(value), value) // a hash takes everything
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// keyIDs are the IDs of the keys that seal, the primary one first.
func keyIDs(sealer *secret.Sealer) string {
	var ids []string
	for _, key := range sealer.Keys() {
		if key.Primary {
			ids = append([]string{fmt.Sprint(key.ID)}, ids...)
		} else {
			ids = append(ids, fmt.Sprint(key.ID))
		}
	}
	return strings.Join(ids, ",")
}
