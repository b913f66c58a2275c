package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// client draws one side: somebody at their Slack.
func (p *Page) client(w where, side string) *node {
	at := w.at(side)
	person := p.person(at.person)
	n := el("section", "client").set("id", side).set("aria-label", "Slack of "+person.Name)
	n.add(p.people(w, side, person), p.tabs(w, side))
	if at.place == home {
		n.add(p.homeTab(side, person))
	} else {
		n.add(p.messages(side, at), p.composer(side, at))
	}
	if say := p.notice(person.ID); say != "" {
		n.add(el("p", "notice", text(say)).set("role", "status"))
	}
	if v, open := p.s.Slack.Person(person.ID).View(); open {
		n.add(p.modal(side, person.ID, v))
	}
	return n
}

func (p *Page) person(id string) sandbox.Person {
	for _, one := range p.s.People {
		if one.ID == id {
			return one
		}
	}
	return sandbox.Person{ID: id, Name: id}
}

func (p *Page) people(w where, side string, now sandbox.Person) *node {
	others := el("div", "menu")
	for _, one := range p.s.People {
		there := seat{one.ID, w.at(side).place}
		if there.place == p.s.Slack.Person(now.ID).DM() {
			there.place = p.s.Slack.Person(one.ID).DM()
		}
		others.add(avatarLink(one, w.with(side, there).href(), one.ID == now.ID))
	}
	return el("header", "who", el("details", "", el("summary", "", avatar(now.Name), el("b", "", text(now.Name)), el("small", "", text(now.Role))), others))
}

func avatarLink(one sandbox.Person, href string, is bool) *node {
	n := el("a", "", avatar(one.Name), el("b", "", text(one.Name)), el("small", "", text(one.Role))).set("href", href).set("data-go", "")
	if is {
		n.set("aria-current", "true")
	}
	return n
}

// avatar is the first letter on a colour that stays with the name.
func avatar(name string) *node {
	colour := 0
	for _, r := range name {
		colour += int(r)
	}
	letter := "?"
	for _, r := range strings.ToUpper(name) {
		letter = string(r)
		break
	}
	return el("span", "avatar c"+strconv.Itoa(colour%6), text(letter)).set("aria-hidden", "true")
}

func (p *Page) tabs(w where, side string) *node {
	at := w.at(side)
	n := el("nav", "places").set("aria-label", "Channels")
	for _, c := range p.places(at.person) {
		entry := el("a", "", text(c.name)).set("href", w.with(side, seat{at.person, c.id}).href()).set("data-go", "")
		if c.id == home {
			entry.set("data-open", "/do/home").set("data-as", at.person)
		}
		switch {
		case c.id == at.place:
			entry.set("aria-current", "page")
			p.read(at.person, c.id)
		case p.unread(at.person, c.id):
			entry.set("class", "unread")
		}
		n.add(entry)
	}
	return n
}

// names are what a client of the workspace knows.
func (p *Page) names() names {
	n := names{
		users: map[string]string{slacksim.BotUserID: "atlas-integration"}, groups: map[string]string{},
		channels: map[string]string{sandbox.Approvals: "atlas-approvals", sandbox.Incidents: "incidents"}, now: time.Now(),
	}
	for _, one := range p.s.People {
		n.users[one.ID] = one.Name
	}
	return n
}

func (p *Page) messages(side string, at seat) *node {
	n := el("div", "messages").set("data-bottom", "").set("tabindex", "0")
	all := p.s.Slack.Person(at.person).Messages(at.place)
	if len(all) == 0 {
		n.add(el("p", "empty", text("Nothing here yet. Type "), el("code", "", text(sandbox.Command+" update")), text(" below.")))
	}
	known := p.names()
	for _, m := range all {
		if m.ThreadTS != "" && m.ThreadTS != m.TS && slices.ContainsFunc(all, func(o slacksim.Message) bool { return o.TS == m.ThreadTS }) {
			continue // it stands below its parent
		}
		n.add(p.message(side, at, known, m, all))
	}
	return n
}

func (p *Page) message(side string, at seat, known names, m slacksim.Message, all []slacksim.Message) *node {
	d := &drawing{names: known, id: side + "-" + m.TS, post: "/do/click", params: []attr{
		{"as", at.person}, {"channel", m.Channel}, {"ts", m.TS},
	}}
	said := d.blocks(readBlocks(m.Blocks))
	if string(m.Blocks) == "[]" {
		said = d.text(&textObject{Type: "mrkdwn", Text: m.Text})
	}
	n := el("article", "message", p.byline(known, m)).set("id", d.id).set("data-ts", m.TS)
	if m.Ephemeral {
		n.set("class", "message ephemeral").add(el("p", "only", text("Only visible to you")))
	}
	raw, _ := json.Marshal(map[string]json.RawMessage{"blocks": m.Blocks}) //nolint:errchkjson // it was JSON before
	n.add(said, source(raw))
	if replies := p.replies(side, at, known, m, all); replies != nil {
		n.add(replies)
	}
	return n
}

func (p *Page) byline(known names, m slacksim.Message) *node {
	name := known.users[m.User]
	n := el("div", "byline", avatar(name), el("b", "", text(name)))
	if m.User == slacksim.BotUserID {
		n.add(el("span", "app", text("APP")))
	}
	n.add(el("time", "", text(stamp(m.TS).Format("15:04"))))
	if m.Edited {
		n.add(el("span", "edited", text("(edited)")))
	}
	return n
}

func (p *Page) replies(side string, at seat, known names, parent slacksim.Message, all []slacksim.Message) *node {
	thread := el("div", "thread")
	for _, m := range all {
		if m.ThreadTS == parent.TS && m.TS != parent.TS {
			thread.add(p.message(side, at, known, m, nil))
		}
	}
	count := len(thread.children)
	if count == 0 {
		return nil
	}
	label := fmt.Sprintf("%d replies", count)
	if count == 1 {
		label = "1 reply"
	}
	return el("details", "replies", el("summary", "", text(label)), thread).set("open", "")
}

// stamp is when a message was written.
func stamp(ts string) time.Time {
	seconds, _, _ := strings.Cut(ts, ".")
	n, _ := strconv.ParseInt(seconds, 10, 64)
	return time.Unix(n, 0)
}

// usages complete what somebody types: the words that the command understands.
func usages() []string {
	all := []string{"update", "help", "list", "pending", "history", "status ", "cancel "}
	for _, t := range atlas.Types {
		if t.Discontinued == "" {
			all = append(all, "update payments-prod "+t.Name)
		}
	}
	for i, words := range all {
		all[i] = sandbox.Command + " " + words
	}
	return all
}

func (p *Page) composer(side string, at seat) *node {
	list := el("datalist", "").set("id", side+"-usages")
	for _, usage := range usages() {
		list.add(el("option", "").set("value", usage))
	}
	line := el("input", "").set("type", "text").set("name", "text").set("id", side+"-text").set("list", side+"-usages").
		set("placeholder", sandbox.Command+" update").set("autocomplete", "off").set("data-typed", "").
		set("aria-label", "Message or command").set("aria-describedby", side+"-usage")
	send := el("button", "button primary", text("Send")).set("type", "submit")
	hint := el("p", "usage", el("code", "", text(sandbox.Command)), text(" update [project] [TYPE] | list [project] | pending | history | status ID | cancel ID | help")).set("id", side+"-usage")
	return el("form", "composer", line, list, send, hint).
		set("data-post", "/do/command").set("data-as", at.person).set("data-channel", at.place)
}

func (p *Page) homeTab(side string, person sandbox.Person) *node {
	n := el("div", "messages home").set("data-bottom", "")
	v, there := p.s.Slack.Person(person.ID).Home()
	if !there {
		return n.add(el("p", "empty", text("The bot has published nothing here.")))
	}
	d := &drawing{names: p.names(), id: side + "-home", post: "/do/clickhome", params: []attr{{"as", person.ID}}, state: v.State}
	return n.add(d.blocks(readBlocks(blocksOf(v))), source(v.JSON))
}

func blocksOf(v slacksim.View) json.RawMessage {
	var body struct {
		Blocks json.RawMessage `json:"blocks"`
	}
	_ = json.Unmarshal(v.JSON, &body) // the stand-in made it
	return body.Blocks
}

// viewDrawing draws what is in a modal.
func (p *Page) viewDrawing(side, person string, v slacksim.View) *drawing {
	return &drawing{
		names: p.names(), id: side + "-" + v.ID, post: "/do/view", params: []attr{{"as", person}},
		state: v.State, errors: p.errorsOf(v.ID),
	}
}

func (p *Page) modal(side, person string, v slacksim.View) *node {
	var body struct {
		Title  textObject  `json:"title"`
		Submit *textObject `json:"submit"`
		Close  *textObject `json:"close"`
	}
	_ = json.Unmarshal(v.JSON, &body) // the stand-in made it
	d := p.viewDrawing(side, person, v)
	shut := "Cancel"
	if body.Close != nil {
		shut = body.Close.Text
	}
	foot := el("footer", "actions", source(v.JSON), el("button", "button", text(shut)).set("type", "button").set("data-post", "/do/close").set("data-as", person))
	if body.Submit != nil {
		foot.add(el("button", "button primary", text(body.Submit.Text)).set("type", "submit"))
	}
	title := el("h2", "", text(body.Title.Text)).set("id", d.id+"-title")
	form := el("form", "modal", title, d.blocks(readBlocks(blocksOf(v))), foot).
		set("id", d.id).set("data-post", "/do/submit").set("data-as", person).set("data-view", v.ID).set("data-side", side).
		set("role", "dialog").set("aria-modal", "true").set("aria-labelledby", d.id+"-title").set("novalidate", "")
	return el("div", "shade", form)
}
