package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// surroundings is everything that the bot is configured to talk to.
type surroundings struct {
	slack *slacksim.Server
	atlas *atlassim.Server
	env   variablesOf
}

func newSurroundings(t *testing.T) *surroundings {
	t.Helper()
	slack, err := slacksim.New(slacksim.Options{NoRateLimits: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, slack.Close()) })
	atlas := newAtlas(t)
	return &surroundings{slack: slack, atlas: atlas, env: complete(t).with(
		"SLACK_APP_TOKEN", slack.AppToken(), "SLACK_BOT_TOKEN", slack.BotToken(), "SLACK_API_URL", slack.APIURL(),
		"SLACK_APPROVALS_CHANNEL", "C0APPROVAL", "SLACK_APPROVERS", "S0APPROVE1",
		"MONGODB_ATLAS_BASE_URL", atlas.URL(), "MONGODB_ATLAS_CLIENT_ID", atlas.ClientID(),
		"MONGODB_ATLAS_CLIENT_SECRET", atlas.ClientSecret(),
		"REDIS_URL", redisd.Shared(t).URL, "HTTP_ADDR", "127.0.0.1:0",
	)}
}

// secrets are what must never be printed.
func (s *surroundings) secrets() []string {
	return []string{
		s.slack.AppToken(), s.slack.BotToken(), s.atlas.ClientSecret(), s.env["SEALING_KEYSET"], "ticket=",
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	// Redis' own answers depend on how the shared one was started: TestCheckRedis.
	tests := []struct {
		name string
		env  []string
		edit func(t *testing.T, s *surroundings)
		code int
		want map[string]string // subject -> what its line contains
	}{
		{
			name: "all is well",
			env:  []string{"SLACK_APPROVERS", "U0APPROVER,S0APPROVE1", "MONGODB_ATLAS_PROJECTS", "payments:" + projectNumber("1")},
			want: map[string]string{
				"configuration": "ok ", "slack bot token": "ok workspace On call (T0ONCALL01)",
				"slack scopes": "ok commands, chat:write", "slack app token": "ok Socket Mode is on",
				"approvals channel": "ok #atlas-approvals (C0APPROVAL)", "approver U0APPROVER": "ok jo", "approver S0APPROVE1": "ok user group of 2",
				"approvers": "ok 2 people, 1 needed", "requesters": "ok every full member", "redis keys": "ok ",
				"sealing keyset": "ok primary key", "atlas credentials": "ok service account", "project payments": "ok readable",
			},
		},
		{
			name: "the bot token was revoked",
			edit: func(_ *testing.T, s *surroundings) { s.slack.SetTokenError(s.slack.BotToken(), "token_revoked") },
			code: exitFault,
			want: map[string]string{
				"slack bot token": "fail token_revoked: SLACK_BOT_TOKEN: the token is no longer valid", "slack app token": "ok ",
				"redis keys": "ok ", "atlas credentials": "ok ", // all else is looked at none the less
			},
		},
		{
			name: "the bot token is of nobody",
			env:  []string{"SLACK_BOT_TOKEN", "xoxb-" + canary},
			code: exitFault,
			want: map[string]string{"slack bot token": "fail invalid_auth: SLACK_BOT_TOKEN: the token is wrong"},
		},
		{
			name: "scopes are missing",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetScopes("commands", "chat:write", "users:read", "groups:read")
			},
			code: exitFault,
			want: map[string]string{
				"slack scopes":      "fail missing: users:read.email, usergroups:read, channels:read: add them",
				"approvals channel": "fail C0APPROVAL missing_scope: add the scope channels:read", "approver S0APPROVE1": "add the scope usergroups:read",
				"approvers": "warn at least 0 people",
			},
		},
		{
			name: "the app-level token lacks its scope",
			edit: func(_ *testing.T, s *surroundings) { s.slack.SetAppScopes() },
			code: exitFault,
			want: map[string]string{"slack app token": "lacks the scope connections:write"},
		},
		{
			name: "Socket Mode is off",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.Fail("apps.connections.open", 1, slacksim.Failure{Error: "link_disabled"})
			},
			code: exitFault,
			want: map[string]string{"slack app token": "fail link_disabled: SLACK_APP_TOKEN: Socket Mode is off; switch it on"},
		},
		{
			name: "the channel is archived",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetChannel("C0APPROVAL", func(c *slacksim.Channel) { c.Archived = true })
			},
			code: exitFault,
			want: map[string]string{"approvals channel": "fail #atlas-approvals (C0APPROVAL) is archived"},
		},
		{
			name: "the bot is not in the channel",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetChannel("C0APPROVAL", func(c *slacksim.Channel) { c.Members = nil })
			},
			code: exitFault,
			want: map[string]string{"approvals channel": "is without the bot: say /invite"},
		},
		{
			name: "the channel is private, without the bot",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetChannel("C0APPROVAL", func(c *slacksim.Channel) { c.Private, c.Members = true, nil })
			},
			code: exitFault,
			want: map[string]string{"approvals channel": "invite the bot to it first"},
		},
		{
			name: "the channel is shared",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetChannel("C0APPROVAL", func(c *slacksim.Channel) { c.ExtShared = true })
			},
			want: map[string]string{"approvals channel": "warn #atlas-approvals (C0APPROVAL) is shared with another organization"},
		},
		{
			name: "approvers who cannot approve",
			env:  []string{"SLACK_APPROVERS", "U0GUEST001,U0STRANGER,U0GONE0001,U0BOTUSER1,U0NOBODY,S0NOGROUP,S0EMPTY"},
			edit: func(_ *testing.T, s *surroundings) { s.slack.SetGroup("S0EMPTY") },
			code: exitFault,
			want: map[string]string{
				"approver U0GUEST001": "fail guest is a guest", "approver U0STRANGER": "fail stranger is of another workspace",
				"approver U0GONE0001": "fail gone is deactivated", "approver U0BOTUSER1": "is a bot", "approver U0NOBODY": "fail there is no such user",
				"approver S0NOGROUP": "fail there is no such user group", "approver S0EMPTY": "has no members",
				"approvers": "fail 0 people, but APPROVALS_REQUIRED is 1",
			},
		},
		{
			name: "as many approvers as are needed",
			env:  []string{"APPROVALS_REQUIRED", "2"},
			want: map[string]string{"approvers": "warn 2 people, as many as APPROVALS_REQUIRED: a request by one of them"},
		},
		{
			name: "a plan without user groups",
			edit: func(_ *testing.T, s *surroundings) { s.slack.SetUserGroups(false) },
			code: exitFault,
			want: map[string]string{"approver S0APPROVE1": "fail the workspace's plan has no user groups: list users"},
		},
		{
			name: "a policy with a rule for nothing, and one under which nobody can decide",
			edit: func(t *testing.T, s *surroundings) {
				path := filepath.Join(t.TempDir(), "policy.yaml")
				require.NoError(t, os.WriteFile(path, []byte(
					`rules: [{name: lost, projects: [not-there], requesters: [U0GONE0001, U0ENGINEER]}, {name: tight, projects: ["*"], approvers: [S0APPROVE1], approvals: 3}]`), 0o600))
				s.env["POLICY_FILE"] = path
			},
			code: exitFault,
			want: map[string]string{
				"policy lost": "ok 2 people may approve, 1 needed", "policy lost requester U0GONE0001": "is deactivated",
				"policy lost projects": "warn it holds for no project", "policy tight projects": "ok holds for 2 projects",
				"policy tight": `fail under the rule "tight" nobody's request could be approved: it takes 3 of 2 people`,
			},
		},
		{
			name: "listed requesters",
			env:  []string{"SLACK_REQUESTERS", "U0ENGINEER,U0ENGINE2"},
			want: map[string]string{"requester U0ENGINEER": "ok mira", "requesters": "ok 2 people"},
		},
		{
			name: "no requester is left",
			env:  []string{"SLACK_REQUESTERS", "U0GONE0001"},
			code: exitFault,
			want: map[string]string{"requesters": "fail nobody: list people"},
		},
		{
			name: "Slack is away",
			edit: func(t *testing.T, s *surroundings) { require.NoError(t, s.slack.Close()) },
			code: exitFault,
			want: map[string]string{"slack bot token": "look at SLACK_API_URL", "slack app token": "look at SLACK_API_URL", "atlas credentials": "ok "},
		},
		{
			name: "something mistyped",
			env:  []string{"LOG_LEVLE", "debug"},
			want: map[string]string{"configuration": "warn LOG_LEVLE is set, but nothing reads it: did you mean LOG_LEVEL?"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSurroundings(t)
			if tt.edit != nil {
				tt.edit(t, s)
			}
			got := runBot(t.Context(), s.env.with(tt.env...), "", "check")
			found := read(t, got.stdout)
			// Of the shared Redis only persistence may be found wanting.
			for subject, line := range found {
				if strings.HasPrefix(subject, "redis") && strings.HasPrefix(line, "fail") {
					assert.Equal(t, "redis persistence", subject, line)
				} else if tt.code == exitOK {
					assert.NotContains(t, line[:4], "fail", subject)
				}
			}
			for subject, line := range tt.want {
				assert.Contains(t, found[subject], line, got.stdout)
			}
			if tt.code != exitOK {
				assert.Equal(t, tt.code, got.code, got.stdout)
			}
			assert.Empty(t, got.stderr)
			for _, secret := range append(s.secrets(), canary) {
				assert.NotContains(t, got.stdout, secret)
			}
		})
	}
}

// A check that is not let finish says so, and does not take forever.
func TestCheckIsInterrupted(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.slack.Fail("auth.test", 1, slacksim.Failure{Hang: true})
	time.AfterFunc(50*time.Millisecond, cancel)
	got := runBot(ctx, s.env, "", "check")
	assert.Equal(t, exitFault, got.code)
	assert.Contains(t, got.stderr, "canceled")
}

// Persistence decides the exit code too: with a Redis that keeps everything, all
// is well.
func TestCheckExitsWithZero(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	redis := redisd.New(t, "--appendonly", "yes")
	got := runBot(t.Context(), s.env.with("REDIS_URL", redis.URL), "", "check")
	assert.Equal(t, exitOK, got.code, got.stdout)
	assert.NotContains(t, got.stdout, "fail")
}
