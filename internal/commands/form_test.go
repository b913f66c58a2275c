package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// TestAskedAnew: a new request repeats what was to change, and undoes nothing that
// somebody else has changed since.
func TestAskedAnew(t *testing.T) {
	t.Parallel()
	showing := func(plain map[string]string) approvals.Target {
		return approvals.Target{Baseline: &atlas.Integration{Plain: plain}}
	}
	asked := map[string]string{"region": "EU", "routingKey": "night-shift"}
	for _, tt := range []struct {
		name     string
		outcomes map[string]approvals.Target
		want     map[string]string
	}{
		{"nothing was to change", map[string]approvals.Target{"a": showing(asked), "b": showing(asked)}, map[string]string{}},
		{
			"in one project",
			map[string]approvals.Target{"a": showing(asked), "b": showing(map[string]string{"region": "US", "routingKey": "night-shift"})},
			map[string]string{"region": "EU"},
		},
		{"one was not read", map[string]approvals.Target{"a": showing(asked)}, asked},
		{"none was read", nil, asked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &approvals.Request{Outcomes: tt.outcomes}
			r.Plain, r.Targets = asked, []atlas.Project{{ID: "a"}, {ID: "b"}}
			assert.Equal(t, tt.want, askedAnew(r))
		})
	}
}
