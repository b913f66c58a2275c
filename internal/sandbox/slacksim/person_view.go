package slacksim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// trouble is the general error of the client, which tells the app nothing.
const trouble = "We had some trouble connecting. Try again?"

// patience is how long the person looks for an input that is not there yet.
const patience = 10 * time.Second

// A View is a view as the person sees it.
type View struct {
	ID, Hash, CallbackID, Title string
	JSON                        json.RawMessage             // as payloads show it, without the state
	State                       map[string]map[string]Value // by block ID and action_id
}

// A Value is what stands in an input.
type Value struct {
	Type     string
	Value    string   // of a text input, or of a select without options
	Selected []Option // of selects, radio buttons and checkboxes
}

// An Option can be chosen.
type Option struct{ Text, Value, Description string }

func toOption(o object) Option {
	return Option{Text: text(obj(o["text"])["text"]), Value: text(o["value"]), Description: text(obj(o["description"])["text"])}
}

func (v *view) shown() View {
	payload := v.payload(nil)
	delete(payload, "state")
	shown := View{
		ID: v.id, Hash: v.hash, CallbackID: text(v.body["callback_id"]), Title: text(obj(v.body["title"])["text"]),
		JSON: encode(payload), State: map[string]map[string]Value{},
	}
	for at, value := range v.state {
		if shown.State[at.block] == nil {
			shown.State[at.block] = map[string]Value{}
		}
		shown.State[at.block][at.action] = toValue(value)
	}
	return shown
}

func toValue(value object) Value {
	shown := Value{Type: text(value["type"]), Value: text(value["value"])}
	for name, v := range value {
		switch name {
		case "selected_option":
			if o := obj(v); o != nil {
				shown.Selected = []Option{toOption(o)}
			}
		case "selected_options":
			for _, o := range list(v) {
				shown.Selected = append(shown.Selected, toOption(obj(o)))
			}
		case "type", "value":
		default:
			if s := text(v); s != "" {
				shown.Value = s
			}
		}
	}
	return shown
}

// View is the view on top of the person's stack.
func (p *Person) View() (View, bool) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if v := p.s.top(p.id); v != nil {
		return v.shown(), true
	}
	return View{}, false
}

// WaitView waits until the view on top is as it should be.
func (p *Person) WaitView(ctx context.Context, is func(View) bool) (View, error) {
	var found View
	seen := "no view"
	err := p.s.wait(ctx, func() bool {
		v := p.s.top(p.id)
		if v == nil {
			seen = "no view"
			return false
		}
		found = v.shown()
		seen = fmt.Sprintf("the view %q", found.Title)
		return is(found)
	})
	if err != nil {
		return View{}, fmt.Errorf("wait for a view, while %s sees %s: %w", p.id, seen, err)
	}
	return found, nil
}

// Home is the person's Home tab of the app.
func (p *Person) Home() (View, bool) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if v := p.s.homes[p.id]; v != nil {
		return v.shown(), true
	}
	return View{}, false
}

// WaitHome waits until the Home tab is as it should be.
func (p *Person) WaitHome(ctx context.Context, is func(View) bool) (View, error) {
	var found View
	err := p.s.wait(ctx, func() bool {
		v := p.s.homes[p.id]
		if v == nil {
			return false
		}
		found = v.shown()
		return is(found)
	})
	if err != nil {
		return View{}, fmt.Errorf("wait for the Home tab of %s: %w", p.id, err)
	}
	return found, nil
}

// errNoInput is why an action could not be found.
var errNoInput = errors.New("the view has nothing of that action_id")

// seek waits until the view on top has an element, and runs act with the lock held.
func (p *Person) seek(ctx context.Context, actionID string, act func(*view, placedElement) error) error {
	var failure error
	err := p.s.wait(ctx, func() bool {
		v := p.s.top(p.id)
		if v == nil {
			return false
		}
		e, is := v.element(actionID)
		if is {
			failure = act(v, e)
		}
		return is
	})
	if err != nil {
		return fmt.Errorf("%s looks for %q: %w: %w", p.id, actionID, errNoInput, err)
	}
	return failure
}

func (v *view) element(actionID string) (placedElement, bool) {
	for _, e := range elements(list(v.body["blocks"])) {
		if text(e.element["action_id"]) == actionID {
			return e, true
		}
	}
	return placedElement{}, false
}

// Type replaces what stands in a text input. If the view does not have the input,
// it waits for it a little. It presses no Enter, so that nothing is dispatched.
func (p *Person) Type(actionID, value string) error {
	ctx, cancel := context.WithTimeout(p.s.ctx, patience)
	defer cancel()
	return p.seek(ctx, actionID, func(v *view, e placedElement) error {
		state := v.state[slot{text(e.block["block_id"]), actionID}]
		if _, typed := state["value"]; !typed {
			return fmt.Errorf("%q takes no text", actionID)
		}
		state["value"] = value
		if value == "" {
			state["value"] = nil
		}
		p.s.touch()
		return nil
	})
}

// dispatches reports whether using an element sends block_actions.
func (e placedElement) dispatches() bool {
	return text(e.block["type"]) != "input" || e.block["dispatch_action"] == true
}

// Select chooses values, and nothing else, in a select, in radio buttons or
// checkboxes of the view on top; no values choose nothing. It waits until the view
// has the element. If the element dispatches, it waits for the ack too: what the
// app then makes of the view is to be waited for.
func (p *Person) Select(ctx context.Context, actionID string, values ...string) error {
	var chosen []any
	var external bool
	err := p.seek(ctx, actionID, func(_ *view, e placedElement) error {
		kind := text(e.element["type"])
		external = kind == "external_select" || kind == "multi_external_select"
		if external {
			return nil
		}
		var err error
		chosen, err = pick(e.element, values)
		return err
	})
	if err != nil {
		return err
	}
	if external {
		if chosen, err = p.search(ctx, actionID, values); err != nil {
			return err
		}
	}
	var payload object
	err = p.seek(ctx, actionID, func(v *view, e placedElement) error {
		at := slot{text(e.block["block_id"]), actionID}
		if err := put(v.state[at], e.element, chosen); err != nil {
			return err
		}
		p.s.touch()
		if e.dispatches() {
			action := clone(v.state[at])
			action["block_id"], action["action_id"], action["action_ts"] = at.block, actionID, p.s.stamp()
			payload = p.inView(v, action)
		}
		return nil
	})
	if err != nil || payload == nil {
		return err
	}
	_, _, err = p.ask(ctx, "interactive", payload, false)
	return err
}

// pick finds values among the options of an element.
func pick(e object, values []string) ([]any, error) {
	offered := optionsOf(e)
	var chosen []any
	for _, value := range values {
		if e["options"] == nil && e["option_groups"] == nil {
			chosen = append(chosen, value) // a user, a channel, a date
			continue
		}
		i := slices.IndexFunc(offered, func(o object) bool { return text(o["value"]) == value })
		if i < 0 {
			return nil, fmt.Errorf("%q is no option of %q", value, text(e["action_id"]))
		}
		chosen = append(chosen, clone(offered[i]))
	}
	return chosen, nil
}

// put makes a choice what the state holds.
func put(state, e object, chosen []any) error {
	id := text(e["action_id"])
	if most, is := e["max_selected_items"].(float64); is && len(chosen) > int(most) {
		return fmt.Errorf("%q takes at most %d", id, int(most))
	}
	for _, name := range []string{"selected_options", "selected_users"} {
		if _, several := state[name]; several {
			state[name] = append([]any{}, chosen...)
			return nil
		}
	}
	if len(chosen) > 1 {
		return fmt.Errorf("%q takes one value", id)
	}
	for name := range state {
		if name == "type" || name == "value" {
			continue
		}
		state[name] = nil
		if len(chosen) == 1 {
			state[name] = chosen[0]
			if unix, err := strconv.Atoi(text(chosen[0])); name == "selected_date_time" && err == nil {
				state[name] = float64(unix)
			}
		}
		return nil
	}
	return fmt.Errorf("%q is nothing to choose in", id)
}

// search finds values of an external select by asking the app. What is chosen
// already needs no search.
func (p *Person) search(ctx context.Context, actionID string, values []string) ([]any, error) {
	var chosen []any
	for _, value := range values {
		var has []object
		err := p.seek(ctx, actionID, func(v *view, e placedElement) error {
			state := v.state[slot{text(e.block["block_id"]), actionID}]
			for _, o := range append(slices.Clone(list(state["selected_options"])), state["selected_option"]) {
				has = append(has, obj(o))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		is := func(o object) bool { return text(o["value"]) == value }
		i := slices.IndexFunc(has, is)
		if i < 0 {
			if has, err = p.suggest(ctx, actionID, value); err != nil {
				return nil, err
			}
			if i = slices.IndexFunc(has, is); i < 0 {
				return nil, fmt.Errorf("%q finds no option of that value in %q", value, actionID)
			}
		}
		chosen = append(chosen, clone(has[i]))
	}
	return chosen, nil
}

// Suggest types into the search of an external select and gives what the app
// offers. Fewer characters than the select asks for send nothing.
func (p *Person) Suggest(ctx context.Context, actionID, query string) ([]Option, error) {
	found, err := p.suggest(ctx, actionID, query)
	var all []Option
	for _, o := range found {
		all = append(all, toOption(o))
	}
	return all, err
}

func (p *Person) suggest(ctx context.Context, actionID, query string) ([]object, error) {
	var payload object
	err := p.seek(ctx, actionID, func(v *view, e placedElement) error {
		if kind := text(e.element["type"]); kind != "external_select" && kind != "multi_external_select" {
			return fmt.Errorf("%q is not searched by the app", actionID)
		}
		least := 3
		if n, is := e.element["min_query_length"].(float64); is {
			least = int(n)
		}
		if utf8.RuneCountInString(query) < least {
			return nil
		}
		payload = p.acts("block_suggestion")
		delete(payload, "trigger_id")
		payload["container"] = object{"type": "view", "view_id": v.id}
		payload["view"] = v.payload(v.values())
		payload["block_id"], payload["action_id"], payload["value"] = text(e.block["block_id"]), actionID, query
		return nil
	})
	if err != nil || payload == nil {
		return nil, err
	}
	e, answer, err := p.ask(ctx, "interactive", payload, true)
	if err != nil {
		return nil, err
	}
	if problems := checkOptions(answer); len(problems) > 0 {
		p.s.complain(BadOptions, e.id, "%v", problems)
		return nil, errors.New("the app's options are not shown: there is something wrong with them")
	}
	return optionsOf(answer), nil
}

// inView is the payload of an action in a view. It is called with the lock held.
func (p *Person) inView(v *view, action object) object {
	payload := p.acts("block_actions")
	payload["container"] = object{"type": "view", "view_id": v.id}
	payload["view"] = v.payload(v.values())
	payload["actions"] = []any{action}
	p.s.record(Event{Kind: "click", Actor: p.id, Method: text(action["action_id"]), Summary: text(action["action_id"]) + " in the view " + v.id})
	return payload
}

// ClickView presses a button of the view on top and waits for the ack.
func (p *Person) ClickView(ctx context.Context, actionID string) error {
	return p.clickIn(ctx, actionID, func() *view { return p.s.top(p.id) })
}

// ClickHome presses a button of the Home tab and waits for the ack.
func (p *Person) ClickHome(ctx context.Context, actionID string) error {
	return p.clickIn(ctx, actionID, func() *view { return p.s.homes[p.id] })
}

func (p *Person) clickIn(ctx context.Context, actionID string, find func() *view) error {
	p.s.mu.Lock()
	v := find()
	if v == nil {
		p.s.mu.Unlock()
		return fmt.Errorf("%s sees no view", p.id)
	}
	e, is := v.element(actionID)
	if !is || text(e.element["type"]) != "button" {
		p.s.mu.Unlock()
		return fmt.Errorf("%w: button %q", errNoInput, actionID)
	}
	payload := p.inView(v, p.pressed(e.element, text(e.block["block_id"])))
	p.s.mu.Unlock()
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}

// SubmitResult is what came of a submission.
type SubmitResult struct {
	Errors                  map[string]string // by block ID; the view stays
	Trouble                 string            // the client's general error; the view stays
	Closed, Updated, Pushed bool
}

// Submit sends the view on top and carries out what the app answers. What the
// client refuses by itself is a *ClientError, and nothing was sent.
func (p *Person) Submit(ctx context.Context) (SubmitResult, error) {
	s := p.s
	s.mu.Lock()
	v := s.top(p.id)
	if v == nil {
		s.mu.Unlock()
		return SubmitResult{}, fmt.Errorf("%s sees no view", p.id)
	}
	if v.body["submit"] == nil {
		s.mu.Unlock()
		return SubmitResult{}, fmt.Errorf("the view %s has no submit button", v.id)
	}
	if refusals := v.refusals(); len(refusals) > 0 {
		s.mu.Unlock()
		return SubmitResult{}, &ClientError{Errors: refusals}
	}
	payload := p.acts("view_submission")
	payload["view"] = v.payload(v.values())
	payload["response_urls"] = []any{}
	s.record(Event{Kind: "submit", Actor: p.id, Method: "view_submission", Summary: "the view " + v.id + " is submitted"})
	s.mu.Unlock()

	e, answer, err := p.ask(ctx, "interactive", payload, true)
	var undelivered *DeliveryError
	if errors.As(err, &undelivered) {
		return SubmitResult{Trouble: trouble}, nil
	}
	if err != nil {
		return SubmitResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered(e, v, answer), nil
}

// refusals are what the client says about a view that is to be submitted.
func (v *view) refusals() map[string]string {
	said := map[string]string{}
	for _, e := range elements(list(v.body["blocks"])) {
		if text(e.block["type"]) != "input" {
			continue
		}
		block := text(e.block["block_id"])
		value := v.state[slot{block, text(e.element["action_id"])}]
		if say := refusal(e.element, value, e.block["optional"] == true); say != "" {
			said[block] = say
		}
	}
	return said
}

func refusal(e, value object, optional bool) string {
	shown := toValue(value)
	users, _ := value["selected_users"].([]any)
	if shown.Value == "" && len(shown.Selected) == 0 && len(users) == 0 && value["selected_date_time"] == nil {
		if optional {
			return ""
		}
		return "Please complete this required field."
	}
	n := utf8.RuneCountInString(shown.Value)
	switch text(e["type"]) {
	case "plain_text_input":
		most, bounded := e["max_length"].(float64)
		if !bounded {
			most = 3000
		}
		if least, _ := e["min_length"].(float64); n < int(least) {
			return fmt.Sprintf("Enter at least %d characters.", int(least))
		}
		if n > int(most) {
			return fmt.Sprintf("Enter no more than %d characters.", int(most))
		}
	case "email_text_input":
		if _, err := mail.ParseAddress(shown.Value); err != nil {
			return "Enter a valid email address."
		}
	case "url_text_input":
		if u, err := url.Parse(shown.Value); err != nil || u.Scheme == "" || u.Host == "" {
			return "Enter a valid URL."
		}
	case "number_input":
		return refusedNumber(e, shown.Value)
	}
	return ""
}

func refusedNumber(e object, value string) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || e["is_decimal_allowed"] != true && n != float64(int64(n)) {
		return "Enter a number."
	}
	if least, err := strconv.ParseFloat(text(e["min_value"]), 64); err == nil && n < least {
		return "Enter a larger number."
	}
	if most, err := strconv.ParseFloat(text(e["max_value"]), 64); err == nil && n > most {
		return "Enter a smaller number."
	}
	return ""
}

// CloseView presses Cancel on the view on top; the one below shows again. The app
// hears of it, and CloseView waits for its ack, if the view says notify_on_close.
func (p *Person) CloseView(ctx context.Context) error {
	s := p.s
	s.mu.Lock()
	v := s.top(p.id)
	if v == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s sees no view", p.id)
	}
	var payload object
	if v.body["notify_on_close"] == true {
		payload = p.acts("view_closed")
		delete(payload, "trigger_id")
		payload["view"] = v.payload(object{})
		payload["is_cleared"] = false
	}
	s.pop(p.id)
	if v.body["clear_on_close"] == true {
		s.closeStack(p.id)
	}
	s.mu.Unlock()
	if payload == nil {
		return nil
	}
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}

// CloseAll presses the x of the view on top, which closes the whole stack. The app
// hears of the first view of it, if that one says notify_on_close. Without a view
// nothing happens.
func (p *Person) CloseAll(ctx context.Context) error {
	s := p.s
	s.mu.Lock()
	var payload object
	if stack := s.modals[p.id]; len(stack) > 0 && stack[0].body["notify_on_close"] == true {
		payload = p.acts("view_closed")
		delete(payload, "trigger_id")
		payload["view"] = stack[0].payload(object{})
		payload["is_cleared"] = true
	}
	s.closeStack(p.id)
	s.mu.Unlock()
	if payload == nil {
		return nil
	}
	_, _, err := p.ask(ctx, "interactive", payload, false)
	return err
}
