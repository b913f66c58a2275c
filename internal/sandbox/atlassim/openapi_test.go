package atlassim_test

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

// schema is what the official document says about a type.
type schema struct {
	Required   []string
	Properties map[string]struct {
		Type    string
		Enum    []string
		Default any
	}
}

// readSchemas reads the official document, of which the repository holds no copy.
func readSchemas(t *testing.T) map[string]schema {
	t.Helper()
	file := os.Getenv("ATLAS_OPENAPI")
	if file == "" {
		require.Empty(t, os.Getenv("CI"), "ATLAS_OPENAPI names the official document")
		t.Skip("ATLAS_OPENAPI is not set")
	}
	if !filepath.IsAbs(file) { // then from the root of the module
		file = filepath.Join("..", "..", "..", file)
	}
	raw, err := os.ReadFile(file) //nolint:gosec // named by whoever runs the test
	require.NoError(t, err)
	var doc struct {
		Components struct {
			Schemas map[string]yaml.Node
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &doc))
	var union struct {
		Discriminator struct{ Mapping map[string]string }
	}
	node := doc.Components.Schemas["ThirdPartyIntegration"]
	require.NoError(t, node.Decode(&union))
	byType := map[string]schema{}
	for typ, ref := range union.Discriminator.Mapping {
		var s schema
		node := doc.Components.Schemas[path.Base(ref)]
		require.NoError(t, node.Decode(&s), typ)
		byType[typ] = s
	}
	return byType
}

// TestOfficialDocument holds the rules here against it: the same fields, demanded
// and limited in the same way.
func TestOfficialDocument(t *testing.T) {
	t.Parallel()
	schemas := readSchemas(t)
	assert.Len(t, schemas, len(atlassim.Types()))
	for typ, s := range schemas {
		d := newDesk(t, atlassim.Options{})
		sample := atlassim.Sample(typ, "new")
		sample["id"] = nil
		for name := range sample {
			assert.Contains(t, s.Properties, name, typ)
		}
		for name := range s.Properties {
			assert.Contains(t, sample, name, typ)
		}
		for _, name := range s.Required {
			assert.Equal(t, "MISSING_ATTRIBUTE", d.put(typ, without(typ, name)).code(), "%s.%s", typ, name)
		}
		bare := map[string]any{"type": typ}
		for _, name := range s.Required {
			bare[name] = sample[name]
		}
		require.Equal(t, 200, d.put(typ, bare).status, "%s with nothing but what is required", typ)
		held, _ := d.Integration(projectID, typ)
		for name, p := range s.Properties {
			if p.Default != nil {
				assert.Equal(t, p.Default, held[name], "%s.%s", typ, name)
			}
			for _, choice := range p.Enum {
				assert.Equal(t, 200, d.put(typ, with(typ, map[string]any{name: choice})).status, "%s.%s: %s", typ, name, choice)
			}
			if wrong := map[string]any{"string": true, "boolean": "true"}[p.Type]; name != "id" {
				assert.Equal(t, "INVALID_ATTRIBUTE", d.put(typ, with(typ, map[string]any{name: wrong})).code(), "%s.%s", typ, name)
			}
		}
	}
}
