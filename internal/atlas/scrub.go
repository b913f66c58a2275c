package atlas

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

const (
	dots = "••••"

	// longest is how many characters of a foreign text are kept.
	longest = 300

	// gram is how many characters in a row give away a part of a secret.
	gram = 8
)

// hidden are secrets that a text of somebody else must not quote.
type hidden []concealed

type concealed struct {
	text  string
	whole bool // only all of it is a secret, not its parts
}

// hidden lists the secrets of the settings. The origin of a URL may be seen.
func (s *Settings) hidden() hidden {
	var h hidden
	for i := range s.Type.Fields {
		f := &s.Type.Fields[i]
		value := s.Secrets[f.Name].Reveal()
		if !f.Secret() || value == "" {
			continue
		}
		rest, cut := strings.CutPrefix(value, origin(value))
		switch {
		case f.Kind != SecretURL || !cut:
			h = append(h, concealed{text: value})
		case len(rest) < gram:
			h = append(h, concealed{text: value, whole: true})
		default:
			h = append(h, concealed{text: rest})
		}
	}
	return h
}

// Quoted reports whether a text that people write, where others read it, gives a secret
// away: all of it, what follows the host of a URL, or twelve characters in a row out of a
// part that looks random. Whether letters are large does not matter. Less is no quotation:
// words of a URL or of a template may well be words of the text.
func Quoted(value secret.Text, text string) bool {
	whole, text := foldASCII(value.Reveal()), foldASCII(text)
	rest := strings.TrimPrefix(whole, origin(whole))
	if value.Len() >= 4 && strings.Contains(text, whole) || len(rest) >= gram && strings.Contains(text, rest) {
		return true
	}
	for _, part := range random.FindAllString(rest, -1) {
		if !strings.ContainsAny(part, "0123456789") || !strings.ContainsAny(part, "abcdefghijklmnopqrstuvwxyz") {
			continue
		}
		for i := 0; i+leastQuoted <= len(part); i++ {
			if strings.Contains(text, part[i:i+leastQuoted]) {
				return true
			}
		}
	}
	return false
}

// leastQuoted is how many characters in a row of a random part give it away.
const leastQuoted = 12

var random = regexp.MustCompile(`[0-9a-z_-]{12,}`)

// scrub makes a foreign text fit to be seen: one line of printable characters,
// not too long, in which dots stand for every secret and for every part of one
// that has eight characters, in any of the encodings in which it may be quoted.
func (h hidden) scrub(text string) string {
	text = oneLine(text)
	covered := make([]bool, len(text))
	folded := foldASCII(text)
	index := map[int]map[string][]int{} // where in the text which run of n bytes is
	for _, c := range h {
		for _, form := range c.forms() {
			n := min(gram, len(form))
			if c.whole {
				n = len(form)
			}
			if index[n] == nil {
				index[n] = runs(folded, n)
			}
			for i := 0; i+n <= len(form); i++ {
				for _, at := range index[n][form[i:i+n]] {
					for j := at; j < at+n; j++ {
						covered[j] = true
					}
				}
				delete(index[n], form[i:i+n])
			}
		}
	}
	return shorten(cover(text, covered))
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// forms are the encodings of a secret, in lower case; quoted hexadecimal digits
// may have changed theirs.
func (c concealed) forms() []string {
	if c.text == "" {
		return nil
	}
	all := []string{
		oneLine(c.text), url.QueryEscape(c.text), url.PathEscape(c.text),
		escapeJSON(c.text, true), escapeJSON(c.text, false),
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			if form := inBase64(encoding, c.text, offset); len(form) >= gram {
				all = append(all, form)
			}
		}
	}
	for i := range all {
		all[i] = foldASCII(all[i])
	}
	return all
}

// inBase64 is what can be seen of a text in the base64 of something longer, when
// it starts offset bytes after a multiple of three.
func inBase64(encoding *base64.Encoding, text string, offset int) string {
	form := encoding.EncodeToString([]byte(strings.Repeat("-", offset) + text))
	if (offset+len(text))%3 != 0 {
		form = form[:len(form)-1] // depends on what follows
	}
	return form[min(len(form), []int{0, 2, 3}[offset]):]
}

func escapeJSON(text string, html bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(html)
	if encoder.Encode(text) != nil {
		return text
	}
	return b.String()[1 : b.Len()-2] // without quotes and line break
}

func runs(text string, n int) map[string][]int {
	index := make(map[string][]int, len(text))
	for i := 0; i+n <= len(text); i++ {
		index[text[i:i+n]] = append(index[text[i:i+n]], i)
	}
	return index
}

func cover(text string, covered []bool) string {
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			b.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			b.WriteString(dots)
		}
	}
	return strings.ToValidUTF8(b.String(), "")
}

func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= longest {
		return text
	}
	return string(runes[:longest]) + "…"
}

// foldASCII keeps the length of the text, unlike strings.ToLower.
func foldASCII(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
