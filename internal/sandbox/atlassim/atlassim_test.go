package atlassim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	projectID = "0123456789abcdef01234567"
	otherID   = "fedcba987654321001234567"
	mediaType = "application/vnd.atlas.2023-01-01+json"
)

// A desk is a server with two projects and somebody with a valid token in front of it.
type desk struct {
	*atlassim.Server
	t      *testing.T
	client *http.Client
	token  string
}

func newDesk(t *testing.T, opt atlassim.Options) *desk {
	t.Helper()
	srv, err := atlassim.New(opt)
	require.NoError(t, err)
	tr := &http.Transport{}
	d := &desk{Server: srv, t: t, client: &http.Client{
		Transport:     tr,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		assert.NoError(t, srv.Close())
	})
	require.NoError(t, srv.AddProject(projectID, "payments-prod"))
	require.NoError(t, srv.AddProject(otherID, "search-prod"))
	d.token = d.fetchToken()
	srv.Forget()
	return d
}

func (d *desk) fetchToken() string {
	d.t.Helper()
	r := d.oauth(atlassim.TokenPath, "grant_type=client_credentials", d.ClientID(), d.ClientSecret())
	require.Equal(d.t, http.StatusOK, r.status, "%s", r.body)
	return r.json["access_token"].(string)
}

func (d *desk) oauth(path, form, id, secret string) reply {
	d.t.Helper()
	return d.send(http.MethodPost, path, form, func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
}

type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
	err    error
}

func (r reply) code() any { return r.json["errorCode"] }

// entries are the results of a list by type; null entries are skipped.
func (r reply) entries() map[string]map[string]any {
	byType := map[string]map[string]any{}
	results, _ := r.json["results"].([]any)
	for _, e := range results {
		if in, ok := e.(map[string]any); ok {
			byType[in["type"].(string)] = in
		}
	}
	return byType
}

// send makes a request as a good client does; edits make it another.
func (d *desk) send(method, path string, body any, edits ...func(*http.Request)) reply {
	d.t.Helper()
	return d.sendContext(d.t.Context(), method, path, body, edits...)
}

func (d *desk) sendContext(ctx context.Context, method, path string, body any, edits ...func(*http.Request)) reply {
	d.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	default:
		var err error
		raw, err = json.Marshal(b)
		require.NoError(d.t, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.URL()+path, bytes.NewReader(raw))
	require.NoError(d.t, err)
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Accept", mediaType)
	if raw != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	for _, edit := range edits {
		edit(req)
	}
	return exchange(d.client, req)
}

func exchange(client *http.Client, req *http.Request) reply {
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.body, r.err = io.ReadAll(resp.Body); r.err == nil {
		_ = json.Unmarshal(r.body, &r.json) // what is no JSON has no fields
	}
	return r
}

func (d *desk) put(typ string, body any, edits ...func(*http.Request)) reply {
	d.t.Helper()
	return d.send(http.MethodPut, integrationPath(projectID, typ), body, edits...)
}

func (d *desk) get(path string, edits ...func(*http.Request)) reply {
	d.t.Helper()
	return d.send(http.MethodGet, path, nil, edits...)
}

func groupPath(id string) string            { return "/api/atlas/v2/groups/" + id }
func integrationsPath(id string) string     { return groupPath(id) + "/integrations" }
func integrationPath(id, typ string) string { return integrationsPath(id) + "/" + typ }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// with is a good body with some fields set to something else.
func with(typ string, change map[string]any) map[string]any {
	body := atlassim.Sample(typ, "new")
	maps.Copy(body, change)
	return body
}

func without(typ string, fields ...string) map[string]any {
	body := atlassim.Sample(typ, "new")
	for _, f := range fields {
		delete(body, f)
	}
	return body
}

func stars(n int) string { return strings.Repeat("*", n) }

func (d *desk) seedAll(id string) {
	d.t.Helper()
	for _, typ := range atlassim.Types() {
		require.NoError(d.t, d.Seed(id, atlassim.Sample(typ, "old")))
	}
}

func TestPutKeepsWhatWasSentAndShowsAllIntegrationsMasked(t *testing.T) {
	t.Parallel()
	for _, typ := range atlassim.Types() {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, atlassim.Options{})
			d.seedAll(projectID)
			before, _ := d.Integration(projectID, typ)
			body := atlassim.Sample(typ, "new")

			r := d.put(typ, body)

			require.Equal(t, http.StatusOK, r.status, "%s", r.body)
			assert.Equal(t, mediaType+";charset=utf-8", r.header.Get("Content-Type"))
			assert.EqualValues(t, 9, r.json["totalCount"])
			assert.Len(t, r.json["links"], 1)
			held, _ := d.Integration(projectID, typ)
			assert.NotEqual(t, before["id"], held["id"])
			shown, _ := d.Shown(projectID, typ)
			assert.Equal(t, shown, r.entries()[typ])
			assert.Equal(t, shown, d.get(integrationPath(projectID, typ)).json)
			delete(held, "id")
			assert.Equal(t, body, held)
			assert.Equal(t, 1, d.Effects(projectID, typ))

			again := d.put(typ, body)
			require.Equal(t, http.StatusOK, again.status)
			assert.Equal(t, 1, d.Effects(projectID, typ), "the same once more changes nothing")
			require.Len(t, d.Puts(projectID, typ), 2)
			want, err := json.Marshal(body)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(d.Puts(projectID, typ)[1]))
		})
	}
}

func TestMasks(t *testing.T) {
	t.Parallel()
	hex, uuid := strings.Repeat("ab", 15)+"a23c", strings.Repeat("ab", 16)+"a111"
	tests := []struct {
		typ   string
		held  map[string]any
		shown map[string]any
	}{
		{"DATADOG", map[string]any{"apiKey": hex[2:]}, map[string]any{
			"apiKey": stars(28) + "a23c", "region": "US", "customEndpoint": nil, "sendCollectionLatencyMetrics": false,
			"sendDatabaseMetrics": false, "sendQueryStatsMetrics": false, "sendUserProvidedResourceTags": false,
		}},
		{"DATADOG", map[string]any{"apiKey": hex[2:], "region": "EU", "customEndpoint": "https://dd.example.com"}, map[string]any{
			"apiKey": stars(28) + "a23c", "region": "EU", "customEndpoint": "https://dd.example.com",
			"sendCollectionLatencyMetrics": false, "sendDatabaseMetrics": false, "sendQueryStatsMetrics": false,
			"sendUserProvidedResourceTags": false,
		}},
		{"PAGER_DUTY", map[string]any{"serviceKey": hex[2:]}, map[string]any{"serviceKey": stars(28) + "a23c", "region": "US"}},
		{"OPS_GENIE", map[string]any{"apiKey": uuid}, map[string]any{"apiKey": stars(32) + "a111", "region": "US"}},
		{"VICTOR_OPS", map[string]any{"apiKey": uuid}, map[string]any{"apiKey": stars(32) + "a111", "routingKey": nil}},
		{"VICTOR_OPS", map[string]any{"apiKey": "abc", "routingKey": "dba"}, map[string]any{"apiKey": "***", "routingKey": "dba"}},
		{"WEBHOOK", map[string]any{"url": "https://example.com/" + strings.Repeat("t", 26) + "wxyz"}, map[string]any{
			"url": "https://example.com/****wxyz", "bodyTemplate": nil, "headersTemplate": nil,
		}},
		{
			"WEBHOOK",
			map[string]any{"url": "https://example.com:8443/h?t=12345", "secret": strings.Repeat("s", 26) + "tail", "bodyTemplate": "{}12345"},
			map[string]any{
				"url": "https://example.com:8443/****2345", "secret": stars(26) + "tail",
				"bodyTemplate": "***2345", "headersTemplate": nil,
			},
		},
		{"MICROSOFT_TEAMS", map[string]any{"microsoftTeamsWebhookUrl": "https://webhook.com/abc"}, map[string]any{
			"microsoftTeamsWebhookUrl": "https://webhook.com/****",
		}},
		{"SLACK", map[string]any{"apiToken": strings.Repeat("z", 70) + "abcd", "channelName": "alerts"}, map[string]any{
			"apiToken": stars(70) + "abcd", "channelName": "alerts", "teamName": nil,
		}},
		{
			"PROMETHEUS",
			map[string]any{"enabled": true, "serviceDiscovery": "file", "username": "u", "password": "a long one"},
			map[string]any{"enabled": true, "serviceDiscovery": "file", "username": "u", "sendUserProvidedResourceTagsEnabled": false},
		},
		{
			"NEW_RELIC",
			map[string]any{"accountId": "1234567", "licenseKey": hex, "readToken": "r", "writeToken": "w"},
			map[string]any{"accountId": "1234567", "licenseKey": hex, "readToken": "r", "writeToken": "w"},
		},
	}
	d := newDesk(t, atlassim.Options{})
	for _, tt := range tests {
		tt.held["type"], tt.shown["type"] = tt.typ, tt.typ
		require.NoError(t, d.Seed(projectID, tt.held))
		held, _ := d.Integration(projectID, tt.typ)
		tt.shown["id"] = held["id"]

		assert.Equal(t, tt.shown, d.get(integrationPath(projectID, tt.typ)).json)
		assert.Equal(t, tt.shown, d.get(integrationsPath(projectID)).entries()[tt.typ])
	}
}

func TestPutRefusals(t *testing.T) {
	t.Parallel()
	hexMask, notHex := stars(28)+"abcd", strings.Repeat("xy", 16)
	tests := []struct {
		name string
		typ  string
		body any
		code string
	}{
		{"no body", "DATADOG", "", "INVALID_JSON"},
		{"broken", "DATADOG", `{"type":"DATADOG"`, "MALFORMED_JSON"},
		{"more than one value", "DATADOG", `{"type":"DATADOG"}{}`, "MALFORMED_JSON"},
		{"broken UTF-8", "OPS_GENIE", "{\"type\":\"OPS_GENIE\",\"apiKey\":\"\xff\"}", "MALFORMED_JSON"},
		{"an array", "DATADOG", `[]`, "INVALID_JSON"},
		{"null", "DATADOG", `null`, "INVALID_JSON"},
		{"no type", "OPS_GENIE", without("OPS_GENIE", "type"), "MISSING_ATTRIBUTE"},
		{"another type", "OPS_GENIE", with("VICTOR_OPS", nil), "INVALID_ATTRIBUTE"},
		{"unknown type", "OPS_GENIE", with("OPS_GENIE", map[string]any{"type": "FLOWDOCK"}), "INVALID_ENUM_VALUE"},
		{"type is a number", "OPS_GENIE", with("OPS_GENIE", map[string]any{"type": 1}), "INVALID_ATTRIBUTE"},
		{"HipChat", "HIP_CHAT", `{"type":"HIP_CHAT","notificationToken":"t","roomName":"r"}`, "HIPCHAT_NOT_SUPPORTED"},
		{"HipChat in the body", "SLACK", with("SLACK", map[string]any{"type": "HIP_CHAT"}), "HIPCHAT_NOT_SUPPORTED"},

		{"no key", "DATADOG", without("DATADOG", "apiKey"), "MISSING_ATTRIBUTE"},
		{"null key", "DATADOG", with("DATADOG", map[string]any{"apiKey": nil}), "MISSING_ATTRIBUTE"},
		{"key is a number", "DATADOG", with("DATADOG", map[string]any{"apiKey": 5}), "INVALID_ATTRIBUTE"},
		{"key not hex", "DATADOG", with("DATADOG", map[string]any{"apiKey": notHex}), "INVALID_INTEGRATION_SETTINGS"},
		{"key masked", "DATADOG", with("DATADOG", map[string]any{"apiKey": hexMask}), "INVALID_INTEGRATION_SETTINGS"},
		{"key short", "DATADOG", with("DATADOG", map[string]any{"apiKey": "abc"}), "INVALID_INTEGRATION_SETTINGS"},
		{"region", "DATADOG", with("DATADOG", map[string]any{"region": "US2"}), "INVALID_ENUM_VALUE"},
		{"region in lower case", "DATADOG", with("DATADOG", map[string]any{"region": "us"}), "INVALID_ENUM_VALUE"},
		{"text for a bool", "DATADOG", with("DATADOG", map[string]any{"sendDatabaseMetrics": "true"}), "INVALID_ATTRIBUTE"},

		{"key masked", "PAGER_DUTY", with("PAGER_DUTY", map[string]any{"serviceKey": hexMask}), "INVALID_INTEGRATION_SETTINGS"},
		{"no key", "PAGER_DUTY", without("PAGER_DUTY", "serviceKey"), "MISSING_ATTRIBUTE"},
		{"region", "PAGER_DUTY", with("PAGER_DUTY", map[string]any{"region": "US3"}), "INVALID_ENUM_VALUE"},
		{"no key", "OPS_GENIE", without("OPS_GENIE", "apiKey"), "MISSING_ATTRIBUTE"},
		{"empty key", "OPS_GENIE", with("OPS_GENIE", map[string]any{"apiKey": ""}), "INVALID_INTEGRATION_SETTINGS"},
		{"region", "OPS_GENIE", with("OPS_GENIE", map[string]any{"region": "AP1"}), "INVALID_ENUM_VALUE"},
		{"no key", "VICTOR_OPS", without("VICTOR_OPS", "apiKey"), "MISSING_ATTRIBUTE"},

		{"no URL", "WEBHOOK", without("WEBHOOK", "url"), "MISSING_ATTRIBUTE"},
		{"relative URL", "WEBHOOK", with("WEBHOOK", map[string]any{"url": "/hook"}), "INVALID_URL"},
		{"another scheme", "WEBHOOK", with("WEBHOOK", map[string]any{"url": "ftp://example.com/x"}), "INVALID_URL"},
		{"big body", "WEBHOOK", with("WEBHOOK", map[string]any{"bodyTemplate": strings.Repeat("x", 16<<10+1)}), "VALIDATION_ERROR"},
		{"big headers", "WEBHOOK", with("WEBHOOK", map[string]any{"headersTemplate": strings.Repeat("x", 4<<10+1)}), "VALIDATION_ERROR"},
		{"no URL", "MICROSOFT_TEAMS", without("MICROSOFT_TEAMS", "microsoftTeamsWebhookUrl"), "MISSING_ATTRIBUTE"},
		{"no URL at all", "MICROSOFT_TEAMS", with("MICROSOFT_TEAMS", map[string]any{"microsoftTeamsWebhookUrl": "hook"}), "INVALID_URL"},

		{"no enabled", "PROMETHEUS", without("PROMETHEUS", "enabled"), "MISSING_ATTRIBUTE"},
		{"text for enabled", "PROMETHEUS", with("PROMETHEUS", map[string]any{"enabled": "yes"}), "INVALID_ATTRIBUTE"},
		{"no discovery", "PROMETHEUS", without("PROMETHEUS", "serviceDiscovery"), "MISSING_ATTRIBUTE"},
		{"dns", "PROMETHEUS", with("PROMETHEUS", map[string]any{"serviceDiscovery": "dns"}), "INVALID_ENUM_VALUE"},
		{"no username", "PROMETHEUS", without("PROMETHEUS", "username"), "MISSING_ATTRIBUTE"},

		{"no token", "SLACK", without("SLACK", "apiToken"), "MISSING_ATTRIBUTE"},
		{"no channel", "SLACK", without("SLACK", "channelName"), "MISSING_ATTRIBUTE"},
		{"empty channel", "SLACK", with("SLACK", map[string]any{"channelName": ""}), "VALIDATION_ERROR"},
		{"long channel", "SLACK", with("SLACK", map[string]any{"channelName": strings.Repeat("ü", 81)}), "VALIDATION_ERROR"},
		{"no account", "NEW_RELIC", without("NEW_RELIC", "accountId"), "MISSING_ATTRIBUTE"},
		{"no license key", "NEW_RELIC", without("NEW_RELIC", "licenseKey"), "MISSING_ATTRIBUTE"},
		{"no read token", "NEW_RELIC", without("NEW_RELIC", "readToken"), "MISSING_ATTRIBUTE"},
		{"no write token", "NEW_RELIC", without("NEW_RELIC", "writeToken"), "MISSING_ATTRIBUTE"},
	}
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	for _, tt := range tests {
		t.Run(tt.typ+" "+tt.name, func(t *testing.T) {
			before, _ := d.Integration(projectID, tt.typ)

			r := d.put(tt.typ, tt.body)

			assert.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
			assert.Equal(t, tt.code, r.code())
			assert.Equal(t, tt.code, r.header.Get("X-Error-Code"))
			assert.Equal(t, "application/json", r.header.Get("Content-Type"))
			assert.EqualValues(t, 400, r.json["error"])
			assert.Equal(t, "Bad Request", r.json["reason"])
			after, _ := d.Integration(projectID, tt.typ)
			assert.Equal(t, before, after)
			assert.Zero(t, d.Effects(projectID, tt.typ))
		})
	}
	r := d.put("DATADOG", with("DATADOG", map[string]any{"apiKey": hexMask}))
	assert.Equal(t, []any{"DATADOG", "apiKey must be a hexadecimal string"}, r.json["parameters"])
	r = d.put("SLACK", with("SLACK", map[string]any{"channelName": ""}))
	assert.Contains(t, string(r.body), `"badRequestDetail":{"fields":[{"field":"channelName"`)
}

func TestPutTakesWhatAtlasDoesNotCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		typ   string
		body  any
		field string
		held  any
	}{
		{"mask in a key", "OPS_GENIE", with("OPS_GENIE", map[string]any{"apiKey": stars(32) + "abcd"}), "apiKey", stars(32) + "abcd"},
		{"mask in a token", "SLACK", with("SLACK", map[string]any{"apiToken": stars(70) + "abcd"}), "apiToken", stars(70) + "abcd"},
		{"mask in a secret", "WEBHOOK", with("WEBHOOK", map[string]any{"secret": stars(26) + "abcd"}), "secret", stars(26) + "abcd"},
		{
			"mask in a URL", "MICROSOFT_TEAMS",
			with("MICROSOFT_TEAMS", map[string]any{"microsoftTeamsWebhookUrl": "https://webhook.com/****abcd"}),
			"microsoftTeamsWebhookUrl", "https://webhook.com/****abcd",
		},
		{"the last of two", "OPS_GENIE", `{"type":"OPS_GENIE","apiKey":"first","apiKey":"second"}`, "apiKey", "second"},
		{"names are exact", "OPS_GENIE", `{"type":"OPS_GENIE","apiKey":"first","APIKEY":"second"}`, "apiKey", "first"},
		{"a New Relic account of digits", "NEW_RELIC", with("NEW_RELIC", map[string]any{"accountId": "1234567"}), "accountId", "1234567"},
		{"no channel", "SLACK", with("SLACK", map[string]any{"channelName": nil}), "channelName", nil},
		{"80 characters", "SLACK", with("SLACK", map[string]any{"channelName": strings.Repeat("ü", 80)}), "channelName", strings.Repeat("ü", 80)},
		{"a null switch", "DATADOG", with("DATADOG", map[string]any{"sendDatabaseMetrics": nil}), "sendDatabaseMetrics", false},
		{"a template that is no JSON", "WEBHOOK", with("WEBHOOK", map[string]any{"bodyTemplate": "hello"}), "bodyTemplate", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.typ+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, atlassim.Options{})
			d.seedAll(projectID)
			require.Equal(t, http.StatusOK, d.put(tt.typ, tt.body).status)
			held, _ := d.Integration(projectID, tt.typ)
			assert.Equal(t, tt.held, held[tt.field])
		})
	}
	d := newDesk(t, atlassim.Options{})
	body := with("DATADOG", map[string]any{"id": "x", "loft": 1, "customEndpoint": "https://dd.example.com"})
	require.Equal(t, http.StatusOK, d.put("DATADOG", body, header("Content-Type", "application/json")).status)
	held, _ := d.Integration(projectID, "DATADOG")
	assert.NotEqual(t, "x", held["id"])
	assert.NotContains(t, held, "loft")
	assert.NotContains(t, held, "customEndpoint")
}

func TestPutReplacesOrMerges(t *testing.T) {
	t.Parallel()
	bare := map[string]any{"type": "PROMETHEUS", "enabled": false, "serviceDiscovery": "file", "username": "new"}
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	old := atlassim.Sample("PROMETHEUS", "old")
	require.NoError(t, d.ChangeBehind(projectID, "PROMETHEUS", func(s map[string]any) { s["sendUserProvidedResourceTagsEnabled"] = true }))

	require.Equal(t, http.StatusOK, d.put("PROMETHEUS", bare).status)
	held, _ := d.Integration(projectID, "PROMETHEUS")
	assert.NotContains(t, held, "password")
	assert.Equal(t, false, held["sendUserProvidedResourceTagsEnabled"])

	d.SetQuirks(atlassim.Quirks{PutMerges: true, KeepIDs: true})
	require.NoError(t, d.Seed(projectID, old))
	before, _ := d.Integration(projectID, "PROMETHEUS")
	require.Equal(t, http.StatusOK, d.put("PROMETHEUS", bare).status)
	held, _ = d.Integration(projectID, "PROMETHEUS")
	assert.Equal(t, old["password"], held["password"])
	assert.Equal(t, "new", held["username"])
	assert.Equal(t, before["id"], held["id"])
}

func TestMissingIntegration(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	r := d.get(integrationPath(projectID, "DATADOG"))
	assert.Equal(t, http.StatusNotFound, r.status)
	assert.Equal(t, "INTEGRATION_NOT_CONFIGURED", r.code())
	assert.Equal(t, "INTEGRATION_NOT_CONFIGURED", d.get(integrationPath(projectID, "HIP_CHAT")).code())
	assert.Equal(t, http.StatusNotFound, d.send(http.MethodDelete, integrationPath(projectID, "DATADOG"), nil).status)

	d.SetQuirks(atlassim.Quirks{PutRefusesMissing: true})
	assert.Equal(t, "INTEGRATION_NOT_CONFIGURED", d.put("DATADOG", with("DATADOG", nil)).code())
	_, ok := d.Integration(projectID, "DATADOG")
	assert.False(t, ok)

	d.SetQuirks(atlassim.Quirks{})
	assert.Equal(t, http.StatusOK, d.put("DATADOG", with("DATADOG", nil)).status)
	_, ok = d.Integration(projectID, "DATADOG")
	assert.True(t, ok, "PUT adds what is not there")
}

func TestOutsiders(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	path := integrationPath(projectID, "WEBHOOK")
	assert.Equal(t, http.StatusOK, d.send(http.MethodPost, path, with("WEBHOOK", nil)).status)
	r := d.send(http.MethodPost, path, with("WEBHOOK", nil))
	assert.Equal(t, http.StatusConflict, r.status)
	assert.Equal(t, "INTEGRATION_ALREADY_CONFIGURED", r.code())
	r = d.send(http.MethodDelete, path, nil)
	assert.Equal(t, http.StatusNoContent, r.status)
	assert.Empty(t, r.body)
	_, ok := d.Integration(projectID, "WEBHOOK")
	assert.False(t, ok)
	assert.Equal(t, 2, d.Effects(projectID, "WEBHOOK"))

	require.NoError(t, d.Seed(projectID, atlassim.Sample("WEBHOOK", "old")))
	before, _ := d.Shown(projectID, "WEBHOOK")
	require.NoError(t, d.ChangeBehind(projectID, "WEBHOOK", func(s map[string]any) { s["secret"] = "changed" }))
	after, _ := d.Shown(projectID, "WEBHOOK")
	assert.NotEqual(t, before["id"], after["id"])
	assert.Equal(t, "***nged", after["secret"])
	require.NoError(t, d.RemoveBehind(projectID, "WEBHOOK"))
	require.ErrorIs(t, d.RemoveBehind(projectID, "WEBHOOK"), atlassim.ErrNoIntegration)
	require.ErrorIs(t, d.ChangeBehind(projectID, "WEBHOOK", func(map[string]any) {}), atlassim.ErrNoIntegration)
	require.ErrorIs(t, d.Seed("nowhere", atlassim.Sample("WEBHOOK", "x")), atlassim.ErrNoProject)
	require.Error(t, d.Seed(projectID, map[string]any{"url": "https://example.com"}))
	require.Error(t, d.AddProject(projectID, "twice"))
	require.Error(t, d.AddProject("ABC", "no id"))
	require.Error(t, d.SetRole(projectID, "admin"))
}

func TestPathsAndQueries(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	tests := []struct {
		method, path string
		status       int
		code         any
	}{
		{"GET", groupPath(projectID), 200, nil},
		{"GET", groupPath("0123456789ABCDEF01234567"), 400, "INVALID_PATH_PARAMETER"},
		{"GET", groupPath("payments-prod"), 400, "INVALID_PATH_PARAMETER"},
		{"GET", groupPath(strings.Repeat("0", 24)), 404, "GROUP_NOT_FOUND"},
		{"GET", integrationPath(projectID, "FLOWDOCK"), 400, "INVALID_PATH_PARAMETER"},
		{"GET", integrationPath(projectID, "datadog"), 400, "INVALID_PATH_PARAMETER"},
		{"GET", integrationPath(projectID, ""), 400, "INVALID_PATH_PARAMETER"},
		{"GET", integrationPath(projectID, "DATADOG/x"), 404, "RESOURCE_NOT_FOUND"},
		{"GET", integrationPath(projectID, "DATADOG%2Fx"), 400, "INVALID_PATH_PARAMETER"},
		{"GET", groupPath(projectID) + "/clusters", 404, "RESOURCE_NOT_FOUND"},
		{"GET", "/api/atlas/v1.0/groups", 404, "RESOURCE_NOT_FOUND"},
		{"POST", groupPath(projectID), 405, "METHOD_NOT_ALLOWED"},
		{"PATCH", integrationPath(projectID, "DATADOG"), 405, "METHOD_NOT_ALLOWED"},
		{"GET", integrationsPath(projectID) + "?pageNum=0", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationsPath(projectID) + "?pageNum=one", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationsPath(projectID) + "?itemsPerPage=0", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationsPath(projectID) + "?itemsPerPage=501", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationsPath(projectID) + "?itemsPerPage=500", 200, nil},
		{"GET", integrationsPath(projectID) + "?pretty=yes", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationsPath(projectID) + "?page=1", 400, "INVALID_QUERY_PARAMETER"},
		{"GET", integrationPath(projectID, "DATADOG") + "?pageNum=1", 400, "INVALID_QUERY_PARAMETER"},
	}
	for _, tt := range tests {
		r := d.send(tt.method, tt.path, nil)
		assert.Equal(t, tt.status, r.status, "%s %s", tt.method, tt.path)
		assert.Equal(t, tt.code, r.code(), "%s %s", tt.method, tt.path)
	}
	r := d.get(groupPath(strings.Repeat("0", 24)))
	assert.Equal(t, []any{strings.Repeat("0", 24)}, r.json["parameters"])
	assert.Equal(t, "No group with ID "+strings.Repeat("0", 24)+" exists.", r.json["detail"])

	r = d.get(integrationsPath(projectID) + "?includeCount=false&envelope=true&pretty=true")
	assert.NotContains(t, r.json, "totalCount")
	assert.EqualValues(t, 200, r.json["status"])
	assert.Contains(t, string(r.body), "\n  ")
	r = d.get(integrationPath(projectID, "DATADOG") + "?envelope=true")
	assert.Contains(t, r.json["content"], "apiKey")
	assert.Equal(t, http.StatusRequestEntityTooLarge, d.put("WEBHOOK", strings.Repeat("x", 1<<20+1)).status)
}

func TestPages(t *testing.T) {
	t.Parallel()
	srv, err := atlassim.New(atlassim.Options{})
	require.NoError(t, err)
	require.NoError(t, atlassim.DefaultWorld(srv))
	tr := &http.Transport{}
	d := &desk{Server: srv, t: t, client: &http.Client{Transport: tr}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		assert.NoError(t, srv.Close())
	})
	d.token = d.fetchToken()

	names := map[string]bool{}
	var rels []string
	for path := "/api/atlas/v2/groups?itemsPerPage=10"; path != ""; {
		r := d.get(path)
		require.Equal(t, http.StatusOK, r.status)
		assert.EqualValues(t, 25, r.json["totalCount"])
		for _, e := range r.json["results"].([]any) {
			names[e.(map[string]any)["name"].(string)] = true
		}
		path = ""
		for _, l := range r.json["links"].([]any) {
			rel, href := l.(map[string]any)["rel"].(string), l.(map[string]any)["href"].(string)
			if rels = append(rels, rel); rel == "next" {
				path = strings.TrimPrefix(href, srv.URL())
			}
		}
	}
	assert.Len(t, names, 25)
	assert.Equal(t, []string{"self", "next", "self", "previous", "next", "self", "previous"}, rels)
	assert.Subset(t, names, map[string]bool{"payments-prod": true, "payments-staging": true, "search-prod": true, "ledger-prod": true})
	assert.Empty(t, d.get("/api/atlas/v2/groups?pageNum=9").json["results"])

	id := srv.ProjectID("ledger-prod")
	r := d.get(integrationsPath(id) + "?itemsPerPage=4&pageNum=3")
	assert.Len(t, r.json["results"], 1)
	assert.EqualValues(t, 9, r.json["totalCount"])
	for _, p := range srv.Projects() {
		for _, typ := range atlassim.Types() {
			_, ok := srv.Integration(p.ID, typ)
			assert.True(t, ok, "%s %s", p.Name, typ)
		}
	}
}

func TestOddEntriesInLists(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{Quirks: atlassim.Quirks{NullEntries: true, UnknownTypes: true}})
	d.seedAll(projectID)
	require.NoError(t, d.Seed(projectID, map[string]any{"type": "TELEGRAPH", "wire": "in clear"}))
	r := d.put("DATADOG", with("DATADOG", nil))
	require.Equal(t, http.StatusOK, r.status)
	assert.Contains(t, r.json["results"], nil)
	assert.Contains(t, r.entries(), "CARRIER_PIGEON")
	assert.Equal(t, "in clear", r.entries()["TELEGRAPH"]["wire"])

	require.NoError(t, d.Seed(projectID, atlassim.Sample("WEBHOOK", "old")))
	sample := atlassim.Sample("WEBHOOK", "old")
	d.SetQuirks(atlassim.Quirks{Templates: atlassim.TemplatesPlain})
	assert.Equal(t, sample["bodyTemplate"], d.get(integrationPath(projectID, "WEBHOOK")).json["bodyTemplate"])
	d.SetQuirks(atlassim.Quirks{Templates: atlassim.TemplatesHidden})
	assert.Nil(t, d.get(integrationPath(projectID, "WEBHOOK")).json["bodyTemplate"])
	d.SetQuirks(atlassim.Quirks{Templates: atlassim.TemplatesStars})
	assert.Equal(t, "****", d.get(integrationPath(projectID, "WEBHOOK")).json["bodyTemplate"])
	body, _ := sample["bodyTemplate"].(string)
	d.SetQuirks(atlassim.Quirks{Templates: atlassim.TemplatesTail})
	assert.Equal(t, "****"+body[len(body)-4:], d.get(integrationPath(projectID, "WEBHOOK")).json["bodyTemplate"])
	d.SetQuirks(atlassim.Quirks{BareURLs: true})
	assert.Equal(t, "https://hooks.example.com/****", d.get(integrationPath(projectID, "WEBHOOK")).json["url"])
}

func TestVersions(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	path := integrationPath(projectID, "DATADOG")
	for accept, want := range map[string]int{
		mediaType:                               200,
		mediaType + ";charset=utf-8":            200,
		"":                                      406,
		"*/*":                                   406,
		"application/json":                      406,
		"application/vnd.atlas.2025-03-12+json": 406,
		"application/vnd.atlas.2023-01-01+csv":  406,
		"application/vnd.atlas.2022-01-01+json": 410,
		"application/vnd.atlas.2023-13-01+json": 400,
		"application/vnd.atlas.latest+json":     400,
		mediaType + ", application/json":        406,
	} {
		assert.Equal(t, want, d.put("DATADOG", with("DATADOG", nil), header("Accept", accept)).status, "Accept: %s", accept)
	}
	assert.Equal(t, "INVALID_VERSION_DATE", d.get(path, header("Accept", "application/vnd.atlas.latest+json")).code())
	assert.Equal(t, "VERSION_GONE", d.get(path, header("Accept", "application/vnd.atlas.2022-01-01+json")).code())
	for contentType, want := range map[string]int{
		mediaType:                               200,
		"application/json; charset=utf-8":       200,
		"":                                      415,
		"text/plain":                            415,
		"application/x-www-form-urlencoded":     415,
		"application/vnd.atlas.2025-03-12+json": 415,
		"application/vnd.atlas.soon+json":       400,
	} {
		assert.Equal(t, want, d.put("DATADOG", with("DATADOG", nil), header("Content-Type", contentType)).status,
			"Content-Type: %s", contentType)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	body := with("DATADOG", nil)

	require.NoError(t, d.SetRole(projectID, atlassim.RoleReadOnly))
	assert.Equal(t, 200, d.get(integrationPath(projectID, "DATADOG")).status)
	r := d.put("DATADOG", body)
	assert.Equal(t, 401, r.status)
	assert.Equal(t, "USER_UNAUTHORIZED", r.code())
	assert.Empty(t, r.header.Get("WWW-Authenticate"), "the login was fine")

	require.NoError(t, d.SetRole(projectID, atlassim.RoleNone))
	r = d.get(integrationPath(projectID, "DATADOG"))
	assert.Equal(t, 401, r.status)
	assert.Equal(t, "NOT_IN_GROUP", r.code())
	assert.EqualValues(t, 1, d.get("/api/atlas/v2/groups").json["totalCount"])

	require.NoError(t, d.SetRole(projectID, atlassim.RoleOwner))
	d.SetMaintenance(true)
	assert.Equal(t, 200, d.get(integrationPath(projectID, "DATADOG")).status)
	r = d.put("DATADOG", body)
	assert.Equal(t, 405, r.status)
	assert.Equal(t, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES", r.code())
	d.SetMaintenance(false)
	assert.Equal(t, 200, d.put("DATADOG", body).status)

	d.DeleteProject(projectID)
	assert.Equal(t, "GROUP_NOT_FOUND", d.put("DATADOG", body).code())
	_, ok := d.Integration(projectID, "DATADOG")
	assert.False(t, ok)
}

func TestSlack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	old := atlassim.Sample("SLACK", "old")
	put := func(change map[string]any) any {
		body := maps.Clone(old)
		maps.Copy(body, change)
		return d.put("SLACK", body).code()
	}
	require.NoError(t, d.SetSlack(projectID, atlassim.SlackOAuth2))
	assert.Equal(t, "SLACK_OAUTH2_NOT_CONFIGURED", put(nil))
	require.NoError(t, d.Seed(projectID, old))
	assert.Equal(t, "MUST_RECONFIGURE_SLACK_OAUTH2", put(map[string]any{"apiToken": "another"}))
	assert.Equal(t, "MUST_RECONFIGURE_SLACK_OAUTH2", put(map[string]any{"teamName": "another"}))
	assert.Nil(t, put(map[string]any{"channelName": "another"}))
	require.NoError(t, d.SetSlack(projectID, atlassim.SlackLegacy))
	assert.Equal(t, "LEGACY_SLACK_CONFIGURATION_UNSUPPORTED", put(nil))
	require.NoError(t, d.SetSlack(projectID, atlassim.SlackNotConfigured))
	assert.Equal(t, "SLACK_OAUTH2_NOT_CONFIGURED", put(nil))
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	clock := atlassim.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	d := newDesk(t, atlassim.Options{Clock: clock})
	path := integrationsPath(projectID)

	r := d.get(path)
	assert.Equal(t, "1200", r.header.Get("RateLimit-Limit"))
	assert.Equal(t, "1199", r.header.Get("RateLimit-Remaining"))
	d.SetRateTokens(projectID, 1)
	assert.Equal(t, "0", d.get(path).header.Get("RateLimit-Remaining"))
	clock.Advance(20*time.Second + time.Millisecond)
	r = d.put("DATADOG", with("DATADOG", nil))
	assert.Equal(t, 429, r.status)
	assert.Equal(t, "RATE_LIMITED_TOKEN_BUCKET", r.code())
	assert.Equal(t, "40", r.header.Get("Retry-After"))
	assert.Equal(t, []any{integrationPath(projectID, "DATADOG"), 40.0, 1200.0, 500.0, 60.0}, r.json["parameters"])
	assert.Empty(t, d.Puts(projectID, "DATADOG"))
	assert.Equal(t, 200, d.get(integrationsPath(otherID)).status, "each project has its own")
	assert.Equal(t, 200, d.get("/api/atlas/v2/groups").status, "and so has the user")
	clock.Advance(40 * time.Second)
	assert.Equal(t, "499", d.get(path).header.Get("RateLimit-Remaining"))
	clock.Advance(30 * time.Minute)
	assert.Equal(t, "1199", d.get(path).header.Get("RateLimit-Remaining"))

	d.SetRateTokens("", 0)
	assert.Equal(t, 429, d.get("/api/atlas/v2/groups").status)
	d.SetQuirks(atlassim.Quirks{NoRateHeaders: true})
	r = d.get("/api/atlas/v2/groups")
	assert.Empty(t, r.header.Get("RateLimit-Limit"))
	assert.NotEmpty(t, r.header.Get("Retry-After"))

	free := newDesk(t, atlassim.Options{NoRateLimits: true})
	free.SetRateTokens(projectID, 0)
	assert.Equal(t, 200, free.get(path).status)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, opt := range []atlassim.Options{
		{Addr: "0.0.0.0:0"},
		{Addr: "nonsense"},
		{RateLimit: atlassim.RateLimit{Capacity: 1}},
	} {
		_, err := atlassim.New(opt)
		require.Error(t, err)
	}
	d := newDesk(t, atlassim.Options{Hosts: []string{"atlas.test"}})
	_, err := atlassim.New(atlassim.Options{Addr: strings.TrimPrefix(d.URL(), "http://")})
	require.Error(t, err, "the port is taken")

	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	assert.Equal(t, 200, d.get("/api/atlas/v2/groups", host("atlas.test")).status)
	assert.Equal(t, 200, d.get("/api/atlas/v2/groups", host("localhost:8080")).status)
	assert.Equal(t, 421, d.get("/api/atlas/v2/groups", host("evil.example")).status)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, atlassim.Options{})
	d.seedAll(projectID)
	defer d.Subscribe(func(atlassim.Call) { d.Shown(projectID, "DATADOG") })()
	const clients, rounds = 8, 10
	var g sync.WaitGroup
	for range clients {
		g.Go(func() {
			for range rounds {
				assert.Equal(t, 200, d.put("DATADOG", with("DATADOG", nil)).status)
				assert.Equal(t, 200, d.get(integrationsPath(projectID)).status)
				assert.NoError(t, d.ChangeBehind(projectID, "SLACK", func(s map[string]any) { s["channelName"] = "x" }))
			}
		})
	}
	g.Wait()
	assert.Len(t, d.Calls(), 2*clients*rounds)
	assert.Len(t, d.Puts(projectID, "DATADOG"), clients*rounds)
	assert.Equal(t, 1, d.Effects(projectID, "DATADOG"), "all wanted the same")
}

func TestCalls(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := newDesk(t, atlassim.Options{Clock: atlassim.NewClock(at)})
	told := make(chan atlassim.Call, 1)
	cancel := d.Subscribe(func(c atlassim.Call) { told <- c })
	d.put("DATADOG", with("DATADOG", nil), header("User-Agent", "bot/1"))
	c := <-told
	c.Duration = 0
	assert.Equal(t, atlassim.Call{
		At: at, Method: "PUT", Path: integrationPath(projectID, "DATADOG"), GroupID: projectID, Type: "DATADOG",
		Auth: "bearer", UserAgent: "bot/1", Status: 200, Applied: true,
	}, c)
	cancel()
	d.get(integrationPath(projectID, "SLACK") + "?x=secret")
	require.Len(t, d.Calls(), 2)
	assert.Equal(t, "INVALID_QUERY_PARAMETER", d.Calls()[1].ErrorCode)
	assert.NotContains(t, d.Calls()[1].Path, "secret")

	waited := make(chan error, 1)
	go func() {
		waited <- d.WaitCalls(t.Context(), func(calls []atlassim.Call) bool { return len(calls) == 3 })
	}()
	d.get(groupPath(projectID))
	require.NoError(t, <-waited)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, d.WaitCalls(ctx, func([]atlassim.Call) bool { return false }), context.Canceled)
	d.Forget()
	assert.Empty(t, d.Calls())
	assert.Zero(t, d.Effects(projectID, "DATADOG"))
}
