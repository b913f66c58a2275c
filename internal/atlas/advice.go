package atlas

import (
	"net/http"
	"net/netip"
	"strings"
)

// Sentences that several codes share.
const (
	adviseValues = "Check the values against what the vendor shows, and make a new request."
	adviseSlack  = "Atlas changes this Slack integration only in its own console: Project Settings → Integrations."
	adviseRole   = "Give the bot's credentials the role Project Owner in this project."
	advisePlan   = "Ask an owner of the Atlas organization whether its plan includes this integration."
	adviseAccess = "Ask an owner of the Atlas organization to add {address} to the API access list of the bot's credentials; " +
		"that is not the IP access list of the clusters."
	adviseList   = "Ask an owner of the Atlas organization to give the bot's credentials an API access list with {address} in it."
	adviseBot    = "This is a fault of the bot or of its version: tell whoever runs it."
	adviseLater  = "Wait a few minutes, then try again."
	adviseSecret = "Tell whoever runs the bot: its Atlas credentials were rotated, deleted or have expired."
)

// advice says what a person should do about a code of Atlas or of OAuth. A code
// that means different things with different statuses is left to adviceByStatus.
var advice = map[string]string{
	"INVALID_INTEGRATION_SETTINGS":   adviseValues,
	"INTEGRATION_FIELDS_INVALID":     adviseValues,
	"INVALID_DATADOG_API_KEY":        "Paste the Datadog API key again: 32 characters, 0-9 and a-f. An application key does not work.",
	"INVALID_PAGER_DUTY_SERVICE_KEY": "Paste the PagerDuty integration key again: 32 characters, 0-9 and a-f.",
	"HIPCHAT_NOT_SUPPORTED":          "HipChat no longer exists: choose the service that you use now.",

	"LEGACY_SLACK_CONFIGURATION_UNSUPPORTED": adviseSlack,
	"SLACK_OAUTH2_NOT_CONFIGURED":            adviseSlack,
	"MUST_RECONFIGURE_SLACK_OAUTH2":          adviseSlack,

	"MISSING_ATTRIBUTE":  adviseValues,
	"MISSING_ATTRIBUTES": adviseValues,
	"INVALID_ATTRIBUTE":  adviseValues,
	"INVALID_ENUM_VALUE": adviseValues,
	"VALIDATION_ERROR":   adviseValues,
	"INVALID_URL":        "Check the address: Atlas takes only a complete one that starts with https:// or http://.",

	"MALFORMED_JSON":          adviseBot,
	"INVALID_JSON":            adviseBot,
	"INVALID_JSON_ATTRIBUTE":  adviseBot,
	"INVALID_PATH_PARAMETER":  adviseBot,
	"PATH_PARAM_PARSE_ERROR":  adviseBot,
	"INVALID_QUERY_PARAMETER": adviseBot,
	"INVALID_VERSION_DATE":    adviseBot,
	"VERSION_GONE":            adviseBot,

	"WEBHOOK_NOTIFICATIONS_PRESENT": "Remove the webhook from the project's alert settings first.",

	"USER_UNAUTHORIZED":        adviseRole,
	"NOT_IN_GROUP":             adviseRole,
	"USER_CANNOT_ACCESS_GROUP": adviseRole,
	"ACCESS_FORBIDDEN":         adviseRole,

	"ACCOUNT_SUSPENDED": "Ask whoever pays for Atlas to settle the organization's invoices.",

	"IP_ADDRESS_NOT_ON_ACCESS_LIST": adviseAccess,
	"IP_ADDRESS_NOT_ON_WHITELIST":   adviseAccess,
	"ORG_REQUIRES_WHITELIST":        adviseList,
	"RESOURCE_REQUIRES_WHITELIST":   adviseList,
	"ORG_REQUIRES_ACCESS_LIST":      adviseList,
	"RESOURCE_REQUIRES_ACCESS_LIST": adviseList,

	"FEATURE_UNSUPPORTED":          advisePlan,
	"UNSUPPORTED_FOR_CURRENT_PLAN": advisePlan,

	"INTEGRATION_NOT_CONFIGURED": "Set the integration up in Atlas first: Project Settings → Integrations. The bot only updates.",
	"GROUP_NOT_FOUND":            "The project was deleted, or the bot's credentials do not see it: ask whoever runs the bot.",
	"RESOURCE_NOT_FOUND":         "The project or the integration was removed in the meantime: look at it in Atlas.",

	"WRITES_NOT_ALLOWED_DURING_APP_UPGRADES": "Atlas is being upgraded and takes no changes until that is over: try again later.",

	"INTEGRATION_ALREADY_CONFIGURED": "Somebody else changed the integration at the same time: look at it in Atlas.",

	"RATE_LIMITED_TOKEN_BUCKET": adviseLater,
	"RATE_LIMITED":              adviseLater,
	"SERVICE_UNAVAILABLE":       adviseLater,

	// RFC 6749, and how Atlas uses it.
	"invalid_client":         adviseSecret,
	"invalid_grant":          adviseSecret,
	"access_denied":          adviseAccess,
	"server_error":           adviseLater,
	"invalid_request":        adviseBot,
	"unsupported_grant_type": adviseBot,
}

var adviceByStatus = map[int]string{
	http.StatusBadRequest:      adviseValues,
	http.StatusUnauthorized:    adviseSecret,
	http.StatusPaymentRequired: advice["ACCOUNT_SUSPENDED"],
	http.StatusForbidden:       adviseRole,
	http.StatusNotFound:        advice["RESOURCE_NOT_FOUND"],
	http.StatusNotAcceptable:   adviseBot,
	http.StatusConflict:        advice["INTEGRATION_ALREADY_CONFIGURED"],
	http.StatusGone:            adviseBot,
	http.StatusTooManyRequests: adviseLater,
}

// OfRole reports whether Atlas refused because the credentials lack a role in the project.
func (e *Error) OfRole() bool { return e.Advice() == adviseRole }

// Advice says in one sentence what a person should do about the error.
func (e *Error) Advice() string {
	if say, known := advice[e.Code]; known {
		return strings.ReplaceAll(say, "{address}", e.address())
	}
	atTokens := e.Op == fetchToken || e.Op == revokeToken
	say, known := adviceByStatus[e.Status]
	switch {
	case known && (!atTokens || e.Status == http.StatusUnauthorized || e.Status == http.StatusTooManyRequests):
		return say
	case e.Status < 400, e.Status < 500 && atTokens:
		return "Tell whoever runs the bot: MONGODB_ATLAS_BASE_URL must be the address of Atlas itself, with no proxy in between that answers."
	case e.Status >= 500:
		return adviseLater
	default:
		return adviseBot
	}
}

// address is the bot's address as Atlas names it in parameters or detail.
func (e *Error) address() string {
	for _, text := range append(e.Parameters, strings.Fields(e.Detail)...) {
		if ip, err := netip.ParseAddr(strings.Trim(text, `.,;:'"()[]`)); err == nil {
			return ip.String()
		}
	}
	return "the bot's address"
}
