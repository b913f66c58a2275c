package slacksim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	triggerLife = 3 * time.Second
	mostViews   = 3 // in a stack
)

// trigger lets the app open one view for whoever acted.
type trigger struct {
	user string
	at   time.Time
	used bool
}

// newTrigger is called with the lock held.
func (s *Server) newTrigger(user string) string {
	id := fmt.Sprintf("%d.%d.%s", 9100+len(s.triggers), 8200, random(8))
	s.triggers[id] = &trigger{user: user, at: s.clock.Now()}
	return id
}

// view is an open view, or a Home tab.
type view struct {
	id, hash, user string
	body           object // as the app sent it, with the IDs that it left out
	state          map[slot]object
	root, previous string
	closed         bool
}

// slot is where a value of the state belongs.
type slot struct{ block, action string }

// placedElement is an element and the block it stands in.
type placedElement struct {
	block, element object
}

// elements are all elements of blocks that people can use.
func elements(blocks []any) []placedElement {
	var all []placedElement
	for _, b := range blocks {
		block := obj(b)
		switch text(block["type"]) {
		case "input":
			all = append(all, placedElement{block, obj(block["element"])})
		case "actions":
			for _, e := range list(block["elements"]) {
				all = append(all, placedElement{block, obj(e)})
			}
		case "section":
			if e := obj(block["accessory"]); e != nil && text(e["type"]) != "image" {
				all = append(all, placedElement{block, e})
			}
		}
	}
	return all
}

// named gives a block_id and an action_id to whatever has none.
func named(blocks []any) []any {
	for _, b := range blocks {
		if block := obj(b); text(block["block_id"]) == "" {
			block["block_id"] = random(3)
		}
	}
	for _, p := range elements(blocks) {
		if text(p.element["action_id"]) == "" {
			p.element["action_id"] = random(3)
		}
	}
	return blocks
}

// initialValue is what the state holds for an element at first; nil if it is none
// of the state.
func initialValue(e object) object {
	kind := text(e["type"])
	value := object{"type": kind}
	orNil := func(v any) any {
		if v == "" {
			return nil
		}
		return v
	}
	switch kind {
	case "plain_text_input", "email_text_input", "url_text_input", "number_input":
		value["value"] = orNil(e["initial_value"])
	case "static_select", "external_select", "radio_buttons":
		value["selected_option"] = e["initial_option"]
	case "multi_static_select", "multi_external_select", "checkboxes":
		value["selected_options"] = append([]any{}, list(e["initial_options"])...)
	case "users_select":
		value["selected_user"] = orNil(e["initial_user"])
	case "multi_users_select":
		value["selected_users"] = append([]any{}, list(e["initial_users"])...)
	case "conversations_select":
		value["selected_conversation"] = orNil(e["initial_conversation"])
	case "channels_select":
		value["selected_channel"] = orNil(e["initial_channel"])
	case "datepicker":
		value["selected_date"] = orNil(e["initial_date"])
	case "timepicker":
		value["selected_time"] = orNil(e["initial_time"])
	case "datetimepicker":
		value["selected_date_time"] = e["initial_date_time"]
	default:
		return nil
	}
	return value
}

// show puts a body into a view. Values stay where block_id and action_id did.
func (s *Server) show(v *view, body object) {
	named(list(body["blocks"]))
	state := map[slot]object{}
	for _, p := range elements(list(body["blocks"])) {
		value := initialValue(p.element)
		if value == nil {
			continue
		}
		at := slot{text(p.block["block_id"]), text(p.element["action_id"])}
		if kept := v.state[at]; kept != nil && kept["type"] == value["type"] {
			value = kept
		}
		state[at] = value
	}
	v.body, v.state = body, state
	v.hash = fmt.Sprintf("%d.%s", s.clock.Now().Unix(), random(4))
	s.record(Event{
		Kind: "view", Actor: v.user, Method: text(body["type"]),
		Summary: fmt.Sprintf("view %s (%s) shows %s", v.id, text(body["callback_id"]), text(obj(body["title"])["text"])), JSON: encode(body),
	})
}

// values is the state as payloads show it.
func (v *view) values() object {
	all := object{}
	for at, value := range v.state {
		if all[at.block] == nil {
			all[at.block] = object{}
		}
		obj(all[at.block])[at.action] = value
	}
	return all
}

// payload is a view as payloads show it.
func (v *view) payload(values object) object {
	p := object{
		"id": v.id, "team_id": TeamID, "type": v.body["type"], "callback_id": text(v.body["callback_id"]),
		"private_metadata": text(v.body["private_metadata"]), "hash": v.hash, "blocks": v.body["blocks"],
		"state": object{"values": values}, "clear_on_close": v.body["clear_on_close"] == true,
		"notify_on_close": v.body["notify_on_close"] == true, "previous_view_id": nil, "root_view_id": v.root,
		"external_id": text(v.body["external_id"]), "app_id": AppID, "app_installed_team_id": TeamID, "bot_id": BotID,
		"title": v.body["title"], "submit": v.body["submit"], "close": v.body["close"],
	}
	if v.previous != "" {
		p["previous_view_id"] = v.previous
	}
	return clone(p)
}

// viewArg reads the view of a call and says what Slack refuses about it.
func (s *Server) viewArg(c *call, kind, instead string) (object, answer) {
	var body object
	switch v := c.args["view"].(type) {
	case object:
		body = v
	case string:
		if json.Unmarshal([]byte(v), &body) != nil {
			return nil, missing("view")
		}
	default:
		return nil, missing("view")
	}
	if problems := s.viewProblems(body, kind); len(problems) > 0 {
		a := no("invalid_arguments")
		messages := []any{"[ERROR] failed to match all allowed schemas [json-pointer:/view]"}
		for _, p := range problems {
			messages = append(messages, "[ERROR] "+p)
		}
		a.body["response_metadata"] = object{"messages": messages}
		return nil, a
	}
	if len(encode(body)) > mostViewBytes {
		return nil, no("view_too_large")
	}
	if id := text(body["external_id"]); id != "" {
		for _, v := range s.views {
			if !v.closed && v.id != instead && text(v.body["external_id"]) == id {
				return nil, no("duplicate_external_id")
			}
		}
	}
	return body, answer{}
}

func (s *Server) viewProblems(body object, kind string) []string {
	problems := checkView(body)
	if got := text(body["type"]); kind != "" && got != kind && len(problems) == 0 {
		problems = append(problems, "must match the `type` of the root view whose stack we're pushing onto [json-pointer:/view/type]")
	}
	return problems
}

// spend uses up a trigger.
func (s *Server) spend(c *call) (string, answer) {
	id := c.arg("trigger_id")
	t := s.triggers[id]
	switch {
	case id == "":
		return "", missing("trigger_id")
	case t == nil:
		return "", no("invalid_trigger_id")
	case t.used:
		return "", no("exchanged_trigger_id")
	case s.clock.Now().Sub(t.at) > triggerLife:
		return "", no("expired_trigger_id")
	}
	return t.user, answer{}
}

func (s *Server) viewsOpen(c *call) answer {
	user, a := s.spend(c)
	if a.body != nil {
		return a
	}
	body, a := s.viewArg(c, "modal", "")
	if a.body != nil {
		return a
	}
	s.triggers[c.arg("trigger_id")].used = true
	s.closeStack(user)
	v := s.push(user, body)
	return ok(object{"view": v.payload(object{})})
}

func (s *Server) viewsPush(c *call) answer {
	user, a := s.spend(c)
	if a.body != nil {
		return a
	}
	body, a := s.viewArg(c, "modal", "")
	switch {
	case a.body != nil:
		return a
	case len(s.modals[user]) == 0:
		return no("not_found")
	case len(s.modals[user]) >= mostViews:
		return no("push_limit_reached")
	}
	s.triggers[c.arg("trigger_id")].used = true
	v := s.push(user, body)
	return ok(object{"view": v.payload(object{})})
}

// push shows a new view on top. It is called with the lock held.
func (s *Server) push(user string, body object) *view {
	v := &view{id: "V0" + strings.ToUpper(random(4)), user: user}
	v.root = v.id
	if stack := s.modals[user]; len(stack) > 0 {
		v.root, v.previous = stack[0].id, stack[len(stack)-1].id
	}
	s.views[v.id] = v
	s.modals[user] = append(s.modals[user], v)
	s.show(v, body)
	return v
}

// pop closes the view on top.
func (s *Server) pop(user string) {
	stack := s.modals[user]
	if len(stack) == 0 {
		return
	}
	top := stack[len(stack)-1]
	top.closed = true
	s.modals[user] = stack[:len(stack)-1]
	s.record(Event{Kind: "view", Actor: user, Method: "closed", Summary: "view " + top.id + " is closed"})
}

func (s *Server) closeStack(user string) {
	for len(s.modals[user]) > 0 {
		s.pop(user)
	}
}

func (s *Server) viewsUpdate(c *call) answer {
	id, external := c.arg("view_id"), c.arg("external_id")
	switch {
	case id != "" && external != "":
		a := no("invalid_arguments")
		a.body["response_metadata"] = object{"messages": []any{"[ERROR] Cannot provide both `view_id` and `external_id`"}}
		return a
	case id == "" && external == "":
		return missing("view_id")
	}
	var v *view
	for _, other := range s.views {
		if !other.closed && (other.id == id || external != "" && text(other.body["external_id"]) == external) {
			v = other
		}
	}
	if v == nil {
		return no("not_found")
	}
	body, a := s.viewArg(c, text(v.body["type"]), v.id)
	switch hash := c.arg("hash"); {
	case a.body != nil:
		return a
	case hash != "" && hash != v.hash:
		return no("hash_conflict")
	}
	s.show(v, body)
	return ok(object{"view": v.payload(object{})})
}

func (s *Server) viewsPublish(c *call) answer {
	user := c.arg("user_id")
	if user == "" {
		return missing("user_id")
	}
	u := s.users[user]
	v := s.homes[user]
	old := ""
	if v != nil {
		old = v.id
	}
	body, a := s.viewArg(c, "home", old)
	switch hash := c.arg("hash"); {
	case s.noHome:
		return no("not_enabled")
	case u == nil:
		a = no("invalid_arguments")
		a.body["response_metadata"] = object{"messages": []any{"[ERROR] invalid `user_id`"}}
		return a
	case a.body != nil:
		return a
	case hash != "" && (v == nil || hash != v.hash):
		return no("hash_conflict")
	case v == nil:
		v = &view{id: "V0" + strings.ToUpper(random(4)), user: user}
		v.root = v.id
		s.homes[user], s.views[v.id] = v, v
	}
	s.show(v, body)
	return ok(object{"view": v.payload(object{})})
}

// top is the view that somebody sees. It is called with the lock held.
func (s *Server) top(user string) *view {
	if stack := s.modals[user]; len(stack) > 0 {
		return stack[len(stack)-1]
	}
	return nil
}

// answered carries out the ack of a view_submission. It is called with the lock held.
func (s *Server) answered(e *envelope, v *view, payload object) SubmitResult {
	bad := func(kind, format string, args ...any) SubmitResult {
		s.violate(kind, e.id, format, args...)
		return SubmitResult{Trouble: trouble}
	}
	action := text(payload["response_action"])
	if len(payload) == 0 {
		if s.top(v.user) == v {
			s.pop(v.user)
		}
		return SubmitResult{Closed: true}
	}
	switch action {
	case "clear":
		s.closeStack(v.user)
		return SubmitResult{Closed: true}
	case "errors":
		return s.showErrors(e, v, payload)
	case "update", "push":
	default:
		return bad(BadView, "response_action %q", action)
	}
	body := obj(payload["view"])
	if problems := s.viewProblems(body, "modal"); len(problems) > 0 || len(encode(body)) > mostViewBytes {
		return bad(BadView, "the view of an %s: %s", action, strings.Join(problems, "; "))
	}
	if v.closed {
		return bad(BadView, "the view was closed meanwhile")
	}
	if action == "update" {
		s.show(v, body)
		return SubmitResult{Updated: true}
	}
	if len(s.modals[v.user]) >= mostViews {
		return bad(BadView, "a fourth view in the stack")
	}
	s.push(v.user, body)
	return SubmitResult{Pushed: true}
}

func (s *Server) showErrors(e *envelope, v *view, payload object) SubmitResult {
	inputs := map[string]bool{}
	for _, b := range list(v.body["blocks"]) {
		if text(obj(b)["type"]) == "input" {
			inputs[text(obj(b)["block_id"])] = true
		}
	}
	said := map[string]string{}
	for block, say := range obj(payload["errors"]) {
		if !inputs[block] || text(say) == "" {
			s.violate(BadErrors, e.id, "%q is not the block_id of an input of the view, or nothing is said of it", block)
			return SubmitResult{Trouble: trouble}
		}
		said[block] = text(say)
	}
	if len(said) == 0 {
		s.violate(BadErrors, e.id, "response_action errors without errors")
		return SubmitResult{Trouble: trouble}
	}
	s.record(Event{Kind: "view", Actor: v.user, Method: "errors", Summary: fmt.Sprintf("view %s shows %d errors", v.id, len(said)), JSON: encode(said)})
	return SubmitResult{Errors: said}
}
