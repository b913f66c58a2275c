package main_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// newWorldThat has an Atlas that does as it may.
func newWorldThat(t *testing.T, quirks atlassim.Quirks) *world {
	t.Helper()
	return newWorldOf(t, slacksim.Options{}, atlassim.Options{Quirks: quirks})
}

// channelOf is a request for a Teams channel of the workspace that all projects use.
func channelOf(name string) filled {
	return filled{
		projects: []string{"payments-prod"}, kind: "MICROSOFT_TEAMS", reason: "another channel",
		values: map[string]any{"microsoftTeamsWebhookUrl": "https://example.webhook.office.com/webhookb2/" + name},
	}
}

// TestOnlyTheHostIsShown: of a URL that Atlas shows by its host alone, the bot says that
// it is not proven, and never takes somebody else's for the one that was asked for.
func TestOnlyTheHostIsShown(t *testing.T) {
	t.Parallel()
	t.Run("sent, and said", func(t *testing.T) {
		t.Parallel()
		w := newWorldThat(t, atlassim.Quirks{BareURLs: true})
		w.start(t)
		wanted := channelOf("alerts-payments")
		require.Empty(t, w.ask(t, mira, wanted).Errors)
		w.click(t, jo, w.card(t, "pending"), "approve")
		assert.Contains(t, w.card(t, "applied").PlainText(), "Atlas shows too little of Webhook URL, so that part is not proven.")
		assert.Len(t, w.puts(t, "payments-prod", "MICROSOFT_TEAMS"), 1)
		assert.Equal(t, wanted.values["microsoftTeamsWebhookUrl"], w.holds(t, "payments-prod", "MICROSOFT_TEAMS")["microsoftTeamsWebhookUrl"])
		w.noSecrets(t)
	})
	t.Run("changed to another in between", func(t *testing.T) {
		t.Parallel()
		w := newWorldThat(t, atlassim.Quirks{BareURLs: true})
		w.start(t)
		require.Empty(t, w.ask(t, mira, channelOf("alerts-payments")).Errors)
		card := w.card(t, "pending")
		require.NoError(t, w.atlas.ChangeBehind(w.atlas.ProjectID("payments-prod"), "MICROSOFT_TEAMS", func(settings map[string]any) {
			settings["microsoftTeamsWebhookUrl"] = channelOf("somebody-elses").values["microsoftTeamsWebhookUrl"]
		}))
		w.click(t, jo, card, "approve")
		assert.Contains(t, w.card(t, "failed").PlainText(), "stale")
		assert.Empty(t, w.puts(t, "payments-prod", "MICROSOFT_TEAMS"))
	})
}

// TestTemplatesComeBackInAnyForm: nobody has seen how Atlas shows templates, so no form
// makes an update fail.
func TestTemplatesComeBackInAnyForm(t *testing.T) {
	t.Parallel()
	for name, templates := range map[string]atlassim.Templates{"as four stars": atlassim.TemplatesStars, "as four stars and their end": atlassim.TemplatesTail} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldThat(t, atlassim.Quirks{Templates: templates})
			w.start(t)
			wanted := atlassim.Sample("WEBHOOK", "new")
			delete(wanted, "type")
			require.Empty(t, w.ask(t, mira, filled{projects: []string{"payments-prod"}, kind: "WEBHOOK", values: wanted, reason: "another receiver"}).Errors)
			w.click(t, jo, w.card(t, "pending"), "approve")
			assert.Contains(t, w.card(t, "applied").PlainText(), "Atlas shows too little of Headers template and Body template, so that part is not proven.")
			assert.Len(t, w.puts(t, "payments-prod", "WEBHOOK"), 1)
			w.noSecrets(t)
		})
	}
}

// TestAtlasKeepsWhatWasLeftEmpty: the approver saw that the routing key goes, so the
// result says that it did not, unless it did.
func TestAtlasKeepsWhatWasLeftEmpty(t *testing.T) {
	t.Parallel()
	for name, merges := range map[string]bool{"PUT merges": true, "PUT replaces": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldThat(t, atlassim.Quirks{PutMerges: merges})
			w.start(t)
			wanted := atlassim.Sample("VICTOR_OPS", "new")
			require.Empty(t, w.ask(t, mira, filled{
				projects: []string{"payments-prod"}, kind: "VICTOR_OPS", reason: "all teams are paged",
				values: map[string]any{"routingKey": "", "apiKey": wanted["apiKey"]},
			}).Errors)
			card := w.card(t, "pending")
			assert.Contains(t, card.PlainText(), "*Routing key*: `payments-prod` → _left empty_")
			w.click(t, jo, card, "approve")
			applied := w.card(t, "applied").PlainText()
			const kept, shows = "Atlas kept: Routing key.", "Atlas shows the new values."
			if merges {
				assert.Contains(t, applied, kept)
				assert.NotContains(t, applied, shows)
				assert.Equal(t, "payments-prod", w.holds(t, "payments-prod", "VICTOR_OPS")["routingKey"])
			} else {
				assert.Contains(t, applied, shows)
				assert.NotContains(t, applied, kept)
				assert.NotContains(t, w.holds(t, "payments-prod", "VICTOR_OPS"), "routingKey")
			}
			assert.Len(t, w.puts(t, "payments-prod", "VICTOR_OPS"), 1)
		})
	}
}
