package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The page acts for anybody who reaches it, so no other web page may.
func TestOtherPagesCannotAct(t *testing.T) {
	t.Parallel()
	s, address := start(t)
	post := func(change func(*http.Request)) int {
		form := url.Values{"as": {"U0ENGINEER"}, "channel": {"C0INCIDENT"}, "text": {"/atlas-integration help"}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/do/command", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	assert.Equal(t, http.StatusForbidden, post(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }))
	assert.Equal(t, http.StatusForbidden, post(func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }))
	assert.Equal(t, http.StatusMisdirectedRequest, post(func(r *http.Request) { r.Host = "rebound.example.com" }))
	assert.Empty(t, s.Slack.Person("U0ENGINEER").Messages("C0INCIDENT"))
	assert.Equal(t, http.StatusNoContent, post(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }))
	assert.NotEmpty(t, s.Slack.Person("U0ENGINEER").Messages("C0INCIDENT"))
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	for path, want := range map[string]int{
		"/":                             http.StatusOK,
		"/?left=U0NOBODY.C0X&right=x":   http.StatusOK, // what is not there is as at the start
		"/part/left":                    http.StatusOK,
		"/part/nothing":                 http.StatusNotFound,
		"/nothing":                      http.StatusNotFound,
		"/assets/page.js":               http.StatusOK,
		"/assets/idiomorph/LICENSE":     http.StatusOK,
		"/options?as=U0ENGINEER&action": http.StatusOK,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+path, http.NoBody)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		assert.Equal(t, want, answer.StatusCode, path)
		if want == http.StatusOK {
			assert.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		}
	}
	for _, path := range []string{"/do/nothing", "/day/nothing"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+path, http.NoBody)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		assert.Equal(t, http.StatusNotFound, answer.StatusCode, path)
	}
}
