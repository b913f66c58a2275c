package main

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// atlasTransport is one pool of connections for all calls of Atlas.
func atlasTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // net/http documents its type
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.TLSHandshakeTimeout = 5 * time.Second
	t.MaxIdleConnsPerHost = 8
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// atlasClient makes the client of the Admin API; it calls nobody yet. Without a
// transport it has one of its own.
func (c *config) atlasClient(log *slog.Logger, transport http.RoundTripper) (*atlas.Client, error) {
	return atlas.NewClient(atlas.Config{
		BaseURL:      c.AtlasBaseURL,
		ClientID:     c.AtlasClientID,
		ClientSecret: c.AtlasClientSecret,
		PublicKey:    c.AtlasPublicKey,
		PrivateKey:   c.AtlasPrivateKey,
		UserAgent:    userAgent(),
		Transport:    transport,
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
