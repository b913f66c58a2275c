package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// Show posts or updates a message about a request. It is the bot's side of
// approvals.Notifier; a reference is "channel:timestamp".
func (b *Bot) Show(ctx context.Context, r *approvals.Request, kind approvals.Kind, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	m := draw(r, kind)
	content := slack.MsgOptionCompose(
		slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	)
	if channel, ts, ok := strings.Cut(ref, ":"); ok {
		_, _, _, err := b.Slack.UpdateMessageContext(ctx, channel, ts, content)
		switch {
		case err == nil:
			return ref, nil
		case !refused(err, "message_not_found", "cant_update_message", "edit_window_closed"):
			return "", later(err)
		case !r.State.Open():
			return ref, nil // somebody deleted it, and nothing is left to do
		}
	}
	channel, thread := b.Channel, ""
	switch kind {
	case approvals.DM:
		channel = r.Requester
	case approvals.Report:
		_, thread, _ = strings.Cut(r.Messages[string(approvals.Card)].Ref, ":")
	}
	options := []slack.MsgOption{content}
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	channel, ts, err := b.Slack.PostMessageContext(ctx, channel, options...)
	if err != nil {
		return "", later(err)
	}
	return reference(channel, ts), nil
}

func draw(r *approvals.Request, kind approvals.Kind) modals.Message {
	switch kind {
	case approvals.DM:
		return modals.DM(r)
	case approvals.Report:
		return modals.Report(r)
	default:
		return modals.Card(r)
	}
}

func reference(channel, ts string) string {
	if channel == "" || ts == "" {
		return ""
	}
	return channel + ":" + ts
}

// later tells the projector when Slack wants to be asked again.
func later(err error) error {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return &approvals.LaterError{After: limited.RetryAfter, Err: err}
	}
	return fmt.Errorf("slack: %s", slackFault(err))
}
