package approvals

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// A Policy says for each project who may ask for what and who decides: the first
// rule that covers the project holds for it, else the default.
type Policy struct {
	Rules   []Rule `json:"rules,omitempty"`
	Default Rule   `json:"default"` // covers every project
}

// A Rule is whole by itself: nothing of the default shows through.
type Rule struct {
	Name       string        `json:"name,omitempty"`       // for people; the default has none
	Projects   []string      `json:"projects,omitempty"`   // IDs, or names in any case, in which * stands for any characters
	Approvers  []string      `json:"approvers,omitempty"`  // Slack IDs of users and user groups
	Requesters []string      `json:"requesters,omitempty"` // likewise; none: every full member
	Approvals  int           `json:"approvals,omitempty"`  // different people needed
	TTL        time.Duration `json:"ttl,omitempty"`        // how long a request waits for them
	Types      []string      `json:"types,omitempty"`      // that may be updated; none: every type
	Banner     string        `json:"banner,omitempty"`     // what everybody should read first
}

// Terms are what the policy says about one request. They are part of its digest:
// a policy that is changed afterwards does not change them.
type Terms struct {
	Needed    int           `json:"needed"`              // different approvers
	TTL       time.Duration `json:"ttl"`                 // how long it may wait for them
	Approvers []string      `json:"approvers,omitempty"` // of these; none: those of today (a request of an older version)
	Rules     []string      `json:"rules,omitempty"`     // names of the rules that hold
	Banners   []string      `json:"banners,omitempty"`
	Policy    string        `json:"policy,omitempty"` // the digest of the whole policy, in hex
}

// MixedError is that two projects are decided on by different people, so that no
// one request can be for both.
type MixedError struct{ One, Other atlas.Project }

func (e *MixedError) Error() string {
	return fmt.Sprintf("different people decide on %s and %s", e.One.Name, e.Other.Name)
}

// Terms are the strictest of what holds for the projects: the most approvals and
// the shortest wait. The error is a *MixedError.
func (p *Policy) Terms(projects []atlas.Project) (Terms, error) {
	terms := Terms{Needed: 1, Policy: p.Digest()}
	for i, rule := range p.rules(projects) {
		if i > 0 && !slices.Equal(sorted(rule.Approvers), terms.Approvers) {
			return Terms{}, &MixedError{projects[0], p.otherwise(projects)}
		}
		terms.Approvers = sorted(rule.Approvers)
		terms.Needed = max(terms.Needed, rule.Approvals)
		if terms.TTL == 0 || rule.TTL < terms.TTL {
			terms.TTL = rule.TTL
		}
		if rule.Name != "" {
			terms.Rules = append(terms.Rules, rule.Name)
		}
	}
	terms.Banners = p.Banners(projects)
	return terms, nil
}

// Banners are what everybody should read who has to do with these projects.
func (p *Policy) Banners(projects []atlas.Project) []string {
	var banners []string
	for _, rule := range p.rules(projects) {
		if rule.Banner != "" && !slices.Contains(banners, rule.Banner) {
			banners = append(banners, rule.Banner)
		}
	}
	return banners
}

// otherwise is the first project on which other people decide than on the first.
func (p *Policy) otherwise(projects []atlas.Project) atlas.Project {
	first := sorted(p.Of(projects[0]).Approvers)
	for _, project := range projects {
		if !slices.Equal(sorted(p.Of(project).Approvers), first) {
			return project
		}
	}
	return projects[0]
}

// Of is the rule that holds for a project.
func (p *Policy) Of(project atlas.Project) *Rule {
	for i := range p.Rules {
		if p.Rules[i].Covers(project) {
			return &p.Rules[i]
		}
	}
	return &p.Default
}

// rules are those that hold for any of the projects, each once, in the order of
// the projects.
func (p *Policy) rules(projects []atlas.Project) []*Rule {
	var found []*Rule
	for _, project := range projects {
		if rule := p.Of(project); !slices.Contains(found, rule) {
			found = append(found, rule)
		}
	}
	return found
}

// Approvers are the lists on all of which somebody must stand to decide on a
// request for these projects as things are today.
func (p *Policy) Approvers(projects []atlas.Project) [][]string {
	var lists [][]string
	for _, rule := range p.rules(projects) {
		lists = append(lists, rule.Approvers)
	}
	return lists
}

// Every is a list of each rule, such as its approvers, and of the default.
func (p *Policy) Every(list func(*Rule) []string) [][]string {
	lists := [][]string{list(&p.Default)}
	for i := range p.Rules {
		lists = append(lists, list(&p.Rules[i]))
	}
	return lists
}

// Digest names the policy: whatever is changed in it changes its digest.
func (p *Policy) Digest() string {
	text, err := json.Marshal(p)
	if err != nil { // strings and numbers always marshal
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Covers reports whether the rule is for a project. The default is for every one.
func (r *Rule) Covers(project atlas.Project) bool {
	return slices.ContainsFunc(r.Projects, func(pattern string) bool {
		return strings.EqualFold(pattern, project.ID) || like(strings.ToLower(project.Name), strings.ToLower(pattern))
	})
}

// Allows reports whether a type may be updated under the rule.
func (r *Rule) Allows(t *atlas.Type) bool {
	return len(r.Types) == 0 || slices.Contains(r.Types, t.Name)
}

// like reports whether a name is of a form in which * stands for any characters.
func like(name, form string) bool {
	parts := strings.Split(form, "*")
	if len(parts) == 1 {
		return name == form
	}
	first, last := parts[0], parts[len(parts)-1]
	rest, begins := strings.CutPrefix(name, first)
	if !begins {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, there := strings.Cut(rest, part)
		if !there {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
