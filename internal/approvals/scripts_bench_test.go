package approvals

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// BenchmarkMoves is every script that a request goes through on its way, from the
// submission to the last message, and the record that is read at a click.
func BenchmarkMoves(b *testing.B) {
	s := newStore(b)
	ctx := b.Context()
	shown := encode(&atlas.Integration{Type: "PAGER_DUTY", ID: "64c0ffee", Plain: map[string]string{"region": "EU"}, Masks: map[string]atlas.Mask{"serviceKey": {LastFour: "beef"}}})
	locks := []string{s.keys().target(payments.ID, "PAGER_DUTY")}
	settings := pagerDuty(b, newKey("beef"))
	due, show := worker{store: s, name: "due"}, worker{store: s, name: "show"}
	var id, lease string
	run := func(script scripter, by Actor, more []string, args ...any) error {
		r, err := s.run(ctx, script, id, by, s.keys().move(id, more...), args...)
		if err == nil && r.word != "ok" {
			err = fmt.Errorf("answered %s", r.word)
		}
		return err
	}
	claim := func(w *worker) error {
		r, err := w.claim(ctx, id)
		if err == nil && r == nil {
			return fmt.Errorf("there is nothing to claim")
		}
		if r != nil {
			lease = r.lease
			if w.name == "show" {
				lease = r.showLease
			}
		}
		return err
	}
	drawn := encode(Message{Ref: "C0APPROVAL:1795000000.000100", Version: 2})
	steps := []struct {
		name string
		do   func(i int) error
	}{
		{"submit", func(i int) error {
			r, err := s.Submit(ctx, fmt.Sprintf("V%d", i), settings, Submission{Targets: []atlas.Project{payments}, Reason: "rotated after an incident"}, mira)
			if err == nil {
				id = r.ID
			}
			return err
		}},
		{"claim", func(int) error { return claim(&due) }},
		{"prepare", func(int) error {
			return run(prepareScript, Actor{Via: "bot"}, nil, lease, payments.ID, "waiting", shown, encode(Result{}))
		}},
		{"claim to show", func(int) error { return claim(&show) }},
		{"shown", func(int) error {
			return run(shownScript, Actor{}, nil, lease, 2, -1, 0, "card", drawn, "dm", drawn)
		}},
		{"read", func(int) error {
			_, err := s.Get(ctx, id)
			return err
		}},
		{"approve", func(int) error {
			_, err := s.Approve(ctx, id, jo)
			return err
		}},
		{"claim to apply", func(int) error { return claim(&due) }},
		{"begin", func(int) error {
			return run(beginScript, Actor{Via: "bot"}, locks, lease, time.Hour.Milliseconds(), applyGrace.Milliseconds())
		}},
		{"outcome", func(int) error {
			return run(outcomeScript, Actor{Via: "bot"}, locks, lease, payments.ID, payments.Name, "applied", encode(Result{}), "", retryWindow.Milliseconds())
		}},
	}
	spent := make([]time.Duration, len(steps))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i, step := range steps {
			begun := time.Now()
			require.NoError(b, step.do(n), step.name)
			spent[i] += time.Since(begun)
		}
		n++
	}
	for i, step := range steps {
		b.ReportMetric(float64(spent[i].Microseconds())/float64(n), strings.ReplaceAll(step.name, " ", "-")+"-µs")
	}
}
