package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

// remembered is how long an answer of Slack about people holds.
const remembered = time.Minute

// may is the standing of somebody whom nothing keeps from it.
const may modals.Standing = ""

// requester finds out whether somebody may ask for updates of any project at all.
func (b *Bot) requester(ctx context.Context, user string) modals.Standing {
	lists := b.Requests.Policy.Every(func(r *approvals.Rule) []string { return r.Requesters })
	if slices.ContainsFunc(lists, everybody) {
		return b.listed(ctx, user)
	}
	return b.listed(ctx, user, slices.Concat(lists...))
}

// requesterOf finds out whether somebody may ask for updates of one project.
func (b *Bot) requesterOf(ctx context.Context, user string, project atlas.Project) modals.Standing {
	list := b.Requests.Policy.Of(project).Requesters
	if everybody(list) {
		return b.listed(ctx, user)
	}
	return b.listed(ctx, user, list)
}

// everybody reports whether a list of requesters holds every full member.
func everybody(list []string) bool { return len(list) == 0 }

// approver finds out whether somebody may decide on any request at all.
func (b *Bot) approver(ctx context.Context, user string) modals.Standing {
	lists := b.Requests.Policy.Every(func(r *approvals.Rule) []string { return r.Approvers })
	return b.listed(ctx, user, slices.Concat(lists...))
}

// approverOf finds out whether somebody may decide on a request: they could when it
// was made, and they can today.
func (b *Bot) approverOf(ctx context.Context, user string, asked *approvals.Submission) modals.Standing {
	today := b.Requests.Policy.Approvers(asked.Targets)
	if len(asked.Approvers) == 0 { // of a version that did not note them
		return b.listed(ctx, user, today...)
	}
	if who := b.listed(ctx, user, asked.Approvers); who != may {
		return who
	}
	who := b.listed(ctx, user, today...)
	if who == modals.Unlisted {
		return modals.Removed
	}
	return who
}

// listed asks Slack who somebody is, and whether they are on every one of the lists
// of people and user groups. Nobody is on an empty one.
func (b *Bot) listed(ctx context.Context, user string, lists ...[]string) modals.Standing {
	ctx, cancel := context.WithTimeout(ctx, peopleTime)
	defer cancel()
	var person modals.Standing
	member := true
	asking, ctx := errgroup.WithContext(ctx)
	asking.Go(func() error {
		who, err := b.people.who(ctx, b.Slack, b.Team, user)
		person = who.standing
		return err
	})
	asking.Go(func() (err error) {
		for _, list := range lists {
			if member, err = b.people.onList(ctx, b.Slack, user, list); !member {
				return err
			}
		}
		return nil
	})
	err := asking.Wait()
	switch {
	case err != nil:
		b.log().WarnContext(ctx, "ask slack who somebody is", "user", user, "error", slackFault(err))
		return modals.Unknown
	case person != may:
		return person
	case !member:
		return modals.Unlisted
	default:
		return may
	}
}

// identify adds to an actor the person behind the account. What it does not know it
// leaves empty; that Slack does not answer is an error, since an account alone is
// not enough to count by.
func (b *Bot) identify(ctx context.Context, by *approvals.Actor) error {
	ctx, cancel := context.WithTimeout(ctx, peopleTime)
	defer cancel()
	who, err := b.people.who(ctx, b.Slack, b.Team, by.User)
	if err != nil {
		b.log().WarnContext(ctx, "ask slack who somebody is", "user", by.User, "error", slackFault(err))
		return err
	}
	by.Human = who.human
	return nil
}

// people remembers for a minute what Slack said about people and user groups.
type people struct {
	users  memory[person]
	groups memory[[]string]
}

// person is what Slack says of an account.
type person struct {
	standing modals.Standing
	human    string // see human
}

func (p *people) who(ctx context.Context, api *slack.Client, team, user string) (person, error) {
	return p.users.get(user, func() (person, error) {
		u, err := api.GetUserInfoContext(ctx, user)
		if err != nil {
			if refused(err, "user_not_found", "user_not_visible") {
				return person{standing: modals.Stranger}, nil
			}
			return person{standing: modals.Unknown}, fmt.Errorf("users.info %s: %w", user, err)
		}
		return person{standingOf(u, team), human(u.Profile.Email)}, nil
	})
}

func standingOf(u *slack.User, team string) modals.Standing {
	switch {
	case u.IsStranger || u.TeamID != team:
		return modals.Stranger
	case u.Deleted:
		return modals.Deactivated
	case u.IsBot || u.IsAppUser && u.IsWorkflowBot:
		return modals.Bot
	case u.IsRestricted || u.IsUltraRestricted:
		return modals.Guest
	default:
		return may
	}
}

// human is a digest of where somebody's mail goes: the same for two accounts of one
// person. What stands behind a plus does not change where mail goes, and is how
// people make a second account.
func human(email string) string {
	box, domain, ok := strings.Cut(strings.ToLower(strings.TrimSpace(email)), "@")
	box, _, _ = strings.Cut(box, "+")
	if !ok || box == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(box + "@" + domain))
	return hex.EncodeToString(sum[:16])
}

// onList reports whether the user stands on the list or in one of its groups. A
// group that cannot be read counts for nothing, unless it might be the one that
// decides.
func (p *people) onList(ctx context.Context, api *slack.Client, user string, list []string) (bool, error) {
	if slices.Contains(list, user) {
		return true, nil
	}
	var unread error
	for _, id := range list {
		if !strings.HasPrefix(id, "S") {
			continue
		}
		members, err := p.groups.get(id, func() ([]string, error) {
			return api.GetUserGroupMembersContext(ctx, id)
		})
		if err != nil {
			unread = fmt.Errorf("usergroups.users.list %s: %w", id, err)
			continue
		}
		if slices.Contains(members, user) {
			return true, nil
		}
	}
	return false, unread
}

// memory keeps answers for a minute. Errors are not kept.
type memory[V any] struct {
	guard   sync.Mutex
	answers map[string]answer[V]
}

type answer[V any] struct {
	value V
	until time.Time
}

func (m *memory[V]) get(key string, ask func() (V, error)) (V, error) {
	m.guard.Lock()
	known, ok := m.answers[key]
	m.guard.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.value, nil
	}
	value, err := ask()
	if err != nil {
		return value, err
	}
	m.guard.Lock()
	defer m.guard.Unlock()
	if m.answers == nil || len(m.answers) > 10_000 { // of a workspace that large, start over
		m.answers = map[string]answer[V]{}
	}
	m.answers[key] = answer[V]{value, time.Now().Add(remembered)}
	return value, nil
}

// refused reports whether Slack answered with one of these errors.
func refused(err error, codes ...string) bool {
	var refusal slack.SlackErrorResponse
	return errors.As(err, &refusal) && slices.Contains(codes, refusal.Err)
}

// slackFault says of an error of a Slack call what may be logged: its code, and
// for a refused view where it is wrong, but nothing of what was sent.
func slackFault(err error) string {
	var refusal slack.SlackErrorResponse
	if errors.As(err, &refusal) {
		return strings.Join(append([]string{refusal.Err}, refusal.ResponseMetadata.Messages...), "; ")
	}
	var call *url.Error
	if errors.As(err, &call) {
		return call.Err.Error() // the address of an answer lets whoever reads it give that answer
	}
	return err.Error()
}

// approversOf is markup that names those who decide on a request.
func (b *Bot) approversOf(asked *approvals.Submission) string {
	if len(asked.Approvers) == 0 {
		return markup(b.Requests.Policy.Of(asked.Targets[0]).Approvers)
	}
	return markup(asked.Approvers)
}

// mostMarkup is how long a text that names people may be.
const mostMarkup = 900

// markup names people and user groups as people see them, and counts those of a long list
// that it has no room for.
func markup(ids []string) string {
	var text strings.Builder
	for i, id := range ids {
		name := "<@" + id + ">"
		if strings.HasPrefix(id, "S") {
			name = "<!subteam^" + id + ">"
		}
		if text.Len()+len(name) > mostMarkup {
			fmt.Fprintf(&text, " and %d more", len(ids)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(name)
	}
	return text.String()
}
