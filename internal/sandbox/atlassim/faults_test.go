package atlassim_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// putsOf matches the writes of the tests here.
var putsOf = atlassim.Match{Method: http.MethodPut, GroupID: projectID, Type: "DATADOG"}

// broken is a desk whose next PUT of DATADOG goes wrong, with the body to send.
func broken(t *testing.T, f atlassim.Fault) (*desk, *atlassim.Planned, map[string]any) {
	t.Helper()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	planned := d.Fail(putsOf, f, 1)
	return d, planned, atlassim.Sample("DATADOG", "new")
}

func (d *desk) holds(typ string, want map[string]any) bool {
	d.t.Helper()
	held, ok := d.Integration(projectID, typ)
	require.True(d.t, ok)
	delete(held, "id")
	return assert.ObjectsAreEqual(want, held)
}

func TestFaultsWithAnAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		fault   atlassim.Fault
		status  int
		code    any
		applied bool
	}{
		{"refused", atlassim.Fault{}, 500, "UNEXPECTED_ERROR", false},
		{"refused by status", atlassim.Fault{Status: 503}, 503, "SERVICE_UNAVAILABLE", false},
		{"refused by code", atlassim.Fault{Status: 403, Code: "FEATURE_UNSUPPORTED"}, 403, "FEATURE_UNSUPPORTED", false},
		{"refused after all", atlassim.Fault{Kind: atlassim.RefuseAfterApply, Status: 503}, 503, "SERVICE_UNAVAILABLE", true},
		{"stored nothing", atlassim.Fault{Kind: atlassim.StoreNothing}, 200, nil, false},
		{"stale answer", atlassim.Fault{Kind: atlassim.StaleAnswer}, 200, nil, true},
		{"wrong type", atlassim.Fault{Kind: atlassim.WrongContentType}, 200, nil, true},
		{"truncated", atlassim.Fault{Kind: atlassim.TruncatedJSON}, 200, nil, true},
		{"a page", atlassim.Fault{Kind: atlassim.HTMLPage}, 502, nil, false},
		{"echo", atlassim.Fault{Kind: atlassim.EchoSecret}, 400, "INVALID_INTEGRATION_SETTINGS", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, planned, body := broken(t, tt.fault)

			r := d.put("DATADOG", body)

			require.NoError(t, r.err)
			assert.Equal(t, tt.status, r.status)
			assert.Equal(t, tt.code, r.code())
			assert.Equal(t, tt.applied, d.holds("DATADOG", body))
			assert.Equal(t, 1, planned.Used())
			assert.Equal(t, tt.applied, d.Calls()[0].Applied)
			assert.Len(t, d.Puts(projectID, "DATADOG"), 1)
			require.Equal(t, 200, d.put("DATADOG", body).status, "once only")
			assert.True(t, d.holds("DATADOG", body))
			assert.Equal(t, 1, d.Effects(projectID, "DATADOG"))
		})
	}
}

func TestFaultyAnswers(t *testing.T) {
	t.Parallel()
	d, _, body := broken(t, atlassim.Fault{
		Status: 429, RetryAfter: 1500 * time.Millisecond, Detail: "slow down", Parameters: []any{"x", 2},
		Header: map[string]string{"Sunset": "tomorrow"},
	})
	r := d.put("DATADOG", body)
	assert.Equal(t, "2", r.header.Get("Retry-After"))
	assert.Equal(t, "RATE_LIMITED_TOKEN_BUCKET", r.code())
	assert.Equal(t, "slow down", r.json["detail"])
	assert.Equal(t, []any{"x", 2.0}, r.json["parameters"])
	assert.Equal(t, "tomorrow", r.header.Get("Sunset"))

	d.Fail(putsOf, atlassim.Fault{Kind: atlassim.EchoSecret}, 1)
	assert.Contains(t, d.put("DATADOG", body).json["detail"], body["apiKey"])
	d.Fail(putsOf, atlassim.Fault{Kind: atlassim.HTMLPage}, 1)
	assert.Contains(t, d.put("DATADOG", body).header.Get("Content-Type"), "text/html")
	d.Fail(putsOf, atlassim.Fault{Kind: atlassim.WrongContentType}, 1)
	assert.Contains(t, d.put("DATADOG", body).header.Get("Content-Type"), "text/plain")
	d.Fail(putsOf, atlassim.Fault{Kind: atlassim.TruncatedJSON}, 1)
	r = d.put("DATADOG", body)
	assert.NotEmpty(t, r.body)
	assert.Nil(t, r.json)

	next := atlassim.Sample("DATADOG", "next")
	d.Fail(putsOf, atlassim.Fault{Kind: atlassim.StaleAnswer}, 1)
	apiKey := body["apiKey"].(string)
	assert.Equal(t, stars(28)+apiKey[28:], d.put("DATADOG", next).entries()["DATADOG"]["apiKey"])
}

func TestStoreWrong(t *testing.T) {
	t.Parallel()
	for _, typ := range atlassim.Types() {
		d := newDesk(t, atlassim.Options{})
		d.seedAll(projectID)
		body := atlassim.Sample(typ, "new")
		require.Equal(t, 200, d.put(typ, body).status)
		good, _ := d.Shown(projectID, typ)
		d.Fail(atlassim.Match{Type: typ}, atlassim.Fault{Kind: atlassim.StoreWrong}, 1)
		require.Equal(t, 200, d.put(typ, body).status)
		wrong, _ := d.Shown(projectID, typ)
		delete(good, "id")
		delete(wrong, "id")
		assert.NotEqual(t, good, wrong, "%s: it can be seen", typ)
	}
	d, _, body := broken(t, atlassim.Fault{Kind: atlassim.StoreWrong, Edit: func(s map[string]any) { s["region"] = "AP1" }})
	assert.Equal(t, "AP1", d.put("DATADOG", body).entries()["DATADOG"]["region"])
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	lured := make(chan struct{}, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { lured <- struct{}{} }))
	t.Cleanup(elsewhere.Close)
	d, _, body := broken(t, atlassim.Fault{Kind: atlassim.Redirect, Location: elsewhere.URL + "/x"})
	r := d.put("DATADOG", body)
	assert.Equal(t, 307, r.status)
	assert.Equal(t, elsewhere.URL+"/x", r.header.Get("Location"))
	assert.False(t, d.holds("DATADOG", body))
	assert.Empty(t, lured)
}

func TestResets(t *testing.T) {
	t.Parallel()
	for kind, applied := range map[atlassim.Kind]bool{atlassim.ResetBeforeApply: false, atlassim.ResetAfterApply: true} {
		d, planned, body := broken(t, atlassim.Fault{Kind: kind})
		r := d.put("DATADOG", body)
		assert.True(t, lost(r.err), "%v", r.err)
		assert.Equal(t, applied, d.holds("DATADOG", body))
		assert.Equal(t, 1, planned.Used())
		require.Len(t, d.Calls(), 1)
		assert.Zero(t, d.Calls()[0].Status)
		assert.Equal(t, applied, d.Calls()[0].Applied)
	}
	d, _, body := broken(t, atlassim.Fault{Kind: atlassim.CutBody})
	r := d.put("DATADOG", body)
	assert.Equal(t, 200, r.status)
	assert.True(t, lost(r.err), "%v", r.err)
	assert.True(t, d.holds("DATADOG", body))
}

// lost reports an error of a connection that was cut, however the client came to
// know: by the reset itself, or by the end of what it read.
func lost(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func TestHangs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name             string
		kind             atlassim.Kind
		before, released bool // applied before the release; applied after it
		givenUp          bool // applied when the client gave up before the release
	}{
		{"before", atlassim.HangBeforeApply, false, true, false},
		{"after", atlassim.HangAfterApply, true, true, true},
		{"late", atlassim.LateApply, false, true, true},
		{"slow", atlassim.SlowBody, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name+" released", func(t *testing.T) {
			t.Parallel()
			d, planned, body := broken(t, atlassim.Fault{Kind: tt.kind})
			answered := make(chan reply, 1)
			go func() { answered <- d.put("DATADOG", body) }()
			require.NoError(t, planned.Wait(t.Context(), 1))
			assert.Equal(t, tt.before, d.holds("DATADOG", body))
			planned.Release()
			r := <-answered
			require.NoError(t, r.err)
			assert.Equal(t, 200, r.status)
			assert.Len(t, r.entries(), 9)
			assert.Equal(t, tt.released, d.holds("DATADOG", body))
		})
		t.Run(tt.name+" given up", func(t *testing.T) {
			t.Parallel()
			d, planned, body := broken(t, atlassim.Fault{Kind: tt.kind})
			ctx, giveUp := context.WithCancel(t.Context())
			answered := make(chan reply, 1)
			go func() { answered <- d.sendContext(ctx, http.MethodPut, integrationPath(projectID, "DATADOG"), body) }()
			require.NoError(t, planned.Wait(t.Context(), 1))
			giveUp()
			require.ErrorIs(t, (<-answered).err, context.Canceled)
			if tt.kind == atlassim.LateApply {
				assert.False(t, d.holds("DATADOG", body))
				planned.Release()
			}
			require.NoError(t, d.WaitCalls(t.Context(), func(calls []atlassim.Call) bool { return len(calls) == 1 }))
			assert.Equal(t, tt.givenUp, d.holds("DATADOG", body))
		})
		t.Run(tt.name+" closed", func(t *testing.T) {
			t.Parallel()
			d, planned, body := broken(t, atlassim.Fault{Kind: tt.kind})
			answered := make(chan reply, 1)
			go func() { answered <- d.put("DATADOG", body) }()
			require.NoError(t, planned.Wait(t.Context(), 1))
			require.NoError(t, d.Close())
			require.Error(t, (<-answered).err)
			assert.Equal(t, tt.before, d.holds("DATADOG", body))
			require.Error(t, planned.Wait(t.Context(), 2))
		})
	}
}

func TestHugeBody(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.Fail(atlassim.Match{Type: "OPS_GENIE"}, atlassim.Fault{Kind: atlassim.HugeBody}, 1)
	req := d.request(http.MethodPut, integrationPath(projectID, "OPS_GENIE"))
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := d.client.Do(req)
	require.NoError(t, err)
	n, err := io.CopyN(io.Discard, resp.Body, 8<<20)
	require.NoError(t, err)
	assert.EqualValues(t, 8<<20, n)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	_, stored := d.Integration(projectID, "OPS_GENIE")
	assert.True(t, stored)
	assert.Equal(t, 200, d.get(integrationPath(projectID, "OPS_GENIE")).status)
}

func TestMatches(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	d.seedAll(otherID)
	d.Fail(atlassim.Match{GroupID: otherID}, atlassim.Fault{Status: 503}, atlassim.Always)
	d.Fail(atlassim.Match{Type: "SLACK"}, atlassim.Fault{Status: 500}, 2)
	withdrawn := d.Fail(atlassim.Match{}, atlassim.Fault{Status: 400}, atlassim.Always)
	withdrawn.Withdraw()
	slack := integrationPath(projectID, "SLACK")
	for range 3 {
		assert.Equal(t, 503, d.get(integrationsPath(otherID)).status)
	}
	assert.Equal(t, 500, d.get(slack).status)
	assert.Equal(t, 200, d.put("DATADOG", with("DATADOG", nil)).status)
	assert.Equal(t, 500, d.get(slack).status)
	assert.Equal(t, 200, d.get(slack).status)

	d.Fail(atlassim.Match{Path: atlassim.TokenPath}, atlassim.Fault{Status: 429, RetryAfter: time.Minute}, 1)
	r := d.oauth(atlassim.TokenPath, "grant_type=client_credentials", d.ClientID(), d.ClientSecret())
	assert.Equal(t, 429, r.status)
	assert.Equal(t, "60", r.header.Get("Retry-After"))
	assert.Equal(t, "server_error", r.json["error"])
	d.fetchToken()
}

func TestFaultsBeforeAndAfterLogin(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	client := &http.Client{Transport: digest.NewTransportWithHTTPRoundTripper(d.PublicKey(), d.PrivateKey(), d.client.Transport)}
	path := integrationPath(projectID, "OPS_GENIE")

	d.Fail(atlassim.Match{}, atlassim.Fault{Status: 503}, 1)
	assert.Equal(t, 503, exchange(client, d.request(http.MethodPut, path)).status)
	assert.Len(t, d.Calls(), 2, "the login went well")
	d.Forget()
	d.Fail(atlassim.Match{BeforeAuth: true}, atlassim.Fault{Kind: atlassim.HTMLPage}, 1)
	assert.Equal(t, 502, exchange(client, d.request(http.MethodPut, path)).status)
	assert.Len(t, d.Calls(), 1)
	assert.Equal(t, 200, exchange(client, d.request(http.MethodPut, path)).status)
}

func TestRoleLostMidWay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	cancel := d.Subscribe(func(c atlassim.Call) {
		if c.Method == http.MethodGet {
			assert.NoError(t, d.SetRole(projectID, atlassim.RoleReadOnly))
		}
	})
	defer cancel()
	require.Equal(t, 200, d.get(integrationPath(projectID, "DATADOG")).status)
	assert.Equal(t, "USER_UNAUTHORIZED", d.put("DATADOG", with("DATADOG", nil)).code())
}

func TestCloseCutsIdleAndBusyConnections(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	dialer := net.Dialer{}
	conn, err := dialer.DialContext(t.Context(), "tcp", d.URL()[len("http://"):])
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	// Half a body: the handler waits for the rest.
	_, err = io.WriteString(conn, "PUT "+integrationPath(projectID, "DATADOG")+" HTTP/1.1\r\nHost: localhost\r\n"+
		"Authorization: Bearer "+d.token+"\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	require.Equal(t, 200, d.get(groupPath(projectID)).status)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Error(t, d.get(groupPath(projectID)).err)
}
