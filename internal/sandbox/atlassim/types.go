package atlassim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"unicode/utf8"
)

// A field is one setting of an integration type, with the rules of Atlas for it.
type field struct {
	name     string
	boolean  bool // else a string
	required bool
	nullable bool // a required field that may be null
	foreign  bool // in answers, but not taken from a request
	fallback any  // what Atlas fills in for a field that was not sent; nil for nothing
	shown    shown

	choices  []string
	hex32    bool
	address  bool // an absolute http or https URL
	minChars int
	maxChars int
	maxBytes int
}

// types are the nine types that can be configured, by the names of the API.
var types = map[string][]field{
	"DATADOG": {
		{name: "apiKey", required: true, hex32: true, shown: tail},
		{name: "region", choices: []string{"US", "EU", "US3", "US5", "AP1", "US1_FED"}, fallback: "US"},
		{name: "sendCollectionLatencyMetrics", boolean: true, fallback: false},
		{name: "sendDatabaseMetrics", boolean: true, fallback: false},
		{name: "sendQueryStatsMetrics", boolean: true, fallback: false},
		{name: "sendUserProvidedResourceTags", boolean: true, fallback: false},
		{name: "customEndpoint", foreign: true, shown: plainOrNull},
	},
	"PAGER_DUTY": {
		{name: "serviceKey", required: true, hex32: true, shown: tail},
		{name: "region", choices: []string{"US", "EU"}, fallback: "US"},
	},
	"OPS_GENIE": {
		{name: "apiKey", required: true, shown: tail},
		{name: "region", choices: []string{"US", "EU"}, fallback: "US"},
	},
	"VICTOR_OPS": {
		{name: "apiKey", required: true, shown: tail},
		{name: "routingKey", shown: plainOrNull},
	},
	"WEBHOOK": {
		{name: "url", required: true, address: true, shown: urlTail},
		{name: "secret", shown: tail},
		{name: "bodyTemplate", maxBytes: 16 << 10, shown: template},
		{name: "headersTemplate", maxBytes: 4 << 10, shown: template},
	},
	"MICROSOFT_TEAMS": {
		{name: "microsoftTeamsWebhookUrl", required: true, address: true, shown: urlTail},
	},
	"PROMETHEUS": {
		{name: "enabled", boolean: true, required: true},
		{name: "serviceDiscovery", required: true, choices: []string{"http", "file"}},
		{name: "username", required: true},
		{name: "password", shown: never},
		{name: "sendUserProvidedResourceTagsEnabled", boolean: true, fallback: false},
	},
	"SLACK": {
		{name: "apiToken", required: true, shown: tail},
		{name: "channelName", required: true, nullable: true, minChars: 1, maxChars: 80, shown: plainOrNull},
		{name: "teamName", shown: plainOrNull},
	},
	// The document demands 40 hex digits of the first two; the service does not.
	"NEW_RELIC": {
		{name: "accountId", required: true},
		{name: "licenseKey", required: true},
		{name: "readToken", required: true},
		{name: "writeToken", required: true},
	},
}

// hipChat is in the enum of the path and nowhere else.
const hipChat = "HIP_CHAT"

// Types lists the types that an integration can have, in no meaningful order.
func Types() []string {
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var hex32 = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

// settingsFrom reads the body of a PUT or POST to the type in the path as Atlas
// does: it knows the fields of the type and no others, a later value of the same
// name wins, and where no form is checked, anything goes, a masked secret included.
// The settings hold what was sent, without the values that Atlas fills in.
func settingsFrom(body []byte, pathType string) (map[string]any, *apiError) {
	sent, e := object(body)
	if e != nil {
		return nil, e
	}
	if e := checkType(sent["type"], pathType); e != nil {
		return nil, e
	}
	settings := map[string]any{}
	for i := range types[pathType] {
		f := &types[pathType][i]
		v, present := sent[f.name]
		switch {
		case f.foreign:
			continue
		case !present || v == nil && !f.nullable:
			if f.required {
				return nil, badRequest("MISSING_ATTRIBUTE", "The required attribute "+f.name+" was not specified.", f.name)
			}
			continue
		}
		if e := f.check(pathType, v); e != nil {
			return nil, e
		}
		settings[f.name] = v
	}
	return settings, nil
}

func object(body []byte) (map[string]any, *apiError) {
	if len(body) == 0 {
		return nil, badRequest("INVALID_JSON", "The request has no JSON body.")
	}
	// encoding/json mends broken UTF-8, a Java service does not.
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, badRequest("MALFORMED_JSON", "Received JSON is malformed.")
	}
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil || sent == nil {
		return nil, badRequest("INVALID_JSON", "Received JSON is not an object.")
	}
	return sent, nil
}

func checkType(v any, pathType string) *apiError {
	name, isString := v.(string)
	switch {
	case v == nil:
		return badRequest("MISSING_ATTRIBUTE", "The required attribute type was not specified.", "type")
	case !isString:
		return badRequest("INVALID_ATTRIBUTE", "Invalid attribute type specified.", "type")
	case name == hipChat || pathType == hipChat:
		return badRequest("HIPCHAT_NOT_SUPPORTED", "HipChat integration is only supported for Ops Manager projects.")
	case types[name] == nil:
		return badRequest("INVALID_ENUM_VALUE", "An invalid enumeration value "+name+" was specified.", name)
	case name != pathType:
		return badRequest("INVALID_ATTRIBUTE", "Invalid attribute type specified.", "type")
	}
	return nil
}

// check holds a value that is there against the rules of its field.
func (f *field) check(typ string, v any) *apiError {
	if f.boolean {
		if _, ok := v.(bool); !ok {
			return badRequest("INVALID_ATTRIBUTE", "Invalid attribute "+f.name+" specified.", f.name)
		}
		return nil
	}
	if v == nil { // let through by nullable
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return badRequest("INVALID_ATTRIBUTE", "Invalid attribute "+f.name+" specified.", f.name)
	}
	switch {
	case f.choices != nil && !slices.Contains(f.choices, s):
		return badRequest("INVALID_ENUM_VALUE", "An invalid enumeration value "+s+" was specified.", s)
	case f.hex32 && !hex32.MatchString(s):
		return f.invalid(typ, badHex(s))
	case f.address && !isAddress(s):
		return badRequest("INVALID_URL", "The URL in the attribute "+f.name+" is invalid.", f.name)
	case f.required && f.minChars == 0 && s == "":
		return f.invalid(typ, "must not be empty")
	}
	return f.checkLength(s)
}

func (f *field) checkLength(s string) *apiError {
	n, say := utf8.RuneCountInString(s), ""
	switch {
	case n < f.minChars:
		say = fmt.Sprintf("must have at least %d characters", f.minChars)
	case f.maxChars > 0 && n > f.maxChars:
		say = fmt.Sprintf("must have at most %d characters", f.maxChars)
	case f.maxBytes > 0 && len(s) > f.maxBytes:
		say = fmt.Sprintf("must have at most %d bytes", f.maxBytes)
	default:
		return nil
	}
	e := badRequest("VALIDATION_ERROR", "Validation failed: "+f.name+" "+say+".")
	e.violations = []violation{{Field: f.name, Description: say}}
	return e
}

func (f *field) invalid(typ, say string) *apiError {
	reason := f.name + " " + say
	return refuse(http.StatusBadRequest, "INVALID_INTEGRATION_SETTINGS",
		"The settings of the integration of type "+typ+" are invalid: "+reason+".", typ, reason)
}

func badHex(s string) string {
	if len(s) == 32 {
		return "must be a hexadecimal string"
	}
	return "must consist of 32 hexadecimal digits"
}

func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}

// fill adds what Atlas fills in for fields that were not sent.
func fill(typ string, settings map[string]any) {
	for i := range types[typ] {
		f := &types[typ][i]
		if v, ok := settings[f.name]; f.fallback != nil && (!ok || v == nil) {
			settings[f.name] = f.fallback
		}
	}
}
