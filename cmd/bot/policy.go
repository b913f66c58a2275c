package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Limits of a policy file, and of what people have to read of it.
const (
	maxPolicyFile = 1 << 20
	maxRuleName   = 60  // characters
	maxBanner     = 300 // characters
)

// A policyFile is what POLICY_FILE holds: rules that are whole, and where in the file
// they and the people that they name stand, for whoever asks Slack about them.
type policyFile struct {
	rules  []approvals.Rule
	places []place // of what says how many of whom must approve, rule by rule
	named  []namedID
}

// A place is where something stands in the file.
type place struct{ line, column int }

func (p place) String() string { return fmt.Sprintf("line %d, column %d: ", p.line, p.column) }

// namedID is an ID of a user or user group.
type namedID struct {
	place
	id string
}

// readPolicy reads the file that POLICY_FILE names. The problems name line and column.
func readPolicy(path string, defaults approvals.Rule, projects []atlas.Project) (policyFile, []string) {
	f, err := os.Open(path) //nolint:gosec // whoever sets the environment chooses the file
	if err != nil {
		return policyFile{}, []string{"names a file that cannot be opened: " + cause(err).Error()}
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxPolicyFile+1))
	switch {
	case err != nil:
		return policyFile{}, []string{"names a file that cannot be read: " + cause(err).Error()}
	case len(content) > maxPolicyFile:
		return policyFile{}, []string{fmt.Sprintf("names a file of more than %d bytes, which is no policy", maxPolicyFile)}
	}
	return parsePolicy(content, defaults, projects)
}

// parsePolicy reads a policy. What a rule leaves out it has from the defaults.
// Projects are the only ones that the bot offers, as far as the configuration says.
func parsePolicy(content []byte, defaults approvals.Rule, projects []atlas.Project) (policyFile, []string) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF), err == nil && len(document.Content) == 0:
		return policyFile{}, []string{"names an empty file: write rules:, or remove the variable"}
	case err != nil:
		return policyFile{}, []string{"is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	case !errors.Is(decoder.Decode(&next), io.EOF):
		return policyFile{}, []string{"holds more than one YAML document: keep one"}
	}
	r := &policyReader{defaults: defaults, projects: projects, seen: map[string]bool{}}
	r.mapping(document.Content[0], "the policy", map[string]func(*yaml.Node){"rules": r.rules})
	if len(r.problems) == 0 && len(r.file.rules) == 0 {
		r.wrong(document.Content[0], "there are no rules: write at least one, or remove the variable")
	}
	return r.file, r.problems
}

// policyReader collects what a policy says and everything that is wrong with it.
type policyReader struct {
	defaults approvals.Rule
	projects []atlas.Project
	seen     map[string]bool // in lower case: what projects are called, and names of rules as "rule "+name
	file     policyFile
	problems []string
}

func (r *policyReader) wrong(at *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, place{at.Line, at.Column}.String()+fmt.Sprintf(format, args...))
}

func (r *policyReader) rules(list *yaml.Node) {
	for _, node := range r.list(list, "rules") {
		r.rule(node)
	}
}

func (r *policyReader) rule(node *yaml.Node) {
	rule := r.defaults
	rule.Name, rule.Projects = "", nil
	known := len(r.problems)
	given := r.mapping(node, "a rule", map[string]func(*yaml.Node){
		"name":       func(n *yaml.Node) { rule.Name = r.name(n) },
		"projects":   func(n *yaml.Node) { rule.Projects = r.projectList(n) },
		"approvers":  func(n *yaml.Node) { rule.Approvers = r.people(n, "approvers") },
		"requesters": func(n *yaml.Node) { rule.Requesters = r.people(n, "requesters") },
		"approvals":  func(n *yaml.Node) { rule.Approvals = r.number(n, 1, 100) },
		"ttl":        func(n *yaml.Node) { rule.TTL = r.duration(n) },
		"types":      func(n *yaml.Node) { rule.Types = r.types(n) },
		"banner":     func(n *yaml.Node) { rule.Banner = r.text(n, maxBanner) },
	})
	for _, key := range []string{"name", "projects"} {
		if given != nil && given[key] == nil {
			r.wrong(node, "a rule needs %s", key)
		}
	}
	if len(r.problems) > known {
		return
	}
	at := node
	for _, key := range []string{"approvals", "approvers"} {
		if given[key] != nil {
			at = given[key]
		}
	}
	groups := slices.ContainsFunc(slices.Concat(rule.Approvers, rule.Requesters), isGroup)
	missing := len(r.defaults.Approvers) == 0 // the first thing to mend
	if !groups && !missing && !decidable(rule.Approvers, rule.Requesters, rule.Approvals) {
		r.wrong(at, "%s", undecidable(rule, len(rule.Approvers)))
	}
	r.file.rules = append(r.file.rules, rule)
	r.file.places = append(r.file.places, place{at.Line, at.Column})
}

func undecidable(rule approvals.Rule, able int) string {
	return fmt.Sprintf("under the rule %q nobody's request could be approved: it takes %d of %s, and nobody approves their own",
		rule.Name, rule.Approvals, people(able))
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

// decidable reports whether there is somebody whose requests can be approved. nil for
// requesters means everybody, and so somebody who is no approver.
func decidable(approvers, requesters []string, needed int) bool {
	if requesters == nil {
		return len(approvers) >= needed
	}
	return slices.ContainsFunc(requesters, func(requester string) bool {
		left := len(approvers)
		if slices.Contains(approvers, requester) {
			left--
		}
		return left >= needed
	})
}

// mapping gives each value to the reader of its key, in the order of the file, and
// returns the values; nil if it is no mapping.
func (r *policyReader) mapping(node *yaml.Node, what string, keys map[string]func(*yaml.Node)) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		r.wrong(node, "%s must be keys with values, one a line, such as %s", what, example(keys))
		return nil
	}
	given := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		read, known := keys[key.Value]
		switch {
		case !known:
			r.wrong(key, "%s has no key %s", what, didYouMean(key.Value, keys))
		case given[key.Value] != nil:
			r.wrong(key, "%s is there twice", key.Value)
		case value.Kind == yaml.AliasNode:
			r.wrong(value, "aliases are not read here: write the value itself")
		default:
			given[key.Value] = value
			read(value)
		}
	}
	return given
}

func example(keys map[string]func(*yaml.Node)) string {
	if _, rule := keys["name"]; rule {
		return "name: and projects:"
	}
	return "rules:"
}

func didYouMean(typed string, keys map[string]func(*yaml.Node)) string {
	typed = firstRunes(typed, 40)
	for key := range keys {
		if levenshtein.ComputeDistance(strings.ToLower(typed), key) <= 2 {
			return fmt.Sprintf("%q: did you mean %s?", typed, key)
		}
	}
	return fmt.Sprintf("%q", typed)
}

func firstRunes(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func (r *policyReader) list(node *yaml.Node, what string) []*yaml.Node {
	if node.Kind != yaml.SequenceNode {
		r.wrong(node, "%s must be a list: [one, another], or a line with - for each", what)
		return nil
	}
	if len(node.Content) == 0 {
		r.wrong(node, "the list is empty: fill it, or leave %s out", what)
	}
	return node.Content
}

// text reads a string; a number or a date is one too, as it is written.
func (r *policyReader) text(node *yaml.Node, most int) string {
	value := strings.TrimSpace(node.Value)
	switch {
	case node.Kind != yaml.ScalarNode || value == "":
		r.wrong(node, "a text must stand here")
	case utf8.RuneCountInString(value) > most:
		r.wrong(node, "the text is %d characters long; at most %d are read", utf8.RuneCountInString(value), most)
	case strings.ContainsAny(value, "\n\r"):
		r.wrong(node, "the text must be one line")
	default:
		return value
	}
	return ""
}

func (r *policyReader) name(node *yaml.Node) string {
	name := r.text(node, maxRuleName)
	key := "rule " + strings.ToLower(name)
	if name != "" && r.seen[key] {
		r.wrong(node, "there is another rule with the name %q", name)
	}
	r.seen[key] = true
	return name
}

func (r *policyReader) projectList(node *yaml.Node) []string {
	var list []string
	for _, entry := range r.list(node, "projects") {
		pattern := r.text(entry, 100)
		if pattern == "" {
			continue
		}
		key := strings.ToLower(pattern)
		one := approvals.Rule{Projects: []string{pattern}}
		switch {
		case r.seen[key]:
			r.wrong(entry, "%q is named before, and the first rule holds", pattern)
		case len(r.projects) > 0 && !slices.ContainsFunc(r.projects, one.Covers):
			r.wrong(entry, "%q is none of the projects in MONGODB_ATLAS_PROJECTS", pattern)
		}
		r.seen[key] = true
		list = append(list, pattern)
	}
	return list
}

func (r *policyReader) people(node *yaml.Node, key string) []string {
	var list []string
	for _, entry := range r.list(node, key) {
		switch id := strings.TrimSpace(entry.Value); {
		case entry.Kind != yaml.ScalarNode || !peopleID.MatchString(id):
			r.wrong(entry, "this is not the ID of a user (U…, W…) or a user group (S…)%s", quoted(id))
		case slices.Contains(list, id):
			r.wrong(entry, "%s is there twice", id)
		default:
			list = append(list, id)
			r.file.named = append(r.file.named, namedID{place{entry.Line, entry.Column}, id})
		}
	}
	return list
}

func (r *policyReader) number(node *yaml.Node, least, most int) int {
	n, err := strconv.Atoi(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil || n < least || n > most {
		r.wrong(node, "this must be a whole number from %d to %d", least, most)
	}
	return n
}

func (r *policyReader) duration(node *yaml.Node) time.Duration {
	if says := atLeastASecond(node.Value); says != "" { // also what is no scalar: it has no value
		r.wrong(node, "this %s", says)
		return 0
	}
	d, _ := time.ParseDuration(node.Value) // checked above
	return d
}

func (r *policyReader) types(node *yaml.Node) []string {
	var list []string
	for _, entry := range r.list(node, "types") {
		t, known := atlas.FindType(entry.Value)
		switch {
		case entry.Kind != yaml.ScalarNode || !known:
			names := make([]string, 0, len(atlas.Types))
			for _, t := range atlas.Types {
				names = append(names, t.Name)
			}
			r.wrong(entry, "there is no such type of integration; there are %s", strings.Join(names, ", "))
		case t.Discontinued != "":
			r.wrong(entry, "%s is discontinued and can never be updated", t.Name)
		case slices.Contains(list, t.Name):
			r.wrong(entry, "%s is there twice", t.Name)
		default:
			list = append(list, t.Name)
		}
	}
	return list
}
