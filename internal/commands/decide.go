package commands

import (
	"context"
	"errors"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// approve counts a click on Approve. The ack comes when the vote is kept; the
// card then follows by itself.
func (b *Bot) approve(ctx context.Context, i *interaction, id string, ack Ack) {
	b.decide(ctx, i, id, "approve", ack, b.Requests.Approve)
}

// retry has the refused targets of a failed request tried again, for its
// requester or an approver.
func (b *Bot) retry(ctx context.Context, i *interaction, id string, ack Ack) {
	b.decide(ctx, i, id, "retry", ack, b.Requests.Retry)
}

// cancel takes back a request. Whose it is, the store knows.
func (b *Bot) cancel(ctx context.Context, i *interaction, id string, ack Ack) {
	b.decide(ctx, i, id, "cancel", ack, b.Requests.Cancel)
}

type act func(ctx context.Context, id string, by approvals.Actor) (*approvals.Request, error)

// decide carries out a click on a request: who may, then the move, then the ack,
// then the answer if there is something to say.
func (b *Bot) decide(ctx context.Context, i *interaction, id, what string, ack Ack, do act) {
	by := b.actor(i)
	if who := b.mayDecide(ctx, by.User, id, what); who != may {
		b.acked(ctx, ack, nil)
		b.answer(ctx, i, modals.MayNotDecide(who, b.approversMarkup()))
		b.refused(ctx, id, by, what, who)
		return
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	r, err := do(call, id, by)
	cancel()
	b.acked(ctx, ack, nil)
	if err != nil {
		b.answer(ctx, i, b.answerTo(ctx, what, id, r, err))
		if errors.Is(err, approvals.ErrOwnRequest) || errors.Is(err, approvals.ErrNotRequester) {
			b.noteRefusal(ctx, id, by, what, err.Error())
		}
	}
	b.adopt(ctx, i, r, err != nil)
}

// mayDecide finds out whether somebody may do this to a request. To cancel one,
// the store asks for its requester; requesters may also retry their own.
func (b *Bot) mayDecide(ctx context.Context, user, id, what string) modals.Standing {
	if what == "cancel" {
		return b.listed(ctx, user, nil)
	}
	who := b.approver(ctx, user)
	if what != "retry" || who != modals.Unlisted {
		return who
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	if r, err := b.Requests.Get(call, id); err == nil && r.Requester == user {
		return may
	}
	return who
}

// askWhy opens the form that asks why a request is denied.
func (b *Bot) askWhy(ctx context.Context, i *interaction, id string, ack Ack) {
	b.acked(ctx, ack, nil)
	by := b.actor(i)
	if who := b.approver(ctx, by.User); who != may {
		b.answer(ctx, i, modals.MayNotDecide(who, b.approversMarkup()))
		b.refused(ctx, id, by, "deny", who)
		return
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	r, err := b.Requests.Get(call, id)
	cancel()
	switch {
	case err == nil && r.Requester == by.User:
		err = approvals.ErrOwnRequest
		b.noteRefusal(ctx, id, by, "deny", err.Error())
	case err == nil && r.State != approvals.Pending:
		err = &approvals.StateError{Request: r}
	}
	if err != nil {
		b.answer(ctx, i, b.answerTo(ctx, "deny", id, r, err))
		b.adopt(ctx, i, r, true)
		return
	}
	call, cancel = context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := b.Slack.OpenViewContext(call, i.TriggerID, modals.DenyView(r)); err != nil {
		b.log().WarnContext(ctx, "open the deny form", "request", id, "error", slackFault(err))
		b.answer(ctx, i, formNotOpened())
	}
}

// denyWithReason takes the form that askWhy opened.
func (b *Bot) denyWithReason(ctx context.Context, i *interaction, ack Ack) {
	id, _ := modals.RequestOf(i.View.PrivateMetadata) // ours; an unknown one is not found below
	by := approvals.Actor{User: i.User.ID, Via: "form"}
	notice := func(m modals.Message) {
		view := modals.NoticeView("Not denied", m.Text)
		b.acked(ctx, ack, slack.NewUpdateViewSubmissionResponse(&view))
	}
	reason := modals.ReadDeny(i.View.State)
	if problems := modals.CheckDeny(reason); len(problems) > 0 {
		b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(problems))
		return
	}
	if who := b.approver(ctx, by.User); who != may {
		notice(modals.MayNotDecide(who, b.approversMarkup()))
		b.refused(ctx, id, by, "deny", who)
		return
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	r, err := b.Requests.Deny(call, id, reason, by)
	if err != nil {
		notice(b.answerTo(ctx, "deny", id, r, err))
		return
	}
	b.acked(ctx, ack, nil)
}

// answerTo turns the store's error into a sentence for the person who clicked or
// typed. What is no answer is a fault, and logged once.
func (b *Bot) answerTo(ctx context.Context, what, id string, r *approvals.Request, err error) modals.Message {
	if m, ok := modals.Refusal(r, err); ok {
		return m
	}
	b.log().ErrorContext(ctx, what, "request", id, "error", err)
	return modals.StorageAway()
}

// refused notes that somebody tried what they may not. When Slack did not say who
// they are, that is a fault and no refusal.
func (b *Bot) refused(ctx context.Context, id string, by approvals.Actor, what string, who modals.Standing) {
	if who != modals.Unknown {
		b.noteRefusal(ctx, id, by, what, string(who))
	}
}

func (b *Bot) noteRefusal(ctx context.Context, id string, by approvals.Actor, what, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTime)
	defer cancel()
	if err := b.Requests.Refuse(ctx, id, by, what, why); err != nil {
		b.log().ErrorContext(ctx, "note a refusal", "request", id, "user", by.User, "why", why, "error", err)
	}
}

// adopt has the clicked message drawn: one that nobody remembers posting, and one
// that still offers what is no longer possible.
func (b *Bot) adopt(ctx context.Context, i *interaction, r *approvals.Request, stale bool) {
	ref := reference(i.Container.ChannelID, i.Container.MessageTS)
	if r == nil || ref == "" || i.Container.IsEphemeral {
		return
	}
	for _, m := range r.Messages {
		if m.Ref == ref && !stale {
			return
		}
	}
	kind := approvals.Card
	if i.Container.ChannelID != b.Channel {
		kind = approvals.DM
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTime)
	defer cancel()
	if err := b.Requests.Adopt(ctx, r, kind, ref); err != nil {
		b.log().WarnContext(ctx, "adopt a message", "request", r.ID, "error", err)
	}
}

// actor is who clicked, and where.
func (b *Bot) actor(i *interaction) approvals.Actor {
	via := "message"
	switch {
	case i.View != nil:
		via = "home"
	case i.Container.ChannelID == b.Channel:
		via = "card"
	}
	return approvals.Actor{User: i.User.ID, Via: via}
}

func (b *Bot) answer(ctx context.Context, i *interaction, m modals.Message) {
	b.respond(ctx, i.ResponseURL, i.User.ID, i.Container.ChannelID, m)
}
