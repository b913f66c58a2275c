package atlas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func field(t testing.TB, typ, name string) *Field {
	t.Helper()
	found, known := FindType(typ)
	require.True(t, known, typ)
	f, known := found.Field(name)
	require.True(t, known, name)
	return f
}

func TestMask(t *testing.T) {
	t.Parallel()
	key, address, template := field(t, "DATADOG", "apiKey"), field(t, "WEBHOOK", "url"), field(t, "WEBHOOK", "bodyTemplate")
	for _, tt := range []struct {
		name  string
		field *Field
		value string
		want  Mask
		shown string
	}{
		{"key", key, hexKey, Mask{Length: 32, LastFour: "12cd"}, "••••12cd"},
		{"short key", key, "abcdefghijk", Mask{Length: 11}, "••••"},
		{"code points", key, strings.Repeat("é", 8) + "äöü𝕏", Mask{Length: 12, LastFour: "äöü𝕏"}, "••••äöü𝕏"},
		{"address", address, "https://Hooks.Example.com:8443/a/" + longHex, Mask{Origin: "https://hooks.example.com:8443", LastFour: "56ab"}, "https://hooks.example.com:8443/••••56ab"},
		{"address with a login", address, "https://user:pass" + "@example.com/" + longHex, Mask{Origin: "https://example.com", LastFour: "56ab"}, "https://example.com/••••56ab"},
		{"address with little to hide", address, "https://ntfy.example.com/ops9alerts", Mask{Origin: "https://ntfy.example.com"}, "https://ntfy.example.com/••••"},
		{"address with a query", address, "https://example.com?token=" + longHex, Mask{Origin: "https://example.com", LastFour: "56ab"}, "https://example.com/••••56ab"},
		{"address with nothing to hide", address, "https://a-long-host.example.com", Mask{Origin: "https://a-long-host.example.com"}, "https://a-long-host.example.com/••••"},
		{"no address", address, longHex, Mask{LastFour: "56ab"}, "••••56ab"},
		{"template", template, `{"a":"` + longHex + `"}`, Mask{Length: 48}, "••••"},
		{"nothing", key, "", Mask{}, "••••"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			value := secret.New(tt.value)
			mask := tt.field.Mask(value)
			assert.Equal(t, tt.want, mask)
			assert.Equal(t, tt.shown, mask.String())
			assert.True(t, mask.Fits(value))
		})
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	key, address, template := field(t, "DATADOG", "apiKey"), field(t, "WEBHOOK", "url"), field(t, "WEBHOOK", "bodyTemplate")
	for _, tt := range []struct {
		name     string
		field    *Field
		answered string
		want     Mask
	}{
		{"masked", key, strings.Repeat("*", 28) + "a23c", Mask{Length: 32, LastFour: "a23c"}},
		{"masked, ends in stars", key, strings.Repeat("*", 32), Mask{Length: 32}},
		{"masked, wide characters", key, strings.Repeat("*", 28) + "é𝕏a3", Mask{Length: 32, LastFour: "é𝕏a3"}},
		{"in clear", key, hexKey, Mask{Length: 32, LastFour: "12cd"}},
		{"in clear and short", key, "abcdefgh", Mask{Length: 8}},
		{"a short mask", key, "***abcd", Mask{Length: 7}},
		{"a mask of another kind", key, "****" + hexKey, Mask{Length: 36}},
		{"stars in front", key, "abc" + "****" + "defg", Mask{Length: 11, LastFour: "defg"}},
		{"masked address", address, "https://example.com/****abcd", Mask{Origin: "https://example.com", LastFour: "abcd"}},
		{"masked short address", address, "https://webhook.com/****", Mask{Origin: "https://webhook.com"}},
		{"address in clear", address, "https://example.com/" + longHex, Mask{Origin: "https://example.com", LastFour: "56ab"}},
		{"masked template", template, strings.Repeat("*", 28) + `1"}}`, Mask{LastFour: `1"}}`}},
		{"template as stars", template, "****", Mask{}},
		{"template in clear", template, `{"a":"b"}`, Mask{Length: 9}},
		{"masked, no address", address, "********abcd", Mask{LastFour: "abcd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.field.shown(tt.answered))
		})
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	value := secret.New(hexKey)
	for _, mask := range []Mask{{}, {Length: 32}, {LastFour: "12cd"}, {Length: 32, LastFour: "12cd"}, {LastFour: "2cd"}} {
		assert.True(t, mask.Fits(value), "%+v", mask)
	}
	for _, mask := range []Mask{
		{Length: 31}, {LastFour: "12ce"}, {Length: 33, LastFour: "12cd"}, {Origin: "https://example.com", LastFour: "12cd"},
	} {
		assert.False(t, mask.Fits(value), "%+v", mask)
	}
}

// TestFitsQuick masks values as Atlas does: the mask fits its value, and no value
// of another length or end.
func TestFitsQuick(t *testing.T) {
	t.Parallel()
	f := field(t, "NEW_RELIC", "readToken")
	err := quick.Check(func(value, other string) bool {
		runes := []rune(strings.ReplaceAll(strings.ToValidUTF8(value, ""), "*", ""))
		if len(runes) < 8 {
			return true
		}
		value, end := string(runes), string(runes[len(runes)-4:])
		mask := f.shown(strings.Repeat("*", len(runes)-4) + end)
		differs := utf8.RuneCountInString(other) != len(runes) || !strings.HasSuffix(other, end)
		return mask.Fits(secret.New(value)) && f.Mask(secret.New(value)).Fits(secret.New(value)) &&
			(!differs || !mask.Fits(secret.New(other)))
	}, nil)
	assert.NoError(t, err)
}

func TestProve(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, typ string
		edit      func(*Integration)
		want      Proof
	}{
		{"all", "DATADOG", func(*Integration) {}, Proof{}},
		{"templates by their end", "WEBHOOK", func(*Integration) {}, Proof{Unseen: []string{"Headers template", "Body template"}}},
		{
			"another template", "WEBHOOK", func(i *Integration) { i.Masks["bodyTemplate"] = Mask{LastFour: `0"}]`} },
			Proof{Wrong: []string{"Body template"}, Unseen: []string{"Headers template"}},
		},
		{"another region", "DATADOG", func(i *Integration) { i.Plain["region"] = "EU" }, Proof{Wrong: []string{"Region"}}},
		{"no region", "DATADOG", func(i *Integration) { delete(i.Plain, "region") }, Proof{Wrong: []string{"Region"}}},
		{
			"a toggle that was not set", "DATADOG",
			func(i *Integration) { i.Plain["sendQueryStatsMetrics"] = "true" },
			Proof{Wrong: []string{"Send query shape metrics"}},
		},
		{"a toggle that is off and not shown", "DATADOG", func(i *Integration) { delete(i.Plain, "sendQueryStatsMetrics") }, Proof{}},
		{
			"a toggle that is on and not shown", "DATADOG",
			func(i *Integration) { delete(i.Plain, "sendDatabaseMetrics") },
			Proof{Wrong: []string{"Send database metrics"}},
		},
		{"another key", "DATADOG", func(i *Integration) { i.Masks["apiKey"] = Mask{Length: 32, LastFour: "0000"} }, Proof{Wrong: []string{"API key"}}},
		{"a longer key", "DATADOG", func(i *Integration) { i.Masks["apiKey"] = Mask{Length: 36, LastFour: "12cd"} }, Proof{Wrong: []string{"API key"}}},
		{"no key", "DATADOG", func(i *Integration) { delete(i.Masks, "apiKey") }, Proof{Unseen: []string{"API key"}}},
		{"nothing", "PAGER_DUTY", func(i *Integration) { *i = Integration{} }, Proof{Wrong: []string{"Region"}, Unseen: []string{"Integration key"}}},
		{"another host", "WEBHOOK", func(i *Integration) { i.Masks["url"] = Mask{Origin: "https://example.net", LastFour: "56ab"} }, Proof{Wrong: []string{"URL"}, Unseen: []string{"Headers template", "Body template"}}},
		{"nothing but the host", "MICROSOFT_TEAMS", func(i *Integration) {
			i.Masks["microsoftTeamsWebhookUrl"] = Mask{Origin: "https://example.webhook.office.com"}
		}, Proof{Unseen: []string{"Webhook URL"}}},
		{"nothing but another host", "MICROSOFT_TEAMS", func(i *Integration) { i.Masks["microsoftTeamsWebhookUrl"] = Mask{Origin: "https://example.net"} }, Proof{Wrong: []string{"Webhook URL"}}},
		{"templates hidden", "WEBHOOK", func(i *Integration) { delete(i.Masks, "bodyTemplate"); delete(i.Masks, "headersTemplate") }, Proof{Unseen: []string{"Headers template", "Body template"}}},
		{"never shown", "PROMETHEUS", func(*Integration) {}, Proof{Unseen: []string{"Password"}}},
		{"not sent, not looked at", "VICTOR_OPS", func(i *Integration) { i.Plain["other"] = "x" }, Proof{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, tt.typ)
			shown := shownOf(t, s)
			tt.edit(shown)
			proof := s.Prove(shown)
			assert.Equal(t, tt.want, proof)
			assert.Equal(t, len(tt.want.Wrong) == 0, proof.Holds())
			assert.Equal(t, len(tt.want.Wrong)+len(tt.want.Unseen) == 0, proof.Full())
		})
	}
}

// TestProveWhatWasLeftEmpty: a plain field that was left empty and is still there is told.
func TestProveWhatWasLeftEmpty(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typ, field, label string }{{"VICTOR_OPS", "routingKey", "Routing key"}, {"SLACK", "teamName", "Team name"}} {
		t.Run(tt.typ, func(t *testing.T) {
			t.Parallel()
			s := settings(t, tt.typ)
			delete(s.Plain, tt.field)
			shown := shownOf(t, s)
			assert.Equal(t, Proof{}, s.Prove(shown))
			assert.True(t, s.Prove(shown).Full())

			if shown.Plain == nil {
				shown.Plain = map[string]string{}
			}
			shown.Plain[tt.field] = "old"
			proof := s.Prove(shown)
			assert.Equal(t, Proof{Kept: []string{tt.label}}, proof)
			assert.True(t, proof.Holds())
			assert.False(t, proof.Full(), "it is not as was asked for")
		})
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	s := settings(t, "DATADOG")
	assert.True(t, shownOf(t, s).Same(shownOf(t, s)))
	for name, edit := range map[string]func(*Integration){
		"id":     func(i *Integration) { i.ID = strings.Repeat("6", 24) },
		"type":   func(i *Integration) { i.Type = "PAGER_DUTY" },
		"plain":  func(i *Integration) { i.Plain["region"] = "EU" },
		"secret": func(i *Integration) { i.Masks["apiKey"] = Mask{} },
	} {
		other := shownOf(t, s)
		edit(other)
		assert.False(t, shownOf(t, s).Same(other), name)
	}
}

func TestDecodeIntegration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		want         Integration
	}{
		{
			"recorded",
			`{"apiKey":"****************************a23c","customEndpoint":null,"id":"6","region":"US3","sendCollectionLatencyMetrics":false,"sendDatabaseMetrics":true,"type":"DATADOG"}`,
			Integration{
				Type: "DATADOG", ID: "6",
				Plain: map[string]string{"region": "US3", "sendCollectionLatencyMetrics": "false", "sendDatabaseMetrics": "true"},
				Masks: map[string]Mask{"apiKey": {Length: 32, LastFour: "a23c"}},
			},
		},
		{
			"a field that we do not know", `{"type":"DATADOG","id":null,"customEndpoint":"https://example.com","another":[1]}`,
			Integration{Type: "DATADOG", Unknown: []string{"another", "customEndpoint"}},
		},
		{"values of other kinds", `{"type":"SLACK","channelName":{"a":1},"teamName":7,"apiToken":["x"],"id":5}`, Integration{Type: "SLACK", Plain: map[string]string{"teamName": "7"}}},
		{"a type that we do not know", `{"type":"CARRIER_PIGEON","id":"7","apiKey":"abcdefghijklmnop"}`, Integration{Type: "CARRIER_PIGEON", ID: "7"}},
		{"a type by another name", `{"type":"pagerduty","serviceKey":"abcdefghijklmnop"}`, Integration{Type: "pagerduty"}},
		{"a discontinued type", `{"type":"HIP_CHAT","roomName":"room"}`, Integration{Type: "HIP_CHAT", Unknown: []string{"roomName"}}},
		{"no type", `{"apiKey":"abcdefghijklmnop"}`, Integration{}},
		{"empty values", `{"type":"WEBHOOK","url":"","secret":null,"bodyTemplate":null}`, Integration{Type: "WEBHOOK"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shown, err := decodeIntegration([]byte(tt.answer))
			require.NoError(t, err)
			assert.Equal(t, &tt.want, shown)
		})
	}
	for _, answer := range []string{"", "[]", `"x"`, "7", "{", `{"type":"DATADOG"} {}`} {
		_, err := decodeIntegration([]byte(answer))
		assert.Error(t, err, answer)
	}
}

// TestDecodeKeepsNoSecret lets Atlas answer in clear, as it does for some types.
func TestDecodeKeepsNoSecret(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		if typ.Discontinued != "" {
			continue
		}
		s := settings(t, typ.Name)
		answer, err := s.Payload()
		require.NoError(t, err)
		shown, err := decodeIntegration(answer)
		require.NoError(t, err)
		kept, err := json.Marshal(shown)
		require.NoError(t, err)
		assertHides(t, s, fmt.Sprintf("%s %+v %#v", kept, shown, shown))
		assert.True(t, s.Prove(shown).Full(), typ.Name)
	}
}

func FuzzDecodeIntegration(f *testing.F) {
	f.Add([]byte(`{"type":"DATADOG","apiKey":"****************************a23c","region":"US","sendDatabaseMetrics":true,"customEndpoint":null}`))
	f.Add([]byte(`{"type":"WEBHOOK","url":"https://user:pass@example.com:1/****abcd","secret":"***abcd","bodyTemplate":"{\n}"}`))
	f.Add([]byte(`{"type":"NEW_RELIC","accountId":1234567,"licenseKey":"abcdefghijklmnop","readToken":null,"writeToken":[]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		shown, err := decodeIntegration(data)
		if err != nil {
			return
		}
		typ, known := FindType(shown.Type)
		if !known || typ.Name != shown.Type {
			if shown.Plain != nil || shown.Masks != nil || shown.Unknown != nil {
				t.Fatal("something is kept of a type that we do not know")
			}
			return
		}
		for name := range shown.Plain {
			if f, known := typ.Field(name); !known || f.Secret() {
				t.Fatalf("%s is kept in clear", name)
			}
		}
		var answered map[string]any
		if err := json.Unmarshal(data, &answered); err != nil {
			t.Fatal("it was decoded before")
		}
		for name, mask := range shown.Masks {
			if value, ok := answered[name].(string); ok {
				checkMask(t, typ, name, mask, value)
			}
		}
		if !shown.Same(shown) {
			t.Fatal("it is not the same as itself")
		}
	})
}

// checkMask fails if a mask tells more of a value than it may.
func checkMask(t *testing.T, typ *Type, name string, mask Mask, value string) {
	t.Helper()
	f, known := typ.Field(name)
	runes := utf8.RuneCountInString(value)
	switch {
	case !known || !f.Secret():
		t.Fatalf("%s is not a secret, but masked", name)
	case utf8.RuneCountInString(mask.LastFour) > 4:
		t.Fatalf("%s shows more than four characters", name)
	case runes < 12 && mask.LastFour != "" && !strings.Contains(value, "****"):
		t.Fatalf("%s shows the end of a short value", name)
	case mask.Length != 0 && mask.Length != runes:
		t.Fatalf("%s has another length", name)
	case mask.Origin != "" && f.Kind != SecretURL:
		t.Fatalf("%s is not an address", name)
	}
}
