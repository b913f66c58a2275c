package atlassim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// orgID is the organization that every project belongs to.
const orgID = "5f0000000000000000000001"

// Errors of those who change the world with the wrong name for a part of it.
var (
	ErrNoProject     = errors.New("no such project")
	ErrNoIntegration = errors.New("no such integration")
)

// A Role is what the credentials may do in a project.
type Role string

// The roles that make a difference to integrations.
const (
	RoleOwner    Role = "owner"    // read and write
	RoleReadOnly Role = "readOnly" // read
	RoleNone     Role = "none"     // not a member: the project is not listed either
)

// A SlackMode says what Atlas makes of a change to a Slack integration.
type SlackMode int

// What the Slack integration of a project may be like.
const (
	SlackOpen          SlackMode = iota // any token is taken, as MongoDB's own tests see it
	SlackOAuth2                         // set up in the web UI: only the channel can be changed
	SlackNotConfigured                  // never set up in the web UI
	SlackLegacy                         // set up long ago, with a token
)

// A Project is a project as a client can know it.
type Project struct {
	ID, Name string
	Role     Role
}

type project struct {
	id, name     string
	created      time.Time
	role         Role
	slack        SlackMode
	bucket       bucket
	integrations map[string]*integration // by type
}

// An integration is replaced, never changed, so that a list of them can be kept.
type integration struct {
	id, typ  string
	settings map[string]any // neither id nor type; absent is not set
}

func (p *project) snapshot() map[string]*integration { return maps.Clone(p.integrations) }

// target names an integration, configured or not.
type target struct{ group, typ string }

// AddProject adds a project in which the credentials have the role of an owner. The
// id has 24 lower-case hex digits.
func (s *Server) AddProject(id, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !objectID.MatchString(id):
		return fmt.Errorf("add project %s: %q is not an id", name, id)
	case s.projects[id] != nil:
		return fmt.Errorf("add project %s: %s exists", name, id)
	}
	s.projects[id] = &project{
		id: id, name: name, created: s.clock.Now().UTC(), role: RoleOwner, integrations: map[string]*integration{},
	}
	return nil
}

// DeleteProject deletes a project and all that it has.
func (s *Server) DeleteProject(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.projects, id)
}

// Projects lists all projects by name, those without a role included.
func (s *Server) Projects() []Project {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Project
	for _, p := range s.projects {
		all = append(all, Project{ID: p.id, Name: p.name, Role: p.role})
	}
	slices.SortFunc(all, func(a, b Project) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return all
}

// ProjectID is the id of the project with a name, or nothing.
func (s *Server) ProjectID(name string) string {
	for _, p := range s.Projects() {
		if p.Name == name {
			return p.ID
		}
	}
	return ""
}

// SetRole changes what the credentials may do in a project.
func (s *Server) SetRole(groupID string, role Role) error {
	return s.inProject(groupID, func(p *project) error {
		if role != RoleOwner && role != RoleReadOnly && role != RoleNone {
			return fmt.Errorf("no such role: %q", role)
		}
		p.role = role
		return nil
	})
}

// SetSlack changes what Atlas makes of changes to a project's Slack integration.
func (s *Server) SetSlack(groupID string, mode SlackMode) error {
	return s.inProject(groupID, func(p *project) error {
		p.slack = mode
		return nil
	})
}

// SetMaintenance begins or ends maintenance of Atlas: writes answer 405 meanwhile.
func (s *Server) SetMaintenance(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maintenance = on
}

// Seed configures an integration without anybody's asking. The settings name their
// type and are held as they are, whatever Atlas would say about them today; only
// fields with a default are filled in. Any type goes, unheard-of ones too.
func (s *Server) Seed(groupID string, settings map[string]any) error {
	return s.inProject(groupID, func(p *project) error {
		typ, _ := settings["type"].(string)
		if typ == "" {
			return errors.New("the settings have no type")
		}
		p.put(typ, settings)
		return nil
	})
}

// ChangeBehind lets somebody else change an integration. The edit gets what Atlas
// really holds, and must not use the Server; the integration has a new id afterwards.
func (s *Server) ChangeBehind(groupID, typ string, edit func(settings map[string]any)) error {
	return s.inProject(groupID, func(p *project) error {
		old := p.integrations[typ]
		if old == nil {
			return fmt.Errorf("%w: %s", ErrNoIntegration, typ)
		}
		settings := maps.Clone(old.settings)
		edit(settings)
		p.put(typ, settings)
		return nil
	})
}

// RemoveBehind lets somebody else remove an integration, or Atlas itself, as it
// does when the third party no longer takes the key.
func (s *Server) RemoveBehind(groupID, typ string) error {
	return s.inProject(groupID, func(p *project) error {
		if p.integrations[typ] == nil {
			return fmt.Errorf("%w: %s", ErrNoIntegration, typ)
		}
		delete(p.integrations, typ)
		return nil
	})
}

func (s *Server) inProject(groupID string, do func(*project) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[groupID]
	if p == nil {
		return fmt.Errorf("%w: %q", ErrNoProject, groupID)
	}
	if err := do(p); err != nil {
		return fmt.Errorf("project %s: %w", p.name, err)
	}
	return nil
}

// put holds the settings, under a new id.
func (p *project) put(typ string, settings map[string]any) {
	settings = maps.Clone(settings)
	delete(settings, "id")
	delete(settings, "type")
	fill(typ, settings)
	p.integrations[typ] = &integration{id: randomHex(12), typ: typ, settings: settings}
}

// Integration is what Atlas really holds, nothing masked, with id and type. A field
// that is not set is not there.
func (s *Server) Integration(groupID, typ string) (map[string]any, bool) {
	return s.look(groupID, typ, func(in *integration) map[string]any {
		held := maps.Clone(in.settings)
		held["id"], held["type"] = in.id, in.typ
		return held
	})
}

// Shown is an integration as the API shows it.
func (s *Server) Shown(groupID, typ string) (map[string]any, bool) {
	return s.look(groupID, typ, func(in *integration) map[string]any { return s.quirks.show(in) })
}

func (s *Server) look(groupID, typ string, view func(*integration) map[string]any) (map[string]any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[groupID]
	if p == nil || p.integrations[typ] == nil {
		return nil, false
	}
	return view(p.integrations[typ]), true
}

// store carries out a change that was found good; no settings remove the
// integration. A fault may have it end otherwise.
func (s *Server) store(x *exchange, p *project, settings map[string]any) {
	typ := x.route.typ
	if x.fault != nil {
		switch f := &x.fault.fault; {
		case f.Kind == StoreNothing:
			return
		case f.Kind == StoreWrong && settings != nil:
			f.spoil(typ, settings)
		}
	}
	old := p.integrations[typ]
	if settings == nil {
		delete(p.integrations, typ)
	} else {
		p.put(typ, settings)
		if s.quirks.KeepIDs && old != nil {
			p.integrations[typ].id = old.id
		}
	}
	x.call.Applied = true
	if now := p.integrations[typ]; old == nil || now == nil || !reflect.DeepEqual(old.settings, now.settings) {
		s.observe(p.id, typ).effects++
	}
}

// checkSlack applies the rules of Slack's own login, which the API cannot do.
func (p *project) checkSlack(old *integration, settings map[string]any) *apiError {
	switch {
	case p.slack == SlackLegacy:
		return refuse(http.StatusBadRequest, "LEGACY_SLACK_CONFIGURATION_UNSUPPORTED",
			"Legacy Slack configurations are no longer supported. Configure Slack in the Atlas UI.")
	case p.slack == SlackNotConfigured, p.slack == SlackOAuth2 && old == nil:
		return refuse(http.StatusBadRequest, "SLACK_OAUTH2_NOT_CONFIGURED",
			"Slack has to be configured in the Atlas UI first.")
	case p.slack == SlackOAuth2 && (settings["apiToken"] != old.settings["apiToken"] ||
		settings["teamName"] != old.settings["teamName"]):
		return refuse(http.StatusBadRequest, "MUST_RECONFIGURE_SLACK_OAUTH2",
			"API Tokens and Teams can only be modified via the UI.")
	}
	return nil
}

// inServerOrder sorts integrations in a way that means nothing and is always the
// same for a project.
func inServerOrder(p *project, held map[string]*integration) []*integration {
	all := slices.Collect(maps.Values(held))
	slices.SortFunc(all, func(a, b *integration) int {
		return strings.Compare(objectIDOf(p.id, a.typ), objectIDOf(p.id, b.typ))
	})
	return all
}

// objectIDOf makes an id out of names.
func objectIDOf(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "/")))
	return hex.EncodeToString(sum[:12])
}
