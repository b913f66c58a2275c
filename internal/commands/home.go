package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// event is what Slack sends of what people did that asks for no answer.
type event struct {
	TeamID string `json:"team_id"`
	AppID  string `json:"api_app_id"`
	Event  struct {
		Type string `json:"type"`
		User string `json:"user"`
		Tab  string `json:"tab"`
	} `json:"event"`
}

// looked draws the Home tab of somebody who has opened it.
func (b *Bot) looked(ctx context.Context, e *event, ack Ack) {
	b.acked(ctx, ack, nil)
	if e.Event.Type != "app_home_opened" || e.Event.Tab != "home" {
		return
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	if err := b.Requests.Looked(call, e.Event.User); err != nil {
		b.log().WarnContext(ctx, "keep a home tab current", "user", e.Event.User, "error", err)
	}
	if err := b.ShowHome(ctx, e.Event.User); err != nil {
		b.log().WarnContext(ctx, "draw a home tab", "user", e.Event.User, "error", err)
	}
}

// ShowHome draws somebody's Home tab as things are now.
func (b *Bot) ShowHome(ctx context.Context, user string) error {
	policy := &b.Requests.Policy
	home := modals.Home{
		Approvers: markup(policy.Default.Approvers), Requesters: markup(policy.Default.Requesters), Policy: len(policy.Rules) > 0,
	}
	who := b.requester(ctx, user)
	approver := b.approver(ctx, user)
	home.Approves = approver == may
	home.Unsure = who == modals.Unknown || approver == modals.Unknown
	home.Guest, home.Outsider = who == modals.Guest, who != may && !home.Approves
	if who == may || who == modals.Unlisted || home.Approves {
		b.fillHome(ctx, user, &home)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := b.Slack.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: home.View()}); err != nil {
		return errors.New("slack: " + slackFault(err))
	}
	return nil
}

// How many requests the Home tab looks through: those that may wait for somebody, and
// those that may have changed something.
const (
	mostWaiting = 50
	mostLately  = 30
)

// fillHome finds the requests that concern somebody.
func (b *Bot) fillHome(ctx context.Context, user string, home *modals.Home) {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	var open []*approvals.Request
	reading, together := errgroup.WithContext(ctx) // which ends with the reading; people are asked about after it
	reading.Go(func() (err error) { open, err = b.Requests.Undecided(together, 0, mostWaiting); return err })
	reading.Go(func() (err error) { home.Mine, err = b.Requests.OfPerson(together, user, 0, page); return err })
	reading.Go(func() (err error) { home.Lately, err = b.Requests.Decided(together, 0, mostLately); return err })
	if err := reading.Wait(); err != nil {
		b.log().WarnContext(ctx, "draw a home tab", "user", user, "error", err)
		home.Away = true
		return
	}
	for _, r := range open {
		if !home.Approves {
			break
		}
		waits, known := b.waitsFor(ctx, r, user)
		if waits {
			home.Waiting = append(home.Waiting, r)
		}
		home.Unsure = home.Unsure || !known
	}
	home.Links = b.links(slices.Concat(home.Waiting, home.Mine, home.Lately))
}

// cardLink is the address of a request's card, empty while it has none.
func (b *Bot) cardLink(r *approvals.Request) string {
	channel, ts, ok := strings.Cut(r.Messages[string(approvals.Card)].Ref, ":")
	if !ok || b.Workspace == "" {
		return ""
	}
	return fmt.Sprintf("%s/archives/%s/p%s", strings.TrimSuffix(b.Workspace, "/"), channel, strings.ReplaceAll(ts, ".", ""))
}

// openFromHome opens the empty form, from the Home tab or by the shortcut.
func (b *Bot) openFromHome(ctx context.Context, i *interaction, ack Ack) {
	b.acked(ctx, ack, nil)
	if who := b.requester(ctx, i.User.ID); who != may {
		b.answer(ctx, i, modals.MayNotRequest(who))
		b.refused(ctx, "", approvals.Actor{User: i.User.ID, Via: "home"}, "update", who)
		return
	}
	projects, err := b.offered(ctx)
	form := modals.Form{Offered: projects}
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		form.Note = atlasAwayInForm
	}
	b.openForm(ctx, i.User.ID, i.TriggerID, form, func(m modals.Message) { b.answer(ctx, i, m) })
}
