package main

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// The ten mistakes that people make most when they set the bot up: each is found, by name,
// with what to do about it.
func TestCheckFindsTheLikeliestMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mistake string
		env     func(s *surroundings) []string
		edit    func(t *testing.T, s *surroundings)
		code    int
		found   string
		mend    string
	}{
		{
			mistake: "a token of the wrong kind",
			env: func(s *surroundings) []string {
				return []string{"SLACK_APP_TOKEN", s.slack.BotToken(), "SLACK_BOT_TOKEN", s.slack.AppToken()}
			},
			code: exitUsage, found: "SLACK_BOT_TOKEN holds an app-level token (xapp-…)", mend: "Put the bot token (xoxb-…) here",
		},
		{
			mistake: "a missing scope",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetScopes("commands", "users:read", "usergroups:read", "channels:read", "groups:read")
			},
			code: exitFault, found: "slack scopes              missing: chat:write", mend: "add them in the app's settings, OAuth & Permissions, then reinstall the app",
		},
		{
			mistake: "the bot is not in the channel",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.SetChannel("C0APPROVAL", func(c *slacksim.Channel) { c.Members = nil })
			},
			code: exitFault, found: "#atlas-approvals (C0APPROVAL) is without the bot", mend: "say /invite and the bot's name in it",
		},
		{
			mistake: "Socket Mode is off",
			edit: func(_ *testing.T, s *surroundings) {
				s.slack.Fail("apps.connections.open", 1, slacksim.Failure{Error: "link_disabled"})
			},
			code: exitFault, found: "Socket Mode is off", mend: "switch it on in the app's settings, Socket Mode",
		},
		{
			mistake: "Interactivity is off", // nothing came in yet: that is all there is to see
			code:    exitOK, found: "slack interactivity       no form and no click came in yet",
			mend: "switch it on in the app's settings, Interactivity & Shortcuts",
		},
		{
			mistake: "an app-level token without its scope",
			edit:    func(_ *testing.T, s *surroundings) { s.slack.SetAppScopes() },
			code:    exitFault, found: "the app-level token in SLACK_APP_TOKEN lacks the scope connections:write", mend: "make one that has it",
		},
		{
			mistake: "a role in Atlas that may only read",
			edit: func(t *testing.T, s *surroundings) {
				require.NoError(t, s.atlas.SetRole(projectNumber("1"), atlassim.RoleReadOnly))
			},
			code: exitFault, found: "the role is not Project Owner", mend: "Give the bot's credentials the role Project Owner in this project",
		},
		{
			mistake: "an address that is not on the API access list",
			edit:    func(_ *testing.T, s *surroundings) { s.atlas.SetIPBlock(atlassim.BlockedAtUse) },
			code:    exitFault, found: "IP_ADDRESS_NOT_ON_ACCESS_LIST", mend: "add 127.0.0.1 to the API access list of the bot's credentials; that is not the IP access list of the clusters",
		},
		{
			mistake: "a Redis that evicts keys",
			edit: func(t *testing.T, s *surroundings) {
				client := redisOf(t, s)
				require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "100mb").Err())
				require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
			},
			code: exitFault, found: "redis eviction            allkeys-lru", mend: "set maxmemory-policy noeviction",
		},
		{
			mistake: "an approver group without members",
			edit:    func(_ *testing.T, s *surroundings) { s.slack.SetGroup("S0APPROVE1") },
			code:    exitFault, found: "approver S0APPROVE1       the user group has no members", mend: "add people to it",
		},
	}
	for _, tt := range tests {
		t.Run(tt.mistake, func(t *testing.T) {
			t.Parallel()
			s := newSurroundings(t)
			own, _ := newRedis(t, "--appendonly", "yes")
			s.env = s.env.with("REDIS_URL", own.URL)
			if tt.env != nil {
				s.env = s.env.with(tt.env(s)...)
			}
			if tt.edit != nil {
				tt.edit(t, s)
			}
			got := runBot(t.Context(), s.env, "", "check")
			said := got.stdout + got.stderr
			assert.Equal(t, tt.code, got.code, said)
			line := ""
			for l := range strings.Lines(said) {
				if strings.Contains(l, tt.found) {
					line = l
				}
			}
			assert.Contains(t, line, tt.mend, said)
		})
	}
}

// redisOf is a client of the Redis that the bot is configured to talk to.
func redisOf(t *testing.T, s *surroundings) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(s.env["REDIS_URL"])
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// Once a form or a click came in, Interactivity is on.
func TestCheckSeesThatInteractivityIsOn(t *testing.T) {
	t.Parallel()
	s := newSurroundings(t)
	own, client := newRedis(t, "--appendonly", "yes")
	store := &approvals.Store{Redis: client, Team: "T0ONCALL01"}
	check := func() string {
		return read(t, runBot(t.Context(), s.env.with("REDIS_URL", own.URL), "", "check").stdout)["slack interactivity"]
	}
	require.NoError(t, store.Refuse(t.Context(), "", approvals.Actor{User: "U0GUEST001", Via: "command"}, "update", "guest"))
	assert.Contains(t, check(), "warn ", "a command says nothing of it")
	require.NoError(t, store.Refuse(t.Context(), "", approvals.Actor{User: "U0GUEST001", Via: "form"}, "update", "guest"))
	assert.Contains(t, check(), "ok a form or a click came in at 2")
}
