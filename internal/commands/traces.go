package commands

import (
	"context"
	"slices"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// What spans may be called after: of what people type and Slack sends, only what is
// known beforehand.
var (
	verbs   = []string{"help", "update", "list", "pending", "history", "status", "cancel"}
	actions = []string{
		modals.ActionApprove, modals.ActionDeny, modals.ActionCancel, modals.ActionRetry, modals.ActionNewUpdate,
		modals.ActionOpenForm, modals.ActionProject, modals.ActionType,
	}
	// ofRequest are those that are about a request; a new update begins another.
	ofRequest = []string{modals.ActionApprove, modals.ActionDeny, modals.ActionCancel, modals.ActionRetry}
)

const otherThing = "other"

// receivedCommand begins the span of a slash command. What is about a request goes on with
// the request's trace.
func (b *Bot) receivedCommand(ctx context.Context, e Envelope, c *slashCommand) (context.Context, trace.Span) {
	if !b.Trace.On() {
		return ctx, trace.Span{}
	}
	verb, rest, _ := strings.Cut(strings.ToLower(strings.TrimSpace(c.Text)), " ")
	parent := ""
	switch {
	case verb == "":
		verb = "help"
	case !slices.Contains(verbs, verb):
		verb = otherThing
	case verb == "cancel" || verb == "status":
		if id, ok := approvals.ParseRequestID(rest); ok {
			parent = b.Requests.Traceparent(ctx, id)
		}
	}
	return b.received(ctx, e, parent, "command", verb)
}

// receivedInteraction begins the span of a click, a choice or a submission: within the
// trace of the form or the request that it is about.
func (b *Bot) receivedInteraction(ctx context.Context, e Envelope, i *interaction) (context.Context, trace.Span) {
	if !b.Trace.On() {
		return ctx, trace.Span{}
	}
	switch {
	case i.Type == "view_submission" && i.View != nil && i.View.CallbackID == modals.CallbackDeny:
		id, _ := modals.RequestOf(i.View.PrivateMetadata)
		return b.received(ctx, e, b.Requests.Traceparent(ctx, id), "submission", modals.CallbackDeny)
	case i.Type == "view_submission" && i.View != nil:
		return b.received(ctx, e, modals.TraceOf(i.View.PrivateMetadata), "submission", known(i.View.CallbackID, modals.CallbackUpdate))
	case i.Type == "block_actions" && len(i.Actions) > 0:
		action, parent := i.Actions[0], ""
		switch {
		case slices.Contains(ofRequest, action.ActionID):
			parent = b.Requests.Traceparent(ctx, action.Value)
		case i.View != nil:
			parent = modals.TraceOf(i.View.PrivateMetadata)
		}
		return b.received(ctx, e, parent, "click", known(action.ActionID, actions...))
	default:
		parent := ""
		if i.View != nil {
			parent = modals.TraceOf(i.View.PrivateMetadata)
		}
		return b.received(ctx, e, parent, "interaction", known(i.Type, "shortcut", "block_suggestion", "view_closed"))
	}
}

func (b *Bot) received(ctx context.Context, e Envelope, parent, what, of string) (context.Context, trace.Span) {
	ctx, span := b.Trace.Receive(ctx, parent, what, of, e.ReceivedAt)
	span.Set(trace.Envelope, e.ID)
	return ctx, span
}

// known is a word if it is one of those.
func known(word string, words ...string) string {
	if slices.Contains(words, word) {
		return word
	}
	return otherThing
}
