package modals

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// State is view.state as Slack sends it: what was typed and chosen so far, by
// block ID and action_id. What was typed is a secret from here on, whatever the
// input asked for, since people paste keys where they do not belong.
type State struct {
	Values map[string]map[string]Value
}

// Value is what one input holds.
type Value struct {
	Typed  secret.Text
	Chosen []string // values of options
}

// UnmarshalJSON reads leniently: what is empty may be null, missing or an empty
// array, and what is not of a form that we know counts as empty. Its error does
// not quote the input.
func (s *State) UnmarshalJSON(data []byte) error {
	*s = State{}
	var state struct {
		Values json.RawMessage `json:"values"`
	}
	if !json.Valid(data) {
		return errors.New("a view's state must be JSON")
	}
	if !object(data) || json.Unmarshal(data, &state) != nil || !object(state.Values) {
		return nil
	}
	var blocks map[string]json.RawMessage
	if json.Unmarshal(state.Values, &blocks) != nil {
		return nil
	}
	s.Values = make(map[string]map[string]Value, len(blocks))
	for blockID, block := range blocks {
		var elements map[string]json.RawMessage
		if !object(block) || json.Unmarshal(block, &elements) != nil {
			continue
		}
		values := make(map[string]Value, len(elements))
		for actionID, element := range elements {
			values[actionID] = readValue(element)
		}
		s.Values[blockID] = values
	}
	return nil
}

func readValue(data []byte) Value {
	var element struct {
		Value           json.RawMessage `json:"value"`
		SelectedOption  json.RawMessage `json:"selected_option"`
		SelectedOptions json.RawMessage `json:"selected_options"`
	}
	if !object(data) || json.Unmarshal(data, &element) != nil {
		return Value{}
	}
	var value Value
	if json.Unmarshal(element.Value, &value.Typed) != nil {
		value.Typed = secret.Text{}
	}
	var options []json.RawMessage
	if json.Unmarshal(element.SelectedOptions, &options) != nil {
		options = nil
	}
	for _, data := range append(options, element.SelectedOption) {
		var option struct {
			Value string `json:"value"`
		}
		if object(data) && json.Unmarshal(data, &option) == nil && option.Value != "" {
			value.Chosen = append(value.Chosen, option.Value)
		}
	}
	return value
}

func object(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) }

// in returns what an input holds, and whether the view had it.
func (s State) in(blockID, actionID string) (Value, bool) {
	value, ok := s.Values[blockID][actionID]
	return value, ok
}

// one is the option that a select holds, or nothing.
func (v Value) one() string {
	if len(v.Chosen) == 0 {
		return ""
	}
	return v.Chosen[0]
}
