package commands

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// Slack waits three seconds for an ack. This is how they are shared out.
const (
	redisTime  = 1500 * time.Millisecond // for a move of a request
	peopleTime = 1200 * time.Millisecond // to find out who somebody is, or which projects there are
	beforeAck  = 2700 * time.Millisecond // for all of that together; the rest is for the way there and back
	atlasTime  = 2500 * time.Millisecond // for what a form shows, after the ack
	answerTime = 5 * time.Second         // for an answer after the ack
)

// Atlas is what the commands need of the Admin API.
type Atlas interface {
	Projects(ctx context.Context) ([]atlas.Project, error)
	Integration(ctx context.Context, projectID string, t *atlas.Type) (*atlas.Integration, error)
	Integrations(ctx context.Context, projectID string) ([]*atlas.Integration, error)
}

// Bot answers what Slack delivers.
type Bot struct {
	Log      *slog.Logger // nil is silent
	Slack    *slack.Client
	HTTP     *http.Client // for response URLs; nil: one with a timeout
	Requests *approvals.Store
	Atlas    Atlas

	Team      string          // the workspace; payloads of another are dropped
	Workspace string          // its address, for links to messages; empty: none are shown
	AppID     string          // the app, likewise; empty is not compared
	Channel   string          // where cards go
	Projects  []atlas.Project // the only ones offered and accepted; empty: all that the credentials see

	FormsPerMinute int // that one person may have opened here; 0: any number

	// Dropped is told of every payload of another workspace or app; may be nil.
	Dropped func(reason string)

	Trace *trace.Tracer // nil: nothing is traced

	people   people
	projects projectList
	choices  choices
	pauses   pauses
	openings openings

	submissions submissions
}

// An Ack answers an envelope, once. Its error says that Slack did not get it.
type Ack func(payload any) error

// An Envelope is what Slack delivered.
type Envelope struct {
	ID         string
	Type       string
	Payload    json.RawMessage
	ReceivedAt time.Time
}

// Handle answers one payload of a type that Slack's envelopes have. It acks
// everything: an empty ack says that there is nothing to say. What people did is
// kept before it is acked; what merely follows comes after.
func (b *Bot) Handle(ctx context.Context, e Envelope, ack Ack) {
	switch e.Type {
	case "slash_commands":
		var c slashCommand
		if !b.read(ctx, e, &c) || b.foreign(ctx, c.TeamID, c.AppID) {
			b.acked(ctx, ack, nil)
			return
		}
		ctx, span := b.receivedCommand(ctx, e, &c)
		defer span.End()
		b.command(ctx, &c, ack)
	case "interactive":
		var i interaction
		if !b.read(ctx, e, &i) || b.foreign(ctx, i.team(), i.AppID) {
			b.acked(ctx, ack, nil)
			return
		}
		ctx, span := b.receivedInteraction(ctx, e, &i)
		defer span.End()
		b.interaction(ctx, &i, ack)
	case "events_api":
		var happened event
		if !b.read(ctx, e, &happened) || b.foreign(ctx, happened.TeamID, happened.AppID) {
			b.acked(ctx, ack, nil)
			return
		}
		b.looked(ctx, &happened, ack)
	default:
		b.acked(ctx, ack, nil)
	}
}

func (b *Bot) interaction(ctx context.Context, i *interaction, ack Ack) {
	switch {
	case i.Type == "block_suggestion" && i.ActionID == modals.ActionProject:
		b.suggest(ctx, i, ack)
	case i.Type == "view_submission" && i.View != nil && i.View.CallbackID == modals.CallbackUpdate:
		b.submit(ctx, i, ack)
	case i.Type == "view_submission" && i.View != nil && i.View.CallbackID == modals.CallbackDeny:
		b.denyWithReason(ctx, i, ack)
	case i.Type == "shortcut" && i.CallbackID == modals.CallbackUpdate:
		b.openFromHome(ctx, i, ack)
	case i.Type == "block_actions" && len(i.Actions) > 0:
		b.action(ctx, i, ack)
	default:
		b.acked(ctx, ack, nil)
	}
}

func (b *Bot) action(ctx context.Context, i *interaction, ack Ack) {
	switch action := i.Actions[0]; action.ActionID {
	case modals.ActionProject, modals.ActionType:
		b.redrawForm(ctx, i, ack)
	case modals.ActionApprove:
		b.approve(ctx, i, action.Value, ack)
	case modals.ActionDeny:
		b.askWhy(ctx, i, action.Value, ack)
	case modals.ActionCancel:
		b.cancel(ctx, i, action.Value, ack)
	case modals.ActionRetry:
		b.retry(ctx, i, action.Value, ack)
	case modals.ActionOpenForm:
		b.openFromHome(ctx, i, ack)
	case modals.ActionNewer, modals.ActionOlder:
		b.turn(ctx, i, action.ActionID, action.Value, ack)
	case modals.ActionNewUpdate:
		b.newUpdate(ctx, i, action.Value, ack)
	default:
		b.acked(ctx, ack, nil)
	}
}

func (b *Bot) read(ctx context.Context, e Envelope, into any) bool {
	if err := read(e.Payload, into); err != nil {
		b.log().WarnContext(ctx, "read a payload", "type", e.Type, "error", err)
		return false
	}
	return true
}

// foreign reports whether a payload comes from another workspace or is meant for
// another app: such a payload gets no answer, whatever it asks for.
func (b *Bot) foreign(ctx context.Context, team, app string) bool {
	reason := ""
	switch {
	case team != b.Team:
		reason = "team"
	case b.AppID != "" && app != b.AppID:
		reason = "app"
	default:
		return false
	}
	b.log().WarnContext(ctx, "dropped a payload of another "+reason, "team", team, "app", app)
	if b.Dropped != nil {
		b.Dropped(reason)
	}
	return true
}

// acked sends the ack. That it did not arrive needs no more than a line: the
// person sees Slack's own error, and what they did is kept or was not begun.
func (b *Bot) acked(ctx context.Context, ack Ack, payload any) {
	if err := ack(payload); err != nil {
		trace.Current(ctx).Fail("not acked")
		b.log().WarnContext(ctx, "ack", "error", err)
		return
	}
	trace.Current(ctx).Event("ack")
}

// respond answers a command or a click for the eyes of one person only.
func (b *Bot) respond(ctx context.Context, responseURL, user, channel string, m modals.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	var err error
	switch {
	case responseURL != "":
		err = slack.PostWebhookCustomHTTPContext(ctx, responseURL, b.http(), &slack.WebhookMessage{
			Text: m.Text, Blocks: &slack.Blocks{BlockSet: m.Blocks}, ResponseType: slack.ResponseTypeEphemeral,
		})
	case channel != "":
		_, err = b.Slack.PostEphemeralContext(ctx, channel, user, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...))
	default: // clicked in a view: the answer goes to the person directly
		_, _, err = b.Slack.PostMessageContext(ctx, user, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...))
	}
	if err != nil {
		b.log().WarnContext(ctx, "answer", "user", user, "error", slackFault(err))
	}
}

// replace puts a message in place of the one on which somebody clicked, which only they see.
func (b *Bot) replace(ctx context.Context, responseURL string, m modals.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	err := slack.PostWebhookCustomHTTPContext(ctx, responseURL, b.http(), &slack.WebhookMessage{
		Text: m.Text, Blocks: &slack.Blocks{BlockSet: m.Blocks}, ResponseType: slack.ResponseTypeEphemeral, ReplaceOriginal: true,
	})
	if err != nil {
		b.log().WarnContext(ctx, "replace an answer", "error", slackFault(err))
	}
}

// ephemeral is the ack of a command that answers it at once.
func ephemeral(m modals.Message) any {
	return slack.Msg{ResponseType: slack.ResponseTypeEphemeral, Text: m.Text, Blocks: slack.Blocks{BlockSet: m.Blocks}}
}

func (b *Bot) log() *slog.Logger {
	if b.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Log
}

func (b *Bot) http() *http.Client {
	if b.HTTP == nil {
		return &http.Client{Timeout: answerTime}
	}
	return b.HTTP
}
