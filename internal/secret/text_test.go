package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// canary is the value that must not be seen anywhere.
var canary = strings.Repeat("canary-", 3) + "last"

// assertHidden fails if the text shows the canary, in clear or in hexadecimal
// digits or decimal bytes. It prints neither.
func assertHidden(t *testing.T, name, text string) {
	t.Helper()
	for _, form := range []string{
		canary, canary[:8], fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
		strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"), strings.Trim(fmt.Sprintf("%#v", []byte(canary)), "[]byte{}"),
	} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the secret, in a text of %d characters", name, len(text))
		}
	}
}

type credentials struct {
	Name string
	Key  secret.Text
}

type client struct {
	name string
	key  secret.Text
	more map[string]secret.Text
	next *client
	any  any
}

func TestTextIsNeverPrinted(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	hidden := &client{name: "c", key: text, more: map[string]secret.Text{"k": text}, any: text}
	hidden.next = &client{key: text, any: &text}
	values := map[string]any{
		"value": text, "pointer": &text, "struct": credentials{"n", text}, "pointer to struct": &credentials{"n", text},
		"slice": []secret.Text{text}, "array": [1]secret.Text{text}, "map": map[string]secret.Text{"k": text},
		"key of a map": map[secret.Text]int{text: 1}, "slice of pointers": []*secret.Text{&text},
		"unexported": *hidden, "pointer to unexported": hidden, "interface": any(text), "error": failure{text},
		"in an unexported interface": struct{ v any }{text}, "embedded": struct{ secret.Text }{text},
	}
	for name, value := range values {
		for _, verb := range []string{"v", "+v", "#v", "s", "q", "+q", "#q", "x", "X", "# x", "#X", "d", "T", "t", "p", "b", "o", "c", "U", "e", "08.3f", "-40s", "z", "!"} {
			assertHidden(t, name+" %"+verb, fmt.Sprintf("%"+verb, value))
		}
		assertHidden(t, name+" Sprint", fmt.Sprint(value, value))
		assertHidden(t, name+" Errorf", fmt.Errorf("do: %v %+v", value, value).Error())
	}
}

type failure struct{ key secret.Text }

func (f failure) Error() string { return fmt.Sprintf("no access with %s", f.key) }

func TestTextIsNeverEncoded(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	value := map[string]any{
		"key": text, "pointer": &text, "struct": credentials{"n", text}, "map": map[string]secret.Text{"k": text},
	}
	asJSON, err := json.Marshal(value)
	require.NoError(t, err)
	assertHidden(t, "JSON", string(asJSON))
	assert.Contains(t, string(asJSON), "••••last")
	asKey, err := json.Marshal(map[secret.Text]int{text: 1})
	require.NoError(t, err)
	assertHidden(t, "key of a JSON object", string(asKey))
	asXML, err := xml.Marshal(credentials{"n", text})
	require.NoError(t, err)
	assertHidden(t, "XML", string(asXML))
	asYAML, err := yaml.Marshal(value)
	require.NoError(t, err)
	assertHidden(t, "YAML", string(asYAML))
	var asGob bytes.Buffer
	_ = gob.NewEncoder(&asGob).Encode(credentials{"n", text}) // may not be possible, which hides it too
	assertHidden(t, "gob", asGob.String())
}

func TestTextIsNeverLogged(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	var logs bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&logs, nil), slog.NewTextHandler(&logs, nil)} {
		slog.New(handler).With("with", text).WithGroup("g").Error("event",
			"text", text, "pointer", &text, "struct", credentials{"n", text}, "hidden", &client{key: text, any: text},
			"map", map[string]secret.Text{"k": text}, "error", fmt.Errorf("do: %w", failure{text}),
			slog.Group("group", "inner", text), "any", []any{text})
	}
	assert.Contains(t, logs.String(), "••••last")
	assertHidden(t, "log", logs.String())
}

func TestTextIsNeverInAPanic(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	for name, value := range map[string]any{"text": text, "error": failure{text}, "struct": credentials{"n", text}} {
		func() {
			defer func() { assertHidden(t, name, fmt.Sprintf("%v %+v", recover(), errors.New("again"))) }()
			panic(value)
		}()
	}
}

func TestTextQuick(t *testing.T) {
	t.Parallel()
	assert.NoError(t, quick.Check(func(value string) bool {
		text := secret.New(value)
		runes := []rune(value)
		if len(runes) < 12 {
			return text.LastFour() == "" && (text.String() == "••••" || value == "")
		}
		return text.String() == "••••"+string(runes[len(runes)-4:]) && fmt.Sprintf("%d", text) == text.String() &&
			text.Reveal() == value && text.Len() == len(runes)
	}, nil))
}

func TestLastFour(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "", "a": "", "abcd": "", "abcdefghijk": "", "abcdefghijkl": "ijkl",
		"éééééééééééé": "éééé", "éééééé": "", strings.Repeat("𝕏", 12): "𝕏𝕏𝕏𝕏",
	} {
		assert.Equal(t, want, secret.New(value).LastFour())
	}
}

func TestZeroText(t *testing.T) {
	t.Parallel()
	var zero secret.Text
	assert.True(t, zero.IsZero())
	assert.True(t, secret.New("").IsZero())
	assert.False(t, secret.New("a").IsZero())
	assert.Empty(t, zero.Reveal())
	assert.Empty(t, fmt.Sprintf("%v%s%x%#v", zero, zero, zero, zero))
	assert.Zero(t, zero.Len())
	encoded, err := json.Marshal(struct {
		A secret.Text `json:"a,omitzero"`
		B secret.Text `json:"b"`
	}{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"b":""}`, string(encoded))
}

func TestEqual(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	assert.True(t, text.Equal(secret.New(canary)))
	assert.True(t, text.Equal(secret.New(text.Reveal())))
	assert.True(t, secret.Text{}.Equal(secret.New("")))
	for _, other := range []string{"", canary[1:], canary + " ", strings.ToUpper(canary)} {
		assert.False(t, text.Equal(secret.New(other)))
	}
}

func TestReadingText(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal(canary)
	require.NoError(t, err)
	var text secret.Text
	require.NoError(t, json.Unmarshal(quoted, &text))
	assert.True(t, text.Equal(secret.New(canary)))
	require.NoError(t, json.Unmarshal([]byte("null"), &text))
	assert.True(t, text.IsZero())
	require.NoError(t, text.UnmarshalText([]byte(canary)))
	assert.True(t, text.Equal(secret.New(canary)))

	var config credentials
	for _, bad := range []string{"[" + string(quoted) + "]", `{"a":` + string(quoted) + `}`, "7", "true"} {
		err := json.Unmarshal([]byte(`{"Key":`+bad+`}`), &config)
		require.Error(t, err)
		assertHidden(t, "error", err.Error())
	}
}
