package commands

import (
	"strings"
	"testing"
)

// Whatever an envelope holds: no panic, and an error does not quote it.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		`{"team_id":"T0","text":"update payments-prod","user_id":"U0"}`,
		`{"type":"view_submission","team":{"id":"T0"},"view":{"callback_id":"update_integration","state":{"values":{"reason":{"reason":{"value":"why"}}}}}}`,
		`{"type":"block_actions","team":null,"view":{"app_installed_team_id":"T0"},"actions":[{"action_id":"approve","value":"req_7Q2M4KX9TB"}]}`,
		`{"type":"shortcut","callback_id":"update_integration"}`, `{"team_id":"T0","event":{"type":"app_home_opened","tab":"home"}}`,
		`{"view":{"state":[]}}`, `{"actions":{}}`, `[]`, `null`, `"x"`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var c slashCommand
		var i interaction
		var e event
		for _, into := range []any{&c, &i, &e} {
			if err := read(payload, into); err != nil && len(err.Error()) > 100 {
				t.Fatalf("the error grows with the payload: %d bytes", len(err.Error()))
			}
		}
		_ = i.team()
		if words := strings.Fields(c.Text); holdsKey(words, nobody) && len(words) == 0 {
			t.Fatal("nothing is no key")
		}
	})
}
