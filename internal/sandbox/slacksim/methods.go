package slacksim

import (
	"net/url"
	"slices"
	"strings"
)

func (s *Server) authTest(*call) answer {
	a := ok(object{
		"url": "https://" + domain + ".slack.example/", "team": "On call", "team_id": TeamID,
		"user": s.users[BotUserID].Name, "user_id": BotUserID, "bot_id": BotID, "is_enterprise_install": false,
	})
	a.header = map[string]string{"X-OAuth-Scopes": strings.Join(s.scopes, ",")}
	return a
}

func (s *Server) botsInfo(c *call) answer {
	if id := c.arg("bot"); id != BotID {
		return no("bot_not_found")
	}
	return ok(object{"bot": object{
		"id": BotID, "deleted": false, "name": s.users[BotUserID].Name, "updated": 1795424000, "app_id": AppID,
		"user_id": BotUserID, "icons": object{},
	}})
}

// openConnection gives a URL that serves one connection. Beyond a burst of ten it
// gives one a minute for each connection that stands.
func (s *Server) openConnection(*call) answer {
	if s.off {
		return no("link_disabled")
	}
	if a := s.limit("apps.connections.open", 10, max(1, float64(len(s.conns)))/60); a.body != nil {
		return a
	}
	ticket := random(16)
	s.tickets[ticket] = true
	query := url.Values{"ticket": {ticket}, "app_id": {AppID}}
	return ok(object{"url": "ws" + strings.TrimPrefix(s.url, "http") + "/link/?" + query.Encode()})
}

func (s *Server) conversationsInfo(c *call) answer {
	id := c.arg("channel")
	if id == "" {
		return missing("channel")
	}
	ch := s.channel(id)
	if ch == nil || ch.Private && !ch.has(BotUserID) {
		return no("channel_not_found")
	}
	return ok(object{"channel": object{
		"id": ch.ID, "name": ch.Name, "name_normalized": ch.Name, "is_channel": !ch.Private && !isDM(id), "is_group": ch.Private && !isDM(id),
		"is_im": isDM(id), "is_private": ch.Private, "is_archived": ch.Archived, "is_member": ch.has(BotUserID),
		"is_ext_shared": ch.ExtShared, "is_shared": ch.ExtShared, "created": 1795000000, "context_team_id": TeamID,
	}})
}

func (s *Server) usersInfo(c *call) answer {
	id := c.arg("user")
	u := s.users[id]
	switch {
	case id == "":
		return missing("user")
	case u == nil:
		return no("user_not_found")
	case u.Invisible:
		return no("user_not_visible")
	}
	profile := object{"real_name": u.RealName, "display_name": u.Name, "team": u.TeamID}
	if u.Email != "" && slices.Contains(s.scopes, "users:read.email") {
		profile["email"] = u.Email
	}
	return ok(object{"user": object{
		"id": u.ID, "team_id": u.TeamID, "name": u.Name, "real_name": u.RealName, "deleted": u.Deleted, "tz": u.TZ,
		"is_bot": u.IsBot, "is_restricted": u.IsRestricted || u.IsUltraRestricted, "is_ultra_restricted": u.IsUltraRestricted,
		"is_stranger": u.IsStranger, "is_app_user": false, "updated": 1795424000,
		"profile": profile,
	}})
}

func (s *Server) groupUsers(c *call) answer {
	id := c.arg("usergroup")
	members, known := s.groups[id]
	switch {
	case s.freePlan:
		return no("plan_upgrade_required")
	case id == "":
		return missing("usergroup")
	case !known:
		return no("no_such_subteam")
	}
	return ok(object{"users": append([]string{}, slices.Clone(members)...)})
}

func (s *Server) teamInfo(*call) answer {
	return ok(object{"team": object{"id": TeamID, "name": "On call", "domain": domain, "email_domain": "", "icon": object{}}})
}
