package web

import (
	"html"
	"html/template"
	"net/url"
	"strings"
)

// A node is a part of a page: an element or, without a tag, text. Everything that
// came from outside is text or the value of an attribute until it is written, and
// is escaped then, so that nothing that somebody typed becomes a tag.
type node struct {
	tag      string
	text     string
	attrs    []attr
	children []*node
}

type attr struct{ name, value string }

// text is text as it is.
func text(s string) *node { return &node{text: s} }

// el is an element with a class, if there is one.
func el(tag, class string, children ...*node) *node {
	n := &node{tag: tag, children: children}
	if class != "" {
		n.set("class", class)
	}
	return n
}

// set gives the element an attribute, once. The name is one of ours, never from
// outside.
func (n *node) set(name, value string) *node {
	for i := range n.attrs {
		if n.attrs[i].name == name {
			n.attrs[i].value = value
			return n
		}
	}
	n.attrs = append(n.attrs, attr{name, value})
	return n
}

// setIf gives the element an attribute without a value.
func (n *node) setIf(is bool, name string) *node {
	if is {
		n.set(name, "")
	}
	return n
}

func (n *node) add(children ...*node) *node {
	for _, child := range children {
		if child != nil {
			n.children = append(n.children, child)
		}
	}
	return n
}

var void = map[string]bool{"br": true, "hr": true, "input": true, "img": true}

// html writes the node and all in it.
func (n *node) html() template.HTML {
	var b strings.Builder
	n.write(&b)
	return template.HTML(b.String()) //nolint:gosec // write escapes all that is not a tag of ours
}

func (n *node) write(b *strings.Builder) {
	if n == nil {
		return
	}
	if n.tag == "" {
		b.WriteString(html.EscapeString(n.text))
		for _, child := range n.children {
			child.write(b)
		}
		return
	}
	b.WriteString("<" + n.tag)
	for _, a := range n.attrs {
		b.WriteString(" " + a.name)
		if a.value != "" {
			b.WriteString(`="` + html.EscapeString(a.value) + `"`)
		}
	}
	b.WriteString(">")
	if void[n.tag] {
		return
	}
	for _, child := range n.children {
		child.write(b)
	}
	b.WriteString("</" + n.tag + ">")
}

// link leads out of the page if the address is one that a client follows.
func link(address string, children ...*node) *node {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" {
		return el("span", "", children...)
	}
	return el("a", "", children...).set("href", address).set("rel", "noopener noreferrer").set("target", "_blank")
}

// lines is text with its line breaks.
func lines(s string) *node {
	n := &node{}
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			n.add(el("br", ""))
		}
		n.add(text(line))
	}
	return n
}
