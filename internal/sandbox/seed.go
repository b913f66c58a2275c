package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// Roles that somebody can have in a sandbox.
const (
	RoleEngineer = "engineer"
	RoleApprover = "approver"
	RoleGuest    = "guest"    // of the workspace: the bot refuses them
	RoleStranger = "stranger" // from another workspace: the bot refuses them
)

// A Person is somebody whom the sandbox lets one be.
type Person struct {
	ID   string `yaml:"id"` // of a Slack user; empty: made from the name
	Name string `yaml:"name"`
	Role string `yaml:"role"` // empty: an engineer
}

// A Project is an Atlas project with what it has.
type Project struct {
	Name string `yaml:"name"`
	ID   string `yaml:"id"`   // 24 hex digits; empty: made from the name
	Role string `yaml:"role"` // of the bot: owner, readOnly or none; empty: owner
	// Integrations have a type and the fields that Atlas has for it; with nothing but
	// a type, it gets values that are made up.
	Integrations []map[string]any `yaml:"integrations"`
}

// A Seed is who and what there is in a sandbox at the start. What it leaves out is
// as without a seed.
type Seed struct {
	People   []Person  `yaml:"people"`
	Projects []Project `yaml:"projects"`
}

// defaultPeople are those of the stand-in's workspace.
var defaultPeople = []Person{
	{Engineer, "mira", RoleEngineer},
	{Engineer2, "sam", RoleEngineer},
	{Approver, "jo", RoleApprover},
	{Approver2, "kim", RoleApprover},
	{Guest, "guest", RoleGuest},
	{Stranger, "stranger", RoleStranger},
}

// ReadSeed reads a seed, YAML, and says all that is wrong with it.
func ReadSeed(content []byte) (*Seed, error) {
	var seed Seed
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&seed); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := errors.Join(seed.checkPeople(), seed.checkProjects()); err != nil {
		return nil, err
	}
	return &seed, nil
}

var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{6,}$`)
	objectID  = regexp.MustCompile(`^[0-9a-f]{24}$`)
	shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,20}$`)
)

func (seed *Seed) checkPeople() error {
	if len(seed.People) == 0 {
		return nil
	}
	var problems []error
	roles, names := map[string]bool{}, map[string]bool{}
	for i := range seed.People {
		p := &seed.People[i]
		p.Role, p.ID = cmp.Or(p.Role, RoleEngineer), cmp.Or(p.ID, idOf("U0", p.Name))
		switch {
		case !shortName.MatchString(p.Name):
			problems = append(problems, fmt.Errorf("person %d: the name %q is none: lower-case letters, digits, dots, dashes, at most 21", i+1, p.Name))
		case names[p.Name] || names[p.ID]:
			problems = append(problems, fmt.Errorf("person %s is there twice", p.Name))
		case !userID.MatchString(p.ID):
			problems = append(problems, fmt.Errorf("person %s: the id %q is none of a Slack user, as in U0ENGINEER", p.Name, p.ID))
		case !slices.Contains([]string{RoleEngineer, RoleApprover, RoleGuest, RoleStranger}, p.Role):
			problems = append(problems, fmt.Errorf("person %s: the role %q is none of engineer, approver, guest, stranger", p.Name, p.Role))
		}
		names[p.Name], names[p.ID], roles[p.Role] = true, true, true
	}
	if !roles[RoleEngineer] || !roles[RoleApprover] {
		problems = append(problems, errors.New("people: there must be an engineer and an approver at least"))
	}
	return errors.Join(problems...)
}

func (seed *Seed) checkProjects() error {
	var problems []error
	for i := range seed.Projects {
		p := &seed.Projects[i]
		p.Role = cmp.Or(p.Role, string(atlassim.RoleOwner))
		p.ID = cmp.Or(p.ID, strings.ToLower(digest(p.Name)[:24]))
		switch {
		case p.Name == "":
			problems = append(problems, fmt.Errorf("project %d has no name", i+1))
		case !objectID.MatchString(p.ID):
			problems = append(problems, fmt.Errorf("project %s: the id %q is not 24 hex digits", p.Name, p.ID))
		case !slices.Contains([]atlassim.Role{atlassim.RoleOwner, atlassim.RoleReadOnly, atlassim.RoleNone}, atlassim.Role(p.Role)):
			problems = append(problems, fmt.Errorf("project %s: the role %q is none of owner, readOnly, none", p.Name, p.Role))
		}
		for _, settings := range p.Integrations {
			typ, _ := settings["type"].(string)
			if !slices.Contains(atlassim.Types(), typ) {
				problems = append(problems, fmt.Errorf("project %s: %q is no type of an integration; there are %s",
					p.Name, typ, strings.Join(slices.Sorted(slices.Values(atlassim.Types())), ", ")))
			} else if len(settings) == 1 {
				for name, value := range atlassim.Sample(typ, p.Name) {
					settings[name] = value
				}
			}
		}
	}
	return errors.Join(problems...)
}

// idOf makes an ID that stays the same for a name.
func idOf(prefix, name string) string { return prefix + digest(name)[:8] }

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// plant puts the seed into the stand-ins; a nil one is their own world.
func (seed *Seed) plant(s *Sandbox) error {
	s.People = defaultPeople
	if seed != nil && len(seed.People) > 0 {
		s.People = seed.People
		for _, p := range seed.People {
			s.Slack.SetUser(p.ID, func(u *slacksim.User) {
				u.Name, u.RealName, u.IsRestricted = p.Name, p.Name, p.Role == RoleGuest
				if p.Role == RoleStranger {
					u.IsStranger, u.TeamID = true, "T0OTHER001"
				}
			})
			for _, id := range []string{Approvals, Incidents} {
				s.Slack.SetChannel(id, func(c *slacksim.Channel) { c.Members = append(c.Members, p.ID) })
			}
		}
	}
	if seed == nil || len(seed.Projects) == 0 {
		if err := atlassim.DefaultWorld(s.Atlas); err != nil {
			return fmt.Errorf("fill the stand-in for Atlas: %w", err)
		}
		return nil
	}
	for _, p := range seed.Projects {
		if err := s.Atlas.AddProject(p.ID, p.Name); err != nil {
			return fmt.Errorf("seed: project %s: %w", p.Name, err)
		}
		for _, settings := range p.Integrations {
			if err := s.Atlas.Seed(p.ID, settings); err != nil {
				return fmt.Errorf("seed: project %s, %v: %w", p.Name, settings["type"], err)
			}
		}
		if err := s.Atlas.SetRole(p.ID, atlassim.Role(p.Role)); err != nil {
			return fmt.Errorf("seed: project %s: %w", p.Name, err)
		}
	}
	return nil
}

// First is the first person who has a role.
func (s *Sandbox) First(role string) Person {
	i := slices.IndexFunc(s.People, func(p Person) bool { return p.Role == role })
	return s.People[max(i, 0)]
}

// with lists the IDs of those who have a role.
func (s *Sandbox) with(role string) string {
	var ids []string
	for _, p := range s.People {
		if p.Role == role {
			ids = append(ids, p.ID)
		}
	}
	return strings.Join(ids, ",")
}
