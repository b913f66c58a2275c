package modals_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// drawn are the names of the golden files that the tests asked for.
var drawn sync.Map

// TestMain fails, or cleans up, when a golden file is left of a screen that is no
// longer drawn.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	whole := true
	for _, part := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		whole = whole && flag.Lookup(part).Value.String() == ""
	}
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	for _, file := range files {
		if _, ok := drawn.Load(filepath.Base(file)); ok || !whole || code != 0 {
			continue
		}
		if !*update {
			fmt.Println(file, "is of a screen that no test draws")
			code = 1
		} else if err := os.Remove(file); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// golden holds a view or message against its file, and against Slack's limits.
func golden(t *testing.T, name string, screen any) {
	t.Helper()
	text := pretty(t, screen)
	if problems := checkScreen(t, text); len(problems) > 0 {
		t.Errorf("%s: Slack would refuse this:\n%s", name, strings.Join(problems, "\n"))
	}
	if m, ok := screen.(modals.Message); ok {
		saysTheSame(t, name, m)
	}
	file := filepath.Join("testdata", name+".json")
	drawn.Store(name+".json", true)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return
	}
	want, err := os.ReadFile(file) //nolint:gosec // a file of this directory
	require.NoError(t, err, "go test -update writes it")
	assert.Equal(t, string(want), string(text), "go test -update rewrites it, if that is what it should be")
}

// saysTheSame holds a message's text, which notifications and screen readers have,
// against its blocks: everything that they say, in their order, as far as a text of
// Slack's goes. Of what Slack folds the text has the beginning.
func saysTheSame(t *testing.T, name string, m modals.Message) {
	t.Helper()
	const beginning = 100
	rest := m.Text
	for _, b := range blocksOf(t, m) {
		said := ""
		switch b["type"] {
		case "header":
			said = modals.Escape(b["text"].(map[string]any)["text"].(string))
			if strings.ContainsAny(said, "*_~`") {
				continue // in the text these are replaced by their likeness
			}
		case "section":
			said = b["text"].(map[string]any)["text"].(string)
			if b["expand"] != true {
				said = string([]rune(said)[:min(beginning, utf8.RuneCountInString(said))])
			}
		case "context":
			said = b["elements"].([]any)[0].(map[string]any)["text"].(string)
		default:
			continue
		}
		_, after, found := strings.Cut(rest, said)
		if !found && strings.HasSuffix(m.Text, "…") && utf8.RuneCountInString(m.Text) > 3000 {
			return // the end of a text that is too long
		}
		assert.True(t, found, "%s: the text does not say this, or elsewhere:\n%s\nbut:\n%s", name, said, m.Text)
		rest = after
	}
}

// compact is the JSON of a view or message.
func compact(t testing.TB, screen any) []byte {
	t.Helper()
	if m, ok := screen.(modals.Message); ok {
		screen = struct {
			Text   string        `json:"text"`
			Blocks []slack.Block `json:"blocks"`
		}{m.Text, m.Blocks}
	}
	text, err := json.Marshal(screen)
	require.NoError(t, err)
	return text
}

// pretty is JSON to paste into Block Kit Builder and to read in a review.
func pretty(t testing.TB, screen any) []byte {
	t.Helper()
	// slack-go's own marshallers escape for HTML, whatever we ask for.
	text := strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(compact(t, screen)))
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, []byte(text), "", "  "))
	out.WriteByte('\n')
	return out.Bytes()
}

// screenLimits is the part of Slack's limits that our screens can reach.
type screenLimits struct {
	limits   map[string]any
	problems []string
	actions  map[string]bool
	focus    int
	total    int
}

// limitsFile is Slack's limits as JSON, kept outside of the repository.
func limitsFile(t *testing.T) map[string]any {
	t.Helper()
	read.Do(func() { limits = readLimits(t) })
	return limits
}

var (
	read   sync.Once
	limits map[string]any
)

func readLimits(t *testing.T) map[string]any {
	t.Helper()
	path := os.Getenv("SLACK_LIMITS")
	if path == "" {
		path = filepath.Join("..", "..", "..", "shared", "slack", "limits.json")
	}
	data, err := os.ReadFile(path) //nolint:gosec // named by whoever runs the tests
	if os.IsNotExist(err) && os.Getenv("CI") == "" {
		return nil
	}
	require.NoError(t, err, "SLACK_LIMITS names the file")
	var found map[string]any
	require.NoError(t, json.Unmarshal(data, &found))
	return found
}

// checkScreen lists what Slack would refuse in a view or message. Without the
// file of limits it checks nothing.
func checkScreen(t *testing.T, text []byte) []string {
	t.Helper()
	limits := limitsFile(t)
	if limits == nil {
		return nil
	}
	var screen map[string]any
	require.NoError(t, json.Unmarshal(text, &screen))
	c := &screenLimits{limits: limits, actions: map[string]bool{}}
	blocks, _ := screen["blocks"].([]any)
	if screen["type"] == "modal" {
		c.view(screen, blocks)
	} else {
		c.atMost("message text", screen["text"], 3999)
		c.holds(screen["text"] != "", "message without text")
		c.holds(len(blocks) >= 1 && len(blocks) <= 50, "a message has %d blocks", len(blocks))
	}
	ids := map[string]bool{}
	for i, b := range blocks {
		block := b.(map[string]any)
		if id, ok := block["block_id"].(string); ok {
			c.holds(!ids[id], "block_id %s twice", id)
			ids[id] = true
			c.atMost("block_id", id, c.max("block_id", "max_length"))
		}
		c.block(fmt.Sprintf("/blocks/%d", i), block)
	}
	c.holds(c.focus <= 1, "focus_on_load on %d elements", c.focus)
	if screen["type"] != "modal" {
		c.holds(c.total <= 13_000, "the blocks have %d characters", c.total)
	}
	return c.problems
}

func (c *screenLimits) view(view map[string]any, blocks []any) {
	c.holds(len(blocks) >= 1 && len(blocks) <= c.max("view", "blocks", "max_items"), "a view has %d blocks", len(blocks))
	for _, part := range []string{"title", "submit", "close"} {
		if view[part] != nil {
			c.text("/"+part, view[part], c.max("view", part, "max_length"), "plain_text")
		}
	}
	c.holds(view["title"] != nil, "a view needs a title")
	c.atMost("private_metadata", view["private_metadata"], c.max("view", "private_metadata", "max_length"))
	c.atMost("callback_id", view["callback_id"], c.max("view", "callback_id", "max_length"))
	for _, b := range blocks {
		if b.(map[string]any)["type"] == "input" {
			c.holds(view["submit"] != nil, "a view with inputs needs submit")
		}
	}
}

func (c *screenLimits) block(at string, block map[string]any) {
	switch block["type"] {
	case "header":
		c.text(at, block["text"], c.max("header", "text", "max_length"), "plain_text")
	case "section":
		c.text(at, block["text"], c.max("section", "text", "max_length"), "mrkdwn")
	case "context":
		elements := block["elements"].([]any)
		c.holds(len(elements) >= 1 && len(elements) <= c.max("context", "elements", "max_items"), "%s: %d elements", at, len(elements))
		for _, e := range elements {
			c.text(at, e, c.max("text", "max_length"), "mrkdwn")
		}
	case "actions":
		elements := block["elements"].([]any)
		c.holds(len(elements) >= 1 && len(elements) <= c.max("actions", "elements", "max_items"), "%s: %d elements", at, len(elements))
		for _, e := range elements {
			c.element(at, e.(map[string]any))
		}
	case "input":
		c.text(at+"/label", block["label"], c.max("input", "label", "max_length"), "plain_text")
		if block["hint"] != nil {
			c.text(at+"/hint", block["hint"], c.max("input", "hint", "max_length"), "plain_text")
		}
		c.element(at, block["element"].(map[string]any))
	default:
		c.holds(false, "%s: a %v block", at, block["type"])
	}
}

func (c *screenLimits) element(at string, e map[string]any) {
	id, _ := e["action_id"].(string)
	c.holds(id != "" && !c.actions[id], "%s: action_id %q is empty or there twice", at, id)
	c.actions[id] = true
	c.atMost(at+"/action_id", id, c.max("action_id", "max_length"))
	if e["focus_on_load"] == true {
		c.focus++
	}
	if e["placeholder"] != nil {
		c.text(at+"/placeholder", e["placeholder"], c.max("select", "placeholder", "max_length"), "plain_text")
	}
	switch e["type"] {
	case "button":
		c.text(at, e["text"], c.max("button", "text", "max_length"), "plain_text")
		c.atMost(at+"/value", e["value"], c.max("button", "value", "max_length"))
		c.holds(e["style"] == nil || e["style"] == "primary" || e["style"] == "danger", "%s: style %v", at, e["style"])
		if confirm, ok := e["confirm"].(map[string]any); ok {
			for _, part := range []string{"title", "text", "confirm", "deny"} {
				c.text(at+"/confirm", confirm[part], c.max("confirmation", part, "max_length"), "plain_text")
			}
		}
	case "plain_text_input":
		most := c.max("plain_text_input", "max_length", "max")
		if limit, ok := e["max_length"].(float64); ok {
			c.holds(limit >= 1 && int(limit) <= most, "%s: max_length %v", at, limit)
			most = int(limit)
		}
		c.atMost(at+"/initial_value", e["initial_value"], most)
	case "static_select", "multi_static_select", "multi_external_select":
		c.choices(at, e)
	default:
		c.holds(false, "%s: a %v", at, e["type"])
	}
}

// choices checks the options of a select, and that what it begins with is one of them.
func (c *screenLimits) choices(at string, e map[string]any) {
	options, _ := e["options"].([]any)
	static := e["type"] != "multi_external_select"
	c.holds(!static || len(options) >= 1 && len(options) <= c.max("select", "options", "max_items"), "%s: %d options", at, len(options))
	c.holds(static || options == nil, "%s: an external select with options", at)
	initial, _ := e["initial_options"].([]any)
	if one := e["initial_option"]; one != nil {
		initial = append(initial, one)
	}
	for _, o := range append(options, initial...) {
		option := o.(map[string]any)
		c.text(at+"/option", option["text"], c.max("option", "text", "max_length"), "plain_text")
		c.atMost(at+"/option", option["value"], 75)
		c.holds(option["value"] != "", "%s: an option without value", at)
		if option["description"] != nil {
			c.text(at+"/option", option["description"], c.max("option", "description", "max_length"), "plain_text")
		}
	}
	known, values := map[string]bool{}, map[any]bool{}
	for _, o := range options {
		known[fmt.Sprint(o)] = true
		c.holds(!values[o.(map[string]any)["value"]], "%s: an option twice", at)
		values[o.(map[string]any)["value"]] = true
	}
	for _, o := range initial {
		c.holds(!static || known[fmt.Sprint(o)], "%s: begins with %v, which is not an option", at, o)
	}
}

func (c *screenLimits) text(at string, object any, most int, kind string) {
	o, ok := object.(map[string]any)
	if !ok {
		c.holds(false, "%s: no text object", at)
		return
	}
	text, _ := o["text"].(string)
	c.holds(o["type"] == kind, "%s: %v text", at, o["type"])
	c.holds(text != "", "%s: empty text", at)
	c.holds(kind != "mrkdwn" || o["emoji"] == nil, "%s: emoji in markup", at)
	c.atMost(at, text, most)
	c.total += utf8.RuneCountInString(text)
}

func (c *screenLimits) atMost(at string, value any, most int) {
	text, _ := value.(string)
	c.holds(utf8.RuneCountInString(text) <= most, "%s: %d characters, at most %d", at, utf8.RuneCountInString(text), most)
}

func (c *screenLimits) holds(ok bool, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

func (c *screenLimits) max(path ...string) int {
	var at any = c.limits
	for _, step := range path {
		object, ok := at.(map[string]any)
		if !ok {
			break
		}
		at = object[step]
	}
	n, ok := at.(float64)
	c.holds(ok, "the limits have no %s", strings.Join(path, "."))
	return int(n)
}

// TestLimitsAreThere says so when the screens were not checked.
func TestLimitsAreThere(t *testing.T) {
	t.Parallel()
	if limitsFile(t) == nil {
		t.Skip("no limits.json: SLACK_LIMITS names it; screens are not checked against Slack's limits")
	}
}
