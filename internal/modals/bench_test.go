package modals_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// These are on the way of every flow: what is on the screen when somebody submits, the
// form, and the card, before and after the decision.

func BenchmarkParseViewState(b *testing.B) {
	pagerDuty := typeOf(b, "PAGER_DUTY")
	form := modals.Form{Offered: projects(25), Projects: projects(1), Type: pagerDuty}
	state := person{"serviceKey": strings.Repeat("0123456789abcdef", 2), "reason": "rotated"}.fill(b, form.View())
	b.SetBytes(int64(len(state)))
	b.ReportAllocs()
	for b.Loop() {
		var s modals.State
		require.NoError(b, json.Unmarshal(state, &s))
		require.NotNil(b, modals.ReadForm(s).Type)
	}
}

func BenchmarkRenderForm(b *testing.B) {
	form := modals.Form{Offered: projects(25), Projects: projects(1), Type: typeOf(b, "PAGER_DUTY")}
	b.ReportAllocs()
	for b.Loop() {
		_, err := json.Marshal(form.View())
		require.NoError(b, err)
	}
}

func BenchmarkRenderCard(b *testing.B) {
	pending, applied := newRequest(), newRequest()
	decided(applied)
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range []modals.Message{cardOf(pending), cardOf(applied)} {
			_, err := json.Marshal(m.Blocks)
			require.NoError(b, err)
		}
	}
}
