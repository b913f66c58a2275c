package slacksim

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	mostViewBytes = 250_000
	mostBlockText = 13_000
	mostMessage   = 50
	mostFieldText = 2000
)

// check collects what is wrong with a view or a message.
type check struct {
	surface  string
	problems []string
	ids      map[string]bool // of blocks
	focused  int
	runes    int // of all text
}

func (c *check) say(pointer, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...)+" [json-pointer:"+pointer+"]")
}

// checkView says what Slack refuses about a view.
func checkView(v object) []string {
	surface := text(v["type"])
	allowed, known := surfaces[surface]
	c := &check{surface: surface, ids: map[string]bool{}}
	if !known {
		c.say("/view/type", "unsupported type: %s", surface)
		return c.problems
	}
	c.object("/view", v, allowed, "")
	if c.focused > 1 {
		c.say("/view", "no more than 1 items allowed")
	}
	if surface == "modal" && v["submit"] == nil && hasInput(list(v["blocks"])) {
		c.say("/view", "must define `submit` to use an `input` block in modals")
	}
	return c.problems
}

func hasInput(blocks []any) bool {
	return slices.ContainsFunc(blocks, func(b any) bool { return text(obj(b)["type"]) == "input" })
}

// checkMessage says what Slack refuses about the blocks of a message.
func checkMessage(list []any) (problems []string, tooLong bool) {
	c := &check{surface: "message", ids: map[string]bool{}}
	c.count("/blocks", len(list), field{max: mostMessage})
	c.blocks("/blocks", list)
	return c.problems, len(c.problems) == 0 && c.runes > mostBlockText
}

// object holds an object to a shape. parent is the type of the block it is in.
func (c *check) object(pointer string, o object, allowed shape, parent string) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if _, known := allowed[name]; !known {
			c.say(pointer, "invalid additional property: %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		rule := allowed[name]
		value, there := o[name]
		switch {
		case there && value != nil:
			c.value(pointer+"/"+name, value, rule, parent)
		case rule.required:
			c.say(pointer, "missing required field: %s", name)
		}
	}
}

func (c *check) value(pointer string, v any, rule field, parent string) {
	switch rule.kind {
	case aString:
		c.str(pointer, v, rule)
	case aBool:
		if _, is := v.(bool); !is {
			c.say(pointer, "must be a boolean")
		}
	case anInt:
		c.number(pointer, v, rule)
	case plainText, anyText:
		c.textObject(pointer, v, rule)
	case texts, options, groups, blocks, elementsOf, idList:
		c.list(pointer, v, rule, parent)
	case confirm, option, element:
		c.nested(pointer, v, rule, parent)
	case anything:
	}
}

func (c *check) str(pointer string, v any, rule field) {
	s, is := v.(string)
	if !is {
		c.say(pointer, "must be a string")
		return
	}
	if len(rule.oneOf) > 0 && !slices.Contains(rule.oneOf, s) {
		c.say(pointer, "must be a valid enum value")
	}
	c.length(pointer, s, rule)
}

func (c *check) length(pointer, s string, rule field) {
	n := utf8.RuneCountInString(s)
	switch {
	case rule.max > 0 && n > rule.max:
		c.say(pointer, "must be less than %d characters", rule.max+1)
	case n < rule.min:
		c.say(pointer, "must be more than %d characters", rule.min-1)
	}
}

func (c *check) number(pointer string, v any, rule field) {
	n, is := v.(float64)
	switch {
	case !is || n != float64(int64(n)):
		c.say(pointer, "must be an integer")
	case n < float64(rule.min):
		c.say(pointer, "must be greater than or equal to %d", rule.min)
	case rule.max > 0 && n > float64(rule.max):
		c.say(pointer, "must be less than or equal to %d", rule.max)
	}
}

func (c *check) textObject(pointer string, v any, rule field) {
	o := obj(v)
	kind := text(o["type"])
	if o == nil || kind != "plain_text" && (kind != "mrkdwn" || rule.kind == plainText) {
		c.say(pointer, "unsupported type: %s", kind)
		return
	}
	body := elementShapes[kind]
	c.object(pointer, o, with(body, shape{"text": str(rule.min, rule.max).must()}), "")
	c.runes += utf8.RuneCountInString(text(o["text"]))
}

func (c *check) count(pointer string, n int, rule field) {
	switch {
	case rule.max > 0 && n > rule.max:
		c.say(pointer, "no more than %d items allowed", rule.max)
	case n < rule.min:
		c.say(pointer, "must provide at least %d items", rule.min)
	}
}

func (c *check) list(pointer string, v any, rule field, parent string) {
	entries, is := v.([]any)
	if !is {
		c.say(pointer, "must be an array")
		return
	}
	c.count(pointer, len(entries), rule)
	if rule.kind == blocks {
		c.blocks(pointer, entries)
		return
	}
	seen := map[string]bool{}
	for i, entry := range entries {
		at := pointer + "/" + strconv.Itoa(i)
		switch rule.kind {
		case texts:
			c.textObject(at, entry, field{kind: anyText, min: 1, max: mostFieldText})
		case options:
			c.nested(at, entry, field{kind: option}, parent)
		case groups:
			if o := obj(entry); o != nil {
				c.object(at, o, groupShape, parent)
			} else {
				c.say(at, "must be an object")
			}
		case elementsOf:
			c.nested(at, entry, field{kind: element}, parent)
			if id := text(obj(entry)["action_id"]); id != "" {
				if seen[id] {
					c.say(at+"/action_id", "`action_id` %q already exists", id)
				}
				seen[id] = true
			}
		case idList:
			c.str(at, entry, field{min: 1})
		default:
		}
	}
}

func (c *check) nested(pointer string, v any, rule field, parent string) {
	o := obj(v)
	switch {
	case o == nil:
		c.say(pointer, "must be an object")
	case rule.kind == confirm:
		c.object(pointer, o, confirmShape, parent)
	case rule.kind == option:
		c.object(pointer, o, optionShape, parent)
	default:
		c.element(pointer, o, parent)
	}
}

func (c *check) blocks(pointer string, entries []any) {
	for i, entry := range entries {
		at := pointer + "/" + strconv.Itoa(i)
		b := obj(entry)
		kind := text(b["type"])
		allowed, known := blockShapes[kind]
		if !known || !slices.Contains(surfaceBlocks[c.surface], kind) {
			c.say(at+"/type", "unsupported type: %s", kind)
			continue
		}
		c.object(at, b, allowed, kind)
		if kind == "section" && b["text"] == nil && b["fields"] == nil {
			c.say(at, "must define either `text` or `fields`")
		}
		if kind == "image" && (b["image_url"] == nil) == (b["slack_file"] == nil) {
			c.say(at, "must define either `image_url` or `slack_file`")
		}
		if id := text(b["block_id"]); id != "" {
			if c.ids[id] {
				c.say(at+"/block_id", "`block_id` %q already exists", id)
			}
			c.ids[id] = true
		}
	}
}

func (c *check) element(pointer string, e object, parent string) {
	kind := text(e["type"])
	allowed, known := elementShapes[kind]
	if !known || !slices.Contains(placed[parent], kind) {
		c.say(pointer+"/type", "unsupported type: %s", kind)
		return
	}
	c.object(pointer, e, allowed, parent)
	if e["focus_on_load"] == true {
		c.focused++
	}
	if _, takes := allowed["option_groups"]; takes && (e["options"] == nil) == (e["option_groups"] == nil) {
		c.say(pointer, "must define either `options` or `option_groups`")
	}
	if e["options"] != nil || e["option_groups"] != nil {
		c.initial(pointer, e)
	}
	if most, is := e["max_selected_items"].(float64); is && len(list(e["initial_options"])) > int(most) {
		c.say(pointer+"/initial_options", "no more than %d items allowed", int(most))
	}
	if kind == "plain_text_input" {
		c.lengths(pointer, e)
	}
}

// initial: what is chosen at first must be exactly one of the options.
func (c *check) initial(pointer string, e object) {
	offered := optionsOf(e)
	values := map[string]bool{}
	for _, o := range offered {
		value := text(o["value"])
		if values[value] && value != "" {
			c.say(pointer+"/options", "option value %q already exists", value)
		}
		values[value] = true
	}
	among := func(chosen object) bool {
		return slices.ContainsFunc(offered, func(o object) bool { return sameOption(o, chosen) })
	}
	if chosen := obj(e["initial_option"]); chosen != nil && !among(chosen) {
		c.say(pointer+"/initial_option", "must be one of the provided options")
	}
	for i, entry := range list(e["initial_options"]) {
		if chosen := obj(entry); chosen != nil && !among(chosen) {
			c.say(pointer+"/initial_options/"+strconv.Itoa(i), "must be one of the provided options")
		}
	}
}

func sameOption(a, b object) bool {
	return text(a["value"]) == text(b["value"]) && sameText(a["text"], b["text"]) && sameText(a["description"], b["description"])
}

func sameText(a, b any) bool {
	x, y := obj(a), obj(b)
	return reflect.DeepEqual(x["type"], y["type"]) && reflect.DeepEqual(x["text"], y["text"])
}

// optionsOf are all options of an element, those in groups included.
func optionsOf(e object) []object {
	var all []object
	for _, o := range list(e["options"]) {
		all = append(all, obj(o))
	}
	for _, g := range list(e["option_groups"]) {
		for _, o := range list(obj(g)["options"]) {
			all = append(all, obj(o))
		}
	}
	return all
}

func (c *check) lengths(pointer string, e object) {
	least, _ := e["min_length"].(float64)
	most, bounded := e["max_length"].(float64)
	if bounded && least > most {
		c.say(pointer+"/min_length", "must be less than or equal to max_length")
	}
	initial := text(e["initial_value"])
	if initial == "" {
		return
	}
	if !bounded {
		most = 3000
	}
	c.length(pointer+"/initial_value", initial, field{min: int(least), max: int(most)})
}

// checkOptions says what Slack refuses about the ack of a block_suggestion.
func checkOptions(payload object) []string {
	c := &check{ids: map[string]bool{}}
	c.object("", payload, shape{"options": some(options, 0, 100), "option_groups": some(groups, 0, 100)}, "")
	if (payload["options"] == nil) == (payload["option_groups"] == nil) {
		c.say("", "must define either `options` or `option_groups`")
	}
	return c.problems
}
