package web

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// names are what a client knows of those who are mentioned.
type names struct {
	users, channels, groups map[string]string
	now                     time.Time
}

// markup is a text object of type mrkdwn, as a client shows it. What it does not
// understand it shows to the letter.
type markup struct {
	names
	verbatim bool // only what is marked as a link is one
}

const fence = "```"

// render makes the tree of a text.
func (m *markup) render(s string) *node {
	n := &node{}
	for s != "" {
		open := strings.Index(s, fence)
		end := -1
		if open >= 0 {
			end = strings.Index(s[open+len(fence):], fence)
		}
		if end < 0 {
			return n.add(m.paragraphs(s))
		}
		if open > 0 {
			n.add(m.paragraphs(strings.TrimSuffix(s[:open], "\n")))
		}
		code := s[open+len(fence) : open+len(fence)+end]
		n.add(el("pre", "", m.literal(strings.Trim(code, "\n"))))
		s = strings.TrimPrefix(s[open+2*len(fence)+end:], "\n")
	}
	return n
}

// paragraphs are lines, of which those that begin with > are quotes.
func (m *markup) paragraphs(s string) *node {
	n := &node{}
	var quote *node
	all := strings.Split(s, "\n")
	for i, line := range all {
		quoted, is := strings.CutPrefix(line, "&gt;")
		if !is {
			quoted, is = strings.CutPrefix(line, ">")
		}
		switch {
		case is && quote == nil:
			quote = el("blockquote", "", m.inline(strings.TrimPrefix(quoted, " ")))
			n.add(quote)
		case is:
			quote.add(el("br", ""), m.inline(strings.TrimPrefix(quoted, " ")))
		default:
			if quote == nil && i > 0 {
				n.add(el("br", ""))
			}
			quote = nil
			n.add(m.inline(line))
		}
	}
	return n
}

var styles = map[byte]string{'*': "b", '_': "i", '~': "s"}

// inline is markup within one line.
func (m *markup) inline(s string) *node {
	n := &node{}
	plain := 0 // where what has no meaning of its own began
	flush := func(end int) {
		if end > plain {
			n.add(m.words(s[plain:end]))
		}
	}
	for i := 0; i < len(s); {
		part, length := m.marked(s, i)
		if length == 0 {
			i++
			continue
		}
		flush(i)
		n.add(part)
		i += length
		plain = i
	}
	flush(len(s))
	return n
}

// marked is what begins at a place and has a meaning, and how long it is.
func (m *markup) marked(s string, i int) (*node, int) {
	switch c := s[i]; {
	case c == '<':
		if end := strings.IndexByte(s[i:], '>'); end > 1 {
			return m.token(s[i+1 : i+end]), end + 1
		}
	case c == '`':
		if end := strings.IndexByte(s[i+1:], '`'); end > 0 {
			return el("code", "", m.literal(s[i+1:i+1+end])), end + 2
		}
	case styles[c] != "":
		if end := closing(s, i); end > 0 {
			return el(styles[c], "", m.inline(s[i+1:end])), end + 1 - i
		}
	}
	return nil, 0
}

// closing finds the mark that ends what the mark at i begins: marks touch the text
// that is within, and no word outside.
func closing(s string, i int) int {
	if before, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && wordy(before) {
		return -1
	}
	if next, _ := utf8.DecodeRuneInString(s[i+1:]); i+1 >= len(s) || unicode.IsSpace(next) || next == rune(s[i]) {
		return -1
	}
	for j := i + 2; j < len(s); j++ {
		switch s[j] {
		case '<':
			if end := strings.IndexByte(s[j:], '>'); end > 0 {
				j += end
			}
		case '`':
			if end := strings.IndexByte(s[j+1:], '`'); end > 0 {
				j += end + 1
			}
		case s[i]:
			last, _ := utf8.DecodeLastRuneInString(s[:j])
			after, _ := utf8.DecodeRuneInString(s[j+1:])
			if !unicode.IsSpace(last) && (j+1 == len(s) || !wordy(after)) {
				return j
			}
		}
	}
	return -1
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// literal is text in which only what stands in angle brackets has a meaning.
func (m *markup) literal(s string) *node {
	n := &node{}
	for s != "" {
		open := strings.IndexByte(s, '<')
		end := -1
		if open >= 0 {
			end = strings.IndexByte(s[open:], '>')
		}
		if end < 2 {
			return n.add(text(unescape(s)))
		}
		n.add(text(unescape(s[:open])), m.token(s[open+1:open+end]))
		s = s[open+end+1:]
	}
	return n
}

// token is what stands between angle brackets.
func (m *markup) token(s string) *node {
	target, label, labelled := strings.Cut(s, "|")
	label = unescape(label)
	mention := func(sign, id string, known map[string]string) *node {
		name := known[id]
		if name == "" && labelled {
			name = strings.TrimPrefix(label, sign)
		}
		if name == "" {
			name = id
		}
		return el("span", "mention", text(sign+name)).set("title", id)
	}
	switch {
	case strings.HasPrefix(target, "@"):
		return mention("@", target[1:], m.users)
	case strings.HasPrefix(target, "#"):
		return mention("#", target[1:], m.channels)
	case strings.HasPrefix(target, "!subteam^"):
		return mention("@", strings.TrimPrefix(target, "!subteam^"), m.groups)
	case strings.HasPrefix(target, "!date^"):
		return m.date(strings.TrimPrefix(target, "!date^"), label)
	case target == "!here" || target == "!channel" || target == "!everyone":
		return el("span", "mention", text("@"+target[1:]))
	case strings.HasPrefix(target, "!"):
		if !labelled {
			label = target
		}
		return text("<" + label + ">")
	}
	target = unescape(target)
	if !labelled {
		label = strings.TrimPrefix(target, "mailto:")
	}
	return link(target, text(label))
}

// date is <!date^seconds^format^link|what old clients show>.
func (m *markup) date(s, fallback string) *node {
	parts := strings.SplitN(s, "^", 3)
	seconds, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || len(parts) < 2 {
		return text(fallback)
	}
	at := time.Unix(seconds, 0).In(m.now.Location())
	shown := placeholder.ReplaceAllStringFunc(unescape(parts[1]), func(p string) string { return m.dated(p, at) })
	n := el("time", "", text(shown)).set("datetime", at.UTC().Format(time.RFC3339)).set("title", at.Format("Monday, 2 January 2006, 15:04:05 MST"))
	if len(parts) == 3 {
		return link(unescape(parts[2]), n)
	}
	return n
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

func (m *markup) dated(p string, at time.Time) string {
	if pretty, is := strings.CutSuffix(p, "_pretty}"); is {
		if day := relativeDay(m.now, at); day != "" {
			return day
		}
		p = pretty + "}"
	}
	switch p {
	case "{date_num}":
		return at.Format("2006-01-02")
	case "{date_slash}":
		return at.Format("01/02/2006")
	case "{date}":
		return at.Format("January 2, 2006")
	case "{date_short}":
		return at.Format("Jan 2, 2006")
	case "{date_long}":
		return at.Format("Monday, January 2, 2006")
	case "{time}":
		return at.Format("15:04")
	case "{time_secs}":
		return at.Format("15:04:05")
	case "{ago}":
		return ago(m.now.Sub(at))
	}
	return p
}

func relativeDay(now, at time.Time) string {
	for days, word := range map[int]string{-1: "yesterday", 0: "today", 1: "tomorrow"} {
		if y, m, d := now.AddDate(0, 0, days).Date(); y == at.Year() && m == at.Month() && d == at.Day() {
			return word
		}
	}
	return ""
}

func ago(d time.Duration) string {
	pattern := "%s ago"
	if d < 0 {
		d, pattern = -d, "in %s"
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int(d / unit.length); n > 0 || unit.length == time.Second {
			if n != 1 {
				unit.name += "s"
			}
			return strings.Replace(pattern, "%s", strconv.Itoa(n)+" "+unit.name, 1)
		}
	}
	return ""
}

var bare = regexp.MustCompile(`https?://[^\s<>|]+`)

// words is text without marks: emoji, and addresses where they count.
func (m *markup) words(s string) *node {
	n := &node{}
	if m.verbatim {
		return n.add(text(emoji(unescape(s))))
	}
	for at := bare.FindStringIndex(s); at != nil; at = bare.FindStringIndex(s) {
		address := unescape(s[at[0]:at[1]])
		n.add(text(emoji(unescape(s[:at[0]]))), link(address, text(address)))
		s = s[at[1]:]
	}
	return n.add(text(emoji(unescape(s))))
}

// unescape undoes the three escapes that there are in messages. Any other entity is
// text, as it is in a client.
func unescape(s string) string { return unescaper.Replace(s) }

var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

var shortcode = regexp.MustCompile(`:[a-z0-9_+-]+:`)

// emoji replaces the names of emoji by these. A client knows thousands, this page
// those that the bot uses; the others stay names.
func emoji(s string) string {
	return shortcode.ReplaceAllStringFunc(s, func(name string) string {
		if e := emojis[strings.Trim(name, ":")]; e != "" {
			return e
		}
		return name
	})
}

var emojis = map[string]string{
	"alarm_clock": "⏰", "arrows_counterclockwise": "🔄", "bell": "🔔", "closed_lock_with_key": "🔐",
	"eyes": "👀", "gear": "⚙️", "grey_question": "❔", "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "inbox_tray": "📥",
	"information_source": "ℹ️", "key": "🔑", "leftwards_arrow_with_hook": "↩️", "lock": "🔒", "mag": "🔍",
	"no_entry": "⛔", "no_entry_sign": "🚫", "rotating_light": "🚨", "tada": "🎉", "thumbsdown": "👎",
	"thumbsup": "👍", "+1": "👍", "warning": "⚠️", "wave": "👋", "white_check_mark": "✅", "x": "❌",
}
