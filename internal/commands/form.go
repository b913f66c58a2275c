package commands

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// What the form says about the values that Atlas has now.
const (
	readingNote      = "Reading what Atlas has now…"
	atlasAwayInForm  = "Atlas does not list its projects at the moment. Type to search for one, or try again in a minute."
	atlasAwayAtInput = "Atlas does not list its projects at the moment, so nothing was sent. What you typed is still here: try again in a minute."
)

func formNotOpened() modals.Message {
	return modals.Say("Slack did not let the bot open the form in time. Nothing was changed. Try again.")
}

// openForm opens the form first, since Slack's trigger lives three seconds, and
// fills in the current values when Atlas has given them.
func (b *Bot) openForm(ctx context.Context, user, trigger string, form modals.Form, complain func(modals.Message)) {
	if !b.openings.allow(user, b.FormsPerMinute) {
		complain(modals.TooManyForms())
		b.refused(ctx, "", approvals.Actor{User: user, Via: "form"}, "update", modals.Hasty)
		return
	}
	form.Policy = &b.Requests.Policy
	fill := form.Type != nil && len(form.Projects) > 0
	if fill {
		form.Note = readingNote
	}
	form.Trace = trace.Parent(ctx)
	call, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	opened, err := b.Slack.OpenViewContext(call, trigger, form.View())
	if err != nil {
		b.log().WarnContext(ctx, "open the form", "error", slackFault(err))
		complain(formNotOpened())
		return
	}
	if fill {
		b.fillForm(ctx, opened.ID, opened.Hash, form)
	}
}

// redrawForm follows a choice of projects or type. The choice that is newest is
// drawn whatever was drawn meanwhile, unless the form was submitted; current
// values that come late find another hash, and change nothing.
func (b *Bot) redrawForm(ctx context.Context, i *interaction, ack Ack) {
	b.acked(ctx, ack, nil)
	if i.View == nil {
		return
	}
	form, fill := b.chosenForm(ctx, i)
	hash := ""
	b.choices.follow(i.View.ID, i.Actions[0].ActionTS, func() {
		var conflict bool
		hash, conflict = b.updateView(ctx, i.View.ID, i.View.Hash, form)
		if conflict && !b.submitted(ctx, i.View.ID) {
			hash, _ = b.updateView(ctx, i.View.ID, "", form)
		}
	})
	if fill && hash != "" {
		b.fillForm(ctx, i.View.ID, hash, form)
	}
}

// catchUp draws a form that was submitted without the fields of the type that was chosen,
// as it is when Slack did not take the drawing. What was drawn meanwhile stays.
func (b *Bot) catchUp(ctx context.Context, i *interaction) {
	form, fill := b.chosenForm(ctx, i)
	hash, _ := b.updateView(ctx, i.View.ID, i.View.Hash, form)
	if fill && hash != "" {
		b.fillForm(ctx, i.View.ID, hash, form)
	}
}

// chosenForm is the form as it should be after what was chosen, and whether current values
// belong in it.
func (b *Bot) chosenForm(ctx context.Context, i *interaction) (form modals.Form, fill bool) {
	in := modals.ReadForm(i.View.State)
	projects, err := b.offered(ctx)
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
	}
	form = modals.Form{
		Offered: projects, Projects: chosen(projects, in.Projects), Type: in.Type,
		Generation: in.Generation, Plain: in.Edited(i.View.PrivateMetadata), Trace: modals.TraceOf(i.View.PrivateMetadata),
		Policy: &b.Requests.Policy,
	}
	fill = form.Type != nil && form.Type.Discontinued == "" && len(form.Projects) > 0
	if fill {
		form.Note = readingNote
	}
	return form, fill
}

// submitted reports whether a view has become a request, and now says so.
func (b *Bot) submitted(ctx context.Context, viewID string) bool {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	_, err := b.Requests.Get(ctx, approvals.RequestID(b.Team, viewID))
	return !errors.Is(err, approvals.ErrNotFound)
}

// choices puts the redrawings of each open form in the order in which people
// chose: Slack does not.
type choices struct {
	guard sync.Mutex
	forms map[string]*choice
}

type choice struct {
	drawing sync.Mutex
	newest  string // action_ts
}

// mostForms bounds what is remembered about forms that were opened once.
const mostForms = 10_000

// follow draws what was chosen at a time, unless something newer was chosen.
func (c *choices) follow(view, at string, draw func()) {
	c.guard.Lock()
	if c.forms == nil || len(c.forms) > mostForms {
		c.forms = map[string]*choice{}
	}
	form := c.forms[view]
	if form == nil {
		form = &choice{}
		c.forms[view] = form
	}
	form.newest = max(form.newest, at)
	c.guard.Unlock()

	form.drawing.Lock()
	defer form.drawing.Unlock()
	c.guard.Lock()
	newest := form.newest == at
	c.guard.Unlock()
	if newest {
		draw()
	}
}

// fillForm puts into an open form what Atlas holds now. If Atlas is slow or says
// no, the form says so and works all the same.
func (b *Bot) fillForm(ctx context.Context, viewID, hash string, form modals.Form) {
	call, cancel := context.WithTimeout(ctx, atlasTime)
	defer cancel()
	var looking errgroup.Group
	looking.Go(func() error {
		form.Open = b.openFor(call, form.Type, form.Projects)
		return nil
	})
	form.Current, form.Note = b.current(call, form.Projects, form.Type)
	_ = looking.Wait() // it gives no error
	if len(form.Current) > 0 {
		form.Generation++ // so that the inputs show it; what was chosen meanwhile is lost
	}
	b.updateView(ctx, viewID, hash, form)
}

// openFor are the requests that are open already for what is chosen in a form.
func (b *Bot) openFor(ctx context.Context, t *atlas.Type, projects []atlas.Project) []*approvals.Request {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	found, err := b.Requests.Overlapping(ctx, t, projects)
	if err != nil {
		b.log().InfoContext(ctx, "look for other requests", "error", err)
	}
	return found
}

// current reads what the chosen projects hold. The note says what is missing.
func (b *Bot) current(ctx context.Context, projects []atlas.Project, t *atlas.Type) (found map[string]*atlas.Integration, note string) {
	projects = projects[:min(len(projects), approvals.MaxTargets)]
	shown, errs := make([]*atlas.Integration, len(projects)), make([]error, len(projects))
	var reading errgroup.Group
	reading.SetLimit(4)
	for i, p := range projects {
		reading.Go(func() error {
			shown[i], errs[i] = b.Atlas.Integration(ctx, p.ID, t)
			return nil
		})
	}
	_ = reading.Wait() // they report in errs

	found = map[string]*atlas.Integration{}
	var unread []modals.Unread
	for i, p := range projects {
		if errs[i] == nil {
			found[p.ID] = shown[i]
			continue
		}
		b.log().InfoContext(ctx, "read current values", "project", p.ID, "type", t.Name, "error", errs[i])
		unread = append(unread, modals.Unread{Project: p, Why: errs[i]})
	}
	return found, modals.UnreadNote(t, unread)
}

// updateView redraws an open view and returns its new hash. Nothing is drawn if it
// was closed, or if something else was drawn meanwhile: a conflict.
func (b *Bot) updateView(ctx context.Context, viewID, hash string, form modals.Form) (newHash string, conflict bool) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	updated, err := b.Slack.UpdateViewContext(ctx, form.View(), "", hash, viewID)
	switch {
	case err == nil:
		return updated.Hash, false
	case refused(err, "hash_conflict"):
		return "", true
	case !refused(err, "not_found"):
		b.log().WarnContext(ctx, "update the form", "error", slackFault(err))
	}
	return "", false
}

// suggest answers the search for a project.
func (b *Bot) suggest(ctx context.Context, i *interaction, ack Ack) {
	projects, err := b.offered(ctx)
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
	}
	b.acked(ctx, ack, modals.ProjectOptions(projects, i.Value))
}

// submit takes the form. What is kept is kept before the ack; if anything is
// wrong, the form stays open with what was typed.
func (b *Bot) submit(ctx context.Context, i *interaction, ack Ack) {
	in := modals.ReadForm(i.View.State)
	by := approvals.Actor{User: i.User.ID, Via: "form"}
	complain := func(sentence string) {
		b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(map[string]string{in.ReasonBlock(): sentence}))
	}
	before, cancel := context.WithTimeout(ctx, beforeAck)
	defer cancel()
	projects, err := b.offered(before)
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		complain(atlasAwayAtInput)
		return
	}
	allowed := func(id string) bool {
		return slices.ContainsFunc(projects, func(p atlas.Project) bool { return p.ID == id })
	}
	problems, warnings := in.Check(allowed)
	if len(problems) > 0 {
		b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(problems))
		if in.Undrawn() {
			b.catchUp(ctx, i)
		}
		return
	}
	targets := chosen(projects, in.Projects)
	if problems := in.CheckPolicy(&b.Requests.Policy, targets); len(problems) > 0 {
		b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(problems))
		return
	}
	for _, project := range targets {
		switch who := b.requesterOf(before, by.User, project); who {
		case may:
			continue
		case modals.Unlisted:
			b.acked(ctx, ack, slack.NewErrorsViewSubmissionResponse(in.NotForYou(project)))
			b.refused(ctx, "", by, "update of "+project.ID, who)
			return
		default:
			complain(modals.MayNotRequest(who).Text)
			b.refused(ctx, "", by, "update", who)
			return
		}
	}
	if err := b.identify(before, &by); err != nil {
		complain(modals.MayNotRequest(modals.Unknown).Text)
		return
	}
	call, done := context.WithTimeout(before, redisTime)
	defer done()
	r, err := b.Requests.Submit(call, i.View.ID, in.Settings, approvals.Submission{
		Targets: targets, Reason: in.Reason, Warnings: warnings,
	}, by)
	if errors.Is(err, approvals.ErrTooMany) {
		complain(modals.TooManyRequests(b.Requests.MostOpen))
		b.noteRefusal(ctx, "", by, "update", err.Error())
		return
	}
	if kept := (*approvals.KeptError)(nil); errors.As(err, &kept) {
		complain(modals.KeptBefore(kept.Request.ID))
		return
	}
	if err != nil {
		b.log().ErrorContext(ctx, "submit", "user", by.User, "type", in.Type.Name, "error", err)
		complain(modals.NothingSent)
		return
	}
	view := modals.SubmittedView(r, b.approversOf(&r.Submission), b.Channel, nil)
	b.acked(ctx, ack, slack.NewUpdateViewSubmissionResponse(&view))
	b.submissions.follow(r.ID, i.View.ID)
}

// newUpdate opens the form again for what a request was about.
func (b *Bot) newUpdate(ctx context.Context, i *interaction, id string, ack Ack) {
	b.acked(ctx, ack, nil)
	if who := b.requester(ctx, i.User.ID); who != may {
		b.answer(ctx, i, modals.MayNotRequest(who))
		b.refused(ctx, id, b.actor(i), "update", who)
		return
	}
	projects, err := b.offered(ctx)
	form := modals.Form{Offered: projects}
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		form.Note = atlasAwayInForm
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	if r, err := b.Requests.Get(call, id); err == nil {
		var ids []string
		for _, p := range r.Targets {
			ids = append(ids, p.ID)
		}
		form.Type, form.Projects, form.Reason = r.Catalog(), chosen(projects, ids), r.Reason
		form.Plain = askedAnew(r)
	}
	b.openForm(ctx, i.User.ID, i.TriggerID, form, func(m modals.Message) { b.answer(ctx, i, m) })
}

// askedAnew are the plain values that a request was to change. The others were those of
// Atlas then, which may be others now.
func askedAnew(r *approvals.Request) map[string]string {
	asked := map[string]string{}
	for name, value := range r.Plain {
		for _, p := range r.Targets {
			if before := r.Target(p.ID).Baseline; before == nil || before.Plain[name] != value {
				asked[name] = value
			}
		}
	}
	return asked
}
