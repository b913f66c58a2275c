package web

import (
	"cmp"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// input draws an input block: label, element, hint, and the error that the app or
// the client has about it.
func (d *drawing) input(b *block) *node {
	if b.Element == nil {
		return nil
	}
	e, id := b.Element, d.inputID(b)
	label := el("label", "", text(emoji(b.Label.String()))).set("for", id)
	if b.Optional {
		label.add(el("span", "optional", text(" (optional)")))
	}
	n := el("div", "block input", label, d.element(b, e)).set("data-block", b.ID)
	if say := d.errors[b.ID]; say != "" {
		n.add(el("p", "error", text(say)).set("role", "alert").set("id", id+"-error"))
	}
	if b.Hint != nil {
		n.add(el("p", "hint", text(emoji(b.Hint.Text))))
	}
	return n
}

// inputID changes with the block, so that a new one is drawn anew and one that
// stays keeps what somebody is typing.
func (d *drawing) inputID(b *block) string { return d.id + "-" + b.ID }

func (d *drawing) element(b *block, e *element) *node {
	value := d.state[b.ID][e.ActionID]
	switch e.Type {
	case "button":
		return d.button(e)
	case "plain_text_input", "url_text_input", "email_text_input", "number_input":
		return d.textInput(b, e, value)
	case "static_select":
		return d.selectOne(b, e, value)
	case "multi_static_select", "multi_external_select", "external_select":
		return d.choose(b, e, value)
	case "checkboxes", "radio_buttons":
		return d.ticks(b, e, value)
	default:
		return el("span", "unknown", text("This page does not draw elements of the type "+e.Type+"."))
	}
}

// doing is an element that does something when it is used.
func (d *drawing) doing(n *node, params ...attr) *node {
	n.set("data-post", d.post)
	for _, a := range append(d.params, params...) {
		n.set("data-"+a.name, a.value)
	}
	return n
}

func (d *drawing) button(e *element) *node {
	label := text(emoji(e.label()))
	if e.URL != "" {
		return link(e.URL, label).set("class", "button")
	}
	n := el("button", strings.TrimSpace("button "+e.Style), label).set("type", "button").set("data-action", e.ActionID)
	if e.Confirm == nil {
		return d.doing(n)
	}
	c := e.Confirm
	id := d.id + "-" + e.ActionID + "-confirm"
	sure := d.doing(el("button", "button "+cmp.Or(c.Style, "primary"), text(cmp.Or(c.Confirm.String(), "Yes"))).
		set("type", "button").set("data-action", e.ActionID).set("data-sure", "yes"))
	back := el("button", "button", text(cmp.Or(c.Deny.String(), "Cancel"))).set("type", "button").
		set("commandfor", id).set("command", "close")
	return el("span", "confirming",
		n.set("commandfor", id).set("command", "show-modal"),
		el("dialog", "confirm", el("h4", "", text(c.Title.Text)), el("p", "", d.text(&c.Text)), el("div", "actions", back, sure)).set("id", id),
	)
}

func (d *drawing) textInput(b *block, e *element, value slacksim.Value) *node {
	n := el("input", "").set("type", "text")
	if e.Multiline {
		n = el("textarea", "", text(value.Value)).set("rows", "3")
	} else if value.Value != "" {
		n.set("value", value.Value)
	}
	n.set("autocomplete", "off").set("spellcheck", "false").set("data-typed", "")
	return d.named(n, b, e)
}

// named gives an input what a label, an error and the server know it by.
func (d *drawing) named(n *node, b *block, e *element) *node {
	n.set("id", d.inputID(b)).set("name", e.ActionID)
	if e.Placeholder != nil {
		n.set("placeholder", e.Placeholder.Text)
	}
	if d.errors[b.ID] != "" {
		n.set("aria-invalid", "true").set("aria-describedby", d.inputID(b)+"-error")
	}
	return n
}

func (d *drawing) selectOne(b *block, e *element, value slacksim.Value) *node {
	n := el("select", "").set("data-chosen", "")
	chosen := ""
	if len(value.Selected) > 0 {
		chosen = value.Selected[0].Value
	}
	n.add(el("option", "", text(cmp.Or(e.Placeholder.String(), "Choose"))).set("value", "").setIf(chosen == "", "selected"))
	draw := func(o option) *node {
		return el("option", "", text(emoji(o.Text.Text))).set("value", o.Value).setIf(o.Value == chosen, "selected")
	}
	for _, o := range e.Options {
		n.add(draw(o))
	}
	for _, g := range e.OptionGroups {
		group := el("optgroup", "").set("label", g.Label.Text)
		for _, o := range g.Options {
			group.add(draw(o))
		}
		n.add(group)
	}
	return d.named(n, b, e)
}

// choose is a select with a search: what is chosen as chips, and what can be chosen
// in a list that the server fills as somebody types.
func (d *drawing) choose(b *block, e *element, value slacksim.Value) *node {
	n := el("div", "choose").set("data-choose", e.ActionID)
	for _, o := range value.Selected {
		n.add(d.doing(el("button", "chip", text(emoji(o.Text)), el("span", "", text(" ×"))), attr{"drop", o.Value}).
			set("type", "button").set("data-select", e.ActionID).set("aria-label", "Remove "+o.Text))
	}
	list := d.inputID(b) + "-list"
	search := d.named(el("input", ""), b, e).set("type", "search").set("autocomplete", "off").set("role", "combobox").
		set("aria-controls", list).set("data-search", list)
	return n.add(search, el("div", "options").set("id", list).set("role", "listbox").set("data-keep", ""))
}

// offer is an entry of such a list.
func (d *drawing) offer(actionID string, o slacksim.Option) *node {
	n := d.doing(el("button", "option", text(emoji(o.Text))), attr{"add", o.Value}).set("type", "button").
		set("data-select", actionID).set("role", "option")
	if o.Description != "" {
		n.add(el("small", "", text(o.Description)))
	}
	return n
}

func (d *drawing) ticks(b *block, e *element, value slacksim.Value) *node {
	kind := "checkbox"
	if e.Type == "radio_buttons" {
		kind = "radio"
	}
	n := el("div", "ticks").set("id", d.inputID(b)).set("role", "group")
	for _, o := range e.Options {
		on := false
		for _, chosen := range value.Selected {
			on = on || chosen.Value == o.Value
		}
		tick := el("input", "").set("type", kind).set("name", e.ActionID).set("value", o.Value).set("data-chosen", "").setIf(on, "checked")
		n.add(el("label", "tick", tick, text(" "), d.text(&o.Text)))
	}
	return n
}
