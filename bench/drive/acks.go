package drive

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// Acks has n people type a command and then click a button at a time, so many rounds.
// Nothing is expected of the bot but an ack: it is how the floor is measured.
func (w *World) Acks(ctx context.Context, n, rounds int) error {
	for range rounds {
		w.Slack.Gather(n)
		if err := each(n, func(i int) error {
			_, err := w.seats[i].person.Command(ctx, incidents, command, "update "+w.seats[i].project+" "+typ)
			return err
		}); err != nil {
			return err
		}
		card := slacksim.Message{Channel: Approvals, TS: "1.000001"}
		w.Slack.Gather(n)
		if err := each(n, func(int) error {
			return w.Slack.Person(approver).ClickStale(ctx, card, "approve", "req_0000000000")
		}); err != nil {
			return err
		}
	}
	return nil
}

// Refreshed is what became of commands while connections came and went.
type Refreshed struct {
	Commands  int           `json:"commands"`
	Refreshes int           `json:"refreshes"`
	Lost      int           `json:"lost"`
	Late      int           `json:"late"` // acked after more than a second
	Slowest   time.Duration `json:"slowest"`
}

// lateness is after what an ack counts as late.
const lateness = time.Second

// Refresh has people type so many commands a second, while every second all
// connections of the app are told that they end, as Slack does before it cuts them.
func (w *World) Refresh(ctx context.Context, perSecond int, d time.Duration) (Refreshed, error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	var r Refreshed
	var mu sync.Mutex
	var typing sync.WaitGroup
	begun, refresh := time.Now(), time.NewTicker(time.Second)
	defer refresh.Stop()
	next := time.NewTicker(time.Second / time.Duration(perSecond))
	defer next.Stop()
	for i := 0; time.Since(begun) < d; {
		select {
		case <-refresh.C:
			w.Slack.Refresh("refresh_requested")
			r.Refreshes++
		case <-next.C:
			s := w.seats[i%len(w.seats)]
			i++
			typing.Go(func() {
				result, err := s.person.Command(ctx, incidents, command, "help")
				mu.Lock()
				defer mu.Unlock()
				r.Commands++
				var lost *slacksim.DeliveryError
				switch {
				case errors.As(err, &lost):
					r.Lost++
				case err == nil && result.AckTime > lateness:
					r.Late++
				}
				r.Slowest = max(r.Slowest, result.AckTime)
			})
		case <-ctx.Done():
			typing.Wait()
			return r, ctx.Err()
		}
	}
	typing.Wait()
	return r, nil
}
