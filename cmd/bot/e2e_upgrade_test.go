package main_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestUpgrade: two replicas are replaced, one at a time, each new one after an old one was told to end, as the chart does
// it and docs/operations.md says. People go on all the while. There is always a connection for what they do; what crosses the goodbye of a replica
// on the wire is all that can go unanswered, and doing it again is answered. What was asked for at the old replicas is
// approved and applied by the new ones.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, slacksim.Options{NoRateLimits: true}, atlassim.Options{})
	replicas := []*process{w.start(t), w.start(t)}
	require.Empty(t, w.ask(t, mira, rotation("4444", "payments-prod")).Errors)
	card := w.card(t, "pending")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const connections = 2 // of a replica, which says goodbye on both
	over := make(chan struct{})
	var working sync.WaitGroup
	answered, again := make([]int, 3), make([]int, 3)
	for i, who := range []string{sam, jo, kim} {
		working.Go(func() {
			person := w.slack.Person(who)
			for tries := 0; ; {
				select {
				case <-over:
					return
				default:
				}
				result, err := person.Command(ctx, incidents, command, "help")
				switch {
				case err == nil:
					tries = 0
					answered[i]++
					assert.NotNil(t, result.Message, "no help")
				case strings.Contains(err.Error(), "the connection ended before the ack") && tries < connections:
					tries++
					again[i]++
				default:
					assert.NoError(t, err, "%s is not answered", who)
					return
				}
			}
		})
	}
	for i, old := range replicas {
		old.stop(t)
		replicas[i] = w.start(t)
	}
	close(over)
	working.Wait()
	t.Logf("answered %v, asked again %v", answered, again)
	for i := range answered {
		assert.Positive(t, answered[i])
		assert.LessOrEqual(t, again[i], connections*len(replicas), "at each goodbye of a connection at most once")
	}
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
	assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
}
