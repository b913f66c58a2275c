package atlas

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// deviations are the places where our catalog differs from the official document
// on purpose, with the reason. The test fails for any other difference, and for a
// deviation that is none any more.
var deviations = map[string]string{
	"HIP_CHAT schema": "the path takes the type, but Atlas refuses it; it is in the catalog to be explained",

	"DATADOG.region default":              "a toggle or choice is always sent; US is what the official CLI sends",
	"PAGER_DUTY.region default":           "a toggle or choice is always sent; US is what Atlas fills in",
	"PROMETHEUS.enabled default":          "an update is rarely meant to stop the scraping",
	"PROMETHEUS.serviceDiscovery default": "http is the form that needs no file to be moved",

	"DATADOG.region required":      "the default of the service is not documented, the wrong site loses metrics",
	"PAGER_DUTY.region required":   "the default of the service is not documented, the wrong region loses alerts",
	"OPS_GENIE.region required":    "shown to the approver, so it is sent",
	"PROMETHEUS.password required": "what becomes of the old password without a new one is not documented",

	"DATADOG.apiKey pattern":        "the service demands 32 hexadecimal digits, the document does not say so",
	"PAGER_DUTY.serviceKey pattern": "the service demands 32 hexadecimal digits, the document does not say so",
	"NEW_RELIC.accountId pattern":   "the service does not check it, and account numbers are in use: a warning",
	"NEW_RELIC.licenseKey pattern":  "the service does not check it: a warning",

	"NEW_RELIC.accountId secret":  "comes back unmasked; its neighbours are keys",
	"NEW_RELIC.licenseKey secret": "a key, although it comes back unmasked",
	"NEW_RELIC.readToken secret":  "a key, although it comes back unmasked",
	"NEW_RELIC.writeToken secret": "a key, although it comes back unmasked",

	"SLACK.channelName nullable": "a channel is what people come for",
}

func TestCatalogAgreesWithTheDocument(t *testing.T) {
	t.Parallel()
	doc := readDocument(t)

	names := make([]string, 0, len(Types))
	for _, typ := range Types {
		names = append(names, typ.Name)
	}
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			for _, p := range operation.Parameters {
				if p.Name == "integrationType" {
					assert.ElementsMatch(t, p.Schema.Enum, names, "%s %s", method, path)
				}
			}
		}
	}

	found := map[string]string{}
	for _, typ := range Types {
		ref, known := doc.Components.Schemas["ThirdPartyIntegration"].Discriminator.Mapping[typ.Name]
		if !known {
			found[typ.Name+" schema"] = "no schema in the document"
			continue
		}
		s := doc.Components.Schemas[ref[strings.LastIndex(ref, "/")+1:]]
		assert.Equal(t, typ.Name, s.Title)
		compareType(typ, &s, func(place, difference string) { found[typ.Name+place] = difference })
	}
	for name := range doc.Components.Schemas["ThirdPartyIntegration"].Discriminator.Mapping {
		assert.Contains(t, names, name, "a type that the catalog lacks")
	}
	for place, difference := range found {
		assert.Contains(t, deviations, place, difference)
	}
	for place, why := range deviations {
		assert.Contains(t, found, place, "no deviation any more (%s)", why)
	}
}

// compareType tells of every difference between the catalog and a schema.
func compareType(typ *Type, s *schema, differs func(place, difference string)) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if name == "id" || name == "type" {
			continue
		}
		f, known := typ.Field(name)
		if !known {
			differs("."+name, "a field that the catalog lacks")
			continue
		}
		p := s.Properties[name]
		compareField(f, &p, slices.Contains(s.Required, name), func(what string, theirs, ours any) {
			if fmt.Sprint(theirs) != fmt.Sprint(ours) {
				differs("."+name+" "+what, fmt.Sprintf("%s: %v in the document, %v in the catalog", what, theirs, ours))
			}
		})
	}
	for i := range typ.Fields {
		if _, known := s.Properties[typ.Fields[i].Name]; !known {
			differs("."+typ.Fields[i].Name, "a field that the document lacks")
		}
	}
	if own := s.Properties["type"]; !slices.Equal(own.Enum, []string{typ.Name}) {
		differs(".type", "another name")
	}
}

var sizeLimit = regexp.MustCompile(`(\d+) KB limit`)

func compareField(f *Field, p *property, required bool, compare func(what string, theirs, ours any)) {
	compare("boolean", p.Type == "boolean", f.Kind == Toggle)
	compare("string", p.Type == "string", f.Kind != Toggle)
	compare("enum", p.Enum, f.Choices)
	compare("required by Atlas", required, f.RequiredByAtlas)
	compare("required", required, f.Required)
	compare("nullable", p.Nullable, false)
	compare("minimum length", p.MinLength, f.MinLength)
	compare("maximum length", p.MaxLength, f.MaxLength)
	compare("write only", p.WriteOnly, f.NeverShown)
	compare("secret", p.Format == "password" || p.WriteOnly || strings.Contains(fmt.Sprint(p.Example), "****"), f.Secret())
	hard, byDefault, limit := "", "", 0
	if f.Hard != nil {
		hard = f.Hard.String()
	}
	if p.Default != nil {
		byDefault = fmt.Sprint(p.Default)
	}
	if found := sizeLimit.FindStringSubmatch(p.Description); found != nil {
		kilobytes, _ := strconv.Atoi(found[1])
		limit = kilobytes << 10
	}
	compare("pattern", p.Pattern, hard)
	compare("default", byDefault, f.Default)
	compare("size", limit, f.MaxBytes)
}

func TestClientAgreesWithTheDocument(t *testing.T) {
	t.Parallel()
	doc := readDocument(t)
	for _, want := range []struct{ method, path string }{
		{"get", "/groups"},
		{"get", "/groups/{groupId}"},
		{"get", "/groups/{groupId}/integrations"},
		{"get", "/groups/{groupId}/integrations/{integrationType}"},
		{"put", "/groups/{groupId}/integrations/{integrationType}"},
	} {
		operation, known := doc.Paths[apiRoot+want.path][want.method]
		require.True(t, known, "%s %s", want.method, want.path)
		assert.Equal(t, []string{mediaType}, slices.Collect(maps.Keys(operation.Responses["200"].Content)))
		if want.method == "put" {
			assert.Equal(t, []string{mediaType}, slices.Collect(maps.Keys(operation.RequestBody.Content)))
		}
	}
	assert.LessOrEqual(t, perPage, doc.Components.Parameters["itemsPerPage"].Schema.Maximum)
	sample := strings.Repeat("0a", 12)
	for _, id := range []string{sample, strings.ToUpper(sample), sample[1:], sample + "0", "", " " + sample[1:], sample + "\n"} {
		theirs := regexp.MustCompile(doc.Components.Parameters["groupId"].Schema.Pattern).MatchString(id)
		assert.Equal(t, theirs, groupID.MatchString(id), "%q", id)
	}
}

func TestCatalogIsSound(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		assert.NotEmpty(t, typ.Title, typ.Name)
		if typ.Discontinued != "" {
			assert.Empty(t, typ.Fields, typ.Name)
			continue
		}
		assert.NotEmpty(t, typ.Where, typ.Name)
		guide, err := url.Parse(typ.Guide)
		require.NoError(t, err)
		assert.Equal(t, "https", guide.Scheme, typ.Name)
		assert.NotEmpty(t, typ.Effect, typ.Name)
		secrets := false
		for i := range typ.Fields {
			f := &typ.Fields[i]
			place := typ.Name + "." + f.Name
			assert.NotEmpty(t, f.Label, place)
			assert.LessOrEqual(t, len([]rune(f.Hint)), 150, "%s: Slack cuts hints", place)
			assert.True(t, f.Secret() || !secrets, "%s: secrets come last", place)
			assert.True(t, f.Required || !f.RequiredByAtlas, "%s: never less than Atlas demands", place)
			assert.Equal(t, f.Kind == Choice, f.Choices != nil, place)
			switch f.Kind {
			case Choice:
				assert.Contains(t, f.Choices, f.Default, place)
			case Toggle:
				assert.Contains(t, []string{"true", "false"}, f.Default, place)
			default:
				assert.Empty(t, f.Default, place)
			}
			if f.Hard != nil {
				assert.True(t, strings.HasSuffix(f.Hard.Say, "."), place)
			}
			if f.Soft != nil {
				assert.True(t, strings.HasSuffix(f.Soft.Say, "."), place)
			}
			secrets = f.Secret()
		}
	}
}

func TestFindType(t *testing.T) {
	t.Parallel()
	for _, typ := range Types {
		for _, name := range append([]string{
			typ.Name, strings.ToLower(typ.Name), typ.Title, strings.ReplaceAll(typ.Name, "_", "-"),
			strings.ReplaceAll(typ.Name, "_", " "), strings.ReplaceAll(typ.Name, "_", ""),
		}, typ.Aliases...) {
			found, ok := FindType(name)
			if assert.True(t, ok, name) {
				assert.Equal(t, typ.Name, found.Name, name)
			}
		}
	}
	for _, name := range []string{"", " ", "_", "pagerdutyy", "carrier pigeon", "✉"} {
		_, ok := FindType(name)
		assert.False(t, ok, "%q", name)
	}
}

// document is the part of the OpenAPI document that the catalog answers for.
type document struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name   string
			Schema struct{ Enum []string }
		}
		RequestBody struct{ Content map[string]any } `yaml:"requestBody"`
		Responses   map[string]struct{ Content map[string]any }
	}
	Components struct {
		Parameters map[string]struct {
			Schema struct {
				Maximum int
				Pattern string
			}
		}
		Schemas map[string]schema
	}
}

type schema struct {
	Title         string
	Required      []string
	Properties    map[string]property
	Discriminator struct{ Mapping map[string]string }
}

type property struct {
	Type, Format, Pattern, Description string
	Enum                               []string
	Default, Example                   any
	Nullable                           bool
	WriteOnly                          bool           `yaml:"writeOnly"`
	MinLength                          int            `yaml:"minLength"`
	MaxLength                          int            `yaml:"maxLength"`
	Other                              map[string]any `yaml:",inline"`
}

// readDocument reads the official document from where ATLAS_OPENAPI says. Its
// licence keeps it out of this repository, so it may be missing, but not in CI.
func readDocument(t *testing.T) *document {
	t.Helper()
	path, given := os.LookupEnv("ATLAS_OPENAPI")
	if !given {
		path = "../../../shared/atlas/openapi-integrations.yaml"
	}
	data, err := os.ReadFile(path) //nolint:gosec // the test is told where the document is
	if os.IsNotExist(err) && !given && os.Getenv("CI") == "" {
		t.Skip("the catalog is not compared with Atlas' own document: set ATLAS_OPENAPI to its path")
	}
	require.NoError(t, err, "ATLAS_OPENAPI must be the path of Atlas' OpenAPI document")
	var doc document
	require.NoError(t, yaml.Unmarshal(data, &doc))
	require.NotEmpty(t, doc.Components.Schemas)
	for _, s := range []string{"title", "description", "externalDocs", "readOnly"} {
		for _, typ := range doc.Components.Schemas {
			for _, p := range typ.Properties {
				delete(p.Other, s)
			}
		}
	}
	for _, ref := range doc.Components.Schemas["ThirdPartyIntegration"].Discriminator.Mapping {
		name := ref[strings.LastIndex(ref, "/")+1:]
		for field, p := range doc.Components.Schemas[name].Properties {
			require.Empty(t, p.Other, "%s.%s: the comparison does not know these words of the document", name, field)
		}
	}
	return &doc
}
