package atlas

import (
	"regexp"
	"strings"
)

// A Type is one kind of third-party integration. A project has at most one
// integration of each.
type Type struct {
	Name    string   // as in the API: PAGER_DUTY
	Title   string   // as people say it: PagerDuty
	Aliases []string // other ways that people write it; see FindType
	Fields  []Field  // in the order of the form, secrets last
	Where   string   // where at the vendor the key is found
	Guide   string   // the address of a page about that
	Effect  string   // what falls silent if the new values are wrong
	Caveat  string   // what to know before asking for a change; empty for most

	// Discontinued says why no integration of this type can be updated. Such a
	// type keeps its place, so that asking for it gets an explanation.
	Discontinued string
}

// A Field is one setting of a type.
type Field struct {
	Name  string // Atlas' JSON name, and the action_id of its input
	Label string
	Hint  string
	Kind  Kind

	RequiredByAtlas bool // its document demands the field
	Required        bool // we demand it; never less than Atlas does

	Choices []string // of a Choice
	Default string   // of a Choice or Toggle: what is sent when nothing is chosen

	Hard *Pattern // what Atlas itself refuses
	Soft *Pattern // what only looks wrong

	MinLength int // in characters; 0 is no limit
	MaxLength int // in characters
	MaxBytes  int // in bytes of UTF-8

	// NeverShown marks a secret that Atlas does not show, not even masked, so
	// that no answer of Atlas can prove it.
	NeverShown bool
}

// Kind says what a field holds, and so how it is asked for and whether it may be seen.
type Kind string

// The kinds of field.
const (
	Plain     Kind = "text"       // one line that everybody may see
	Secret    Kind = "secret"     // a key: masked but for its last four
	SecretURL Kind = "secret URL" // a key in the form of a URL: its origin may be seen
	Choice    Kind = "choice"     // one of Choices
	Toggle    Kind = "toggle"     // "true" or "false"
	Template  Kind = "template"   // several lines that may hold credentials: a secret
)

// Secret reports whether the field's value must not be seen.
func (f *Field) Secret() bool {
	return f.Kind == Secret || f.Kind == SecretURL || f.Kind == Template
}

// A Pattern is a form that a value should have, with the sentence to say when it
// has not.
type Pattern struct {
	*regexp.Regexp
	Say string
}

func pattern(expr, say string) *Pattern { return &Pattern{regexp.MustCompile(expr), say} }

// Patterns that Atlas enforces.
var (
	hex32 = pattern(`^[0-9a-fA-F]{32}$`, "Atlas takes 32 characters here, only 0-9 and a-f.")
)

// Patterns that merely look right.
var (
	uuid = pattern(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`,
		"usually has 36 characters in the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.")
	newRelicID  = pattern(`^([0-9a-f]{40}|[0-9]{5,})$`, "usually has 40 characters, 0-9 and a-f, or is an account number.")
	newRelicKey = pattern(`^[0-9a-f]{40}$`, "usually has 40 characters, 0-9 and a-f.")
	slackToken  = pattern(`^xox[a-z]-`, "usually starts with xoxb- or xoxp-.")
	channelName = pattern(`^[^#\s]+$`, "is usually written without # and spaces.")
	jsonObject  = pattern(`(?s)^\s*\{.*\}\s*$`, "should render to a JSON object, so it usually starts with { and ends with }.")
	teamsURL    = pattern(`^https://[^/]*(\.office\.com|\.logic\.azure\.com|\.powerplatform\.com)[:/]`,
		"is usually an address at office.com, logic.azure.com or powerplatform.com.")
)

// Types is the catalog: the ten types that the API names, in the order in which
// people are offered them.
var Types = []*Type{
	{
		Name: "PAGER_DUTY", Title: "PagerDuty", Aliases: []string{"pd"},
		Where:  "PagerDuty: Services → the service → Integrations → Integration Key.",
		Guide:  "https://support.pagerduty.com/main/docs/services-and-integrations",
		Effect: "Atlas alerts stop opening PagerDuty incidents, and nobody is paged.",
		Fields: []Field{
			{
				Name: "region", Label: "Region", Kind: Choice, Required: true, Choices: []string{"US", "EU"}, Default: "US",
				Hint: "The service region of your PagerDuty account.",
			},
			{
				Name: "serviceKey", Label: "Integration key", Kind: Secret, RequiredByAtlas: true, Required: true, Hard: hex32,
				Hint: "32 characters, 0-9 and a-f.",
			},
		},
	},
	{
		Name: "OPS_GENIE", Title: "Opsgenie",
		Where:  "Opsgenie: Teams → the team → Integrations → the API integration → API key.",
		Guide:  "https://support.atlassian.com/opsgenie/docs/create-a-default-api-integration/",
		Effect: "Atlas alerts stop reaching Opsgenie, and nobody is paged.",
		Fields: []Field{
			{
				Name: "region", Label: "Region", Kind: Choice, Required: true, Choices: []string{"US", "EU"}, Default: "US",
				Hint: "Where your Opsgenie account is hosted.",
			},
			{
				Name: "apiKey", Label: "API key", Kind: Secret, RequiredByAtlas: true, Required: true, Soft: uuid,
				Hint: "The key of the API integration, usually 36 characters.",
			},
		},
	},
	{
		Name: "DATADOG", Title: "Datadog", Aliases: []string{"dd"},
		Where:  "Datadog: Organization Settings → API Keys.",
		Guide:  "https://docs.datadoghq.com/account_management/api-app-keys/",
		Effect: "Atlas metrics and alerts stop reaching Datadog, and monitors built on them see no data.",
		Fields: []Field{
			{
				Name: "region", Label: "Region", Kind: Choice, Required: true,
				Choices: []string{"US", "EU", "US3", "US5", "AP1", "US1_FED"}, Default: "US",
				Hint: "The Datadog site of your organization. In Atlas for Government only US1_FED works.",
			},
			{
				Name: "sendDatabaseMetrics", Label: "Send database metrics", Kind: Toggle, Default: "false",
				Hint: "Metrics with database names: number of collections, storage and index size.",
			},
			{
				Name: "sendCollectionLatencyMetrics", Label: "Send collection latency metrics", Kind: Toggle, Default: "false",
				Hint: "Latencies of reads, writes, commands and transactions, with database and collection names.",
			},
			{
				Name: "sendQueryStatsMetrics", Label: "Send query shape metrics", Kind: Toggle, Default: "false",
				Hint: "Latency, frequency and documents returned, by query hash.",
			},
			{
				Name: "sendUserProvidedResourceTags", Label: "Send resource tags", Kind: Toggle, Default: "false",
				Hint: "The tags of project and clusters go along with the metrics.",
			},
			{
				Name: "apiKey", Label: "API key", Kind: Secret, RequiredByAtlas: true, Required: true, Hard: hex32,
				Hint: "32 characters, 0-9 and a-f. An API key, not an application key.",
			},
		},
	},
	{
		Name: "VICTOR_OPS", Title: "Splunk On-Call (VictorOps)", Aliases: []string{"victorops", "splunk", "splunkoncall", "vo"},
		Where:  "Splunk On-Call: Integrations → MongoDB Atlas → API key.",
		Guide:  "https://portal.victorops.com/",
		Effect: "Atlas alerts stop reaching Splunk On-Call, or page another team if it is the routing key.",
		Fields: []Field{
			{
				Name: "routingKey", Label: "Routing key", Kind: Plain,
				Hint: "Decides which team is paged. It is not a secret: everybody who may read the project sees it.",
			},
			{
				Name: "apiKey", Label: "API key", Kind: Secret, RequiredByAtlas: true, Required: true, Soft: uuid,
				Hint: "Usually 36 characters.",
			},
		},
	},
	{
		Name: "WEBHOOK", Title: "Webhook", Aliases: []string{"webhooks", "hook"},
		Where:  "The service that receives the webhook shows its address and its secret.",
		Guide:  "https://www.mongodb.com/docs/atlas/tutorial/third-party-service-integrations/",
		Effect: "Atlas alerts stop reaching the receiver of the webhook, or it turns them away because the secret differs.",
		Fields: []Field{
			{
				Name: "url", Label: "URL", Kind: SecretURL, RequiredByAtlas: true, Required: true,
				Hint: "Handled as a secret, since tokens are often part of it.",
			},
			{
				Name: "secret", Label: "Secret", Kind: Secret,
				Hint: "Signs what Atlas sends. Left empty, Atlas may remove the secret that is set now.",
			},
			{
				Name: "headersTemplate", Label: "Headers template", Kind: Template, MaxBytes: 4 << 10, Soft: jsonObject,
				Hint: "Must render to a JSON object. Left empty, Atlas may remove the one that is set now.",
			},
			{
				Name: "bodyTemplate", Label: "Body template", Kind: Template, MaxBytes: 16 << 10,
				Hint: "Must render to JSON. Left empty, Atlas may remove the one that is set now.",
			},
		},
	},
	{
		Name: "MICROSOFT_TEAMS", Title: "Microsoft Teams", Aliases: []string{"teams", "msteams"},
		Where:  "Microsoft Teams: the channel → Workflows (or Connectors) → the incoming webhook.",
		Guide:  "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
		Effect: "Atlas alerts stop appearing in the Teams channel, or appear in another one.",
		Fields: []Field{
			{
				Name: "microsoftTeamsWebhookUrl", Label: "Webhook URL", Kind: SecretURL, RequiredByAtlas: true, Required: true, Soft: teamsURL,
				Hint: "Handled as a secret: whoever has it can post into the channel.",
			},
		},
	},
	{
		Name: "PROMETHEUS", Title: "Prometheus", Aliases: []string{"prom"},
		Where:  "You choose them: the same user name and password stand in your Prometheus scrape configuration.",
		Guide:  "https://www.mongodb.com/docs/atlas/tutorial/prometheus-integration/",
		Effect: "Prometheus gets no metrics from Atlas, and alerts built on them see no data, until its configuration has the same values.",
		Fields: []Field{
			{
				Name: "enabled", Label: "Enabled", Kind: Toggle, RequiredByAtlas: true, Required: true, Default: "true",
				Hint: "Off stops the scraping without removing the integration.",
			},
			{
				Name: "serviceDiscovery", Label: "Service discovery", Kind: Choice, RequiredByAtlas: true, Required: true,
				Choices: []string{"http", "file"}, Default: "http",
				Hint: "How your Prometheus learns of the clusters.",
			},
			{
				Name: "sendUserProvidedResourceTagsEnabled", Label: "Send resource tags", Kind: Toggle, Default: "false",
				Hint: "The tags of project and clusters go along with the metrics.",
			},
			{
				Name: "username", Label: "User name", Kind: Plain, RequiredByAtlas: true, Required: true,
				Hint: "As in the scrape configuration.",
			},
			{
				Name: "password", Label: "Password", Kind: Secret, Required: true, NeverShown: true,
				Hint: "Atlas never shows it again, not even masked.",
			},
		},
	},
	{
		Name: "SLACK", Title: "Slack",
		Where: "Slack: the settings of the app that Atlas posts as.",
		Guide: "https://api.slack.com/apps",
		Caveat: "Atlas now connects to Slack by OAuth in its own console, and refuses most changes through its API. " +
			"At most the channel may change. If Atlas refuses, you will see its answer.",
		Effect: "Atlas alerts stop appearing in the Slack channel.",
		Fields: []Field{
			{
				Name: "channelName", Label: "Channel", Kind: Plain, RequiredByAtlas: true, Required: true,
				MinLength: 1, MaxLength: 80, Soft: channelName,
				Hint: "Where Atlas posts its alerts, without #.",
			},
			{
				Name: "teamName", Label: "Team name", Kind: Plain,
				Hint: "Only for a legacy Slack integration.",
			},
			{
				Name: "apiToken", Label: "API token", Kind: Secret, RequiredByAtlas: true, Required: true, Soft: slackToken,
				Hint: "The token that Atlas uses to post.",
			},
		},
	},
	{
		Name: "NEW_RELIC", Title: "New Relic", Aliases: []string{"nr"},
		Where: "New Relic: the account's API keys.",
		Guide: "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/",
		Caveat: "New Relic switched this plugin off on 16 June 2021. Atlas still stores the values, " +
			"but most likely nothing receives what it sends.",
		Effect: "Nothing that still works: the plugin is gone.",
		Fields: []Field{
			{Name: "accountId", Label: "Account ID", Kind: Secret, RequiredByAtlas: true, Required: true, Soft: newRelicID, Hint: "Your New Relic account."},
			{Name: "licenseKey", Label: "License key", Kind: Secret, RequiredByAtlas: true, Required: true, Soft: newRelicKey, Hint: "Usually 40 characters."},
			{Name: "readToken", Label: "Read token", Kind: Secret, RequiredByAtlas: true, Required: true, Hint: "The query key of the account."},
			{Name: "writeToken", Label: "Write token", Kind: Secret, RequiredByAtlas: true, Required: true, Hint: "The insert key of the account."},
		},
	},
	{
		Name: "HIP_CHAT", Title: "HipChat",
		Discontinued: "HipChat was switched off in 2019, and Atlas refuses this type (HIPCHAT_NOT_SUPPORTED). " +
			"Nothing was sent. If you now use another chat service, choose its type.",
	},
}

// FindType finds a type by the name that Atlas uses or by one that people use:
// case, spaces, dashes and underscores do not matter.
func FindType(name string) (*Type, bool) {
	name = fold(name)
	if name == "" {
		return nil, false
	}
	for _, t := range Types {
		if name == fold(t.Name) || name == fold(t.Title) {
			return t, true
		}
		for _, alias := range t.Aliases {
			if name == alias {
				return t, true
			}
		}
	}
	return nil, false
}

// fold reduces a name to its lower-case letters and digits.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		default:
			return -1
		}
	}, name)
}

// Field finds a field of the type by its JSON name.
func (t *Type) Field(name string) (*Field, bool) {
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i], true
		}
	}
	return nil, false
}
