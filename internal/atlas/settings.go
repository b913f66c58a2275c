package atlas

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// Settings is an integration as somebody wants it: what a PUT carries.
type Settings struct {
	Type    *Type
	Plain   map[string]string      // by field name; a toggle is "true" or "false"
	Secrets map[string]secret.Text // by field name
}

// A Problem is a value that cannot be sent, with the sentence that tells the
// person who typed it what to do.
type Problem struct {
	Field string // its name
	Say   string
}

// A Warning is a value that can be sent but looks wrong, in a sentence for
// requester and approver. It never quotes the value.
type Warning struct {
	Field string `json:"field,omitempty"`
	Say   string `json:"say"`
}

// maskRun is how Atlas hides a value. Nothing that has it is ever sent: where
// Atlas does not check the form, it would store the mask as the value.
// Short secrets have few stars, and are nothing but stars and their last four.
var maskRun = regexp.MustCompile(`\*{4,}|•{2,}|^\*+[^*]{0,4}$`)

// Check finds what is wrong with the settings, and what only looks so. What it
// passes, Atlas' own documented checks pass as well.
func (s *Settings) Check() (problems []Problem, warnings []Warning) {
	for i := range s.Type.Fields {
		f := &s.Type.Fields[i]
		value := s.value(f)
		if value == "" {
			if f.Required {
				problems = append(problems, Problem{f.Name, "Fill in: " + f.Label + "."})
			}
			continue
		}
		if say := f.refuse(value); say != "" {
			problems = append(problems, Problem{f.Name, say})
			continue
		}
		if say := f.doubt(value); say != "" {
			warnings = append(warnings, Warning{f.Name, f.Label + " " + say})
		}
	}
	if name := s.secretInPlain(); name != "" {
		problems = append(problems, Problem{name, "This holds one of the keys below, and everybody can read it here. Take the key out."})
	}
	return problems, warnings
}

// FoundIn reports whether a text holds one of the secrets.
func (s *Settings) FoundIn(text string) bool {
	for _, value := range s.Secrets {
		if Quoted(value, text) {
			return true
		}
	}
	return false
}

func (s *Settings) secretInPlain() string {
	for i := range s.Type.Fields {
		if f := &s.Type.Fields[i]; f.Kind == Plain && s.FoundIn(s.Plain[f.Name]) {
			return f.Name
		}
	}
	return ""
}

func (s *Settings) value(f *Field) string {
	if f.Secret() {
		return s.Secrets[f.Name].Reveal()
	}
	if value := s.Plain[f.Name]; value != "" {
		return value
	}
	return f.Default
}

// refuse says why a value cannot be sent, or nothing.
func (f *Field) refuse(value string) string {
	switch {
	case maskRun.MatchString(value):
		return "This is a masked value, not the real one. Paste the whole value; Atlas cannot give it back."
	case f.Secret() && f.Kind != Template && strings.TrimSpace(value) != value:
		return "There is a space or line break at the start or end. Remove it."
	case !utf8.ValidString(value) || strings.ContainsFunc(value, f.control):
		return "There is an invisible character in it. Type it again, or paste it from somewhere else."
	case f.Kind == Choice && !slices.Contains(f.Choices, value):
		return "Choose one of: " + strings.Join(f.Choices, ", ") + "."
	case f.Kind == Toggle && value != "true" && value != "false":
		return "Choose on or off."
	case f.MinLength > 0 && utf8.RuneCountInString(value) < f.MinLength:
		return fmt.Sprintf("At least %d characters.", f.MinLength)
	case f.MaxLength > 0 && utf8.RuneCountInString(value) > f.MaxLength:
		return fmt.Sprintf("At most %d characters; this has %d.", f.MaxLength, utf8.RuneCountInString(value))
	case f.MaxBytes > 0 && len(value) > f.MaxBytes:
		return fmt.Sprintf("At most %d KB; this has %.1f KB.", f.MaxBytes>>10, float64(len(value))/1024)
	case f.Hard != nil && !f.Hard.MatchString(value):
		if n := utf8.RuneCountInString(value); n != 32 {
			return fmt.Sprintf("%s This has %d.", f.Hard.Say, n)
		}
		return f.Hard.Say
	case f.Kind == SecretURL:
		return refuseURL(value)
	}
	return ""
}

// control finds characters that no key or name has, such as the marks of writing
// direction that come along when something is copied from a page. A template may
// have lines.
func (f *Field) control(r rune) bool {
	if f.Kind == Template && (r == '\n' || r == '\t' || r == '\r') {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func refuseURL(value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(value, " \t"):
		return "This is not a complete address. It should look like https://host/path."
	case u.Scheme != "https" && u.Scheme != "http":
		return "The address must start with https://."
	}
	return ""
}

// doubt says what looks wrong with a value that could be sent, or nothing. The
// sentence follows the field's label.
func (f *Field) doubt(value string) string {
	switch {
	case f.Kind == SecretURL && strings.HasPrefix(strings.ToLower(value), "http://"):
		return "starts with http://: what Atlas sends there travels unencrypted."
	case f.Soft != nil && !f.Soft.MatchString(value):
		return f.Soft.Say
	case f.Kind == Secret && f.Soft == nil && f.Hard == nil && utf8.RuneCountInString(value) < 8:
		return "is shorter than 8 characters."
	}
	return ""
}

// Payload is the body of the PUT: the type, every field that has a value, and
// every choice and toggle whether chosen or not, because Atlas may replace the
// integration as a whole. It holds the secrets in clear.
func (s *Settings) Payload() ([]byte, error) {
	body := map[string]any{"type": s.Type.Name}
	for i := range s.Type.Fields {
		f := &s.Type.Fields[i]
		value := s.value(f)
		switch {
		case f.Kind == Toggle:
			on, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf("%s.%s is neither true nor false", s.Type.Name, f.Name)
			}
			body[f.Name] = on
		case value != "":
			body[f.Name] = value
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, errors.New("encode settings")
	}
	return encoded, nil
}

// Complete returns the plain values with the default of every choice and toggle
// that has none: what will really be sent, and so what is shown for approval.
func (s *Settings) Complete() map[string]string {
	plain := make(map[string]string, len(s.Type.Fields))
	for i := range s.Type.Fields {
		if f := &s.Type.Fields[i]; !f.Secret() {
			if value := s.value(f); value != "" {
				plain[f.Name] = value
			}
		}
	}
	return plain
}
