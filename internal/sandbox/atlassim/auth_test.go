package atlassim_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// request is one that a client with credentials of its own sends.
func (d *desk) request(method, path string) *http.Request {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.URL()+path, strings.NewReader(`{"type":"OPS_GENIE","apiKey":"k"}`))
	require.NoError(d.t, err)
	r.Header.Set("Accept", mediaType)
	r.Header.Set("Content-Type", mediaType)
	return r
}

func TestServiceAccount(t *testing.T) {
	t.Parallel()
	clock := atlassim.NewClock(time.Now())
	d := newDesk(t, atlassim.Options{Clock: clock, TokenLifetime: 10 * time.Minute})
	cfg := clientcredentials.Config{
		ClientID: d.ClientID(), ClientSecret: d.ClientSecret(),
		TokenURL: d.URL() + atlassim.TokenPath, AuthStyle: oauth2.AuthStyleInHeader,
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, d.client)
	token, err := cfg.Token(ctx)
	require.NoError(t, err)
	assert.Equal(t, "Bearer", token.TokenType)
	assert.WithinDuration(t, time.Now().Add(10*time.Minute), token.Expiry, time.Minute)
	assert.Equal(t, 2, d.TokensIssued())
	assert.Equal(t, 2, d.TokensValid())
	r := exchange(cfg.Client(ctx), d.request(http.MethodPut, integrationPath(projectID, "OPS_GENIE")))
	assert.Equal(t, 200, r.status, "%s", r.body)

	d.token = token.AccessToken
	require.Equal(t, 200, d.oauth(atlassim.RevokePath, "token="+d.token+"&token_type_hint=access_token", d.ClientID(), d.ClientSecret()).status)
	assert.Equal(t, 1, d.TokensRevoked())
	r = d.get(groupPath(projectID))
	assert.Equal(t, 401, r.status)
	assert.Equal(t, "UNEXPECTED_ERROR", r.code())
	assert.NotContains(t, r.json, "parameters")
	assert.Contains(t, string(r.body), "\n  ", "pretty-printed")
	assert.Empty(t, r.header.Get("RateLimit-Limit"))

	d.token = d.fetchToken()
	assert.Equal(t, 200, d.get(groupPath(projectID)).status)
	clock.Advance(10 * time.Minute)
	assert.Equal(t, 401, d.get(groupPath(projectID)).status, "expired")
	d.token = d.fetchToken()
	d.RevokeTokens()
	assert.Equal(t, 401, d.get(groupPath(projectID)).status)
	assert.Zero(t, d.TokensValid())
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(id, secret)
		}
	}
	good := basic(url.QueryEscape(d.ClientID()), url.QueryEscape(d.ClientSecret()))
	const grant = "grant_type=client_credentials"
	tests := []struct {
		name   string
		method string
		form   string
		edit   func(*http.Request)
		status int
		code   string
	}{
		{"not escaped", "POST", grant, basic(d.ClientID(), d.ClientSecret()), 401, "invalid_client"},
		{"wrong secret", "POST", grant, basic(d.ClientID(), "x"), 401, "invalid_client"},
		{"wrong id", "POST", grant, basic("x", url.QueryEscape(d.ClientSecret())), 401, "invalid_client"},
		{"a bearer", "POST", grant, header("Content-Type", "application/x-www-form-urlencoded"), 401, "invalid_client"},
		{"in the form", "POST", grant + "&client_id=x&client_secret=y", good, 400, "invalid_request"},
		{"no grant", "POST", "", good, 400, "invalid_request"},
		{"another grant", "POST", "grant_type=password", good, 400, "unsupported_grant_type"},
		{"twice", "POST", grant + "&" + grant, good, 400, "invalid_request"},
		{"malformed", "POST", "a=%zz", good, 400, "invalid_request"},
		{"JSON", "POST", `{}`, header("Content-Type", "application/json"), 400, "invalid_request"},
		{"GET", "GET", "", good, 405, "invalid_request"},
	}
	for _, tt := range tests {
		r := d.send(tt.method, atlassim.TokenPath, tt.form, tt.edit)
		assert.Equal(t, tt.status, r.status, tt.name)
		assert.Equal(t, tt.code, r.json["error"], tt.name)
		assert.NotContains(t, r.json, "errorCode")
	}
	assert.Equal(t, 400, d.send("POST", atlassim.RevokePath, "x=y", good).status)
	assert.Equal(t, 200, d.send("POST", atlassim.RevokePath, "token=unknown", good).status)
	assert.Zero(t, d.TokensRevoked())
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	status := func(secret string) int {
		return d.oauth(atlassim.TokenPath, "grant_type=client_credentials", d.ClientID(), secret).status
	}
	first := d.ClientSecret()
	second := d.RotateSecret(true)
	assert.Equal(t, second, d.ClientSecret())
	assert.Equal(t, 200, status(first))
	assert.Equal(t, 200, status(second))
	third := d.RotateSecret(false)
	assert.Equal(t, 401, status(second))
	assert.Equal(t, 200, status(third))
	assert.Equal(t, 200, d.get(groupPath(projectID)).status, "a token outlives the secret that fetched it")

	d.SetCredentialsRevoked(true)
	assert.Equal(t, 401, status(third))
	assert.Equal(t, 401, d.get(groupPath(projectID)).status)
	d.SetCredentialsRevoked(false)
	assert.Equal(t, 200, d.get(groupPath(projectID)).status)
}

func TestIPAccessList(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	fetch := func() reply {
		return d.oauth(atlassim.TokenPath, "grant_type=client_credentials", d.ClientID(), d.ClientSecret())
	}
	d.SetIPBlock(atlassim.BlockedAtUse)
	assert.Equal(t, 200, fetch().status, "a good fetch proves nothing")
	r := d.get(groupPath(projectID))
	assert.Equal(t, 403, r.status)
	assert.Equal(t, "IP_ADDRESS_NOT_ON_ACCESS_LIST", r.code())
	assert.Contains(t, r.json["detail"], "127.0.0.1")
	d.SetIPBlock(atlassim.BlockedAtToken)
	assert.Equal(t, 200, d.get(groupPath(projectID)).status)
	r = fetch()
	assert.Equal(t, 403, r.status)
	assert.Equal(t, "access_denied", r.json["error"])
	d.SetIPBlock(atlassim.NotBlocked)
	assert.Equal(t, 200, fetch().status)
}

func TestDigest(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	path := integrationPath(projectID, "OPS_GENIE")
	tr := digest.NewTransportWithHTTPRoundTripper(d.PublicKey(), d.PrivateKey(), d.client.Transport)
	client := &http.Client{Transport: tr}

	r := exchange(client, d.request(http.MethodPut, path))
	assert.Equal(t, 200, r.status, "%s", r.body)
	assert.NotEmpty(t, r.header.Get("RateLimit-Remaining"))
	assert.Len(t, d.Puts(projectID, "OPS_GENIE"), 1, "the first of the two requests does not count")
	require.Len(t, d.Calls(), 2)
	assert.Equal(t, 401, d.Calls()[0].Status)
	assert.Equal(t, "digest", d.Calls()[1].Auth)
	require.Equal(t, 200, exchange(client, d.request(http.MethodGet, path+"?pretty=true")).status, "the query is part of what is signed")

	d.RotateAPIKey()
	assert.Equal(t, 401, exchange(client, d.request(http.MethodPut, path)).status)
	tr.Password = d.PrivateKey()
	assert.Equal(t, 200, exchange(client, d.request(http.MethodPut, path)).status)
	tr.Username = "somebody"
	assert.Equal(t, 401, exchange(client, d.request(http.MethodPut, path)).status)
}

// TestDigestReplay takes the header that a right login made, and uses it again.
func TestDigestReplay(t *testing.T) {
	t.Parallel()
	clock := atlassim.NewClock(time.Now())
	d := newDesk(t, atlassim.Options{Clock: clock})
	keep := &keeper{next: d.client.Transport}
	client := &http.Client{Transport: digest.NewTransportWithHTTPRoundTripper(d.PublicKey(), d.PrivateKey(), keep)}
	require.Equal(t, 200, exchange(client, d.request(http.MethodGet, groupPath(projectID))).status)
	used := keep.authorization
	assert.NotEmpty(t, used)

	bare := d.get(groupPath(projectID), header("Authorization", ""))
	assert.Equal(t, 401, bare.status)
	assert.Empty(t, bare.header.Get("RateLimit-Limit"))
	challenge := bare.header.Get("WWW-Authenticate")
	assert.Contains(t, challenge, `realm="MMS Public API"`)
	assert.Contains(t, challenge, `stale=false`)

	again := d.get(groupPath(projectID), header("Authorization", used))
	assert.Equal(t, 401, again.status)
	assert.Contains(t, again.header.Get("WWW-Authenticate"), "stale=true")
	for _, broken := range []string{
		strings.Replace(used, "qop=auth", "qop=auth-int", 1),
		strings.Replace(used, "nc=00000001", "nc=1", 1),
		strings.Replace(used, `realm="MMS`, `realm="mms`, 1),
		"Digest nonsense",
		`Digest username="open`,
	} {
		r := d.get(groupPath(projectID), header("Authorization", broken))
		assert.Equal(t, 401, r.status)
		assert.Contains(t, r.header.Get("WWW-Authenticate"), "stale=false", "%s", broken)
	}
	assert.Equal(t, 401, d.get(groupPath(otherID), header("Authorization", used)).status, "good for one path only")

	// The challenge reaches the client, and then it is too late for it.
	keep.between = d.ExpireNonces
	r := exchange(client, d.request(http.MethodGet, groupPath(projectID)))
	assert.Equal(t, 401, r.status)
	assert.Contains(t, r.header.Get("WWW-Authenticate"), "stale=true")
	keep.between = func() { clock.Advance(6 * time.Minute) }
	r = exchange(client, d.request(http.MethodGet, groupPath(projectID)))
	assert.Contains(t, r.header.Get("WWW-Authenticate"), "stale=true")
}

// A keeper keeps the last credentials that pass, and acts before they do.
type keeper struct {
	next          http.RoundTripper
	authorization string
	between       func()
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	if a := r.Header.Get("Authorization"); a != "" {
		k.authorization = a
		if k.between != nil {
			k.between()
		}
	}
	return k.next.RoundTrip(r)
}
