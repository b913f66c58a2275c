package commands

import (
	"context"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// history answers the command with the newest page.
func (b *Bot) history(ctx context.Context, typed string) modals.Message {
	if typed == "" {
		return b.page(ctx, atlas.Project{}, 0)
	}
	projects, err := b.offered(ctx)
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		return modals.AtlasAway()
	}
	project, ok := findProject(projects, typed)
	if !ok {
		return modals.UnknownProject(typed, projects)
	}
	return b.page(ctx, project, 0)
}

// turn puts another page of the history in place of the one on which somebody
// clicked. The button says all there is to know.
func (b *Bot) turn(ctx context.Context, i *interaction, action, value string, ack Ack) {
	b.acked(ctx, ack, nil)
	if m := b.mayLook(ctx, i.User.ID); m != nil {
		b.answer(ctx, i, *m)
		return
	}
	turn, ok := modals.ParseTurn(value)
	if !ok {
		return // not ours
	}
	project := atlas.Project{ID: turn.Project, Name: turn.Project}
	if projects, err := b.offered(ctx); err == nil && turn.Project != "" {
		if project, ok = findProject(projects, turn.Project); !ok {
			b.answer(ctx, i, modals.UnknownProject(turn.Project, projects))
			return
		}
	}
	call, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	place, err := b.Requests.Place(call, turn.Project, turn.Request, turn.Place)
	if err != nil {
		b.log().ErrorContext(ctx, "turn a page of the history", "error", err)
		b.answer(ctx, i, modals.StorageAway())
		return
	}
	from := place + 1
	if action == modals.ActionNewer {
		from = max(0, place-page)
	}
	b.replace(ctx, i.ResponseURL, b.page(ctx, project, from))
}

// page draws the page of a history that leaves out so many of the newest; of all
// projects, if there is none.
func (b *Bot) page(ctx context.Context, project atlas.Project, from int) modals.Message {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	var requests []*approvals.Request
	var err error
	if project.ID == "" {
		requests, err = b.Requests.Decided(ctx, from, page+1)
	} else {
		requests, err = b.Requests.OfProject(ctx, project.ID, from, page+1)
	}
	if err != nil {
		b.log().ErrorContext(ctx, "list requests", "error", err)
		return modals.StorageAway()
	}
	history := modals.History{Project: project.Name, Requests: requests[:min(len(requests), page)], From: from, Links: b.links(requests)}
	if n := len(history.Requests); n > 0 {
		if from > 0 {
			history.Newer = &modals.Turn{Project: project.ID, Request: requests[0].ID, Place: from}
		}
		if len(requests) > page {
			history.Older = &modals.Turn{Project: project.ID, Request: requests[n-1].ID, Place: from + n - 1}
		}
	}
	return history.Message()
}

// links leads to the cards of requests.
func (b *Bot) links(requests []*approvals.Request) modals.Links {
	links := modals.Links{}
	for _, r := range requests {
		if link := b.cardLink(r); link != "" {
			links[r.ID] = link
		}
	}
	return links
}
