package atlas

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	paymentsID = "0123456789abcdef01234567"
	searchID   = "fedcba987654321001234567"
)

// logins are the two ways to be somebody.
var logins = map[string]func(*atlassim.Server) Config{
	"service account": func(srv *atlassim.Server) Config {
		return Config{BaseURL: srv.URL(), ClientID: srv.ClientID(), ClientSecret: secret.New(srv.ClientSecret())}
	},
	"API key": func(srv *atlassim.Server) Config {
		return Config{BaseURL: srv.URL() + "/", PublicKey: srv.PublicKey(), PrivateKey: secret.New(srv.PrivateKey())}
	},
}

// newAtlas starts a stand-in with two projects, in which all types are configured.
func newAtlas(t *testing.T, opt atlassim.Options) *atlassim.Server {
	t.Helper()
	srv, err := atlassim.New(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, srv.Close()) })
	for id, name := range map[string]string{paymentsID: "payments-prod", searchID: "search-prod"} {
		require.NoError(t, srv.AddProject(id, name))
		for _, typ := range atlassim.Types() {
			require.NoError(t, srv.Seed(id, atlassim.Sample(typ, name)))
		}
	}
	return srv
}

func newClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // the stand-in may be out of order by now
	return c
}

// newPair is a stand-in and a client with a service account.
func newPair(t *testing.T) (*atlassim.Server, *Client) {
	t.Helper()
	srv := newAtlas(t, atlassim.Options{})
	return srv, newClient(t, logins["service account"](srv))
}

// newStub is a server of the test's own with a client; it gives out a token.
func newStub(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+atlassim.TokenPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"stub","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("POST "+atlassim.RevokePath, func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", handler)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return newClient(t, Config{BaseURL: srv.URL, ClientID: "id", ClientSecret: secret.New("not" + "-a-secret")})
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType+";charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

// refusalOf is the *Error in an error.
func refusalOf(t *testing.T, err error) *Error {
	t.Helper()
	var refusal *Error
	require.ErrorAs(t, err, &refusal)
	return refusal
}

// soon is a context for waiting until something happens that has to.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func requireUnknown(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	var refusal *Error
	require.NotErrorAs(t, err, &refusal, "nobody knows what became of the call")
	require.NotErrorIs(t, err, ErrNotSent)
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	for login, config := range logins {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			srv := newAtlas(t, atlassim.Options{Quirks: atlassim.Quirks{NullEntries: true, UnknownTypes: true}})
			c := newClient(t, config(srv))
			for name := range good {
				s := settings(t, name)
				shown, err := c.Update(t.Context(), paymentsID, s)
				require.NoError(t, err)
				proof := s.Prove(shown)
				assert.Empty(t, proof.Wrong, name)
				assert.Equal(t, name == "PROMETHEUS" || name == "WEBHOOK", len(proof.Unseen) > 0, name)

				again, err := c.Integration(t.Context(), paymentsID, s.Type)
				require.NoError(t, err)
				assert.True(t, again.Same(shown), name)

				want, err := s.Payload()
				require.NoError(t, err)
				puts := srv.Puts(paymentsID, name)
				require.Len(t, puts, 1)
				assert.True(t, bytes.Equal(want, puts[0]), "%s: the body of the PUT", name)
				held, _ := srv.Integration(paymentsID, name)
				for field, value := range s.Secrets {
					assert.True(t, held[field] == value.Reveal(), "%s.%s", name, field)
				}
				assert.Zero(t, srv.Effects(searchID, name))
			}
			for _, call := range srv.Calls() {
				assert.Contains(t, call.UserAgent, "atlas-integration-bot (", call.Path)
			}
		})
	}
}

// TestTemplates: however Atlas may show templates, those that it took do not look like
// others, and only in clear are they proven.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for templates, unseen := range map[atlassim.Templates][]string{
		atlassim.TemplatesMasked: {"Headers template", "Body template"},
		atlassim.TemplatesPlain:  nil,
		atlassim.TemplatesHidden: {"Headers template", "Body template"},
		atlassim.TemplatesStars:  {"Headers template", "Body template"},
		atlassim.TemplatesTail:   {"Headers template", "Body template"},
	} {
		t.Run(fmt.Sprint(templates), func(t *testing.T) {
			t.Parallel()
			srv := newAtlas(t, atlassim.Options{Quirks: atlassim.Quirks{Templates: templates}})
			s := settings(t, "WEBHOOK")
			shown, err := newClient(t, logins["service account"](srv)).Update(t.Context(), paymentsID, s)
			require.NoError(t, err)
			assert.Equal(t, Proof{Unseen: unseen}, s.Prove(shown))
		})
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for login, config := range logins {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			srv := newAtlas(t, atlassim.Options{Quirks: atlassim.Quirks{NullEntries: true, UnknownTypes: true}})
			c := newClient(t, config(srv))

			projects, err := c.Projects(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []Project{{paymentsID, "payments-prod"}, {searchID, "search-prod"}}, projects)
			project, err := c.Project(t.Context(), searchID)
			require.NoError(t, err)
			assert.Equal(t, Project{searchID, "search-prod"}, project)

			all, err := c.Integrations(t.Context(), paymentsID)
			require.NoError(t, err)
			var names []string
			for _, i := range all {
				names = append(names, i.Type)
				if i.Type == "CARRIER_PIGEON" {
					assert.Equal(t, &Integration{Type: i.Type, ID: i.ID}, i)
				}
			}
			assert.ElementsMatch(t, append(atlassim.Types(), "CARRIER_PIGEON"), names)

			require.NoError(t, srv.RemoveBehind(paymentsID, "WEBHOOK"))
			webhook, _ := FindType("WEBHOOK")
			_, err = c.Integration(t.Context(), paymentsID, webhook)
			refusal := refusalOf(t, err)
			assert.Equal(t, "INTEGRATION_NOT_CONFIGURED", refusal.Code)
			assert.Equal(t, "get WEBHOOK: atlas 404 INTEGRATION_NOT_CONFIGURED: The integration of type 'WEBHOOK' is not configured for this group.", err.Error())
			assert.Equal(t, []string{"WEBHOOK"}, refusal.Parameters)
			assert.False(t, refusal.Temporary())
		})
	}
}

// Whether the role allows a change is found out without one.
func TestTryRole(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	require.NoError(t, c.TryRole(t.Context(), paymentsID))
	for _, role := range []atlassim.Role{atlassim.RoleReadOnly, atlassim.RoleNone} {
		require.NoError(t, srv.SetRole(paymentsID, role))
		var refusal *Error
		require.ErrorAs(t, c.TryRole(t.Context(), paymentsID), &refusal)
		assert.True(t, refusal.OfRole(), "%v", refusal)
	}
	srv.SetIPBlock(atlassim.BlockedAtUse)
	var refusal *Error
	require.ErrorAs(t, c.TryRole(t.Context(), searchID), &refusal)
	assert.False(t, refusal.OfRole(), "%v", refusal)
}

func TestProjectsOfManyPages(t *testing.T) {
	t.Parallel()
	srv := newAtlas(t, atlassim.Options{})
	for i := range 600 {
		require.NoError(t, srv.AddProject(fmt.Sprintf("%024x", 0xa000+i), fmt.Sprintf("project-%04d", i)))
	}
	projects, err := newClient(t, logins["service account"](srv)).Projects(t.Context())
	require.NoError(t, err)
	require.Len(t, projects, 602)
	assert.True(t, slices.IsSortedFunc(projects, func(a, b Project) int { return strings.Compare(a.Name, b.Name) }))
	assert.Len(t, slices.Compact(projects), 602)
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	project := func(n int) string { return fmt.Sprintf(`{"id":"%024x","name":"p%d"}`, n, n) }
	pages := map[string]string{
		"1": `{"results":[` + project(1) + `,null,` + project(2) + `],"links":[{"rel":"self"},{"rel":"next"}],"totalCount":1}`,
		"2": `{"results":[` + project(2) + `,{"id":"../../x","name":"x"},7,{}],"links":[{"rel":"next"}]}`,
		"3": `{"results":[],"links":[{"rel":"next"}]}`,
	}
	c := newStub(t, func(w http.ResponseWriter, r *http.Request) { answer(pages[r.URL.Query().Get("pageNum")])(w, r) })
	projects, err := c.Projects(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Project{{fmt.Sprintf("%024x", 1), "p1"}, {fmt.Sprintf("%024x", 2), "p2"}}, projects)

	endless := newStub(t, answer(pages["1"]))
	_, err = endless.Projects(t.Context())
	assert.EqualError(t, err, "list projects: the list has more than 100 pages")
}

// TestRefusals has Atlas refuse a PUT with everything that is known of it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	const temporary, final = true, false
	for _, tt := range []struct {
		status    int
		code      string
		temporary bool
		advice    string
	}{
		{400, "INVALID_INTEGRATION_SETTINGS", final, "Check the values"},
		{400, "INTEGRATION_FIELDS_INVALID", final, "Check the values"},
		{400, "INVALID_DATADOG_API_KEY", final, "32 characters"},
		{400, "INVALID_PAGER_DUTY_SERVICE_KEY", final, "32 characters"},
		{400, "HIPCHAT_NOT_SUPPORTED", final, "no longer exists"},
		{400, "LEGACY_SLACK_CONFIGURATION_UNSUPPORTED", final, "own console"},
		{400, "SLACK_OAUTH2_NOT_CONFIGURED", final, "own console"},
		{400, "MUST_RECONFIGURE_SLACK_OAUTH2", final, "own console"},
		{400, "MISSING_ATTRIBUTE", final, "Check the values"},
		{400, "MISSING_ATTRIBUTES", final, "Check the values"},
		{400, "INVALID_ATTRIBUTE", final, "Check the values"},
		{400, "INVALID_ENUM_VALUE", final, "Check the values"},
		{400, "INVALID_URL", final, "Check the address"},
		{400, "VALIDATION_ERROR", final, "Check the values"},
		{400, "MALFORMED_JSON", final, "fault of the bot"},
		{400, "INVALID_JSON", final, "fault of the bot"},
		{400, "INVALID_JSON_ATTRIBUTE", final, "fault of the bot"},
		{400, "INVALID_PATH_PARAMETER", final, "fault of the bot"},
		{400, "PATH_PARAM_PARSE_ERROR", final, "fault of the bot"},
		{400, "INVALID_QUERY_PARAMETER", final, "fault of the bot"},
		{400, "INVALID_VERSION_DATE", final, "fault of the bot"},
		{400, "WEBHOOK_NOTIFICATIONS_PRESENT", final, "alert settings"},
		{400, "A_NEW_CODE", final, "Check the values"},
		{401, "UNEXPECTED_ERROR", final, "rotated, deleted or have expired"},
		{401, "USER_UNAUTHORIZED", final, "Project Owner"},
		{401, "NOT_IN_GROUP", final, "Project Owner"},
		{401, "USER_CANNOT_ACCESS_GROUP", final, "Project Owner"},
		{402, "ACCOUNT_SUSPENDED", final, "invoices"},
		{403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", final, "add 192.0.2.7 to the API access list"},
		{403, "IP_ADDRESS_NOT_ON_WHITELIST", final, "add 192.0.2.7 to the API access list"},
		{403, "ORG_REQUIRES_WHITELIST", final, "with 192.0.2.7 in it"},
		{403, "RESOURCE_REQUIRES_WHITELIST", final, "with 192.0.2.7 in it"},
		{403, "ACCESS_FORBIDDEN", final, "Project Owner"},
		{403, "FEATURE_UNSUPPORTED", final, "plan"},
		{403, "UNSUPPORTED_FOR_CURRENT_PLAN", final, "plan"},
		{403, "A_NEW_CODE", final, "Project Owner"},
		{404, "INTEGRATION_NOT_CONFIGURED", final, "Set the integration up"},
		{404, "GROUP_NOT_FOUND", final, "deleted"},
		{404, "RESOURCE_NOT_FOUND", final, "removed"},
		{405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES", temporary, "being upgraded"},
		{405, "METHOD_NOT_ALLOWED", final, "fault of the bot"},
		{406, "", final, "fault of the bot"},
		{409, "INTEGRATION_ALREADY_CONFIGURED", final, "Somebody else"},
		{410, "VERSION_GONE", final, "fault of the bot"},
		{429, "RATE_LIMITED_TOKEN_BUCKET", temporary, "Wait"},
		{429, "RATE_LIMITED", temporary, "Wait"},
		{500, "UNEXPECTED_ERROR", temporary, "Wait"},
		{503, "SERVICE_UNAVAILABLE", temporary, "Wait"},
		{502, "", temporary, "Wait"},
	} {
		name := fmt.Sprint(tt.status, " ", tt.code)
		code := tt.code
		if code == "" {
			code = "UNEXPECTED_ERROR"
		}
		times := 1
		if tt.status == 401 && tt.code == "UNEXPECTED_ERROR" {
			times = 2 // once more with a fresh token
		}
		srv.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{
			Status: tt.status, Code: code, Detail: "From 192.0.2.7: no.\nReally.", RetryAfter: 7 * time.Second,
			Parameters: []any{"DATADOG", 7.5, nil, map[string]any{}},
		}, times)
		_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
		refusal := refusalOf(t, err)
		assert.Equal(t, &Error{
			Op: "put DATADOG", Project: paymentsID, Status: tt.status, Code: code, RetryAfter: 7 * time.Second,
			Detail: "From 192.0.2.7: no. Really.", Parameters: []string{"DATADOG", "7.5"},
		}, refusal, name)
		assert.Equal(t, fmt.Sprintf("put DATADOG: atlas %d %s: From 192.0.2.7: no. Really.", tt.status, code), err.Error())
		assert.Equal(t, tt.temporary, refusal.Temporary(), name)
		refusal.Code = tt.code
		assert.Contains(t, refusal.Advice(), tt.advice, name)
		assert.NotContains(t, refusal.Advice(), "{", name)
	}
	for code := range advice {
		assert.NotEmpty(t, (&Error{Status: 418, Code: code}).Advice(), code)
	}
	assert.Equal(t, "put DATADOG: atlas 418", (&Error{Op: "put DATADOG", Status: 418}).Error())
	assert.Contains(t, (&Error{Status: 418}).Advice(), "fault of the bot")
	assert.Contains(t, (&Error{Status: 403, Code: "IP_ADDRESS_NOT_ON_ACCESS_LIST"}).Advice(), "add the bot's address to")
	assert.Contains(t, (&Error{Op: fetchToken, Status: 404}).Advice(), "MONGODB_ATLAS_BASE_URL")
	assert.Zero(t, srv.Effects(paymentsID, "DATADOG"))
}

func TestFieldErrors(t *testing.T) {
	t.Parallel()
	c := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":400,"errorCode":"VALIDATION_ERROR","detail":null,"reason":"Bad Request",
			"parameters":null,"badRequestDetail":{"fields":[{"field":"region","description":"must not be null"}]}}`)
	})
	_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
	refusal := refusalOf(t, err)
	assert.Equal(t, []FieldError{{"region", "must not be null"}}, refusal.Fields)
	assert.Equal(t, "Bad Request", refusal.Detail)
}

func TestWhatAtlasReallySays(t *testing.T) {
	t.Parallel()
	for login, config := range logins {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			srv := newAtlas(t, atlassim.Options{Quirks: atlassim.Quirks{PutRefusesMissing: true}})
			c := newClient(t, config(srv))
			put := func(name string) *Error {
				_, err := c.Update(t.Context(), paymentsID, settings(t, name))
				return refusalOf(t, err)
			}
			require.NoError(t, srv.SetSlack(paymentsID, atlassim.SlackOAuth2))
			assert.Equal(t, "MUST_RECONFIGURE_SLACK_OAUTH2", put("SLACK").Code)
			require.NoError(t, srv.RemoveBehind(paymentsID, "WEBHOOK"))
			assert.Equal(t, "INTEGRATION_NOT_CONFIGURED", put("WEBHOOK").Code)
			srv.SetMaintenance(true)
			assert.True(t, put("DATADOG").Temporary())
			srv.SetMaintenance(false)
			issued := srv.TokensIssued()
			require.NoError(t, srv.SetRole(paymentsID, atlassim.RoleReadOnly))
			assert.Equal(t, http.StatusUnauthorized, put("DATADOG").Status)
			assert.Equal(t, issued, srv.TokensIssued(), "a missing role is not the fault of the token")
			srv.SetRateTokens(paymentsID, 0)
			limited := put("DATADOG")
			assert.True(t, limited.Temporary())
			assert.Positive(t, limited.RetryAfter)
			srv.SetIPBlock(atlassim.BlockedAtUse)
			assert.Contains(t, put("DATADOG").Advice(), "add 127.0.0.1 to")
			srv.SetIPBlock(atlassim.NotBlocked)
			srv.SetCredentialsRevoked(true)
			assert.Contains(t, put("DATADOG").Advice(), "rotated, deleted or have expired")
			srv.DeleteProject(searchID)
			srv.SetCredentialsRevoked(false)
			_, err := c.Project(t.Context(), searchID)
			assert.Equal(t, "GROUP_NOT_FOUND", refusalOf(t, err).Code)
		})
	}
}

// TestUnknownOutcomes has a PUT end without an answer, or with none that can be
// understood: no *Error, so that nobody takes it for a refusal.
func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind    atlassim.Kind
		applied bool
		say     string
	}{
		"reset before":        {atlassim.ResetBeforeApply, false, "put DATADOG: "},
		"reset after":         {atlassim.ResetAfterApply, true, "put DATADOG: "},
		"cut":                 {atlassim.CutBody, true, "put DATADOG: read the answer: "},
		"truncated":           {atlassim.TruncatedJSON, true, "put DATADOG: atlas answered with something that is not a list"},
		"without end":         {atlassim.HugeBody, true, "put DATADOG: the answer is longer than 1048576 bytes"},
		"called another type": {atlassim.WrongContentType, true, "put DATADOG: the answer is not JSON"},
	} {
		for login, config := range logins {
			t.Run(name+", "+login, func(t *testing.T) {
				t.Parallel()
				srv := newAtlas(t, atlassim.Options{})
				c := newClient(t, config(srv))
				srv.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: tt.kind}, 1)
				s := settings(t, "DATADOG")
				_, err := c.Update(t.Context(), paymentsID, s)
				requireUnknown(t, err)
				assert.Contains(t, err.Error(), tt.say)
				assertHides(t, s, err.Error())
				assert.Equal(t, tt.applied, srv.Effects(paymentsID, "DATADOG") == 1)
				assert.Len(t, srv.Puts(paymentsID, "DATADOG"), 1, "it is not for the client to repeat a PUT")
			})
		}
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	srv := newAtlas(t, atlassim.Options{})
	config := logins["service account"](srv)
	c := newClient(t, config)
	config.Timeout = 50 * time.Millisecond
	hasty := newClient(t, config)
	for _, match := range []atlassim.Match{{Path: atlassim.TokenPath}, {Method: http.MethodPut}} {
		hang := srv.Fail(match, atlassim.Fault{Kind: atlassim.HangBeforeApply}, atlassim.Always)
		_, err := hasty.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
		requireUnknown(t, err)
		hang.Withdraw()
		hang.Release()
	}
	_, err := c.Projects(t.Context()) // so that there is a token
	require.NoError(t, err)
	for _, kind := range []atlassim.Kind{atlassim.HangBeforeApply, atlassim.HangAfterApply, atlassim.SlowBody} {
		ctx, cancel := context.WithCancel(t.Context())
		hang := srv.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: kind}, 1)
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := c.Update(ctx, paymentsID, settings(t, "DATADOG"))
			assert.ErrorIs(t, err, context.Canceled, kind)
		})
		require.NoError(t, hang.Wait(soon(t), 1))
		cancel()
		calls.Wait()
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	for _, config := range []Config{
		{BaseURL: srv.URL, ClientID: "id", ClientSecret: secret.New(longHex)},
		{BaseURL: srv.URL, PublicKey: "key", PrivateKey: secret.New(longHex)},
	} {
		c := newClient(t, config)
		s := settings(t, "DATADOG")
		_, err := c.Update(t.Context(), paymentsID, s)
		requireUnknown(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), "put DATADOG: "))
		assert.Contains(t, err.Error(), "refused")
		assertHides(t, s, err.Error())
	}
}

func TestProxiesInBetween(t *testing.T) {
	t.Parallel()
	var elsewhere sync.Map
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere.Store(r.URL.Path, true) }))
	defer other.Close()
	for login, config := range logins {
		for _, path := range []string{"", atlassim.TokenPath} {
			srv := newAtlas(t, atlassim.Options{})
			c := newClient(t, config(srv))
			match := atlassim.Match{Method: http.MethodPut}
			if path != "" {
				if login == "API key" {
					match.BeforeAuth = true
				} else {
					match = atlassim.Match{Path: path}
				}
			}
			for _, status := range []int{301, 302, 303, 307, 308} {
				srv.Fail(match, atlassim.Fault{Kind: atlassim.Redirect, Status: status, Location: other.URL + "/x"}, 1)
				_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
				refusal := refusalOf(t, err)
				assert.Equal(t, status, refusal.Status)
				assert.False(t, refusal.Temporary())
				assert.Contains(t, refusal.Advice(), "MONGODB_ATLAS_BASE_URL")
				if path == "" || match.BeforeAuth {
					assert.Equal(t, "redirected to "+strings.TrimPrefix(other.URL, "http://")+", and redirects are not followed", refusal.Detail)
				}
			}
			srv.Fail(match, atlassim.Fault{Kind: atlassim.HTMLPage}, 1)
			_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
			refusal := refusalOf(t, err)
			assert.Equal(t, http.StatusBadGateway, refusal.Status)
			assert.True(t, refusal.Temporary())
			assert.Empty(t, refusal.Code)
			assert.Zero(t, srv.Effects(paymentsID, "DATADOG"))
		}
	}
	elsewhere.Range(func(path, _ any) bool { t.Errorf("a redirect was followed to %v", path); return true })
}

// TestEchoedSecrets has Atlas quote what it was sent: in detail, parameters and
// field errors.
func TestEchoedSecrets(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	for name := range good {
		srv.Fail(atlassim.Match{Type: name}, atlassim.Fault{Kind: atlassim.EchoSecret}, 1)
		s := settings(t, name)
		_, err := c.Update(t.Context(), paymentsID, s)
		refusal := refusalOf(t, err)
		assertHides(t, s, fmt.Sprintf("%v %+v %s", err, *refusal, refusal.Advice()))
		assert.Contains(t, refusal.Detail, "The settings were not accepted")
		assert.Contains(t, refusal.Detail, dots)
		assert.Equal(t, "INVALID_INTEGRATION_SETTINGS", refusal.Code)
	}
}

// TestBrokenAnswersQuoteNothing has a server say what it was sent in places where
// net/http or encoding/json would repeat it.
func TestBrokenAnswersQuoteNothing(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"status line":  "HTTP/1.1 KEY\r\n\r\n",
		"no HTTP":      "KEY\r\n\r\n",
		"header":       "HTTP/1.1 200 OK\r\nKEY\r\n\r\n",
		"JSON string":  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n\"KEY\"",
		"code":         "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n{\"errorCode\":\"KEY\"}",
		"plain text":   "HTTP/1.1 400 Bad\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\r\nKEY",
		"redirect":     "HTTP/1.1 302 Found\r\nLocation: https://KEY.example.com/\r\nContent-Length: 0\r\n\r\n",
		"deprecation":  "HTTP/1.1 400 Bad\r\nDeprecation: true\r\nContent-Length: 0\r\n\r\n",
		"retry header": "HTTP/1.1 429 Slow\r\nRetry-After: KEY\r\nContent-Length: 0\r\n\r\n",
	} {
		s := settings(t, "DATADOG")
		c := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, strings.ReplaceAll(raw, "KEY", hexKey))
			_ = conn.Close()
		})
		_, err := c.Update(t.Context(), paymentsID, s)
		require.Error(t, err, name)
		assertHides(t, s, err.Error())
		if refusal := (*Error)(nil); errors.As(err, &refusal) {
			assertHides(t, s, fmt.Sprintf("%+v", *refusal))
			assert.NotContains(t, refusal.Code, dots)
		}
	}
}

func TestAnswersThatMissTheIntegration(t *testing.T) {
	t.Parallel()
	s := settings(t, "DATADOG")
	for _, body := range []string{
		`{"results":[]}`, `{"results":[null,{},7,"DATADOG",{"type":"PAGER_DUTY"},{"type":"datadog"}]}`,
	} {
		_, err := newStub(t, answer(body)).Update(t.Context(), paymentsID, s)
		requireUnknown(t, err)
		assert.EqualError(t, err, "put DATADOG: atlas took the change, but its answer does not show the integration")
	}
	for _, body := range []string{``, `{}`, `[]`, `null`, `{"results":{}}`, `{"results":null}`, `{"results":[]} x`} {
		_, err := newStub(t, answer(body)).Update(t.Context(), paymentsID, s)
		requireUnknown(t, err)
	}
	for _, body := range []string{`[]`, `{}`, `{"type":"PAGER_DUTY"}`, `{"results":[{"type":"DATADOG"}]}`} {
		_, err := newStub(t, answer(body)).Integration(t.Context(), paymentsID, s.Type)
		requireUnknown(t, err)
	}
	_, err := newStub(t, answer(`{"id":"`+searchID+`","name":"search-prod"}`)).Project(t.Context(), paymentsID)
	requireUnknown(t, err)
}

func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	srv, c := newPair(t)
	hipChat, _ := FindType("HIP_CHAT")
	_, err := c.Update(t.Context(), paymentsID, &Settings{Type: hipChat})
	require.ErrorIs(t, err, ErrNotSent)
	assert.Contains(t, err.Error(), "HIPCHAT_NOT_SUPPORTED")
	_, err = c.Integration(t.Context(), paymentsID, hipChat)
	require.ErrorIs(t, err, ErrNotSent)

	s := settings(t, "DATADOG")
	for _, id := range []string{"", "x", strings.ToUpper(paymentsID), paymentsID + "/..", "../" + paymentsID[3:], paymentsID + "\n"} {
		_, err := c.Update(t.Context(), id, s)
		require.ErrorIs(t, err, ErrNotSent)
		_, err = c.Integration(t.Context(), id, s.Type)
		require.ErrorIs(t, err, ErrNotSent)
		_, err = c.Integrations(t.Context(), id)
		require.ErrorIs(t, err, ErrNotSent)
		_, err = c.Project(t.Context(), id)
		require.ErrorIs(t, err, ErrNotSent)
	}
	s.Secrets["apiKey"] = secret.New(strings.Repeat("*", 28) + "a23c")
	_, err = c.Update(t.Context(), paymentsID, s)
	require.ErrorIs(t, err, ErrNotSent)
	assert.Contains(t, err.Error(), "put DATADOG: nothing was sent: apiKey: This is a masked value")
	assert.Empty(t, srv.Calls())
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	account := Config{ClientID: "id", ClientSecret: secret.New(longHex)}
	for given, want := range map[string]string{
		"":                                "https://cloud.mongodb.com",
		"https://cloud.mongodbgov.com":    "https://cloud.mongodbgov.com",
		"https://cloud-dev.mongodb.com//": "https://cloud-dev.mongodb.com",
		"http://localhost:8080":           "http://localhost:8080",
		"http://127.0.0.1:1/":             "http://127.0.0.1:1",
		"http://[::1]:1":                  "http://[::1]:1",
	} {
		account.BaseURL = given
		c, err := NewClient(account)
		if assert.NoError(t, err, given) {
			assert.Equal(t, want, c.base)
			assert.Equal(t, want+"/api/oauth/token", c.tokens.config.TokenURL)
			assert.Equal(t, want+"/api/oauth/revoke", c.tokens.revoke)
			assert.NoError(t, c.Close(t.Context()))
		}
	}
	for _, given := range []string{
		"cloud.mongodb.com", "http://cloud.mongodb.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://localhost",
		"https://", "https://:443", "https:cloud.mongodb.com", "https://cloud.mongodb.com/api/atlas/v2", "https://cloud.mongodb.com?a=b",
		"https://cloud.mongodb.com?", "https://cloud.mongodb.com#a", "https://user:" + longHex + "@cloud.mongodb.com", "https://a b", "://" + longHex, " ",
	} {
		account.BaseURL = given
		_, err := NewClient(account)
		if assert.Error(t, err, given) {
			assert.Contains(t, err.Error(), "atlas base URL: ")
			assert.NotContains(t, err.Error(), longHex)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	key := secret.New(longHex)
	for _, config := range []Config{
		{},
		{ClientID: "id"},
		{ClientSecret: key},
		{PublicKey: "key"},
		{PrivateKey: key},
		{ClientID: "id", ClientSecret: key, PublicKey: "key", PrivateKey: key},
		{ClientID: "id", PrivateKey: key},
	} {
		_, err := NewClient(config)
		if assert.Error(t, err) {
			assert.Contains(t, err.Error(), "atlas credentials: ")
			assert.NotContains(t, err.Error(), longHex)
		}
	}
}

// TestWire looks at the requests themselves.
func TestWire(t *testing.T) {
	t.Parallel()
	for login, config := range logins {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			srv := newAtlas(t, atlassim.Options{})
			seen := &recorder{next: newTransport()}
			defer seen.next.CloseIdleConnections()
			cfg := config(srv)
			cfg.Transport, cfg.UserAgent = seen, "atlas-integration-bot/1.2.3 (linux;amd64)"
			c := newClient(t, cfg)
			_, err := c.Update(t.Context(), paymentsID, settings(t, "DATADOG"))
			require.NoError(t, err)
			require.NoError(t, c.Close(t.Context()))
			var puts, withBody int
			for _, r := range seen.requests {
				assert.Equal(t, cfg.UserAgent, r.Header.Get("User-Agent"))
				switch r.URL.Path {
				case atlassim.TokenPath, atlassim.RevokePath:
					id, password, ok := r.BasicAuth()
					assert.True(t, ok && id == url.QueryEscape(srv.ClientID()) && password == url.QueryEscape(srv.ClientSecret()))
					assert.Equal(t, "application/json", r.Header.Get("Accept"))
				default:
					puts++
					assert.Equal(t, mediaType, r.Header.Get("Accept"))
					assert.Equal(t, mediaType, r.Header.Get("Content-Type"))
					if r.ContentLength > 0 {
						withBody++
						assert.NotEmpty(t, r.Header.Get("Authorization"), "secrets go only where a login was asked for")
					}
				}
			}
			assert.Equal(t, 1, withBody)
			assert.Equal(t, map[string]int{"service account": 1, "API key": 2}[login], puts)
		})
	}
	assert.GreaterOrEqual(t, newTransport().TLSClientConfig.MinVersion, uint16(0x0303), "TLS 1.2")
}

type recorder struct {
	next     *http.Transport
	mu       sync.Mutex
	requests []*http.Request
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests = append(r.requests, req)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

func TestLogs(t *testing.T) {
	t.Parallel()
	srv := newAtlas(t, atlassim.Options{})
	var logs bytes.Buffer
	config := logins["service account"](srv)
	config.Log = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := newClient(t, config)
	srv.Fail(atlassim.Match{}, atlassim.Fault{
		Kind: atlassim.EchoSecret, Header: map[string]string{"Deprecation": "true", "Sunset": "Sat, 01 Jan 2028 00:00:00 GMT"},
	}, 2)
	s := settings(t, "DATADOG")
	for range 2 {
		_, err := c.Update(t.Context(), paymentsID, s)
		require.Error(t, err)
	}
	assert.Equal(t, 1, strings.Count(logs.String(), "Sat, 01 Jan 2028"), "once is enough")
	assert.Equal(t, 2, strings.Count(logs.String(), `"status":400`))
	assertHides(t, s, logs.String())
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(srv.ClientID()) + ":" + url.QueryEscape(srv.ClientSecret())))
	assert.False(t, strings.Contains(logs.String(), srv.ClientSecret()) || strings.Contains(logs.String(), basic))
}

// TestRecordedAnswers reads answers in the form in which Atlas was seen to send them.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	c := newStub(t, answer(`{
		"links": [{"href": "https://cloud.mongodb.com/api/atlas/v2/groups/x/integrations?includeCount=true&pageNum=1&itemsPerPage=100", "rel": "self"}],
		"results": [
			{"id": "6a0000000000000000000001", "region": "US", "serviceKey": "****************************7890", "type": "PAGER_DUTY"},
			{"bodyTemplate": null, "headersTemplate": null, "id": "6a0000000000000000000002", "secret": "**************************abcd", "type": "WEBHOOK", "url": "https://example.com/****abcd"}
		], "totalCount": 2}`))
	all, err := c.Integrations(t.Context(), paymentsID)
	require.NoError(t, err)
	encoded, err := json.Marshal(all)
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"type": "PAGER_DUTY", "id": "6a0000000000000000000001", "plain": {"region": "US"}, "masks": {"serviceKey": {"length": 32, "last_four": "7890"}}},
		{"type": "WEBHOOK", "id": "6a0000000000000000000002", "masks": {
			"secret": {"length": 30, "last_four": "abcd"}, "url": {"origin": "https://example.com", "last_four": "abcd"}}}
	]`, string(encoded))
}
