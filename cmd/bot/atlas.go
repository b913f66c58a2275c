package main

import (
	"log/slog"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// atlasClient makes the client of the Admin API; it calls nobody yet.
func (c *config) atlasClient(log *slog.Logger) (*atlas.Client, error) {
	return atlas.NewClient(atlas.Config{
		BaseURL:      c.AtlasBaseURL,
		ClientID:     c.AtlasClientID,
		ClientSecret: c.AtlasClientSecret,
		PublicKey:    c.AtlasPublicKey,
		PrivateKey:   c.AtlasPrivateKey,
		UserAgent:    userAgent(),
		Log:          log,
	})
}

// atlasLogin names the kind of credentials.
func (c *config) atlasLogin() string {
	if c.AtlasClientID != "" {
		return "service account"
	}
	return "API key"
}
