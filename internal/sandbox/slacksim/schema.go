package slacksim

// kind is what a field of a view, block or element holds.
type kind int

const (
	aString    kind = iota
	aBool           // true or false
	anInt           // a whole number
	plainText       // a text object of type plain_text
	anyText         // a text object of either type
	texts           // of section fields
	confirm         // a confirmation dialog
	option          // one of the options
	options         // a list of them
	groups          // of options
	blocks          // of a surface
	element         // in a block
	elementsOf      // a list of elements
	idList          // a list of strings
	anything        // looked at no further
)

// field is a rule for one field: lengths count code points of text or entries of
// lists, and for numbers they are the bounds.
type field struct {
	kind     kind
	min, max int
	required bool
	oneOf    []string
}

func (f field) must() field { f.required = true; return f }

func str(least, most int) field          { return field{kind: aString, min: least, max: most} }
func plain(least, most int) field        { return field{kind: plainText, min: least, max: most} }
func rich(least, most int) field         { return field{kind: anyText, min: least, max: most} }
func some(k kind, least, most int) field { return field{kind: k, min: least, max: most} }
func choice(values ...string) field      { return field{kind: aString, oneOf: values} }

// shape is what an object may hold; nothing else is taken.
type shape map[string]field

// with adds to a shape.
func with(shapes ...shape) shape {
	sum := shape{}
	for _, s := range shapes {
		for name, f := range s {
			sum[name] = f
		}
	}
	return sum
}

var (
	flag      = field{kind: aBool}
	dialog    = field{kind: confirm}
	blockBase = shape{"type": str(1, 0).must(), "block_id": str(0, 255)}
	actor     = shape{"type": str(1, 0).must(), "action_id": str(0, 255)}
	focused   = shape{"focus_on_load": flag}
	asks      = shape{"placeholder": plain(1, 150)}
	confirms  = shape{"confirm": dialog}
	selects   = with(actor, asks, confirms, focused)
	typed     = with(actor, asks, focused, shape{"dispatch_action_config": some(anything, 0, 0), "initial_value": str(0, 3000)})
	listed    = shape{"options": some(options, 1, 100), "option_groups": some(groups, 1, 100)}
	oneAtOnce = shape{"initial_option": some(option, 0, 0)}
	several   = shape{"initial_options": some(options, 1, 100), "max_selected_items": some(anInt, 1, 0)}
	searched  = shape{"min_query_length": some(anInt, 0, 0)}
)

// surfaces are what views may be.
var surfaces = map[string]shape{
	"modal": {
		"type": str(1, 0).must(), "title": plain(1, 24).must(), "blocks": some(blocks, 1, 100).must(), "close": plain(1, 24), "submit": plain(1, 24),
		"private_metadata": str(0, 3000), "callback_id": str(0, 255), "external_id": str(0, 255),
		"clear_on_close": flag, "notify_on_close": flag, "submit_disabled": flag,
	},
	"home": {
		"type": str(1, 0).must(), "blocks": some(blocks, 1, 100).must(), "private_metadata": str(0, 3000), "callback_id": str(0, 255), "external_id": str(0, 255),
	},
}

// blockShapes are the blocks.
var blockShapes = map[string]shape{
	"section": with(blockBase, shape{
		"text": rich(1, 3000), "fields": some(texts, 1, 10), "accessory": some(element, 0, 0), "expand": flag,
	}),
	"header":   with(blockBase, shape{"text": plain(1, 150).must(), "level": some(anInt, 1, 4)}),
	"divider":  blockBase,
	"context":  with(blockBase, shape{"elements": some(elementsOf, 1, 10).must()}),
	"actions":  with(blockBase, shape{"elements": some(elementsOf, 1, 25).must()}),
	"input":    with(blockBase, shape{"label": plain(1, 2000).must(), "hint": plain(1, 2000), "element": some(element, 0, 0).must(), "optional": flag, "dispatch_action": flag}),
	"image":    with(blockBase, shape{"image_url": str(1, 3000), "slack_file": some(anything, 0, 0), "alt_text": str(1, 2000).must(), "title": plain(1, 2000)}),
	"markdown": with(blockBase, shape{"text": str(1, 12000).must()}),
	"alert":    with(blockBase, shape{"text": rich(1, 200).must(), "level": choice("default", "info", "warning", "error", "success")}),
	"rich_text": with(blockBase, shape{
		"elements": some(anything, 0, 0).must(),
	}),
}

// elementShapes are the elements.
var elementShapes = map[string]shape{
	"button": with(actor, confirms, shape{
		"text": plain(1, 75).must(), "value": str(0, 2000), "url": str(1, 3000), "accessibility_label": str(1, 75), "style": choice("primary", "danger"),
	}),
	"plain_text_input": with(typed, shape{"multiline": flag, "min_length": some(anInt, 0, 3000), "max_length": some(anInt, 1, 3000)}),
	"email_text_input": typed,
	"url_text_input":   typed,
	"number_input": with(typed, shape{
		"is_decimal_allowed": {kind: aBool, required: true}, "min_value": str(1, 0), "max_value": str(1, 0),
	}),
	"static_select":         with(selects, listed, oneAtOnce),
	"multi_static_select":   with(selects, listed, several),
	"external_select":       with(selects, searched, oneAtOnce),
	"multi_external_select": with(selects, searched, several),
	"users_select":          with(selects, shape{"initial_user": str(1, 0)}),
	"multi_users_select":    with(selects, shape{"initial_users": some(idList, 1, 100), "max_selected_items": some(anInt, 1, 0)}),
	"conversations_select": with(selects, shape{
		"initial_conversation": str(1, 0), "default_to_current_conversation": flag, "response_url_enabled": flag, "filter": some(anything, 0, 0),
	}),
	"channels_select": with(selects, shape{"initial_channel": str(1, 0), "response_url_enabled": flag}),
	"radio_buttons":   with(actor, confirms, focused, oneAtOnce, shape{"options": some(options, 1, 10).must()}),
	"checkboxes":      with(actor, confirms, focused, shape{"initial_options": some(options, 1, 10), "options": some(options, 1, 10).must()}),
	"overflow":        with(actor, confirms, shape{"options": some(options, 1, 5).must()}),
	"datepicker":      with(selects, shape{"initial_date": str(10, 10)}),
	"timepicker":      with(selects, shape{"initial_time": str(5, 5), "timezone": str(1, 0)}),
	"datetimepicker":  with(actor, confirms, focused, shape{"initial_date_time": some(anInt, 1, 0)}),
	"image":           {"type": str(1, 0).must(), "image_url": str(1, 3000), "slack_file": some(anything, 0, 0), "alt_text": str(1, 2000).must()},
	"plain_text":      {"type": str(1, 0).must(), "text": str(1, 3000).must(), "emoji": flag},
	"mrkdwn":          {"type": str(1, 0).must(), "text": str(1, 3000).must(), "verbatim": flag},
}

// Where elements may stand.
var (
	inputs = []string{
		"plain_text_input", "email_text_input", "url_text_input", "number_input", "static_select", "multi_static_select",
		"external_select", "multi_external_select", "users_select", "multi_users_select", "conversations_select",
		"channels_select", "radio_buttons", "checkboxes", "datepicker", "timepicker", "datetimepicker",
	}
	placed = map[string][]string{
		"input":   inputs,
		"context": {"image", "plain_text", "mrkdwn"},
		"actions": {
			"button", "static_select", "external_select", "users_select", "conversations_select", "channels_select",
			"multi_static_select", "multi_external_select", "multi_users_select",
			"radio_buttons", "checkboxes", "overflow", "datepicker", "timepicker", "datetimepicker",
		},
		"section": {
			"button", "image", "static_select", "external_select", "users_select", "conversations_select", "channels_select",
			"multi_static_select", "multi_external_select", "multi_users_select", "radio_buttons", "checkboxes", "overflow", "datepicker", "timepicker",
		},
	}
	// surfaceBlocks are the blocks that each surface takes.
	surfaceBlocks = map[string][]string{
		"modal":   {"section", "header", "divider", "context", "actions", "input", "image", "rich_text", "alert"},
		"home":    {"section", "header", "divider", "context", "actions", "input", "image", "rich_text"},
		"message": {"section", "header", "divider", "context", "actions", "input", "image", "rich_text", "markdown"},
	}
)

// optionShape is an option; confirmShape is a confirmation dialog.
var (
	optionShape  = shape{"text": rich(1, 75).must(), "value": str(1, 150).must(), "description": rich(1, 75), "url": str(1, 3000)}
	groupShape   = shape{"label": plain(1, 75).must(), "options": some(options, 1, 100).must()}
	confirmShape = shape{"title": plain(1, 100).must(), "text": rich(1, 300).must(), "confirm": plain(1, 30).must(), "deny": plain(1, 30).must(), "style": choice("primary", "danger")}
)
