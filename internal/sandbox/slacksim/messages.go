package slacksim

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// message is one message as Slack keeps it.
type message struct {
	channel, ts, thread, user string
	text                      string
	blocks                    []any
	only                      string // the user who sees it, if it is ephemeral
	deleted, edited           bool
}

// A Message is what a person sees of a message.
type Message struct {
	Channel, TS, ThreadTS, User, Text string
	Blocks                            json.RawMessage
	Ephemeral, Deleted, Edited        bool
}

func (m *message) shown() Message {
	return Message{
		Channel: m.channel, TS: m.ts, ThreadTS: m.thread, User: m.user, Text: m.text, Blocks: encode(append([]any{}, m.blocks...)),
		Ephemeral: m.only != "", Deleted: m.deleted, Edited: m.edited,
	}
}

// A Button is one that a message shows.
type Button struct {
	ActionID, BlockID, Value, Text, Style, URL string
	Confirm                                    bool // the client asks first
}

// PlainText is the text of all blocks, a line each, as it reads in the client;
// labels of buttons and other elements are not in it. Without blocks it is the
// message's text.
func (m Message) PlainText() string {
	var blocks []any
	_ = json.Unmarshal(m.Blocks, &blocks) // what cannot be read shows nothing
	if len(blocks) == 0 {
		return html.UnescapeString(m.Text)
	}
	var lines []string
	add := func(v any) {
		o := obj(v)
		switch text(o["type"]) {
		case "mrkdwn":
			lines = append(lines, html.UnescapeString(text(o["text"])))
		case "plain_text":
			lines = append(lines, text(o["text"]))
		case "text", "link": // of rich text
			lines = append(lines, text(o["text"])+text(o["url"]))
		}
	}
	for _, b := range blocks {
		block := obj(b)
		if text(block["type"]) == "markdown" {
			lines = append(lines, text(block["text"]))
		}
		add(block["text"])
		add(block["title"])
		add(block["label"])
		for _, f := range list(block["fields"]) {
			add(f)
		}
		if text(block["type"]) == "context" {
			for _, e := range list(block["elements"]) {
				add(e)
			}
		}
		if text(block["type"]) == "rich_text" {
			for _, section := range list(block["elements"]) {
				for _, e := range list(obj(section)["elements"]) {
					add(e)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

// Button finds a button by its action_id.
func (m Message) Button(actionID string) (Button, bool) {
	var blocks []any
	_ = json.Unmarshal(m.Blocks, &blocks) // what cannot be read has no buttons
	for _, p := range elements(blocks) {
		if text(p.element["type"]) == "button" && text(p.element["action_id"]) == actionID {
			e := p.element
			return Button{
				ActionID: actionID, BlockID: text(p.block["block_id"]), Value: text(e["value"]), Text: text(obj(e["text"])["text"]),
				Style: text(e["style"]), URL: text(e["url"]), Confirm: e["confirm"] != nil,
			}, true
		}
	}
	return Button{}, false
}

// content reads text and blocks of a call.
func (s *Server) content(c *call) (string, []any, answer) {
	body := c.arg("text")
	var blocks []any
	switch v := c.args["blocks"].(type) {
	case nil:
	case string:
		if v != "" && json.Unmarshal([]byte(v), &blocks) != nil {
			return "", nil, no("invalid_blocks_format")
		}
	case []any:
		blocks = v
	default:
		return "", nil, no("invalid_blocks_format")
	}
	if attachments := c.arg("attachments"); body == "" && len(blocks) == 0 && (attachments == "" || attachments == "[]") {
		return "", nil, no("no_text")
	}
	problems, tooLong := checkMessage(blocks)
	if tooLong {
		return "", nil, no("msg_blocks_too_long")
	}
	if len(problems) > 0 {
		a := no("invalid_blocks")
		var plain, marked []any
		for _, p := range problems {
			plain = append(plain, p)
			marked = append(marked, "[ERROR] "+p)
		}
		a.body["errors"], a.body["response_metadata"] = plain, object{"messages": marked}
		return "", nil, a
	}
	if utf8.RuneCountInString(body) > 40_000 {
		body = string([]rune(body)[:40_000])
	}
	return body, named(blocks), answer{}
}

// place finds the channel that a call writes to.
func (s *Server) place(c *call) (*Channel, answer) {
	id := c.arg("channel")
	if id == "" {
		return nil, missing("channel")
	}
	if id[0] == 'U' || id[0] == 'W' {
		if u := s.users[id]; u == nil || u.IsBot || u.Invisible {
			return nil, no("channel_not_found")
		} else if u.Deleted {
			return nil, no("user_disabled")
		}
		id = dmOf(id)
	}
	ch := s.channel(id)
	switch {
	case ch == nil, ch.Private && !ch.has(BotUserID):
		return nil, no("channel_not_found")
	case isDM(id) && s.noMessagesTab:
		return nil, no("messages_tab_disabled")
	case ch.Archived:
		return nil, no("is_archived")
	case !ch.has(BotUserID) && !slices.Contains(s.scopes, "chat:write.public"):
		return nil, no("not_in_channel")
	}
	return ch, answer{}
}

func (s *Server) postMessage(c *call) answer {
	ch, a := s.place(c)
	if a.body != nil {
		return a
	}
	body, blocks, a := s.content(c)
	if a.body != nil {
		return a
	}
	// About one a second in a channel, after a burst whose size nobody documents.
	if a := s.limit("chat.postMessage "+ch.ID, 10, 1); a.body != nil {
		return a
	}
	thread := c.arg("thread_ts")
	if thread != "" && s.find(ch.ID, thread) == nil {
		thread = "" // Slack posts it outside of a thread then
	}
	m := s.post(&message{channel: ch.ID, thread: thread, user: BotUserID, text: body, blocks: blocks})
	return ok(object{"channel": ch.ID, "ts": m.ts, "message": m.payload()})
}

// post keeps a message. It is called with the lock held.
func (s *Server) post(m *message) *message {
	m.ts = s.stamp()
	s.messages = append(s.messages, m)
	s.noteMessage(m, "posted")
	return m
}

func (s *Server) noteMessage(m *message, what string) {
	if m.only != "" {
		what += " to " + m.only + " only"
	}
	s.record(Event{
		Kind: "message", Actor: m.user, Method: what, Summary: fmt.Sprintf("%s in %s: %s", what, m.channel, m.text),
		JSON: encode(object{"channel": m.channel, "ts": m.ts, "only": m.only, "text": m.text, "blocks": m.blocks}),
	})
}

func (s *Server) find(channel, ts string) *message {
	for _, m := range slices.Backward(s.messages) {
		if m.channel == channel && m.ts == ts && !m.deleted {
			return m
		}
	}
	return nil
}

// payload is a message as payloads and answers show it.
func (m *message) payload() object {
	p := object{
		"type": "message", "user": m.user, "bot_id": BotID, "app_id": AppID, "ts": m.ts, "text": m.text, "team": TeamID,
	}
	if len(m.blocks) > 0 {
		p["blocks"] = m.blocks
	}
	if m.thread != "" {
		p["thread_ts"] = m.thread
	}
	if m.edited {
		p["edited"] = object{"user": BotUserID, "ts": m.ts}
	}
	return p
}

func (s *Server) updateMessage(c *call) answer {
	ch, a := s.place(c)
	switch {
	case c.arg("ts") == "":
		return missing("ts")
	case a.body != nil && a.body["error"] == "not_in_channel":
		return no("channel_not_found")
	case a.body != nil:
		return a
	}
	m := s.find(ch.ID, c.arg("ts"))
	switch {
	case m == nil || m.only != "":
		return no("message_not_found")
	case m.user != BotUserID:
		return no("cant_update_message")
	case utf8.RuneCountInString(c.arg("text")) > 4000:
		return no("msg_too_long")
	}
	body, blocks, a := s.content(c)
	if a.body != nil {
		return a
	}
	m.text, m.blocks, m.edited = body, blocks, true
	s.noteMessage(m, "updated")
	return ok(object{"channel": ch.ID, "ts": m.ts, "text": m.text, "message": m.payload()})
}

func (s *Server) postEphemeral(c *call) answer {
	ch, a := s.place(c)
	user := c.arg("user")
	switch {
	case user == "":
		return missing("user")
	case a.body != nil:
		return a
	case !ch.has(user):
		return no("user_not_in_channel")
	}
	body, blocks, a := s.content(c)
	if a.body != nil {
		return a
	}
	m := s.post(&message{channel: ch.ID, thread: c.arg("thread_ts"), user: BotUserID, text: body, blocks: blocks, only: user})
	return ok(object{"message_ts": m.ts})
}

func (s *Server) permalink(c *call) answer {
	ch := s.channel(c.arg("channel"))
	if ch == nil || ch.Private && !ch.has(BotUserID) {
		return no("channel_not_found")
	}
	m := s.find(ch.ID, c.arg("message_ts"))
	if m == nil || m.only != "" {
		return no("message_not_found")
	}
	link := "https://" + domain + ".slack.example/archives/" + ch.ID + "/p" + strings.ReplaceAll(m.ts, ".", "")
	return ok(object{"channel": ch.ID, "permalink": link})
}

const (
	hookLife = 30 * time.Minute
	hookUses = 5
)

// hook is what a response_url leads to.
type hook struct {
	user, channel string
	about         *message // the message that was clicked, if any
	at            time.Time
	used          int
}

// newHook makes a response_url. It is called with the lock held.
func (s *Server) newHook(kind string, h *hook) string {
	path := strings.Join([]string{"", kind, TeamID, strconv.FormatInt(s.clock.Now().UnixMilli(), 10), random(12)}, "/")
	h.at = s.clock.Now()
	s.hooks[path] = h
	return s.url + path
}

// hookFields are what may be sent to a response_url.
var hookFields = []string{
	"text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
	"mrkdwn", "unfurl_links", "unfurl_media", "metadata", "ts", "user", "channel", "parse", "link_names", "reply_broadcast",
}

func (s *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		return
	}
	s.keep(body, nil)
	s.mu.Lock()
	failure := s.planned("response_url")
	s.mu.Unlock()
	if failure != nil && (failure.Hang || failure.Reset) {
		s.leaveOpen(w, r, failure)
		return
	}
	s.mu.Lock()
	var a answer
	if failure != nil {
		a = failure.answer()
	} else {
		a = s.useHook(r, body)
	}
	result := "ok"
	if a.body["ok"] != true {
		result = text(a.body["error"])
	}
	s.record(Event{Kind: "api", Actor: BotUserID, Method: "response_url", Summary: "response_url: " + result, JSON: body})
	if result == "invalid_blocks" {
		s.violate(InvalidBlocks, "", "response_url: %s", encode(a.body["response_metadata"]))
	}
	s.mu.Unlock()
	write(w, a)
}

func (s *Server) useHook(r *http.Request, body []byte) answer {
	h := s.hooks[r.URL.Path]
	var args object
	switch {
	case r.Method != http.MethodPost:
		return answer{body: no("invalid_method").body, status: http.StatusMethodNotAllowed}
	case h == nil:
		return answer{body: no("invalid_url").body, status: http.StatusNotFound}
	case h.used >= hookUses:
		return answer{body: no("used_url").body, status: http.StatusNotFound}
	case s.clock.Now().Sub(h.at) > hookLife:
		return answer{body: no("expired_url").body, status: http.StatusNotFound}
	case json.Unmarshal(body, &args) != nil || args == nil:
		return no("invalid_payload")
	}
	h.used++
	for name := range args {
		if !slices.Contains(hookFields, name) {
			return no("invalid_arguments")
		}
	}
	c := &call{method: "response_url", args: args}
	if args["delete_original"] == true {
		if h.about != nil {
			h.about.deleted = true
			s.noteMessage(h.about, "deleted")
		}
		return ok(nil)
	}
	content, blocks, a := s.content(c)
	if a.body != nil {
		return a
	}
	if args["replace_original"] == true && h.about != nil && !h.about.deleted {
		h.about.text, h.about.blocks, h.about.edited = content, blocks, true
		s.noteMessage(h.about, "updated")
		return ok(nil)
	}
	m := &message{channel: h.channel, thread: c.arg("thread_ts"), user: BotUserID, text: content, blocks: blocks}
	if c.arg("response_type") != "in_channel" {
		m.only = h.user
	}
	h.about = orKeep(h.about, s.post(m))
	return ok(nil)
}

// orKeep: what replace_original is about is the first message that came of it.
func orKeep(first, m *message) *message {
	if first != nil {
		return first
	}
	return m
}
