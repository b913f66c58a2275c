package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFarEndsThatAreNotTrusted: what Slack and Atlas are called goes to nobody who
// cannot prove to be who they are, in a version of TLS that is worth it; a redirect
// takes no credential elsewhere, and an answer without an end does not fill the memory.
func TestFarEndsThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 10)
	far := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/auth.test" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"user":{"id":"`) // whether anybody listens is the client's affair
		for some := strings.Repeat("x", 1<<16); ; {
			if _, err := io.WriteString(w, some); err != nil {
				return
			}
		}
	})
	start := func(most uint16) *httptest.Server {
		server := httptest.NewUnstartedServer(far)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{MaxVersion: most}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	old, unknown := start(tls.VersionTLS11), start(tls.VersionTLS13)
	plain := httptest.NewServer(far)
	t.Cleanup(plain.Close)

	for server, says := range map[*httptest.Server]string{old: "protocol version", unknown: "certificate"} {
		for name, transport := range map[string]*http.Transport{"slack": slackTransport(), "atlas": atlasTransport()} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			require.NoError(t, err)
			response, err := transport.RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
			}
			require.ErrorContains(t, err, says, name)
			transport.CloseIdleConnections()
		}
	}
	assert.Empty(t, asked, "nothing was sent")

	transport := slackTransport()
	defer transport.CloseIdleConnections()
	api := slack.New("xoxb-of-test", slack.OptionAPIURL(plain.URL+"/api/"), slack.OptionHTTPClient(slackHTTP(transport)))
	_, err := api.AuthTestContext(t.Context())
	require.Error(t, err)
	assert.Len(t, asked, 1, "the redirect is not followed")
	_, err = api.GetUserInfoContext(t.Context(), "U0")
	var tooLong *http.MaxBytesError
	require.ErrorAs(t, err, &tooLong)
}
