package atlassim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// teams and stages are the projects of the default world, each team in each stage,
// and one more that nobody dares to touch.
var (
	teams  = []string{"payments", "search", "ledger", "identity", "checkout", "catalog", "shipping", "billing"}
	stages = []string{"prod", "staging", "dev"}
)

const loneProject = "legacy-reporting"

// DefaultWorld adds 25 projects, payments-prod, payments-staging and search-prod
// among them, each with all nine integrations. Ids and values are the same every
// time; none is anybody's.
func DefaultWorld(s *Server) error {
	names := []string{loneProject}
	for _, team := range teams {
		for _, stage := range stages {
			names = append(names, team+"-"+stage)
		}
	}
	for _, name := range names {
		id := objectIDOf("project", name)
		if err := s.AddProject(id, name); err != nil {
			return err
		}
		for _, typ := range Types() {
			if err := s.Seed(id, Sample(typ, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sample makes settings of a type that Atlas takes, every field set. The same seed
// gives the same settings, another one other values for all texts that are free.
func Sample(typ, seed string) map[string]any {
	value := func(name string) string {
		sum := sha256.Sum256([]byte(seed + "/" + typ + "/" + name))
		return hex.EncodeToString(sum[:])
	}
	hexKey := func(name string) string { return value(name)[:32] }
	uuid := func(name string) string {
		v := value(name)
		return fmt.Sprintf("%s-%s-%s-%s-%s", v[:8], v[8:12], v[12:16], v[16:20], v[20:32])
	}
	settings := map[string]map[string]any{
		"DATADOG": {
			"apiKey": hexKey("apiKey"), "region": "US", "sendCollectionLatencyMetrics": false,
			"sendDatabaseMetrics": true, "sendQueryStatsMetrics": false, "sendUserProvidedResourceTags": false,
		},
		"PAGER_DUTY": {"serviceKey": hexKey("serviceKey"), "region": "US"},
		"OPS_GENIE":  {"apiKey": uuid("apiKey"), "region": "EU"},
		"VICTOR_OPS": {"apiKey": uuid("apiKey"), "routingKey": seed},
		"WEBHOOK": {
			"url": "https://hooks.example.com/atlas/" + value("url")[:24], "secret": value("secret")[:30],
			"bodyTemplate":    `{"alert":"${id}","note":"` + value("body")[:8] + `"}`,
			"headersTemplate": `{"X-Alert-Id":"${id}","X-Note":"` + value("headers")[:8] + `"}`,
		},
		"MICROSOFT_TEAMS": {
			"microsoftTeamsWebhookUrl": "https://example.webhook.office.com/webhookb2/" + uuid("url"),
		},
		"PROMETHEUS": {
			"enabled": true, "serviceDiscovery": "http", "username": "prom_user_" + value("username")[:24],
			"password": value("password")[:20], "sendUserProvidedResourceTagsEnabled": false,
		},
		"SLACK": {
			"apiToken": "xoxb" + "-" + value("apiToken")[:50], "channelName": "alerts-" + value("channel")[:4], "teamName": "Example",
		},
		"NEW_RELIC": {
			"accountId": value("accountId")[:40], "licenseKey": value("licenseKey")[:40],
			"readToken": value("readToken")[:40], "writeToken": value("writeToken")[:40],
		},
	}[typ]
	if settings == nil {
		return nil
	}
	settings["type"] = typ
	return settings
}
