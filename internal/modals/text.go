package modals

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ellipsis stands where something was cut off.
const ellipsis = "…"

// Escape keeps a text from being read as markup or as a mention.
func Escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// length counts as Slack does: code points.
func length(s string) int { return utf8.RuneCountInString(s) }

// cut shortens a text that is not markup.
func cut(s string, most int) string {
	if length(s) <= most {
		return s
	}
	if most < 1 {
		return ""
	}
	runes := []rune(s)[:most-1]
	for len(runes) > 0 && (unicode.Is(unicode.Mn, runes[len(runes)-1]) || runes[len(runes)-1] == zeroWidthJoiner) {
		runes = runes[:len(runes)-1] // what joins to the character that is gone
	}
	return strings.TrimRight(string(runes), " \n") + ellipsis
}

// cutMarkup shortens markup that does not fit, at the end of a line where that
// is possible, and never inside an entity, a mention or a date.
func cutMarkup(s string, most int) string {
	if length(s) <= most {
		return s
	}
	if most < 2 {
		return ""
	}
	kept := string([]rune(s)[:most-2])
	if open := strings.LastIndexByte(kept, '<'); open > strings.LastIndexByte(kept, '>') {
		kept = kept[:open]
	}
	if open := strings.LastIndexByte(kept, '&'); open > strings.LastIndexByte(kept, ';') {
		kept = kept[:open]
	}
	if line := strings.LastIndexByte(kept, '\n'); line > len(kept)*2/3 {
		kept = kept[:line+1]
	}
	if strings.Count(kept, "`")%2 == 1 {
		kept += "`"
	}
	return kept + ellipsis
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// visible replaces what would make a text look like another: characters that
// cannot be seen, and those that turn the direction of what follows. An approver
// has to see what is really there.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == zeroWidthJoiner, r == zeroWidthNonJoiner: // the last two are part of emoji and of Persian
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// line is a visible text in one line, for plain text objects.
func line(s string, most int) string {
	return isolate(cut(strings.Join(strings.Fields(visible(s)), " "), most))
}

// inline is a visible text in one line, for markup. What would be markup in it is
// replaced by its likeness: a project called _prod_ is not called prod.
func inline(s string, most int) string { return literal(line(s, most)) }

// literal makes markup of a text that shows as the text.
func literal(s string) string {
	runes := []rune(emoji.ReplaceAllString(s, string(colon)+"$1:"))
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	for i, r := range runes {
		if likeness, ok := likenesses[r]; ok && (r != '_' || !word(i-1) || !word(i+1)) {
			runes[i] = likeness
		}
	}
	return Escape(string(runes))
}

// emoji is what Slack shows as a picture.
var emoji = regexp.MustCompile(`:([a-z0-9_+'-]*[a-z][a-z0-9_+'-]*):`)

const colon = '꞉' // U+A789

var likenesses = map[rune]rune{'*': '∗', '~': '∼', '`': 'ˋ', '_': 'ˍ'}

// firstRightToLeft is where the first of these scripts begins; most of what is shown is
// below it.
const firstRightToLeft = 0x0590

// isolate keeps a text that runs from right to left from turning around what
// stands beside it.
func isolate(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r >= firstRightToLeft && unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
	}) {
		return "\u2068" + s + "\u2069"
	}
	return s
}

// inCode keeps a value on one line and inside its marks.
var inCode = strings.NewReplacer("\n", "↵", "`", "ˋ")

// code shows a value to the letter: no markup works in it.
func code(s string, most int) string {
	s = cut(inCode.Replace(visible(s)), most)
	shown := "`" + Escape(s) + "`"
	if isolate(s) != s {
		return "\u2068" + shown + "\u2069"
	}
	return shown
}

// address finds links in what people write, to make only those clickable.
var address = regexp.MustCompile(`https?://[^\s<>|*~` + "`" + `"'()\x{2068}\x{2069}]+`)

// quote shows what somebody wrote as theirs: each line is marked, so that none
// passes for a line of the bot.
func quote(s string, most int) string {
	s = strings.TrimSpace(visible(s))
	if s == "" {
		return ""
	}
	for budget := most; ; budget = budget * 3 / 4 {
		lines := strings.Split(cut(s, budget), "\n")
		for i, l := range lines {
			lines[i] = "> " + isolate(linked(l))
		}
		if quoted := strings.Join(lines, "\n"); length(quoted) <= most {
			return quoted
		}
	}
}

// linked makes markup of a text that shows as the text, its addresses as links.
func linked(s string) string {
	var shown strings.Builder
	for {
		next := address.FindStringIndex(s)
		if next == nil {
			shown.WriteString(literal(s))
			return shown.String()
		}
		link := strings.TrimRight(s[next[0]:next[1]], ".,;:!?]}") // which ends the sentence, and not the address
		shown.WriteString(literal(s[:next[0]]) + "<" + Escape(link) + ">")
		s = s[next[0]+len(link):]
	}
}

// at shows a moment in the reader's own time zone.
func at(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} at {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// mention names somebody, in a way that Slack shows as their name.
func mention(id string) string { return "<@" + Escape(id) + ">" }

// and enumerates: a, b and c.
func and(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// enumerate names as many items as fit and counts the rest.
func enumerate(items []string, most int) string {
	if all := and(items); length(all) <= most {
		return all
	}
	room := most - length(fmt.Sprintf(" and %d more", len(items)))
	fit := 0
	for fit < len(items) && room >= 0 {
		room -= length(items[fit]) + len(", ")
		if room < 0 {
			break
		}
		fit++
	}
	switch {
	case len(items) == 1:
		return cutMarkup(items[0], most)
	case fit == 0:
		return fmt.Sprintf("%d of them", len(items))
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:fit], ", "), len(items)-fit)
}

// count puts a number before a noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
