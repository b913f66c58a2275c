package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// PostHead posts where the audit trail ends.
func (b *Bot) PostHead(ctx context.Context, head approvals.Head) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	m := modals.TrailHead(head)
	_, _, err := b.Slack.PostMessageContext(ctx, b.Channel, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...))
	if err != nil {
		return errors.New("slack: " + slackFault(err))
	}
	return nil
}

// Show posts or updates a message about a request. It is the bot's side of
// approvals.Notifier; a reference is "channel:timestamp".
func (b *Bot) Show(ctx context.Context, r *approvals.Request, kind approvals.Kind, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	if kind == approvals.DM { // by now the card is there
		defer b.leadToCard(ctx, r)
	}
	m := b.draw(r, kind)
	content := slack.MsgOptionCompose(
		slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	)
	if channel, ts, ok := strings.Cut(ref, ":"); ok {
		err := b.pauses.keep("edit", func() error {
			_, _, _, err := b.Slack.UpdateMessageContext(ctx, channel, ts, content)
			return err
		})
		switch {
		case err == nil:
			return ref, nil
		case !refused(err, "message_not_found", "cant_update_message", "edit_window_closed"):
			return "", b.unshown(err, channel)
		case !r.State.Open():
			return ref, nil // somebody deleted it, and nothing is left to do
		}
	}
	channel, thread := b.Channel, ""
	switch kind {
	case approvals.DM:
		channel = r.Requester
	case approvals.Verdict:
		channel, thread, _ = strings.Cut(r.Messages[string(approvals.DM)].Ref, ":")
	case approvals.Report, approvals.Reminder, approvals.LastCall:
		_, thread, _ = strings.Cut(r.Messages[string(approvals.Card)].Ref, ":")
	}
	options := []slack.MsgOption{content}
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	var posted, ts string
	err := b.pauses.keep("post in "+channel, func() (err error) {
		posted, ts, err = b.Slack.PostMessageContext(ctx, channel, options...)
		return err
	})
	if err != nil {
		return "", b.unshown(err, channel)
	}
	return reference(posted, ts), nil
}

// pauses remembers how long Slack wants to be left alone with something: a request
// that moves meanwhile is no reason to ask again.
type pauses struct {
	guard sync.Mutex
	until map[string]time.Time
}

// keep makes a call, unless Slack does not want it yet: editing has one limit for the
// workspace, posting one for each channel.
func (p *pauses) keep(what string, call func() error) error {
	p.guard.Lock()
	left := time.Until(p.until[what])
	if left <= 0 {
		delete(p.until, what)
	}
	p.guard.Unlock()
	if left > 0 {
		return &slack.RateLimitedError{RetryAfter: left}
	}
	err := call()
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		p.guard.Lock()
		defer p.guard.Unlock()
		if p.until == nil {
			p.until = map[string]time.Time{}
		}
		p.until[what] = time.Now().Add(limited.RetryAfter)
	}
	return err
}

func (b *Bot) draw(r *approvals.Request, kind approvals.Kind) modals.Message {
	switch kind {
	case approvals.DM:
		return modals.DM(r, b.links([]*approvals.Request{r}))
	case approvals.Verdict:
		return modals.Verdict(r)
	case approvals.Report:
		return modals.Report(r)
	case approvals.Reminder, approvals.LastCall:
		return modals.Reminder(r, b.approversOf(&r.Submission), kind == approvals.LastCall)
	default:
		return modals.Card(r, b.approversOf(&r.Submission))
	}
}

func reference(channel, ts string) string {
	if channel == "" || ts == "" {
		return ""
	}
	return channel + ":" + ts
}

// unshown tells the projector when Slack wants to be asked again, or what keeps the
// card from everybody until a person mends it.
func (b *Bot) unshown(err error, channel string) error {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return &approvals.LaterError{After: limited.RetryAfter, Err: err}
	}
	fault := fmt.Errorf("slack: %s", slackFault(err))
	var refusal slack.SlackErrorResponse
	if channel == b.Channel && errors.As(err, &refusal) {
		if say := modals.Unseen(refusal.Err, channel); say != "" {
			return &approvals.UnseenError{Say: say, Err: fault}
		}
	}
	return fault
}
