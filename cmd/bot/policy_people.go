package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/slack-go/slack"
)

// whoIsWho is what Slack says of people and groups, by their IDs.
type whoIsWho map[string]standsFor

// standsFor is for whom an ID stands: one person, the members of a group, or nobody if
// they cannot act at the moment.
type standsFor struct {
	people []string
	says   string // the ID is of nobody at all; it follows the ID
}

// knowPeople asks Slack about everybody whom the policy file names, again and again
// while Slack is away. The error names each place in the file that a person has to
// mend: nobody is there, or nobody is left who could approve.
func knowPeople(ctx context.Context, api *slack.Client, team string, file policyFile, log *slog.Logger) error {
	if len(file.rules) == 0 {
		return nil
	}
	file.named = slices.Clone(file.named)
	for _, rule := range file.rules { // some of them from the environment, which names no place
		for _, id := range slices.Concat(rule.Approvers, rule.Requesters) {
			file.named = append(file.named, namedID{id: id})
		}
	}
	known := whoIsWho{}
	ask := func() (struct{}, error) {
		problems, err := known.askAll(ctx, api, team, file)
		var limited *slack.RateLimitedError
		switch {
		case errors.As(err, &limited):
			return struct{}{}, backoff.RetryAfter(int(limited.RetryAfter.Seconds()) + 1)
		case mendToken(slackCode(err)) != "":
			return struct{}{}, backoff.Permanent(fmt.Errorf("slack answers %s: %s", slackCode(err), mendToken(slackCode(err))))
		case err != nil:
			return struct{}{}, err
		case len(problems) > 0:
			return struct{}{}, backoff.Permanent(&configError{problems: problems})
		}
		return struct{}{}, nil
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = time.Second, 30*time.Second
	_, err := backoff.Retry(ctx, ask, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			log.WarnContext(ctx, "ask slack about the people of the policy", "error", slackError(err), "pause", pause.String())
		}))
	return err
}

// askAll asks about those of whom Slack has not answered yet, and finds what is wrong when
// it has about all. The error is that it gave no answer.
func (w whoIsWho) askAll(ctx context.Context, api *slack.Client, team string, file policyFile) (problems []problem, err error) {
	for _, at := range file.named {
		if _, known := w[at.id]; known {
			continue
		}
		answer, err := ask(ctx, api, team, at.id)
		if err != nil {
			return nil, err
		}
		w[at.id] = answer
	}
	for _, at := range file.named {
		if says := w[at.id].says; says != "" && at.line > 0 {
			problems = append(problems, problem{"POLICY_FILE", at.String() + at.id + " " + says})
		}
	}
	for i, rule := range file.rules {
		approvers := w.all(rule.Approvers)
		if len(problems) == 0 && !decidable(approvers, w.all(rule.Requesters), rule.Approvals) {
			problems = append(problems, problem{"POLICY_FILE", file.places[i].String() + undecidable(rule, len(approvers))})
		}
	}
	return problems, nil
}

// ask finds out for whom an ID stands.
func ask(ctx context.Context, api *slack.Client, team, id string) (standsFor, error) {
	ctx, cancel := context.WithTimeout(ctx, slackTime)
	defer cancel()
	if isGroup(id) {
		members, err := api.GetUserGroupMembersContext(ctx, id)
		switch slackCode(err) {
		case "no_such_subteam", "subteam_not_found":
			return standsFor{says: "is no user group of this workspace"}, nil
		case "plan_upgrade_required":
			return standsFor{says: "is a user group, which this workspace's plan does not have: name people"}, nil
		}
		return standsFor{people: members}, err
	}
	u, err := api.GetUserInfoContext(ctx, id)
	switch code := slackCode(err); {
	case code == "user_not_found" || code == "user_not_visible":
		return standsFor{says: "is no user of this workspace"}, nil
	case err != nil:
		return standsFor{}, err
	case u.IsStranger || u.TeamID != team:
		return standsFor{says: "is a user of another workspace"}, nil
	case u.IsBot || u.Deleted || u.IsRestricted || u.IsUltraRestricted:
		return standsFor{}, nil // people leave: that alone must not keep the bot from starting
	default:
		return standsFor{people: []string{id}}, nil
	}
}

// all are the people for whom the IDs of a list stand; nil for a list that is nil.
func (w whoIsWho) all(ids []string) []string {
	if ids == nil {
		return nil
	}
	people := []string{}
	for _, id := range ids {
		people = append(people, w[id].people...)
	}
	slices.Sort(people)
	return slices.Compact(people)
}
