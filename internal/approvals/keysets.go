package approvals

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// A KeyUse is how many requests hold values that a key has sealed, and when the last
// of them is over at the latest.
type KeyUse struct {
	Requests int
	Until    time.Time
}

// KeysInUse tells by ID which keys are needed by what waits. A key that is not among
// them, and with which no process seals any more, can be removed.
func (s *Store) KeysInUse(ctx context.Context) (map[uint32]KeyUse, error) {
	// Whatever holds sealed values is due at some time: at the latest to have them wiped.
	ids, err := s.Redis.ZRangeByScore(ctx, s.keys().due(), &redis.ZRangeBy{Min: "-inf", Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("find what is sealed: %w", err)
	}
	requests, err := s.read(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("find what is sealed: %w", err)
	}
	use := map[uint32]KeyUse{}
	for _, r := range requests {
		sealed, err := s.Redis.Get(ctx, s.keys().sealed(r.ID)).Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find what is sealed: %w", err)
		}
		if id, named := secret.KeyOf(sealed); named {
			known := use[id]
			known.Requests++
			if until := r.sealedUntil(); until.After(known.Until) {
				known.Until = until
			}
			use[id] = known
		}
	}
	return use, nil
}

// sealedUntil is when the sealed values are wiped at the latest, if nobody retries.
func (r *Request) sealedUntil() time.Time {
	switch r.State {
	case Submitted, Pending:
		return r.ExpiresAt.Add(applyWindow + retryWindow)
	case Approved, Applying:
		return r.ApplyUntil.Add(retryWindow)
	default:
		return r.RetryUntil
	}
}
