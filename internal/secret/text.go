// Package secret holds what must not be seen: Text, a value that cannot be
// printed by accident, and Sealer, which keeps values unreadable at rest. It
// knows nothing of Slack or Atlas.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf8"
)

// dots stands for the part of a secret that is not shown.
const dots = "••••"

// longEnough is the number of characters from which the last four of a secret
// may be shown: they are then at most a third of it.
const longEnough = 12

// Text is a secret. Every way of printing, logging or marshalling it gives four
// dots and, of a long enough value, its last four characters. The zero value is
// the empty secret, which is shown as an empty string.
//
// Only Reveal gives the value. Text holds it behind a pointer, so that fmt
// cannot reach it by reflection even inside an unexported field, where no
// method of Text is called.
type Text struct{ value *string }

// New makes a secret of a value.
func New(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{&value}
}

// Reveal returns the value itself. It belongs into the body of a PUT, a
// credential or a seal, and nowhere else.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether there is no secret; encoding/json's omitzero asks it.
func (t Text) IsZero() bool { return t.value == nil }

// Len is the length of the secret in characters.
func (t Text) Len() int { return utf8.RuneCountInString(t.Reveal()) }

// LastFour returns the last four characters, or nothing if the value is so
// short that they would give too much of it away.
func (t Text) LastFour() string {
	runes := []rune(t.Reveal())
	if len(runes) < longEnough {
		return ""
	}
	return string(runes[len(runes)-4:])
}

// Equal compares two secrets in a time that does not tell where they differ,
// nor how long they are.
func (t Text) Equal(u Text) bool {
	a, b := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(u.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String shows the secret redacted.
func (t Text) String() string {
	if t.IsZero() {
		return ""
	}
	return dots + t.LastFour()
}

// Format shows the secret redacted, whatever the verb and its flags.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// GoString shows the secret redacted.
func (t Text) GoString() string { return t.String() }

// LogValue shows the secret redacted.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText shows the secret redacted.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON shows the secret redacted.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalText reads a secret in clear.
func (t *Text) UnmarshalText(text []byte) error {
	*t = New(string(text))
	return nil
}

// UnmarshalJSON reads a secret from a JSON string or null. Its error does not
// quote the input.
func (t *Text) UnmarshalJSON(data []byte) error {
	var value *string
	if err := json.Unmarshal(data, &value); err != nil {
		return errors.New("a secret must be a JSON string")
	}
	*t = Text{}
	if value != nil {
		*t = New(*value)
	}
	return nil
}
