package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/sethvargo/go-envconfig"
)

// environment gives envconfig the values of the variables, and notes what is wrong
// with them. A value that is wrong is kept back, so that envconfig does not stop
// there and everything that is wrong is found in one go.
type environment struct {
	env      envconfig.Lookuper
	given    map[string]bool // set to something, right or wrong
	problems []problem
}

// A namer is a Lookuper that knows what there is, as that of main does.
type namer interface{ names() []string }

// Lookup implements envconfig.Lookuper. What is empty counts as not set: charts
// and compose files set variables that have no value.
func (e *environment) Lookup(name string) (string, bool) {
	v, ok := findVariable(name)
	if !ok {
		return "", false
	}
	value := e.value(v)
	if value == "" {
		return "", false
	}
	if v.check != nil {
		if says := v.check(value); says != "" {
			e.problem(name, says)
			return "", false
		}
	}
	return value, true
}

// value is what a variable holds or, of a secret, the file that it names.
func (e *environment) value(v *variable) string {
	value := e.get(v.name)
	if e.given == nil {
		e.given = map[string]bool{}
	}
	e.given[v.name] = value != ""
	if !v.secret {
		return value
	}
	path := e.get(v.name + "_FILE")
	switch {
	case path == "":
		return value
	case value != "":
		e.problem(v.name, "and "+v.name+"_FILE are both set: remove one of them")
		return ""
	}
	e.given[v.name] = true
	value, err := readSecretFile(path)
	if err != nil {
		e.problem(v.name+"_FILE", "names a file that "+err.Error())
	}
	return value
}

func (e *environment) get(name string) string {
	value, _ := e.env.Lookup(name)
	return strings.TrimSpace(value)
}

func (e *environment) problem(name, says string) {
	e.problems = append(e.problems, problem{name, says})
}

// maxSecretFile is far more than the largest keyset needs.
const maxSecretFile = 1 << 20

// readSecretFile reads a file without the white space around it. The error does
// not repeat the path: somebody may have put the secret itself there.
func readSecretFile(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // whoever sets the environment chooses the file
	if err != nil {
		return "", fmt.Errorf("cannot be opened: %w", cause(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch value := strings.TrimSpace(string(content)); {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", cause(err))
	case len(content) > maxSecretFile:
		return "", errors.New("is too large to hold a secret")
	case value == "":
		return "", errors.New("is empty")
	default:
		return value, nil
	}
}

func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// otherNames are what these variables are called elsewhere, or what people try.
var otherNames = map[string]string{
	"MONGODB_ATLAS_PUBLIC_KEY":      "MONGODB_ATLAS_PUBLIC_API_KEY",
	"MONGODB_ATLAS_PRIVATE_KEY":     "MONGODB_ATLAS_PRIVATE_API_KEY",
	"MCLI_PUBLIC_API_KEY":           "MONGODB_ATLAS_PUBLIC_API_KEY",
	"MCLI_PRIVATE_API_KEY":          "MONGODB_ATLAS_PRIVATE_API_KEY",
	"MCLI_OPS_MANAGER_URL":          "MONGODB_ATLAS_BASE_URL",
	"MONGODB_ATLAS_OPS_MANAGER_URL": "MONGODB_ATLAS_BASE_URL",
	"MONGODB_ATLAS_PROJECT":         "MONGODB_ATLAS_PROJECTS",
	"MONGODB_ATLAS_PROJECT_ID":      "MONGODB_ATLAS_PROJECTS",
	"SLACK_TOKEN":                   "SLACK_BOT_TOKEN",
	"SLACK_API_TOKEN":               "SLACK_BOT_TOKEN",
	"SLACK_APP_LEVEL_TOKEN":         "SLACK_APP_TOKEN",
	"SLACK_CHANNEL":                 "SLACK_APPROVALS_CHANNEL",
	"SLACK_CHANNEL_ID":              "SLACK_APPROVALS_CHANNEL",
	"SLACK_APPROVER":                "SLACK_APPROVERS",
	"SLACK_APPROVAL_CHANNEL":        "SLACK_APPROVALS_CHANNEL",
	"SLACK_REQUESTER":               "SLACK_REQUESTERS",
	"SLACK_BASE_URL":                "SLACK_API_URL",
	"REDIS_ADDR":                    "REDIS_URL",
	"REDIS_ADDRESS":                 "REDIS_URL",
	"KEYSET":                        "SEALING_KEYSET",
	"APPROVALS_TTL":                 "APPROVAL_TTL",
	"APPROVAL_REQUIRED":             "APPROVALS_REQUIRED",
	"HTTP_ADDRESS":                  "HTTP_ADDR",
}

// hints names variables that look like a mistyped one, as long as the one that
// was meant is not set.
func (e *environment) hints() []problem {
	var names []string
	for name := range otherNames {
		if e.get(name) != "" {
			names = append(names, name)
		}
	}
	if known, ok := e.env.(namer); ok {
		names = append(names, known.names()...)
	}
	slices.Sort(names)
	var found []problem
	for _, name := range slices.Compact(names) {
		if meant := e.meant(name); meant != "" && e.get(name) != "" {
			found = append(found, problem{name, "is set, but nothing reads it: did you mean " + meant + "?"})
		}
	}
	return found
}

// meant is the variable that a name most likely stands for, or nothing.
func (e *environment) meant(name string) string {
	base, file := strings.CutSuffix(name, "_FILE")
	v, known := findVariable(base)
	switch {
	case known && !file, known && v.secret:
		return ""
	case known:
		return e.unset(v, "the value itself in ")
	}
	if other, ok := otherNames[name]; ok {
		v, _ := findVariable(other)
		return e.unset(v, "")
	}
	for i := range variables {
		// Two letters: a variable of somebody else's, such as REDIS_PORT, is farther away.
		if levenshtein.ComputeDistance(base, variables[i].name) <= 2 {
			return e.unset(&variables[i], "")
		}
	}
	return ""
}

func (e *environment) unset(v *variable, say string) string {
	if e.given[v.name] {
		return ""
	}
	return say + v.name
}
