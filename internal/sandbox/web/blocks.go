package web

import (
	"bytes"
	"encoding/json"
	"net/url"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// block is a block of Block Kit, as far as this page knows them.
type block struct {
	Type      string          `json:"type"`
	ID        string          `json:"block_id"`
	Text      *textObject     `json:"text"`
	Fields    []textObject    `json:"fields"`
	Label     *textObject     `json:"label"`
	Hint      *textObject     `json:"hint"`
	Optional  bool            `json:"optional"`
	Elements  []element       `json:"elements"`
	Element   *element        `json:"element"`
	Accessory *element        `json:"accessory"`
	Raw       json.RawMessage `json:"-"`
}

type textObject struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

// element is what stands in a block. The text of a button is an object, the text
// of a context element is a string.
type element struct {
	Type           string          `json:"type"`
	ActionID       string          `json:"action_id"`
	Text           json.RawMessage `json:"text"`
	Verbatim       bool            `json:"verbatim"`
	Style          string          `json:"style"`
	URL            string          `json:"url"`
	Placeholder    *textObject     `json:"placeholder"`
	Multiline      bool            `json:"multiline"`
	Options        []option        `json:"options"`
	OptionGroups   []optionGroup   `json:"option_groups"`
	MinQueryLength *int            `json:"min_query_length"`
	Confirm        *confirm        `json:"confirm"`
}

type option struct {
	Text        textObject  `json:"text"`
	Value       string      `json:"value"`
	Description *textObject `json:"description"`
}

type optionGroup struct {
	Label   textObject `json:"label"`
	Options []option   `json:"options"`
}

type confirm struct {
	Title   textObject  `json:"title"`
	Text    textObject  `json:"text"`
	Confirm *textObject `json:"confirm"`
	Deny    *textObject `json:"deny"`
	Style   string      `json:"style"`
}

func (t *textObject) String() string {
	if t == nil {
		return ""
	}
	return t.Text
}

// label is the text of a button.
func (e *element) label() string {
	var t textObject
	_ = json.Unmarshal(e.Text, &t) // without a text it has no label
	return t.Text
}

// all are the options of a select, in groups or not.
func (e *element) all() []option {
	all := e.Options
	for _, g := range e.OptionGroups {
		all = append(all, g.Options...)
	}
	return all
}

func readBlocks(data json.RawMessage) []block {
	var raw []json.RawMessage
	_ = json.Unmarshal(data, &raw) // the stand-in has checked it
	blocks := make([]block, len(raw))
	for i := range raw {
		_ = json.Unmarshal(raw[i], &blocks[i]) // as far as it is known
		blocks[i].Raw = raw[i]
	}
	return blocks
}

// A drawing is one message or view as one person sees it.
type drawing struct {
	names
	id     string            // begins the id of every input in it
	post   string            // where a click goes
	params []attr            // what goes with it: who, and on what
	state  state             // what stands in the inputs
	errors map[string]string // at the inputs, by block ID
}

type state = map[string]map[string]slacksim.Value

// text draws a text object.
func (d *drawing) text(t *textObject) *node {
	switch {
	case t == nil:
		return nil
	case t.Type == "mrkdwn":
		m := &markup{names: d.names, verbatim: t.Verbatim}
		return m.render(t.Text)
	default:
		return lines(emoji(t.Text))
	}
}

func (d *drawing) blocks(blocks []block) *node {
	n := el("div", "blocks")
	for i := range blocks {
		n.add(d.block(&blocks[i]))
	}
	return n
}

func (d *drawing) block(b *block) *node {
	switch b.Type {
	case "header":
		return el("h3", "block header", text(emoji(b.Text.String())))
	case "divider":
		return el("hr", "block")
	case "section":
		return d.section(b)
	case "context":
		n := el("div", "block context")
		for i := range b.Elements {
			n.add(el("span", "", d.contextElement(&b.Elements[i])))
		}
		return n
	case "actions":
		n := el("div", "block actions")
		for i := range b.Elements {
			n.add(d.element(b, &b.Elements[i]))
		}
		return n
	case "input":
		return d.input(b)
	default:
		return el("div", "block unknown", text("This page does not draw blocks of the type "+b.Type+"."), code(b.Raw))
	}
}

func (d *drawing) section(b *block) *node {
	n := el("div", "block section", el("div", "said", d.text(b.Text)))
	if len(b.Fields) > 0 {
		fields := el("div", "fields")
		for i := range b.Fields {
			fields.add(el("div", "", d.text(&b.Fields[i])))
		}
		n.add(fields)
	}
	if b.Accessory != nil {
		n.add(el("div", "accessory", d.element(b, b.Accessory)))
	}
	return n
}

func (d *drawing) contextElement(e *element) *node {
	var said string
	_ = json.Unmarshal(e.Text, &said) // an image has none
	return d.text(&textObject{Type: e.Type, Text: said, Verbatim: e.Verbatim})
}

// code shows JSON as it is.
func code(raw json.RawMessage) *node {
	var pretty bytes.Buffer
	if json.Indent(&pretty, raw, "", "  ") != nil {
		return el("pre", "code", text(string(raw)))
	}
	return el("pre", "code", text(pretty.String()))
}

// source shows the JSON of a message or view, with a way to Slack's own tool.
func source(raw json.RawMessage) *node {
	return el("details", "source",
		el("summary", "", text("JSON")).set("title", "the very JSON that the bot sent"),
		code(raw),
		link("https://app.slack.com/block-kit-builder/#"+url.PathEscape(string(raw)), text("Open in Block Kit Builder")),
	)
}
