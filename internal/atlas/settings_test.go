package atlas

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// Values of the right form that are nobody's.
var (
	hexKey  = strings.Repeat("ab", 14) + "12cd"
	uuidKey = strings.Repeat("c", 8) + strings.Repeat("-"+strings.Repeat("d", 4), 3) + "-" + strings.Repeat("e", 8) + "34ef"
	longHex = strings.Repeat("0f", 18) + "56ab"
)

// good are settings of each type that pass without a warning, and the body that
// they make.
var good = map[string]struct {
	plain, secrets map[string]string
	body           string // secrets as %[1]s…, in the order of their names
}{
	"PAGER_DUTY": {
		plain:   map[string]string{"region": "EU"},
		secrets: map[string]string{"serviceKey": hexKey},
		body:    `{"type":"PAGER_DUTY","region":"EU","serviceKey":%s}`,
	},
	"OPS_GENIE": {
		secrets: map[string]string{"apiKey": uuidKey},
		body:    `{"type":"OPS_GENIE","region":"US","apiKey":%s}`,
	},
	"DATADOG": {
		plain:   map[string]string{"region": "US1_FED", "sendDatabaseMetrics": "true"},
		secrets: map[string]string{"apiKey": hexKey},
		body: `{"type":"DATADOG","region":"US1_FED","sendDatabaseMetrics":true,"sendCollectionLatencyMetrics":false,
			"sendQueryStatsMetrics":false,"sendUserProvidedResourceTags":false,"apiKey":%s}`,
	},
	"VICTOR_OPS": {
		plain:   map[string]string{"routingKey": "on call"},
		secrets: map[string]string{"apiKey": uuidKey},
		body:    `{"type":"VICTOR_OPS","routingKey":"on call","apiKey":%s}`,
	},
	"WEBHOOK": {
		secrets: map[string]string{
			"url": "https://hooks.example.com/atlas?a=1&token=" + longHex, "secret": longHex,
			"headersTemplate": "{\"X-Token\": \"" + longHex + "\",\n\t\"X-Id\": \"<${id}>\"}",
			"bodyTemplate":    "{\"text\": \"Zürich ✉ 𝕏\"}",
		},
		body: `{"type":"WEBHOOK","bodyTemplate":%s,"headersTemplate":%s,"secret":%s,"url":%s}`,
	},
	"MICROSOFT_TEAMS": {
		secrets: map[string]string{"microsoftTeamsWebhookUrl": "https://example.webhook.office.com/webhookb2/" + uuidKey},
		body:    `{"type":"MICROSOFT_TEAMS","microsoftTeamsWebhookUrl":%s}`,
	},
	"PROMETHEUS": {
		plain:   map[string]string{"username": "prom_user", "enabled": "false"},
		secrets: map[string]string{"password": "correct" + " horse \"battery\" <staple>"},
		body: `{"type":"PROMETHEUS","enabled":false,"serviceDiscovery":"http","username":"prom_user",
			"sendUserProvidedResourceTagsEnabled":false,"password":%s}`,
	},
	"SLACK": {
		plain:   map[string]string{"channelName": "alerts"},
		secrets: map[string]string{"apiToken": "xoxb" + "-" + longHex},
		body:    `{"type":"SLACK","channelName":"alerts","apiToken":%s}`,
	},
	"NEW_RELIC": {
		secrets: map[string]string{"accountId": "1234567", "licenseKey": longHex, "readToken": hexKey, "writeToken": uuidKey},
		body:    `{"type":"NEW_RELIC","accountId":%s,"licenseKey":%s,"readToken":%s,"writeToken":%s}`,
	},
}

func settings(t testing.TB, name string) *Settings {
	t.Helper()
	typ, known := FindType(name)
	require.True(t, known, name)
	s := &Settings{Type: typ, Plain: map[string]string{}, Secrets: map[string]secret.Text{}}
	maps.Copy(s.Plain, good[name].plain)
	for field, value := range good[name].secrets {
		s.Secrets[field] = secret.New(value)
	}
	return s
}

// set puts a value where it belongs.
func set(t testing.TB, s *Settings, field, value string) {
	t.Helper()
	f, known := s.Type.Field(field)
	require.True(t, known, field)
	if f.Secret() {
		s.Secrets[field] = secret.New(value)
	} else {
		s.Plain[field] = value
	}
}

// sameJSON compares without printing, since the texts hold secrets.
func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	require.NoError(t, json.Unmarshal(a, &x))
	require.NoError(t, json.Unmarshal(b, &y))
	return reflect.DeepEqual(x, y)
}

// assertHides fails if the text holds one of the secrets, which it does not print.
// What is shorter than eight characters may be a word of the text.
func assertHides(t testing.TB, s *Settings, text string) {
	t.Helper()
	for name, value := range s.Secrets {
		if value.Len() >= 8 && strings.Contains(text, value.Reveal()) {
			t.Errorf("%s.%s can be read in a text of %d characters", s.Type.Name, name, len(text))
		}
	}
}

func TestGoodSettings(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		if typ.Discontinued != "" {
			continue
		}
		t.Run(typ.Name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, typ.Name)
			problems, warnings := s.Check()
			assert.Empty(t, problems)
			assert.Empty(t, warnings)

			payload, err := s.Payload()
			require.NoError(t, err)
			want := good[typ.Name]
			var inOrder []any
			for _, name := range slices.Sorted(maps.Keys(want.secrets)) {
				quoted, err := json.Marshal(want.secrets[name])
				require.NoError(t, err)
				inOrder = append(inOrder, string(quoted))
			}
			assert.True(t, sameJSON(t, payload, fmt.Appendf(nil, want.body, inOrder...)), "the body of the PUT")

			var body map[string]any
			require.NoError(t, json.Unmarshal(payload, &body))
			for name, value := range s.Complete() {
				assert.Equal(t, fmt.Sprint(body[name]), value, name)
				delete(body, name)
			}
			for name := range s.Secrets {
				assert.NotContains(t, s.Complete(), name)
				delete(body, name)
			}
			assert.Equal(t, map[string]any{"type": typ.Name}, body, "what is sent is shown, or is a secret")

			proof := s.Prove(shownOf(t, s))
			assert.Empty(t, proof.Wrong)
			assert.True(t, proof.Holds())
			assert.Equal(t, typ.Name != "PROMETHEUS" && typ.Name != "WEBHOOK", proof.Full())
		})
	}
}

// shownOf is what Atlas shows of settings that it took.
func shownOf(t testing.TB, s *Settings) *Integration {
	t.Helper()
	answer := map[string]any{"type": s.Type.Name, "id": strings.Repeat("5", 24)}
	for i := range s.Type.Fields {
		f := &s.Type.Fields[i]
		switch value := s.value(f); {
		case f.NeverShown || value == "":
		case f.Kind == SecretURL:
			answer[f.Name] = origin(value) + "/****" + lastFour(value)
		case f.Secret():
			answer[f.Name] = strings.Repeat("*", max(len([]rune(value))-4, 0)) + lastFour(value)
		case f.Kind == Toggle:
			answer[f.Name] = value == "true"
		default:
			answer[f.Name] = value
		}
	}
	data, err := json.Marshal(answer)
	require.NoError(t, err)
	shown, err := decodeIntegration(data)
	require.NoError(t, err)
	return shown
}

func lastFour(value string) string {
	runes := []rune(value)
	return string(runes[max(len(runes)-4, 0):])
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	masked := strings.Repeat("*", 28) + "a23c"
	for _, tt := range []struct{ typ, field, value, say string }{
		{"PAGER_DUTY", "serviceKey", "", "Fill in: Integration key."},
		{"PAGER_DUTY", "serviceKey", masked, "masked"},
		{"PAGER_DUTY", "serviceKey", hexKey[1:], "This has 31."},
		{"PAGER_DUTY", "serviceKey", hexKey + "0", "This has 33."},
		{"PAGER_DUTY", "serviceKey", hexKey[1:] + "g", "only 0-9 and a-f."},
		{"PAGER_DUTY", "serviceKey", hexKey[1:] + "é", "only 0-9 and a-f."},
		{"PAGER_DUTY", "serviceKey", " " + hexKey, "space or line break"},
		{"PAGER_DUTY", "serviceKey", hexKey + "\n", "space or line break"},
		{"PAGER_DUTY", "serviceKey", hexKey + "\u00a0", "space or line break"},
		{"PAGER_DUTY", "region", "us", "Choose one of: US, EU."},
		{"DATADOG", "apiKey", "", "Fill in: API key."},
		{"DATADOG", "apiKey", masked, "masked"},
		{"DATADOG", "apiKey", strings.Repeat("•", 4) + "a23c", "masked"},
		{"DATADOG", "apiKey", hexKey[:16], "This has 16."},
		{"DATADOG", "region", "US2", "Choose one of"},
		{"DATADOG", "sendDatabaseMetrics", "yes", "on or off"},
		{"OPS_GENIE", "apiKey", "", "Fill in"},
		{"OPS_GENIE", "apiKey", strings.Repeat("*", 32) + "a111", "masked"},
		{"OPS_GENIE", "apiKey", "\u200b" + uuidKey, "invisible"},
		{"OPS_GENIE", "region", "AP1", "Choose one of: US, EU."},
		{"VICTOR_OPS", "apiKey", "", "Fill in"},
		{"VICTOR_OPS", "apiKey", uuidKey[:9] + "\u200e" + uuidKey[9:], "invisible"},
		{"VICTOR_OPS", "routingKey", "on\x00call", "invisible"},
		{"VICTOR_OPS", "routingKey", "on\xffcall", "invisible"},
		{"VICTOR_OPS", "routingKey", uuidKey, "Take the key out."},
		{"WEBHOOK", "url", "", "Fill in: URL."},
		{"WEBHOOK", "url", "hooks.example.com/a", "not a complete address"},
		{"WEBHOOK", "url", "https:///a", "not a complete address"},
		{"WEBHOOK", "url", "https://:443/a", "not a complete address"},
		{"WEBHOOK", "url", "https://hooks.example.com/a b", "not a complete address"},
		{"WEBHOOK", "url", "https://hooks.example.com/%zz", "not a complete address"},
		{"WEBHOOK", "url", "ftp://hooks.example.com/a", "https://"},
		{"WEBHOOK", "url", "https://hooks.example.com/****56ab", "masked"},
		{"WEBHOOK", "secret", strings.Repeat("*", 26) + "abcd", "masked"},
		{"WEBHOOK", "secret", longHex + "\t", "space or line break"},
		{"WEBHOOK", "headersTemplate", "{\"a\": \"" + strings.Repeat("é", 2<<10) + "\"}", "At most 4 KB; this has 4.0 KB."},
		{"WEBHOOK", "bodyTemplate", strings.Repeat("x", 16<<10+1), "At most 16 KB"},
		{"WEBHOOK", "bodyTemplate", "{\"a\": \"****\"}", "masked"},
		{"WEBHOOK", "bodyTemplate", "{\"a\": \"\x07\"}", "invisible"},
		{"MICROSOFT_TEAMS", "microsoftTeamsWebhookUrl", "", "Fill in"},
		{"MICROSOFT_TEAMS", "microsoftTeamsWebhookUrl", "https://webhook.com/****", "masked"},
		{"MICROSOFT_TEAMS", "microsoftTeamsWebhookUrl", "webhook", "not a complete address"},
		{"PROMETHEUS", "username", "", "Fill in: User name."},
		{"PROMETHEUS", "password", "", "Fill in: Password."},
		{"PROMETHEUS", "serviceDiscovery", "dns", "Choose one of: http, file."},
		{"PROMETHEUS", "enabled", "1", "on or off"},
		{"SLACK", "channelName", "", "Fill in: Channel."},
		{"SLACK", "channelName", strings.Repeat("ä", 81), "At most 80 characters; this has 81."},
		{"SLACK", "apiToken", "", "Fill in"},
		{"SLACK", "apiToken", strings.Repeat("*", 70) + "abcd", "masked"},
		{"NEW_RELIC", "accountId", "", "Fill in"},
		{"NEW_RELIC", "licenseKey", "", "Fill in"},
		{"NEW_RELIC", "readToken", "", "Fill in"},
		{"NEW_RELIC", "writeToken", "a\x7fb", "invisible"},
	} {
		t.Run(tt.typ+"."+tt.field, func(t *testing.T) {
			t.Parallel()
			s := settings(t, tt.typ)
			set(t, s, tt.field, tt.value)
			problems, warnings := s.Check()
			require.Len(t, problems, 1)
			assert.Equal(t, tt.field, problems[0].Field)
			assert.Contains(t, problems[0].Say, tt.say)
			assertHides(t, s, fmt.Sprint(problems, warnings))
		})
	}
}

// TestMasksAreNeverSent tries the mask of every secret, as Atlas shows it.
func TestMasksAreNeverSent(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		for i := range typ.Fields {
			f := &typ.Fields[i]
			if f.Kind != Secret && f.Kind != SecretURL && f.Kind != Template && f.Kind != Plain {
				continue
			}
			for _, mask := range []string{"****", "https://example.com/****abcd", strings.Repeat("*", 28) + "a23c", f.Mask(secret.New(hexKey)).String()} {
				s := settings(t, typ.Name)
				set(t, s, f.Name, mask)
				problems, _ := s.Check()
				if assert.Len(t, problems, 1, "%s.%s", typ.Name, f.Name) {
					assert.Equal(t, f.Name, problems[0].Field)
				}
			}
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	typ, _ := FindType("NEW_RELIC")
	problems, _ := (&Settings{Type: typ}).Check()
	assert.Len(t, problems, 4)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typ, field, value, say string }{
		{"OPS_GENIE", "apiKey", longHex, "usually has 36 characters"},
		{"VICTOR_OPS", "apiKey", longHex, "usually has 36 characters"},
		{"WEBHOOK", "url", "http://hooks.example.com/" + longHex, "unencrypted"},
		{"WEBHOOK", "url", "HTTP://hooks.example.com/" + longHex, "unencrypted"},
		{"WEBHOOK", "secret", "short", "shorter than 8"},
		{"WEBHOOK", "headersTemplate", "X-Token: " + hexKey, "JSON object"},
		{"MICROSOFT_TEAMS", "microsoftTeamsWebhookUrl", "https://office.com.example.net/" + uuidKey, "office.com"},
		{"PROMETHEUS", "password", "hunter", "shorter than 8"},
		{"SLACK", "channelName", "#alerts", "without #"},
		{"SLACK", "apiToken", longHex, "xoxb-"},
		{"NEW_RELIC", "accountId", "myaccountid", "usually"},
		{"NEW_RELIC", "licenseKey", hexKey, "usually has 40"},
	} {
		t.Run(tt.typ+"."+tt.field, func(t *testing.T) {
			t.Parallel()
			s := settings(t, tt.typ)
			set(t, s, tt.field, tt.value)
			problems, warnings := s.Check()
			assert.Empty(t, problems)
			require.Len(t, warnings, 1)
			assert.Equal(t, tt.field, warnings[0].Field)
			assert.Contains(t, warnings[0].Say, tt.say)
			assertHides(t, s, fmt.Sprint(warnings))
		})
	}
}

func TestFoundIn(t *testing.T) {
	t.Parallel()
	s := settings(t, "PAGER_DUTY")
	for text, found := range map[string]bool{
		"":                              false,
		"rotated as every quarter":      false,
		hexKey[:11]:                     false,
		hexKey[:12]:                     true,
		strings.ToUpper(hexKey):         true,
		hexKey:                          true,
		"the key is " + hexKey + ", ok": true,
	} {
		assert.Equal(t, found, s.FoundIn(text), "a text of %d characters", len(text))
	}
	s.Secrets["serviceKey"] = secret.New("abc")
	assert.False(t, s.FoundIn("abc"), "too short to mean anything")
	assert.False(t, (&Settings{Type: s.Type}).FoundIn("abc"))
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	const token = "t0ken0f4w3bhook" // not one of anybody's
	for _, tt := range []struct {
		secret, text string
		quoted       bool
	}{
		{"https://hooks.example.com/services/" + token, "the new hook is hooks.example.com/services/" + token, true},
		{"https://hooks.example.com/services/" + token, "it ends in " + token, true},
		{"https://hooks.example.com/services/" + token, "HTTPS://HOOKS.EXAMPLE.COM/services/" + token[:11], false},
		{"https://hooks.example.com/services/" + token, "moved to hooks.example.com, /services/ stays", false},
		{"https://hooks.example.com/notifications", "we take all notifications from hooks.example.com", false},
		{"https://hooks.example.com/notifications", "now it is hooks.example.com/notifications", true},
		{"https://hooks.example.com", "hooks.example.com is new", false},
		{"{\"Authorization\": \"Bearer " + token + "\"}", "bearer of " + token, true},
		{"{\"Authorization\": \"Bearer x\"}", "authorization by bearer", false},
		{"correct horse battery staple", "no more correct horses", false},
		{"correct horse battery staple", "now: Correct Horse Battery Staple", true},
		{"", "nothing", false},
	} {
		assert.Equal(t, tt.quoted, Quoted(secret.New(tt.secret), tt.text), "%s", tt.text)
	}
}

func TestPayloadRefusesWhatCheckRefuses(t *testing.T) {
	t.Parallel()
	s := settings(t, "DATADOG")
	s.Plain["sendDatabaseMetrics"] = "maybe"
	_, err := s.Payload()
	assert.EqualError(t, err, "DATADOG.sendDatabaseMetrics is neither true nor false")
}

// TestSettingsQuick tries texts that nobody thought of: whatever passes is sent as
// it was typed, and no sentence quotes it.
func TestSettingsQuick(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		for i := range typ.Fields {
			f := &typ.Fields[i]
			err := quick.Check(func(value string) bool {
				s := settings(t, typ.Name)
				set(t, s, f.Name, value)
				problems, warnings := s.Check()
				if len([]rune(value)) > 3 && strings.Contains(fmt.Sprint(problems, warnings), value) {
					return false
				}
				if len(problems) > 0 || value == "" {
					return true
				}
				payload, err := s.Payload()
				var body map[string]any
				return err == nil && json.Unmarshal(payload, &body) == nil && fmt.Sprint(body[f.Name]) == value
			}, nil)
			assert.NoError(t, err, "%s.%s", typ.Name, f.Name)
		}
	}
}
