package slacksim

import "slices"

// The workspace that a new stand-in has.
const (
	TeamID    = "T0ONCALL01"
	AppID     = "A0BOT00001"
	BotID     = "B0BOT00001"
	BotUserID = "U0BOTUSER1"
	domain    = "oncall"
)

// A User is somebody whom users.info knows.
type User struct {
	ID, Name, RealName, TeamID, TZ, Email                       string
	Deleted, IsBot, IsRestricted, IsUltraRestricted, IsStranger bool
	Invisible                                                   bool // the app may not see them: user_not_visible
}

// A Channel is a place for messages. Direct messages with the bot need none: they
// are there for every user.
type Channel struct {
	ID, Name                     string
	Private, Archived, ExtShared bool
	Members                      []string // by user ID; the bot by BotUserID
}

func (c *Channel) has(user string) bool { return slices.Contains(c.Members, user) }

// defaultScopes are those of the app's manifest.
var defaultScopes = []string{"commands", "chat:write", "users:read", "users:read.email", "usergroups:read", "channels:read", "groups:read"}

func (s *Server) populate() {
	for _, u := range []User{
		{ID: "U0ENGINEER", Name: "mira", RealName: "Mira"},
		{ID: "U0ENGINE2", Name: "sam", RealName: "Sam"},
		{ID: "U0APPROVER", Name: "jo", RealName: "Jo"},
		{ID: "U0APPROV2", Name: "kim", RealName: "Kim"},
		{ID: "U0GUEST001", Name: "guest", RealName: "Guest", IsRestricted: true},
		{ID: "U0STRANGER", Name: "stranger", RealName: "Stranger", TeamID: "T0OTHER001", IsStranger: true},
		{ID: "U0GONE0001", Name: "gone", RealName: "Gone", Deleted: true},
		{ID: BotUserID, Name: "atlas-integration", RealName: "atlas-integration", IsBot: true},
	} {
		if u.TeamID == "" {
			u.TeamID = TeamID
		}
		u.TZ = "Europe/London"
		if !u.IsBot {
			u.Email = u.Name + "@oncall.example.com"
		}
		s.users[u.ID] = &u
	}
	members := []string{BotUserID, "U0ENGINEER", "U0ENGINE2", "U0APPROVER", "U0APPROV2", "U0GUEST001"}
	s.channels["C0APPROVAL"] = &Channel{ID: "C0APPROVAL", Name: "atlas-approvals", Members: slices.Clone(members)}
	s.channels["C0INCIDENT"] = &Channel{ID: "C0INCIDENT", Name: "incidents", Members: slices.Clone(members)}
	s.groups["S0APPROVE1"] = []string{"U0APPROVER", "U0APPROV2"}
}

// SetUser changes a user, or adds one who is a member of the workspace until edit
// says otherwise.
func (s *Server) SetUser(id string, edit func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[id] == nil {
		s.users[id] = &User{ID: id, Name: id, RealName: id, TeamID: TeamID, TZ: "Europe/London"}
	}
	edit(s.users[id])
	s.touch()
}

// SetGroup says who is in a user group; without members it is an empty group.
func (s *Server) SetGroup(id string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = slices.Clone(members)
}

// SetChannel changes a channel, or adds one.
func (s *Server) SetChannel(id string, edit func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[id] == nil {
		s.channels[id] = &Channel{ID: id, Name: id}
	}
	edit(s.channels[id])
	s.touch()
}

// SetScopes says what the bot token may do from now on.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = slices.Clone(scopes)
}

// SetAppScopes says what the app-level token may do; connections:write is what
// Socket Mode needs.
func (s *Server) SetAppScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appScopes = slices.Clone(scopes)
}

// SetTokenError has every call with a token answered with an error, such as
// token_revoked or account_inactive, until it is set to nothing.
func (s *Server) SetTokenError(token, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenErrors[token] = code
}

// SetHomeTab and SetMessagesTab are the switches of the app's settings under App
// Home. Both are on at the start.
func (s *Server) SetHomeTab(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noHome = !on
}

// SetMessagesTab says whether people can have direct messages with the bot.
func (s *Server) SetMessagesTab(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noMessagesTab = !on
}

// SetUserGroups says whether the workspace's plan has user groups.
func (s *Server) SetUserGroups(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freePlan = !on
}

// channel finds a channel or the direct messages of somebody by ID. It is called
// with the lock held.
func (s *Server) channel(id string) *Channel {
	if c := s.channels[id]; c != nil {
		return c
	}
	for _, u := range s.users {
		if dmOf(u.ID) == id && !u.IsBot {
			return &Channel{ID: id, Name: "directmessage", Private: true, Members: []string{BotUserID, u.ID}}
		}
	}
	return nil
}

// dmOf is the ID of the direct messages between somebody and the bot.
func dmOf(user string) string {
	if user == "" {
		return ""
	}
	return "D" + user[1:]
}

func isDM(channel string) bool { return channel != "" && channel[0] == 'D' }
