package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// keysetLook is the time between two looks at the file of the keyset. Kubernetes
// takes about a minute to change what it has mounted.
const keysetLook = 5 * time.Second

// A keysetFollower takes up what the file of the keyset holds when that changes, so
// that keys are rotated without a restart. It reads the file anew each time: what is
// mounted is exchanged by links, which not every way of watching sees.
type keysetFollower struct {
	path   string
	sealer *secret.Sealer
	note   func(ctx context.Context, keys string) error // for the audit trail
	log    *slog.Logger
	noted  string // IDs of the keys that the trail knows of
	wrong  string // what was last said of a file that is no keyset
}

func (f *keysetFollower) run(ctx context.Context) error {
	look := time.NewTicker(keysetLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			f.look(ctx)
		}
	}
}

// look takes up what the file holds. Whatever is wrong with it, the keyset of before
// stays, and the log says so once.
func (f *keysetFollower) look(ctx context.Context) {
	held, err := readSecretFile(f.path)
	if err == nil {
		err = f.sealer.Replace(secret.New(held)) // the same keyset changes nothing
	}
	if err != nil {
		if says := err.Error(); says != f.wrong { // it quotes neither path nor keyset
			f.wrong = says
			f.log.ErrorContext(ctx, "SEALING_KEYSET_FILE changed and holds no keyset; the keyset of before stays", "error", says)
		}
		return
	}
	f.wrong = ""
	keys := keyIDs(f.sealer)
	if keys == f.noted {
		return
	}
	call, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	if err := f.note(call, keys); err != nil {
		f.log.WarnContext(ctx, "note other keys in the audit trail", "error", err)
		return // at the next look
	}
	f.noted = keys
	f.log.InfoContext(ctx, "took up another keyset", "sealing", describeKeys(f.sealer))
}
