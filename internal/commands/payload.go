package commands

import (
	"encoding/json"
	"fmt"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// slashCommand is what Slack sends for a typed command. Only what is used is
// read, so that whatever Slack adds does no harm.
type slashCommand struct {
	TeamID      string `json:"team_id"`
	ChannelID   string `json:"channel_id"`
	UserID      string `json:"user_id"`
	Command     string `json:"command"`
	Text        string `json:"text"`
	AppID       string `json:"api_app_id"`
	TriggerID   string `json:"trigger_id"`
	ResponseURL string `json:"response_url"`
}

// interaction is what Slack sends when somebody clicks, chooses, types into a
// search or submits. Of view.state, what was typed becomes secret.Text at once.
type interaction struct {
	Type  string `json:"type"`
	AppID string `json:"api_app_id"`
	Team  *struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	TriggerID   string `json:"trigger_id"`
	ResponseURL string `json:"response_url"`
	Container   struct {
		ChannelID   string `json:"channel_id"`
		MessageTS   string `json:"message_ts"`
		IsEphemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	View *struct {
		ID              string       `json:"id"`
		TeamID          string       `json:"app_installed_team_id"`
		Hash            string       `json:"hash"`
		CallbackID      string       `json:"callback_id"`
		PrivateMetadata string       `json:"private_metadata"`
		State           modals.State `json:"state"`
	} `json:"view"`
	Actions []struct {
		ActionID string `json:"action_id"`
		ActionTS string `json:"action_ts"`
		Value    string `json:"value"`
	} `json:"actions"`
	ActionID   string `json:"action_id"`   // of a block_suggestion
	Value      string `json:"value"`       // typed so far into its search
	CallbackID string `json:"callback_id"` // of a shortcut
}

// team is the workspace that the interaction comes from. An installation for a
// whole organization leaves it out; then the view's says.
func (i *interaction) team() string {
	switch {
	case i.Team != nil && i.Team.ID != "":
		return i.Team.ID
	case i.View != nil:
		return i.View.TeamID
	default:
		return ""
	}
}

// read decodes a payload. Its error does not quote it.
func read(payload json.RawMessage, into any) error {
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("a payload is not of the form that Slack documents (%T)", err)
	}
	return nil
}
