package house_test

import (
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

var update = flag.Bool("update", false, "write docs/atlas-types.md anew")

// docs/atlas-types.md is the catalog as people read it.
func TestDocsOfTypes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(root, "docs", "atlas-types.md")
	want := typesPage()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644)) //nolint:gosec // a page for everybody
	}
	got, err := os.ReadFile(path) //nolint:gosec // of this repository
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "write it anew: go test ./internal/house -run TestDocsOfTypes -update")
}

const typesHead = `# Integration types

<!-- Written by: go test ./internal/house -run TestDocsOfTypes -update -->

These are the types that the form offers, with their fields in the order of the form. The table comes from the catalog in
` + "`internal/atlas/catalog.go`" + `, which the form, its checks, the body of the PUT and the redaction follow as well.

In the slash command a type may be written as Atlas does or as people do: case, spaces, ` + "`-`" + ` and ` + "`_`" + ` do not matter.

- *Secret*, *secret URL* and *template* are sealed while they wait, and not shown again: of a secret its last four characters
  if it has twelve or more, of a secret URL its scheme and host as well, of a template its length.
- An error keeps the form open. A warning lets it pass, and requester and approver both see it.
- A choice or switch begins as Atlas has it, or at its default where Atlas leaves it out. If Atlas did not answer, it begins
  empty and has to be chosen.
- A value that holds a mask (` + "`****`" + `) is always an error: Atlas gives no key back, so it has to be typed whole.
- Every choice and every switch is sent with each update, because Atlas may replace the integration as a whole.
`

func typesPage() string {
	var page strings.Builder
	page.WriteString(typesHead)
	for _, t := range atlas.Types {
		fmt.Fprintf(&page, "\n## %s: `%s`\n\n", t.Title, t.Name)
		if len(t.Aliases) > 0 {
			fmt.Fprintf(&page, "Also: `%s`.\n\n", strings.Join(t.Aliases, "`, `"))
		}
		if t.Discontinued != "" {
			fmt.Fprintf(&page, "**Cannot be updated.** %s\n", t.Discontinued)
			continue
		}
		if t.Caveat != "" {
			fmt.Fprintf(&page, "**Know before you ask.** %s\n\n", t.Caveat)
		}
		fmt.Fprintf(&page, "Where the key is found: %s ([guide](%s))\n\nIf a value is wrong: %s\n\n", t.Where, t.Guide, t.Effect)
		page.WriteString("| Field | In the form | Kind | Needed | What it takes | Hint |\n| --- | --- | --- | --- | --- | --- |\n")
		for i := range t.Fields {
			f := &t.Fields[i]
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s | %s |\n", f.Name, cell(f.Label), kindOf(f), needOf(f), cell(takes(f)), cell(f.Hint))
		}
	}
	return page.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func kindOf(f *atlas.Field) string {
	if f.Kind == atlas.Toggle {
		return "switch"
	}
	return string(f.Kind)
}

func needOf(f *atlas.Field) string {
	switch {
	case f.RequiredByAtlas:
		return "yes"
	case f.Required:
		return "yes, by this bot"
	default:
		return "no"
	}
}

// takes says which values a field takes.
func takes(f *atlas.Field) string {
	var rules []string
	say := func(format string, args ...any) { rules = append(rules, fmt.Sprintf(format, args...)) }
	switch f.Kind {
	case atlas.Choice:
		say("`%s`", strings.Join(f.Choices, "`, `"))
	case atlas.Toggle:
		say("on or off")
	case atlas.SecretURL:
		say("a whole address; a warning if it begins with `http://`")
	}
	switch f.Default {
	case "":
	case "true":
		say("default on")
	case "false":
		say("default off")
	default:
		say("default `%s`", f.Default)
	}
	if f.MaxLength > 0 {
		say("%d to %d characters", max(f.MinLength, 1), f.MaxLength)
	}
	if f.MaxBytes > 0 {
		say("up to %d KB", f.MaxBytes>>10)
	}
	if f.Hard != nil {
		say("%s, else an error", strings.TrimSuffix(f.Hard.Say, "."))
	}
	if f.Soft != nil {
		say("%s, else a warning", strings.TrimSuffix(f.Soft.Say, "."))
	}
	if f.NeverShown {
		say("Atlas does not show it, so nothing proves it")
	}
	return strings.Join(rules, "; ")
}

// Links in the documents lead somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	var pages int
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		pages++
		text, err := os.ReadFile(path) //nolint:gosec // of this repository
		if err != nil {
			return err
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			to, err := url.Parse(match[1])
			if err != nil || to.IsAbs() {
				continue
			}
			target := path
			if to.Path != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(to.Path))
			}
			_, err = os.Stat(target) //nolint:gosec // of this repository
			if assert.NoError(t, err, "%s links to %s", path, match[1]) && to.Fragment != "" && filepath.Ext(target) == ".md" {
				assert.Contains(t, anchors(t, target), to.Fragment, "%s links to %s", path, match[1])
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.NotZero(t, pages)
}

// anchors are what the headings of a page are called in links, as GitHub makes them.
func anchors(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // of this repository
	require.NoError(t, err)
	var names []string
	fenced := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		heading := regexp.MustCompile(`^#{1,6} (.*)`).FindStringSubmatch(line)
		if heading == nil || fenced {
			continue
		}
		name := regexp.MustCompile(`[^\p{L}\p{N}\- _]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}
