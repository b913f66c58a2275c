package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// How many requests a list shows; of those that wait, more.
const (
	page        = 10
	mostPending = 30
)

// command answers the slash command.
func (b *Bot) command(ctx context.Context, c *slashCommand, ack Ack) {
	words := strings.Fields(c.Text)
	if holdsKey(words, b.namedProject) {
		b.acked(ctx, ack, ephemeral(modals.KeyInCommand()))
		return
	}
	verb := "help"
	if len(words) > 0 {
		verb = strings.ToLower(words[0])
		words = words[1:]
	}
	rest := strings.Join(words, " ")
	switch verb {
	case "update":
		b.update(ctx, c, rest, ack)
	case "list":
		b.later(ctx, c, ack, func(ctx context.Context) modals.Message { return b.list(ctx, rest) })
	case "pending":
		b.later(ctx, c, ack, func(ctx context.Context) modals.Message { return b.pending(ctx, c.UserID) })
	case "history":
		b.later(ctx, c, ack, func(ctx context.Context) modals.Message { return b.history(ctx, rest) })
	case "status":
		b.later(ctx, c, ack, func(ctx context.Context) modals.Message { return b.status(ctx, rest) })
	case "cancel":
		b.later(ctx, c, ack, func(ctx context.Context) modals.Message { return b.cancelByID(ctx, c.UserID, rest) })
	case "help":
		b.acked(ctx, ack, ephemeral(modals.Help()))
	default:
		b.acked(ctx, ack, ephemeral(modals.UnknownCommand(verb)))
	}
}

// later acks at once and answers when the answer is known. Only people who may
// make or decide requests get to see any.
func (b *Bot) later(ctx context.Context, c *slashCommand, ack Ack, find func(context.Context) modals.Message) {
	b.acked(ctx, ack, nil)
	m := b.mayLook(ctx, c.UserID)
	if m == nil {
		found := find(ctx)
		m = &found
	}
	b.respond(ctx, c.ResponseURL, c.UserID, c.ChannelID, *m)
}

// mayLook says why somebody may not see requests and integrations, or nil.
func (b *Bot) mayLook(ctx context.Context, user string) *modals.Message {
	who := b.requester(ctx, user)
	if who == modals.Unlisted {
		who = b.approver(ctx, user)
	}
	if who == may {
		return nil
	}
	m := modals.MayNotLook(who)
	return &m
}

// update opens the form, with what the words after "update" say filled in.
func (b *Bot) update(ctx context.Context, c *slashCommand, rest string, ack Ack) {
	projects, err := b.offered(ctx)
	form := modals.Form{Offered: projects}
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		form.Note = atlasAwayInForm
	}
	project, t, words := parseUpdate(rest, projects)
	switch {
	case words != "" && err == nil:
		if who := b.requester(ctx, c.UserID); who != may { // the answer names projects
			b.acked(ctx, ack, ephemeral(modals.MayNotRequest(who)))
			b.refused(ctx, "", approvals.Actor{User: c.UserID, Via: "command"}, "update", who)
			return
		}
		b.acked(ctx, ack, ephemeral(unknownWords(words, project, t, projects)))
		return
	case t != nil && t.Discontinued != "":
		b.acked(ctx, ack, ephemeral(modals.Say(modals.Escape(t.Discontinued))))
		return
	}
	form.Type = t
	if project != nil {
		form.Projects = []atlas.Project{*project}
	}
	b.acked(ctx, ack, nil)
	if who := b.requester(ctx, c.UserID); who != may {
		b.respond(ctx, c.ResponseURL, c.UserID, c.ChannelID, modals.MayNotRequest(who))
		b.refused(ctx, "", approvals.Actor{User: c.UserID, Via: "command"}, "update", who)
		return
	}
	b.openForm(ctx, c.UserID, c.TriggerID, form, func(m modals.Message) { b.respond(ctx, c.ResponseURL, c.UserID, c.ChannelID, m) })
}

// mostWords is more than the longest name of a project and a type have.
const mostWords = 40

// parseUpdate reads "[project] [TYPE]", in either order; project and type may be
// of several words. What it cannot place, it returns.
func parseUpdate(rest string, projects []atlas.Project) (*atlas.Project, *atlas.Type, string) {
	words := strings.Fields(rest)
	switch {
	case len(words) == 0:
		return nil, nil, ""
	case len(words) > mostWords: // each place between two of them is tried
		return nil, nil, rest
	}
	if p, ok := findProject(projects, rest); ok {
		return &p, nil, ""
	}
	if t, ok := atlas.FindType(rest); ok {
		return nil, t, ""
	}
	for i := 1; i < len(words); i++ {
		head, tail := strings.Join(words[:i], " "), strings.Join(words[i:], " ")
		for _, order := range [][2]string{{head, tail}, {tail, head}} {
			p, isProject := findProject(projects, order[0])
			t, isType := atlas.FindType(order[1])
			if isProject && isType {
				return &p, t, ""
			}
		}
	}
	// One of the two is known; the rest is not.
	for i := 1; i < len(words); i++ {
		head, tail := strings.Join(words[:i], " "), strings.Join(words[i:], " ")
		if t, ok := atlas.FindType(tail); ok {
			return nil, t, head
		}
		if p, ok := findProject(projects, head); ok {
			return &p, nil, tail
		}
	}
	return nil, nil, rest
}

// unknownWords answers words that are neither a project nor a type, with those
// that come nearest.
func unknownWords(words string, project *atlas.Project, t *atlas.Type, projects []atlas.Project) modals.Message {
	switch {
	case t != nil: // so the words should name a project
		return modals.UnknownProject(words, projects)
	case project != nil:
		return modals.UnknownType(words)
	default:
		asProject, asType := modals.UnknownProject(words, projects), modals.UnknownType(words)
		return modals.Message{Text: asProject.Text + "\n" + asType.Text, Blocks: append(asProject.Blocks, asType.Blocks...)}
	}
}

func (b *Bot) list(ctx context.Context, typed string) modals.Message {
	projects, err := b.offered(ctx)
	if err != nil {
		b.log().WarnContext(ctx, "list projects", "error", err)
		return modals.AtlasAway()
	}
	if typed == "" {
		return modals.ProjectNames(projects)
	}
	project, ok := findProject(projects, typed)
	if !ok {
		return modals.UnknownProject(typed, projects)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var last map[string]*approvals.Request
	var looking errgroup.Group
	looking.Go(func() error {
		last = b.changed(ctx, project)
		return nil
	})
	found, err := b.Atlas.Integrations(ctx, project.ID)
	_ = looking.Wait() // it gives no error
	if err != nil {
		b.log().WarnContext(ctx, "list integrations", "project", project.ID, "error", err)
		var refusal *atlas.Error
		if errors.As(err, &refusal) && !refusal.Temporary() {
			return modals.AtlasRefused(fmt.Sprintf("%d %s: %s", refusal.Status, refusal.Code, refusal.Detail), refusal.Advice())
		}
		return modals.AtlasAway()
	}
	return modals.Integrations(project, found, last)
}

// changed are the requests by which the integrations of a project were changed last, by
// type. Without the storage none is known.
func (b *Bot) changed(ctx context.Context, project atlas.Project) map[string]*approvals.Request {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	last, err := b.Requests.Changed(ctx, project.ID)
	if err != nil {
		b.log().WarnContext(ctx, "look for the last changes", "project", project.ID, "error", err)
	}
	return last
}

func (b *Bot) pending(ctx context.Context, user string) modals.Message {
	approver := b.approver(ctx, user)
	unsure := approver == modals.Unknown
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	open, err := b.Requests.Undecided(ctx, 0, mostPending+1)
	if err != nil {
		b.log().ErrorContext(ctx, "list requests", "error", err)
		return modals.StorageAway()
	}
	var theirs, own, others []*approvals.Request
	for _, r := range open[:min(len(open), mostPending)] {
		if r.Requester == user {
			own = append(own, r)
			continue
		}
		waits, known := false, true
		if approver == may {
			waits, known = b.waitsFor(ctx, r, user)
		}
		if waits {
			theirs = append(theirs, r)
		} else {
			others = append(others, r)
		}
		unsure = unsure || !known
	}
	return modals.Pending(theirs, own, others, len(open) > mostPending, unsure, b.links(open))
}

// waitsFor reports whether a request waits for somebody's decision, and whether that is
// known: somebody may be an approver of some projects, and Slack not say it of others.
func (b *Bot) waitsFor(ctx context.Context, r *approvals.Request, user string) (waits, known bool) {
	if r.State != approvals.Pending || r.Requester == user || r.ApprovedBy(user) {
		return false, true
	}
	who := b.approverOf(ctx, user, &r.Submission)
	return who == may, who != modals.Unknown
}

func (b *Bot) status(ctx context.Context, typed string) modals.Message {
	if typed == "" {
		return modals.WhichRequest("status")
	}
	id, ok := approvals.ParseRequestID(typed)
	if !ok {
		return modals.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	r, err := b.Requests.Get(ctx, id)
	if err != nil {
		return b.answerTo(ctx, "status", id, nil, err, modals.StorageAway())
	}
	return modals.Status(r, b.links([]*approvals.Request{r}))
}

func (b *Bot) cancelByID(ctx context.Context, user, typed string) modals.Message {
	if typed == "" {
		return modals.WhichRequest("cancel")
	}
	id, ok := approvals.ParseRequestID(typed)
	if !ok {
		return modals.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	by := approvals.Actor{User: user, Via: "command"}
	r, err := b.Requests.Cancel(ctx, id, by)
	if errors.Is(err, approvals.ErrNotRequester) {
		b.noteRefusal(ctx, id, by, "cancel", err.Error())
	}
	if err != nil {
		return b.answerToMove(ctx, "cancel", id, r, err, user)
	}
	return modals.Status(r, b.links([]*approvals.Request{r}))
}

// keyForms are the forms of keys that people might type into the command, where
// everybody's client and Slack keep them.
var keyForms = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^[0-9a-f]{32,}$`),
	regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
	regexp.MustCompile(`^(xox[a-z]-|xapp-|mdb_sa_sk_|NRAK-)`),
	regexp.MustCompile(`(?i)^<?https?://`),
}

// holdsKey reports whether a word looks like a key. IDs of projects and requests do not,
// and a word out of a project's name is none.
func holdsKey(words []string, named func(word string) bool) bool {
	return slices.ContainsFunc(words, func(typed string) bool {
		word := strings.Trim(typed, "`'\"<>,;")
		if _, value, assigned := strings.Cut(word, "="); assigned {
			word = value
		}
		for _, form := range keyForms {
			if form.MatchString(word) {
				return true
			}
		}
		if projectID.MatchString(word) || !slices.ContainsFunc(alphanumeric.FindAllString(word, -1), mixed) {
			return false
		}
		return !named(word) && !named(typed) // what was trimmed may be of the name
	})
}

// alphanumeric runs of this length that mix letters and digits are keys, not names.
var (
	alphanumeric = regexp.MustCompile(`[0-9A-Za-z]{20,}`)
	projectID    = regexp.MustCompile(`^[0-9a-f]{24}$`)
)

func mixed(run string) bool {
	return strings.ContainsFunc(run, unicode.IsDigit) && strings.ContainsFunc(run, unicode.IsLetter)
}
