package commands

import (
	"context"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// followTime is how long the view that took the place of a form can be led to the
// card. After that, and where another replica posts the card, the direct message
// says all of it.
const followTime = 10 * time.Second

// submissions are the views that wait for the card of their request.
type submissions struct {
	guard sync.Mutex
	views map[string]submission // by request
}

type submission struct {
	view  string
	until time.Time
}

func (s *submissions) follow(request, view string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	now := time.Now()
	for id, waiting := range s.views {
		if now.After(waiting.until) {
			delete(s.views, id)
		}
	}
	if s.views == nil {
		s.views = map[string]submission{}
	}
	if len(s.views) < mostForms {
		s.views[request] = submission{view, now.Add(followTime)}
	}
}

// take gives the view of a request, once.
func (s *submissions) take(request string) (view string, ok bool) {
	s.guard.Lock()
	defer s.guard.Unlock()
	waiting, ok := s.views[request]
	delete(s.views, request)
	return waiting.view, ok && time.Now().Before(waiting.until)
}

// leadToCard draws the view that took the place of a form once more when the request
// has its card, or will get none.
func (b *Bot) leadToCard(ctx context.Context, r *approvals.Request) {
	if r.State == approvals.Submitted || r.State == approvals.Pending && b.cardLink(r) == "" {
		return
	}
	view, ok := b.submissions.take(r.ID)
	if !ok {
		return
	}
	shown := modals.SubmittedView(r, b.approversOf(&r.Submission), b.Channel, b.links([]*approvals.Request{r}))
	_, err := b.Slack.UpdateViewContext(ctx, shown, "", "", view)
	if err != nil && !refused(err, "not_found") { // somebody closed it
		b.log().WarnContext(ctx, "update the view of a request", "request", r.ID, "error", slackFault(err))
	}
}
