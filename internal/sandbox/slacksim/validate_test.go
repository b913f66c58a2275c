package slacksim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhatSlackRefuses: one thing wrong at a time, and what is said about it.
func TestWhatSlackRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"type":"modal","title":{"type":"plain_text","text":"T"},"submit":{"type":"plain_text","text":"S"},"blocks":[
	 {"type":"section","block_id":"s","text":{"type":"mrkdwn","text":"*x*"},"accessory":{"type":"button","action_id":"b","text":{"type":"plain_text","text":"B"}}},
	 {"type":"input","block_id":"i","label":{"type":"plain_text","text":"L"},"element":{"type":"plain_text_input","action_id":"a","max_length":10}},
	 {"type":"input","block_id":"j","label":{"type":"plain_text","text":"L"},"element":{"type":"static_select","action_id":"a",
	  "options":[{"text":{"type":"plain_text","text":"One"},"value":"1"}]}},
	 {"type":"actions","block_id":"k","elements":[{"type":"button","action_id":"c","text":{"type":"plain_text","text":"C"}}]}]}`
	block := func(v object, i int) object { return obj(list(v["blocks"])[i]) }
	plainText := func(s string) object { return object{"type": "plain_text", "text": s} }
	for _, tt := range []struct {
		name string
		edit func(v object)
		says string // empty: nothing is wrong
	}{
		{"nothing", func(object) {}, ""},
		{"title", func(v object) { v["title"] = plainText(strings.Repeat("ä", 25)) }, "must be less than 25 characters [json-pointer:/view/title/text]"},
		{"title of 24", func(v object) { v["title"] = plainText(strings.Repeat("ä", 24)) }, ""},
		{"no title", func(v object) { delete(v, "title") }, "missing required field: title [json-pointer:/view]"},
		{"no submit", func(v object) { delete(v, "submit") }, "must define `submit` to use an `input` block in modals [json-pointer:/view]"},
		{"no blocks", func(v object) { v["blocks"] = []any{} }, "must provide at least 1 items [json-pointer:/view/blocks]"},
		{"metadata", func(v object) { v["private_metadata"] = strings.Repeat("x", 3001) }, "must be less than 3001 characters [json-pointer:/view/private_metadata]"},
		{"unknown field", func(v object) { block(v, 0)["colour"] = "red" }, "invalid additional property: colour [json-pointer:/view/blocks/0]"},
		{"unknown block", func(v object) { block(v, 0)["type"] = "poem" }, "unsupported type: poem [json-pointer:/view/blocks/0/type]"},
		{"table in a modal", func(v object) { block(v, 0)["type"] = "markdown" }, "unsupported type: markdown [json-pointer:/view/blocks/0/type]"},
		{"empty section", func(v object) { delete(block(v, 0), "text") }, "must define either `text` or `fields` [json-pointer:/view/blocks/0]"},
		{"empty text", func(v object) { obj(block(v, 0)["text"])["text"] = "" }, "must be more than 0 characters [json-pointer:/view/blocks/0/text/text]"},
		{"long text", func(v object) { obj(block(v, 0)["text"])["text"] = strings.Repeat("x", 3001) }, "must be less than 3001 characters [json-pointer:/view/blocks/0/text/text]"},
		{"same block_id", func(v object) { block(v, 1)["block_id"] = "s" }, "`block_id` \"s\" already exists [json-pointer:/view/blocks/1/block_id]"},
		{"mrkdwn label", func(v object) { obj(block(v, 1)["label"])["type"] = "mrkdwn" }, "unsupported type: mrkdwn [json-pointer:/view/blocks/1/label]"},
		{"button in an input", func(v object) {
			block(v, 1)["element"] = object{"type": "button", "text": plainText("B")}
		}, "unsupported type: button [json-pointer:/view/blocks/1/element/type]"},
		{"max_length", func(v object) { obj(block(v, 1)["element"])["max_length"] = 3001.0 }, "must be less than or equal to 3000 [json-pointer:/view/blocks/1/element/max_length]"},
		{"initial_value", func(v object) { obj(block(v, 1)["element"])["initial_value"] = strings.Repeat("x", 11) }, "must be less than 11 characters [json-pointer:/view/blocks/1/element/initial_value]"},
		{"no options", func(v object) { delete(obj(block(v, 2)["element"]), "options") }, "must define either `options` or `option_groups` [json-pointer:/view/blocks/2/element]"},
		{"initial_option", func(v object) {
			obj(block(v, 2)["element"])["initial_option"] = object{"text": plainText("Two"), "value": "2"}
		}, "must be one of the provided options [json-pointer:/view/blocks/2/element/initial_option]"},
		{"option value", func(v object) {
			obj(list(obj(block(v, 2)["element"])["options"])[0])["value"] = strings.Repeat("v", 151)
		}, "must be less than 151 characters [json-pointer:/view/blocks/2/element/options/0/value]"},
		{"same action_id", func(v object) {
			elements := list(block(v, 3)["elements"])
			block(v, 3)["elements"] = append(elements, elements[0])
		}, "`action_id` \"c\" already exists [json-pointer:/view/blocks/3/elements/1/action_id]"},
		{"style", func(v object) { obj(list(block(v, 3)["elements"])[0])["style"] = "default" }, "must be a valid enum value [json-pointer:/view/blocks/3/elements/0/style]"},
		{"two focuses", func(v object) {
			obj(block(v, 1)["element"])["focus_on_load"], obj(block(v, 2)["element"])["focus_on_load"] = true, true
		}, "no more than 1 items allowed [json-pointer:/view]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var v object
			require.NoError(t, json.Unmarshal([]byte(good), &v))
			tt.edit(v)
			problems := checkView(v)
			if tt.says == "" {
				assert.Empty(t, problems)
				return
			}
			assert.Contains(t, problems, tt.says)
			assert.Len(t, problems, 1)
		})
	}
}

func TestMessageLimits(t *testing.T) {
	t.Parallel()
	section := func(n int) any {
		return object{"type": "section", "text": object{"type": "mrkdwn", "text": strings.Repeat("x", n)}}
	}
	repeat := func(b any, n int) []any {
		var all []any
		for range n {
			all = append(all, b)
		}
		return all
	}
	problems, tooLong := checkMessage(repeat(section(3000), 4))
	assert.Empty(t, problems)
	assert.False(t, tooLong)
	_, tooLong = checkMessage(repeat(section(3000), 5))
	assert.True(t, tooLong)
	problems, _ = checkMessage(repeat(section(1), 51))
	assert.Equal(t, []string{"no more than 50 items allowed [json-pointer:/blocks]"}, problems)
}
