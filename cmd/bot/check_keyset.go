package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// checkKeys says which keys seal and open, which of them can go, and which are
// missing for what waits.
func checkKeys(ctx context.Context, r *report, cfg *config, team string) {
	r.ok("sealing keyset", "%s", describeKeys(cfg.sealer))
	if team == "" {
		return // what waits is kept under the workspace's ID
	}
	rdb := cfg.redis.client()
	defer func() { _ = rdb.Close() }() // nothing is left to lose
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	use, err := (&approvals.Store{Redis: rdb, Team: team}).KeysInUse(ctx)
	if err != nil {
		r.add(doubt, "keys in use", "not looked at", "Redis has to answer first")
		return
	}
	for _, key := range cfg.sealer.Keys() {
		subject := fmt.Sprintf("key %d", key.ID)
		needed, waits := use[key.ID]
		switch {
		case waits && key.Primary:
			r.ok(subject, "seals; needed for %s under way", requests(needed.Requests))
		case waits:
			r.ok(subject, "needed for %s under way, until %s at the latest: keep it", requests(needed.Requests), needed.Until.Format(time.RFC3339))
		case !key.Primary:
			r.ok(subject, "not needed for anything under way: once every replica seals with the primary key, it can go with `bot keyset remove %d`", key.ID)
		}
		delete(use, key.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(use)) {
		r.add(failure, fmt.Sprintf("key %d", id), fmt.Sprintf("not in the keyset, but needed for %s under way", requests(use[id].Requests)),
			"put the keyset back that has it, or have these requests made again")
	}
}

func requests(n int) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}
