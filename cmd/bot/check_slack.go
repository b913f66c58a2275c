package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// scopes are what the bot token needs.
var scopes = []string{"commands", "chat:write", "users:read", "users:read.email", "usergroups:read", "channels:read", "groups:read"}

// slackCheck looks at Slack through one client.
type slackCheck struct {
	*report
	cfg  *config
	api  *slack.Client
	team string // empty if Slack did not say
}

// checkSlack looks at everything in Slack and returns the workspace, if the bot
// token gives one.
func checkSlack(ctx context.Context, r *report, cfg *config) string {
	transport := slackTransport()
	defer transport.CloseIdleConnections()
	s := &slackCheck{report: r, cfg: cfg, api: cfg.slackClient(slackHTTP(transport))}
	app := s.botToken(ctx)
	s.appToken(ctx, app)
	if s.team == "" {
		s.add(doubt, "channel, people", "not looked at", "they need a bot token that works")
		return ""
	}
	s.channel(ctx)
	s.approvers(ctx)
	s.requesters(ctx)
	for _, rule := range s.cfg.policy.rules {
		s.rule(ctx, rule)
	}
	return s.team
}

// botToken looks at the bot token and its scopes, and returns the app it is of.
func (s *slackCheck) botToken(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	self, err := s.api.AuthTestContext(ctx)
	if err != nil {
		s.add(failure, "slack bot token", slackError(err).Error(), mendCall(err, "SLACK_BOT_TOKEN"))
		return ""
	}
	s.team = self.TeamID
	if self.BotID == "" {
		s.add(failure, "slack bot token", "it is not the token of a bot", "put the Bot User OAuth Token into SLACK_BOT_TOKEN")
	} else {
		s.ok("slack bot token", "workspace %s (%s), bot user %s (%s)", self.Team, self.TeamID, self.User, self.UserID)
	}
	s.scopes(self.Header.Get("X-OAuth-Scopes"))
	info, err := s.api.GetBotInfoContext(ctx, slack.GetBotInfoParameters{Bot: self.BotID})
	if err != nil {
		return "" // only the comparison with the app-level token needs it
	}
	return info.AppID
}

func (s *slackCheck) scopes(header string) {
	granted := listOf(header)
	missing := slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return slices.Contains(granted, scope) })
	switch {
	case len(granted) == 0:
		s.add(doubt, "slack scopes", "Slack did not name them", "the bot needs "+strings.Join(scopes, ", "))
	case len(missing) > 0:
		s.add(failure, "slack scopes", "missing: "+strings.Join(missing, ", "),
			"add them in the app's settings, OAuth & Permissions, then reinstall the app")
	default:
		s.ok("slack scopes", "%s", strings.Join(granted, ", "))
	}
}

// appToken asks for the address of a socket, which it does not connect to: an
// address that nobody uses takes none of the app's ten connections.
func (s *slackCheck) appToken(ctx context.Context, app string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	_, address, err := s.api.StartSocketModeContext(ctx)
	switch code := slackCode(err); {
	case code == "missing_scope":
		s.add(failure, "slack app token", code, "the app-level token in SLACK_APP_TOKEN lacks the scope connections:write; make one that has it")
		return
	case code == "not_allowed_token_type":
		s.add(failure, "slack app token", code, "SLACK_APP_TOKEN must hold an app-level token (xapp-…), from Basic Information, App-Level Tokens")
		return
	case err != nil:
		s.add(failure, "slack app token", slackError(err).Error(), mendCall(err, "SLACK_APP_TOKEN"))
		return
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "wss" && (u.Scheme != "ws" || !loopback(u.Hostname())) {
		s.add(failure, "slack app token", "Slack gave an address that is not of a secure socket", "look at what answers at SLACK_API_URL")
		return
	}
	if opened := u.Query().Get("app_id"); app != "" && opened != "" && opened != app {
		s.add(failure, "slack app token", fmt.Sprintf("it is of the app %s, the bot token of %s", opened, app), "take both tokens from the same app")
		return
	}
	s.ok("slack app token", "Socket Mode is on")
}

// checkInteractivity looks for traces of what people did in forms and with buttons: whether
// Interactivity is on, Slack tells nobody but the people who then see a warning sign.
func checkInteractivity(ctx context.Context, r *report, cfg *config, team string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	rdb := cfg.redis.client()
	defer func() { _ = rdb.Close() }() // it was only read
	const subject = "slack interactivity"
	entries, err := (&approvals.Store{Redis: rdb, Team: team}).Newest(ctx, 200)
	if err != nil || team == "" {
		return // what is wrong with Redis or the bot token is said already
	}
	for _, e := range entries {
		switch e.Fields["via"] {
		case "form", "card", "message", "home": // and not by a command, or by the bot itself
			r.ok(subject, "a form or a click came in at %s", e.At.Format(time.RFC3339))
			return
		}
	}
	r.add(doubt, subject, "no form and no click came in yet, and Slack does not say whether it is on",
		"if a form does not react to a choice, or a button to a click, switch it on in the app's settings, Interactivity & Shortcuts")
}

// mendCall says what to do about an error of a Slack call.
func mendCall(err error, variable string) string {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	switch code := slackCode(err); {
	case mendToken(code) != "":
		return variable + ": " + mendToken(code)
	case code != "" || errors.As(err, &limited):
		return "try again in a minute"
	case errors.As(err, &status) && status.Code < 500:
		return "look at SLACK_API_URL: what answers there does not look like Slack"
	default:
		return "look at SLACK_API_URL and at the way out to it (DNS, proxy, firewall), or try again in a minute"
	}
}

func (s *slackCheck) channel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	const subject = "approvals channel"
	id := s.cfg.SlackApprovalsChannel
	c, err := s.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
	switch {
	case slackCode(err) == "channel_not_found":
		s.add(failure, subject, id+" is not there for the bot", "look at SLACK_APPROVALS_CHANNEL; if the channel is private, invite the bot to it first")
	case err != nil:
		s.add(failure, subject, id+" "+slackError(err).Error(), s.mendScope(err))
	case c.IsArchived:
		s.add(failure, subject, named(c)+" is archived", "unarchive it or put another into SLACK_APPROVALS_CHANNEL")
	case !c.IsMember:
		s.add(failure, subject, named(c)+" is without the bot", "say /invite and the bot's name in it")
	case c.IsExtShared:
		s.add(doubt, subject, named(c)+" is shared with another organization", "everybody in it sees who changes what in Atlas; a channel of your own is better")
	default:
		s.ok(subject, "%s, and the bot is a member", named(c))
	}
}

func named(c *slack.Channel) string { return "#" + c.Name + " (" + c.ID + ")" }

// mendScope says what to do about an error of a call that needs a scope.
func (s *slackCheck) mendScope(err error) string {
	var refusal slack.SlackErrorResponse
	if errors.As(err, &refusal) && refusal.Err == "missing_scope" && refusal.Needed != "" {
		return "add the scope " + refusal.Needed + " in the app's settings and reinstall the app"
	}
	return mendCall(err, "SLACK_BOT_TOKEN")
}

func (s *slackCheck) approvers(ctx context.Context) {
	people, sure := s.people(ctx, "approver", s.cfg.SlackApprovers)
	needed := s.cfg.ApprovalsRequired
	const subject = "approvers"
	switch {
	case !sure:
		s.add(doubt, subject, fmt.Sprintf("at least %d people", len(people)), "mend what is said above, then look again")
	case len(people) < needed:
		s.add(failure, subject, fmt.Sprintf("%d people, but APPROVALS_REQUIRED is %d", len(people), needed),
			"no request could ever be approved; list more in SLACK_APPROVERS")
	case len(people) == needed:
		s.add(doubt, subject, fmt.Sprintf("%d people, as many as APPROVALS_REQUIRED", needed),
			"a request by one of them could never be approved, since nobody approves their own; list more in SLACK_APPROVERS")
	default:
		s.ok(subject, "%d people, %d needed", len(people), needed)
	}
}

func (s *slackCheck) requesters(ctx context.Context) {
	if len(s.cfg.SlackRequesters) == 0 {
		s.ok("requesters", "every full member of the workspace")
		return
	}
	switch people, sure := s.people(ctx, "requester", s.cfg.SlackRequesters); {
	case !sure:
		s.add(doubt, "requesters", fmt.Sprintf("at least %d people", len(people)), "mend what is said above, then look again")
	case len(people) == 0:
		s.add(failure, "requesters", "nobody", "list people in SLACK_REQUESTERS, or leave it empty for every full member")
	default:
		s.ok("requesters", "%d people", len(people))
	}
}

// rule looks at the people of a rule of the policy. What it has from the environment
// is looked at again: other people may ask, or more must approve.
func (s *slackCheck) rule(ctx context.Context, rule approvals.Rule) {
	subject := "policy " + rule.Name
	approvers, sure := s.people(ctx, subject+" approver", rule.Approvers)
	requesters, known := []string(nil), true
	if len(rule.Requesters) > 0 {
		requesters, known = s.people(ctx, subject+" requester", rule.Requesters)
		requesters = append([]string{}, requesters...) // nobody is not everybody
	}
	switch {
	case !sure || !known:
		s.add(doubt, subject, fmt.Sprintf("at least %s may approve", people(len(approvers))), "mend what is said above, then look again")
	case !decidable(approvers, requesters, rule.Approvals):
		s.add(failure, subject, undecidable(rule, len(approvers)), "list more people in POLICY_FILE, or ask for fewer approvals")
	default:
		s.ok(subject, "%s may approve, %d needed", people(len(approvers)), rule.Approvals)
	}
}

// people looks at each entry of a list and returns who is on it, and whether
// Slack answered about every entry.
func (s *slackCheck) people(ctx context.Context, subject string, list []string) (people []string, sure bool) {
	found, sure := map[string]bool{}, true
	for _, id := range list {
		var members []string
		var err error
		if isGroup(id) {
			members, err = s.group(ctx, subject+" "+id, id)
		} else {
			members, err = s.person(ctx, subject+" "+id, id)
		}
		sure = sure && err == nil
		for _, member := range members {
			found[member] = true
		}
	}
	return slices.Collect(maps.Keys(found)), sure
}

// person looks at a user; the error is that Slack gave no answer.
func (s *slackCheck) person(ctx context.Context, subject, id string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	u, err := s.api.GetUserInfoContext(ctx, id)
	const remove = "the bot will refuse them; take the ID off the list"
	switch code := slackCode(err); {
	case code == "user_not_found" || code == "user_not_visible":
		s.add(failure, subject, "there is no such user in the workspace", remove)
	case err != nil:
		s.add(failure, subject, slackError(err).Error(), s.mendScope(err))
		return nil, err
	case u.IsStranger || u.TeamID != s.team:
		s.add(failure, subject, u.Name+" is of another workspace", remove)
	case u.Deleted:
		s.add(failure, subject, u.Name+" is deactivated", remove)
	case u.IsBot:
		s.add(failure, subject, u.Name+" is a bot", remove)
	case u.IsRestricted || u.IsUltraRestricted:
		s.add(failure, subject, u.Name+" is a guest", remove)
	default:
		s.ok(subject, "%s", u.Name)
		return []string{id}, nil
	}
	return nil, nil
}

// group looks at a user group. Its members are counted, not looked at one by one:
// the bot does that when they act.
func (s *slackCheck) group(ctx context.Context, subject, id string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	members, err := s.api.GetUserGroupMembersContext(ctx, id)
	switch code := slackCode(err); {
	case code == "no_such_subteam":
		s.add(failure, subject, "there is no such user group", "look at the ID in Slack, or take it off the list")
	case code == "plan_upgrade_required":
		s.add(failure, subject, "the workspace's plan has no user groups", "list users instead")
	case err != nil:
		s.add(failure, subject, slackError(err).Error(), s.mendScope(err))
		return nil, err
	case len(members) == 0:
		s.add(failure, subject, "the user group has no members", "add people to it, or take it off the list")
	default:
		s.ok(subject, "user group of %d", len(members))
	}
	return members, nil
}
