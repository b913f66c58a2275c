package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestPayloadsOfOthers: whatever another workspace or another app sends is acked, so
// that it does not come again, counted, and nothing else: this bot has neither Slack
// nor Redis, so anything more would be a panic. What was typed is not logged.
func TestPayloadsOfOthers(t *testing.T) {
	t.Parallel()
	const typed = "typed by a stranger"
	for kind, payload := range map[string]string{
		"slash_commands": `{"team_id":%q,"api_app_id":%q,"user_id":"U0","text":"update ` + typed + `"}`,
		"interactive": `{"type":"view_submission","team":{"id":%q},"api_app_id":%q,"user":{"id":"U0"},
			"view":{"callback_id":"update_integration","state":{"values":{"reason":{"reason":{"value":"` + typed + `"}}}}}}`,
		"events_api": `{"team_id":%q,"api_app_id":%q,"event":{"type":"app_home_opened","tab":"home","user":"U0"}}`,
	} {
		for name, from := range map[string]struct{ team, app, reason string }{
			"another workspace": {"T0OTHER", "A0OURS", "team"}, "no workspace": {"", "A0OURS", "team"},
			"another app": {"T0OURS", "A0OTHER", "app"}, "no app": {"T0OURS", "", "app"},
		} {
			t.Run(kind+" of "+name, func(t *testing.T) {
				t.Parallel()
				var logs bytes.Buffer
				var dropped []string
				var acks []any
				bot := &Bot{
					Team: "T0OURS", AppID: "A0OURS", Log: slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
					Dropped: func(reason string) { dropped = append(dropped, reason) },
				}
				bot.Handle(t.Context(), Envelope{Type: kind, Payload: json.RawMessage(fmt.Sprintf(payload, from.team, from.app))},
					func(payload any) error { acks = append(acks, payload); return nil })
				assert.Equal(t, []any{nil}, acks)
				assert.Equal(t, []string{from.reason}, dropped)
				assert.NotContains(t, logs.String(), typed)
			})
		}
	}
}

// TestTheAddressOfAnAnswerIsNotLogged: whoever has it can answer in the bot's place.
func TestTheAddressOfAnAnswerIsNotLogged(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("failed to post webhook: %w", &url.Error{
		Op: "Post", URL: "https://hooks.slack.invalid/actions/T0/1/x", Err: errors.New("connection reset by peer"),
	})
	assert.Equal(t, "connection reset by peer", slackFault(err))
}

// TestMarkupOfManyPeople: as many are named as there is room for.
func TestMarkupOfManyPeople(t *testing.T) {
	t.Parallel()
	assert.Empty(t, markup(nil))
	assert.Equal(t, "<@U0JO>, <!subteam^S0ONCALL>", markup([]string{"U0JO", "S0ONCALL"}))
	many := markup(slices.Repeat([]string{"U0APPROVER"}, 100))
	assert.Regexp(t, `^(<@U0APPROVER>, ){59}<@U0APPROVER> and 40 more$`, many)
	assert.LessOrEqual(t, len(many), 1000)
}
