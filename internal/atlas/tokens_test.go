package atlas

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func TestOneTokenForAll(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	hang := srv.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)

	// The call that began the fetch gives up; the others get the token.
	impatient, giveUp := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	calls.Go(func() {
		_, err := c.Projects(impatient)
		assert.ErrorIs(t, err, context.Canceled)
	})
	require.NoError(t, hang.Wait(soon(t), 1))
	for range 8 {
		calls.Go(func() {
			_, err := c.Projects(soon(t))
			assert.NoError(t, err)
		})
	}
	giveUp()
	hang.Release()
	calls.Wait()
	assert.Equal(t, 1, srv.TokensIssued())
}

func TestFreshTokenAfterRevocation(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	for range 3 {
		_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
		require.NoError(t, err)
		srv.RevokeTokens()
	}
	assert.Equal(t, 3, srv.TokensIssued())
	assert.Len(t, srv.Puts(paymentsID, "DATADOG"), 3)

	_, err := c.Projects(t.Context())
	require.NoError(t, err)
	always := srv.Fail(atlassim.Match{Method: http.MethodPut},
		atlassim.Fault{Status: http.StatusUnauthorized, Code: "UNEXPECTED_ERROR"}, atlassim.Always)
	_, err = c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
	assert.Equal(t, http.StatusUnauthorized, refusalOf(t, err).Status)
	assert.Equal(t, 2, always.Used(), "once more, not for ever")
}

// TestOldTokenAndMissingRole: after some time even a missing role is a reason to
// look whether the token is to blame.
func TestOldTokenAndMissingRole(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	_, err := c.Projects(t.Context())
	require.NoError(t, err)
	require.NoError(t, srv.SetRole(paymentsID, atlassim.RoleReadOnly))
	c.tokens.mu.Lock()
	c.tokens.current.fetched = time.Now().Add(-2 * youngToken)
	c.tokens.mu.Unlock()
	for range 3 {
		_, err = c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
		assert.Equal(t, http.StatusUnauthorized, refusalOf(t, err).Status)
	}
	assert.Equal(t, 2, srv.TokensIssued())
}

func TestRenewalAheadOfTime(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	_, err := c.Projects(t.Context())
	require.NoError(t, err)
	due := func() *token {
		c.tokens.mu.Lock()
		defer c.tokens.mu.Unlock()
		c.tokens.current.renew = time.Now()
		return c.tokens.current
	}

	// Nobody waits for it, and a failure is nobody's as long as the old one is good.
	old := due()
	hang := srv.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)
	_, err = c.Projects(t.Context())
	require.NoError(t, err)
	require.NoError(t, hang.Wait(soon(t), 1))
	hang.Release()
	c.tokens.fetches.Wait()
	assert.Equal(t, 2, srv.TokensIssued())

	renewed := due()
	assert.NotSame(t, old, renewed)
	srv.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Status: 503}, 1)
	for range 3 {
		_, err = c.Projects(t.Context())
		require.NoError(t, err)
	}
	c.tokens.fetches.Wait()
	assert.Equal(t, 2, srv.TokensIssued(), "not again at once")

	assert.Equal(t, 2, srv.TokensValid())
	require.NoError(t, c.Close(t.Context()))
	assert.Zero(t, srv.TokensValid(), "the one that was replaced is revoked as well")
	assert.Equal(t, 2, srv.TokensRevoked())
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare   func(*atlassim.Server)
		status    int
		code      string
		temporary bool
		advice    string
	}{
		"rotated": {func(s *atlassim.Server) { s.RotateSecret(false) }, 401, "invalid_client", false, "rotated"},
		"blocked": {func(s *atlassim.Server) { s.SetIPBlock(atlassim.BlockedAtToken) }, 403, "access_denied", false, "API access list"},
		"refused": {tokenFault(400, "invalid_grant"), 400, "invalid_grant", false, "rotated"},
		"limited": {tokenFault(429, "too_many"), 429, "too_many", true, "Wait"},
		"broken":  {tokenFault(500, "server_error"), 500, "server_error", true, "Wait"},
		"HTML": {func(s *atlassim.Server) {
			s.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Kind: atlassim.HTMLPage, Status: 403}, 1)
		}, 403, "", false, "MONGODB_ATLAS_BASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c := newPair(t)
			key := srv.ClientSecret()
			tt.prepare(srv)
			_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
			refusal := refusalOf(t, err)
			assert.Equal(t, tt.status, refusal.Status)
			assert.Equal(t, tt.code, refusal.Code)
			assert.Equal(t, tt.temporary, refusal.Temporary())
			assert.Contains(t, refusal.Advice(), tt.advice)
			assert.True(t, strings.HasPrefix(err.Error(), fmt.Sprintf("put DATADOG: fetch token: atlas %d", tt.status)))
			assert.False(t, strings.Contains(err.Error(), key), "the error holds the client secret")
			if tt.status == 429 {
				assert.Equal(t, 9*time.Second, refusal.RetryAfter)
			}
		})
	}
}

func tokenFault(status int, code string) func(*atlassim.Server) {
	return func(s *atlassim.Server) {
		s.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Status: status, Code: code, RetryAfter: 9 * time.Second}, 1)
	}
}

// TestTokenAnswersThatMakeNoSense also quotes the credentials back.
func TestTokenAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("s3", 16)
	for name, body := range map[string]string{
		"no token":       `{"token_type":"Bearer"}`,
		"no JSON":        `ECHO`,
		"another kind":   `{"access_token":"ECHO","token_type":"mac"}`,
		"error with 200": `{"error":"ECHO","error_description":"no: ECHO"}`,
		"control":        `{"access_token":"a\nb","token_type":"bearer"}`,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "ECHO", key+" "+r.Header.Get("Authorization"))) //nolint:gosec // no browser reads it
		}))
		t.Cleanup(srv.Close)
		c := newClient(t, Config{BaseURL: srv.URL, ClientID: "id", ClientSecret: secret.New(key)})
		_, err := c.Projects(t.Context())
		require.Error(t, err, name)
		for _, hidden := range []string{key, base64.StdEncoding.EncodeToString([]byte("id:" + key))} {
			assert.False(t, strings.Contains(err.Error(), hidden), "%s: the error quotes the credentials", name)
		}
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	_, err := c.Projects(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
	assert.Equal(t, 1, srv.TokensRevoked())
	_, err = c.Projects(t.Context())
	require.ErrorIs(t, err, errClosed)
	require.NoError(t, c.Close(t.Context()), "a second time there is nothing to do")
	assert.Equal(t, 1, srv.TokensIssued())

	unused := newClient(t, logins["service account"](srv))
	require.NoError(t, unused.Close(t.Context()))
	withKey := newClient(t, logins["API key"](srv))
	require.NoError(t, withKey.Close(t.Context()))
	assert.Equal(t, 1, srv.TokensRevoked())
}

func TestCloseOnABadDay(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	_, err := c.Projects(t.Context())
	require.NoError(t, err)
	srv.Fail(atlassim.Match{Path: atlassim.RevokePath}, atlassim.Fault{Status: 500}, 1)
	err = c.Close(t.Context())
	assert.Equal(t, "server_error", refusalOf(t, err).Code)
	assert.EqualError(t, err, "revoke token: atlas 500 server_error: Unexpected error.")

	srv, c = newPair(t)
	_, err = c.Projects(t.Context())
	require.NoError(t, err)
	hang := srv.Fail(atlassim.Match{Path: atlassim.RevokePath}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var closing sync.WaitGroup
	closing.Go(func() { assert.ErrorIs(t, c.Close(ctx), context.Canceled) })
	require.NoError(t, hang.Wait(soon(t), 1))
	cancel()
	closing.Wait()
}

// TestCloseDuringAFetch: neither the fetch nor who waits for it is left behind.
func TestCloseDuringAFetch(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	hang := srv.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Kind: atlassim.HangBeforeApply}, 1)
	var calls sync.WaitGroup
	calls.Go(func() {
		_, err := c.Projects(soon(t))
		assertUnknown(t, err)
	})
	require.NoError(t, hang.Wait(soon(t), 1))
	require.NoError(t, c.Close(t.Context()))
	calls.Wait()
}

func assertUnknown(t *testing.T, err error) {
	t.Helper()
	var refusal *Error
	assert.Error(t, err)
	assert.NotErrorAs(t, err, &refusal)
}

func TestDigest(t *testing.T) {
	t.Parallel()
	srv := newAtlas(t, atlassim.Options{})
	c := newClient(t, logins["API key"](srv))
	srv.ExpireNonces()
	_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
	require.NoError(t, err)
	srv.RotateAPIKey()
	_, err = c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
	refusal := refusalOf(t, err)
	assert.Equal(t, http.StatusUnauthorized, refusal.Status)
	assert.Equal(t, "You are not authorized for this resource.", refusal.Detail)
}

// TestDigestTraps answers the first request of a login in ways that the digest
// transport does not survive by itself.
func TestDigestTraps(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		challenges []string
		status     int // of the error; 0: it works
	}{
		"as Atlas":            {[]string{`Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, qop="auth", stale=false`}, 0},
		"unknown directive":   {[]string{`Digest realm="x", nonce="abc", charset=UTF-8, userhash=false, qop="auth"`}, 0},
		"no spaces":           {[]string{`Digest realm="x",nonce="abc",qop="auth"`}, 0},
		"choice of qualities": {[]string{`digest realm="x", nonce="abc", qop="auth,auth-int"`}, 0},
		"several schemes":     {[]string{`Basic realm="x"`, `Digest realm="x", nonce="abc", qop=auth, opaque="o"`}, 0},
		"no challenge":        {nil, 401},
		"another scheme":      {[]string{`Basic realm="x"`}, 401},
		"SHA-256":             {[]string{`Digest realm="x", nonce="abc", algorithm=sha-256, qop="auth"`}, 0},
		"only auth-int":       {[]string{`Digest realm="x", nonce="abc", qop="auth-int"`}, 401},
		"another algorithm":   {[]string{`Digest realm="x", nonce="abc", algorithm=MD5-sess, qop="auth"`}, 401},
		"no directives":       {[]string{`Digest`, `Digest garbage, more`, `Digest realm="a, b", nonce="abc"`}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if auth := r.Header.Get("Authorization"); auth == "" {
					for _, challenge := range tt.challenges {
						w.Header().Add("WWW-Authenticate", challenge)
					}
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				answer(`{"results":[{"type":"DATADOG"}]}`)(w, r)
			}))
			defer srv.Close()
			c := newClient(t, Config{BaseURL: srv.URL, PublicKey: "key", PrivateKey: secret.New(longHex)})
			_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
			if tt.status == 0 {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, tt.status, refusalOf(t, err).Status)
		})
	}
	// Who asks for no login cannot be Atlas, and got no secret.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		assert.Empty(t, sent)
		answer(`{"results":[{"type":"DATADOG"}]}`)(w, r)
	}))
	defer srv.Close()
	c := newClient(t, Config{BaseURL: srv.URL, PublicKey: "key", PrivateKey: secret.New(longHex)})
	_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
	requireUnknown(t, err)
	require.ErrorIs(t, err, errNoChallenge)
}

func TestPayloadIsWiped(t *testing.T) {
	t.Parallel()
	data := []byte(hexKey)
	p := &payload{data: data}
	first, err := p.open()
	require.NoError(t, err)
	second, err := p.open()
	require.NoError(t, err)
	read, err := io.ReadAll(first)
	require.NoError(t, err)
	assert.True(t, string(read) == hexKey)
	require.NoError(t, first.Close())
	require.NoError(t, first.Close())
	p.wipe()
	assert.True(t, string(data) == hexKey, "somebody still sends it")
	require.NoError(t, second.Close())
	assert.Equal(t, make([]byte, len(data)), data)
	_, err = second.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = p.open()
	require.Error(t, err)
}

func TestScrub(t *testing.T) {
	t.Parallel()
	key := "p+ss/w%rd \"<" + "é" + ">\"& " + strings.Repeat("7", 5)
	h := hidden{{text: key}, {text: "tiny"}}
	quoted := map[string]string{
		"plain":         key,
		"upper case":    strings.ToUpper(key),
		"JSON":          escapeJSON(key, true),
		"JSON, as is":   escapeJSON(key, false),
		"query":         url.QueryEscape(key),
		"path":          url.PathEscape(key),
		"base64":        base64.StdEncoding.EncodeToString([]byte(key)),
		"base64 of URL": base64.URLEncoding.EncodeToString([]byte(key)),
		"a part":        key[3:14],
		"in two lines":  key[:10] + "\n" + key[10:],
		"short":         "tiny",
	}
	for offset := range 3 {
		quoted[fmt.Sprint("Basic ", offset)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", offset) + ":" + key))
	}
	for name, text := range quoted {
		got := h.scrub("before " + text + " after")
		assert.True(t, strings.HasPrefix(got, "before ") && strings.HasSuffix(got, " after") && strings.Contains(got, dots), name)
		for i := 0; i+gram <= len(text); i++ {
			if run := text[i : i+gram]; strings.Contains(got, run) && !strings.HasPrefix(name, "Basic") {
				t.Errorf("%s: eight characters of the secret are left", name)
				break
			}
		}
	}
	for text, want := range map[string]string{
		"":                          "",
		"nothing to hide":           "nothing to hide",
		"a\tb\r\nc\x00\x1b[31md":    "a b  c[31md",
		"broken\xff UTF-8":          "broken UTF-8",
		strings.Repeat("é", 301):    strings.Repeat("é", 300) + "…",
		"\u202ereversed\u200b text": "reversed text",
	} {
		assert.Equal(t, want, h.scrub(text))
	}
	assert.Equal(t, "a", hidden{}.scrub("a"))
}

// TestScrubURL: the origin of a URL may be seen, the rest may not, nor its parts.
func TestScrubURL(t *testing.T) {
	t.Parallel()
	s := settings(t, "WEBHOOK")
	h := s.hidden()
	assert.Equal(t, "see https://hooks.example.com•••• please", h.scrub("see "+good["WEBHOOK"].secrets["url"]+" please"))
	assert.Equal(t, "token ••••", h.scrub("token "+longHex))
	set(t, s, "url", "https://hooks.example.com/a")
	assert.Equal(t, "not https://hooks.example.com/, but ••••", s.hidden().scrub("not https://hooks.example.com/, but https://hooks.example.com/a"))
	set(t, s, "url", "https://user:"+hexKey+"@example.com/a")
	assert.False(t, strings.Contains(s.hidden().scrub("login user:"+hexKey), hexKey[:gram]))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 7*time.Second, retryAfter("7"))
	assert.Equal(t, maxRetryAfter, retryAfter("2147483647"))
	assert.Positive(t, retryAfter(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)))
	for _, header := range []string{"", "0", "-7", "soon", "1e9", "99999999999999", "Sat, 01 Jan 2000 00:00:00 GMT"} {
		assert.Zero(t, retryAfter(header), header)
	}
}
