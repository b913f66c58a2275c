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
	before, cancel := context.WithTimeout(ctx, beforeAck)
	defer cancel()
	asked, err := b.asked(before, id)
	if err != nil {
		b.acked(ctx, ack, nil)
		b.answer(ctx, i, b.answerTo(ctx, what, id, nil, err, modals.StorageAway()))
		b.forget(ctx, i, id, err)
		return
	}
	if who := b.mayDecide(before, by.User, asked, what); who != may {
		b.acked(ctx, ack, nil)
		b.answer(ctx, i, modals.MayNotDecide(who, b.approversOf(asked)))
		b.refused(ctx, id, by, what, who)
		return
	}
	if err := b.identify(before, &by); err != nil {
		b.acked(ctx, ack, nil)
		b.answer(ctx, i, modals.MayNotDecide(modals.Unknown, ""))
		return
	}
	call, done := context.WithTimeout(before, redisTime)
	r, err := do(call, id, by)
	done()
	b.acked(ctx, ack, nil)
	if err != nil {
		b.answer(ctx, i, b.answerToMove(ctx, what, id, r, err, by.User))
		if errors.Is(err, approvals.ErrOwnRequest) || errors.Is(err, approvals.ErrNotRequester) || errors.Is(err, approvals.ErrSameHuman) {
			b.noteRefusal(ctx, id, by, what, err.Error())
		}
	}
	b.adopt(ctx, i, r, err != nil)
	b.forget(ctx, i, id, err)
}

// asked is what was asked for: it does not change, so it is mostly there already.
func (b *Bot) asked(ctx context.Context, id string) (*approvals.Submission, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	return b.Requests.Asked(ctx, id)
}

func (b *Bot) request(ctx context.Context, id string) (*approvals.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	return b.Requests.Get(ctx, id)
}

// mayDecide finds out whether somebody may do this to a request. That requesters
// alone can cancel one, the store sees to; they may also retry it.
func (b *Bot) mayDecide(ctx context.Context, user string, asked *approvals.Submission, what string) modals.Standing {
	if what == "cancel" || what == "retry" && asked.Requester == user {
		return b.listed(ctx, user)
	}
	return b.approverOf(ctx, user, asked)
}

// askWhy opens the form that asks why a request is denied.
func (b *Bot) askWhy(ctx context.Context, i *interaction, id string, ack Ack) {
	b.acked(ctx, ack, nil)
	by := b.actor(i)
	r, err := b.request(ctx, id)
	if err == nil {
		if who := b.approverOf(ctx, by.User, &r.Submission); who != may {
			b.answer(ctx, i, modals.MayNotDecide(who, b.approversOf(&r.Submission)))
			b.refused(ctx, id, by, "deny", who)
			return
		}
	}
	switch {
	case err == nil && r.Requester == by.User:
		err = approvals.ErrOwnRequest
		b.noteRefusal(ctx, id, by, "deny", err.Error())
	case err == nil && r.State != approvals.Pending:
		err = &approvals.StateError{Request: r}
	}
	if err != nil {
		b.answer(ctx, i, b.answerTo(ctx, "deny", id, r, err, modals.StorageAway()))
		b.adopt(ctx, i, r, true)
		b.forget(ctx, i, id, err)
		return
	}
	if !b.openings.allow(by.User, b.FormsPerMinute) {
		b.answer(ctx, i, modals.TooManyForms())
		b.refused(ctx, id, by, "deny", modals.Hasty)
		return
	}
	call, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := b.Slack.OpenViewContext(call, i.TriggerID, modals.DenyView(r)); err != nil {
		b.log().WarnContext(ctx, "open the deny form", "request", id, "error", slackFault(err))
		b.answer(ctx, i, formNotOpened())
	}
	b.adopt(ctx, i, r, false)
}

// denyWithReason takes the form that askWhy opened.
func (b *Bot) denyWithReason(ctx context.Context, i *interaction, ack Ack) {
	id, _ := modals.RequestOf(i.View.PrivateMetadata) // ours; an unknown one is not found below
	by := approvals.Actor{User: i.User.ID, Via: "form"}
	notice := func(m modals.Message) {
		view := modals.NoticeView("Deny request", m.Text)
		b.acked(ctx, ack, slack.NewUpdateViewSubmissionResponse(&view))
	}
	again := func(problems map[string]string) { b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(problems)) }
	reason := modals.ReadDeny(i.View.State)
	if problems := modals.CheckDeny(reason); len(problems) > 0 {
		again(problems)
		return
	}
	before, cancel := context.WithTimeout(ctx, beforeAck)
	defer cancel()
	r, err := b.request(before, id)
	if err != nil {
		b.deniedNot(ctx, id, nil, err, notice, again)
		return
	}
	switch who := b.approverOf(before, by.User, &r.Submission); who {
	case may:
	case modals.Unknown:
		again(modals.DenyUnknown())
		return
	default:
		notice(modals.MayNotDecide(who, b.approversOf(&r.Submission)))
		b.refused(ctx, id, by, "deny", who)
		return
	}
	if err := b.identify(before, &by); err != nil {
		again(modals.DenyUnknown())
		return
	}
	call, done := context.WithTimeout(before, redisTime)
	defer done()
	r, err = b.Requests.Deny(call, id, reason, by)
	if err != nil && !already("deny", r, by.User) {
		b.deniedNot(ctx, id, r, err, notice, again)
		if errors.Is(err, approvals.ErrSameHuman) {
			b.noteRefusal(ctx, id, by, "deny", err.Error())
		}
		return
	}
	b.acked(ctx, ack, nil)
}

// deniedNot says why a request was not denied: for good, or until the form is sent again.
func (b *Bot) deniedNot(ctx context.Context, id string, r *approvals.Request, err error, notice func(modals.Message), again func(map[string]string)) {
	if m, final := modals.Refusal(r, err); final {
		notice(m)
		return
	}
	b.log().ErrorContext(ctx, "deny", "request", id, "error", err)
	again(modals.DenySilent())
}

// answerTo turns the store's error into a sentence for the person who clicked or
// typed. What is no answer is a fault, logged once and told in the words given.
func (b *Bot) answerTo(ctx context.Context, what, id string, r *approvals.Request, err error, fault modals.Message) modals.Message {
	if m, ok := modals.Refusal(r, err); ok {
		return m
	}
	b.log().ErrorContext(ctx, what, "request", id, "error", err)
	return fault
}

// answerToMove is answerTo for what the store may have carried out without our
// learning of it.
func (b *Bot) answerToMove(ctx context.Context, what, id string, r *approvals.Request, err error, user string) modals.Message {
	if already(what, r, user) {
		return modals.Already(r)
	}
	return b.answerTo(ctx, what, id, r, err, modals.StorageSilent())
}

// already reports whether a request that refuses a move has made it before, for the
// same person: they did it twice, or an answer of Redis was lost and it was asked again.
func already(what string, r *approvals.Request, user string) bool {
	switch {
	case r == nil:
		return false
	case what == "approve":
		return r.ApprovedBy(user) && r.State != approvals.Pending // or else they are told how many are missing
	case what == "deny":
		return r.State == approvals.Denied && r.DecidedBy == user
	default:
		return what == "cancel" && r.State == approvals.Cancelled && r.Requester == user
	}
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

// forget has the clicked message say that its request is no longer known, so that
// it offers nothing any more. Only a storage that answered can say so.
func (b *Bot) forget(ctx context.Context, i *interaction, id string, err error) {
	channel, ts := i.Container.ChannelID, i.Container.MessageTS
	if !errors.Is(err, approvals.ErrNotFound) || channel == "" || ts == "" || i.Container.IsEphemeral {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	m := modals.Lost(id)
	if _, _, _, err := b.Slack.UpdateMessageContext(ctx, channel, ts, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...)); err != nil {
		b.log().WarnContext(ctx, "say that a request is no longer known", "request", id, "error", slackFault(err))
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
