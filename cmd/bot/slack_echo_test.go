package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the bot has sent does not come back to it; what it asked for does, and an
// answer of any other form comes through as it is.
func TestWithoutEcho(t *testing.T) {
	t.Parallel()
	const view = `{"ok":true,"view":{"id":"V1","hash":"1.a","blocks":[{"type":"input"}],"title":{"type":"plain_text"}}}`
	const refusal = `{"ok":false,"error":"invalid_arguments","errors":["a"],"response_metadata":{"messages":["[ERROR] b"]},"needed":"c","provided":"d"}`
	const message = `{"ok":true,"channel":"C1","ts":"1.2","message":{"text":"long","blocks":[]}}`
	long := `{"ok":true,"view":{"id":"V1","text":"` + strings.Repeat("x", mostEcho) + `"}}`
	tests := []struct {
		name, method string
		status       int
		answer, want string
	}{
		{"a view", "views.open", 200, view, `{"ok":true,"view":{"id":"V1","hash":"1.a"}}`},
		{"a message", "chat.update", 200, message, `{"ok":true,"channel":"C1","ts":"1.2"}`},
		{"a refusal", "views.update", 200, refusal, refusal},
		{"not JSON", "chat.postMessage", 200, "<html>", "<html>"},
		{"an overload", "chat.postMessage", 503, view, view},
		{"too long", "views.open", 200, long, long},
		{"another method", "users.info", 200, view, view},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := echoOf(t, tt.method, tt.status, strings.NewReader(tt.answer))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}

	_, err := echoOf(t, "views.open", 200, io.MultiReader(strings.NewReader(`{"ok":true`), broken{io.ErrUnexpectedEOF}))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "an answer that breaks off is none")
}

func TestWithoutEchoOfNothing(t *testing.T) {
	t.Parallel()
	lost := errors.New("no route")
	away := roundTrip(func(*http.Request) (*http.Response, error) { return nil, lost })
	resp, err := withoutEcho(away).RoundTrip(httptest.NewRequest(http.MethodPost, "/api/views.open", http.NoBody))
	assert.ErrorIs(t, err, lost)
	if resp != nil {
		assert.NoError(t, resp.Body.Close())
	}
}

func echoOf(t *testing.T, method string, status int, answer io.Reader) (string, error) {
	t.Helper()
	resp, err := withoutEcho(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(answer)}, nil
	})).RoundTrip(httptest.NewRequest(http.MethodPost, "/api/"+method, http.NoBody))
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
