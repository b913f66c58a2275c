package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// module is what every import path of ours begins with.
const module = "github.com/atlas-integration-bot/atlas-integration-bot/"

// root is the top of the repository.
var root = filepath.Join("..", "..")

// allowed are the arrows of the house: which of our packages each may import. A
// package that is not here must be added, so that somebody thinks about it.
var allowed = map[string][]string{
	"internal/secret":    {},
	"internal/atlas":     {"internal/secret"},
	"internal/approvals": {"internal/atlas", "internal/secret", "internal/trace"},
	"internal/modals":    {"internal/approvals", "internal/atlas", "internal/secret"},
	"internal/commands":  {"internal/modals", "internal/approvals", "internal/atlas", "internal/secret", "internal/trace"},
	"internal/socket":    {},
	"internal/trace":     {},
	"internal/house":     {"internal/atlas", "internal/modals"}, // its tests only
	"deploy":             {"internal/secret"},                   // its tests only
	"bench/bolt-peer":    {"internal/atlas"},                    // its tests only
	"cmd/bot":            {"internal/socket", "internal/commands", "internal/modals", "internal/approvals", "internal/atlas", "internal/secret", "internal/trace"},
}

// Below these, packages are for tests, the sandbox and the benchmark only: the bot
// does not contain them.
const (
	sandbox    = "internal/sandbox"
	sandboxCmd = "cmd/sandbox"
	bench      = "bench"
)

// outside reports whether a package is around the bot and not in it.
func outside(name string) bool {
	return within(name, sandbox) || within(name, sandboxCmd) || within(name, bench)
}

// forbidden are packages of others that some of ours must not import.
var forbidden = map[string][]string{
	// Pure functions, no I/O. Of slack-go it uses the types of Block Kit: see
	// TestModalsHoldsNoClient.
	"internal/modals": {"net/http", "os", "github.com/redis", "golang.org/x/oauth2"},
	// Redis is for approvals, sockets are for socket.
	"internal/commands": {"github.com/redis", "github.com/gorilla/websocket"},
	"internal/socket":   {"github.com/redis", "github.com/slack-go/slack/socketmode"},
}

// otelSDK is what makes spans out of what is told to OpenTelemetry's API.
const otelSDK = "go.opentelemetry.io/otel/sdk"

// unreachable are packages that some of ours must not contain, however far down.
var unreachable = map[string][]string{
	"internal/secret":    {"net", "github.com/slack-go", "github.com/redis"},
	"internal/atlas":     {"github.com/slack-go", "github.com/redis"},
	"internal/approvals": {"github.com/slack-go", otelSDK}, // it knows Slack only as references that it never reads
	"internal/commands":  {otelSDK},
	"internal/trace":     {otelSDK, "go.opentelemetry.io/otel/exporters"},
	"cmd/bot":            {"testing", "github.com/alicebob/miniredis", module + sandbox, module + bench},
}

// A listed package is one as `go list` knows it.
type listed struct {
	ImportPath   string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func (p *listed) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json"}, args...)...) //nolint:gosec // our own arguments
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var packages []listed
	for read := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := read.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// ours are the packages of this repository among imports, without the module.
func ours(imports []string) []string {
	var names []string
	for _, path := range imports {
		if name, ok := strings.CutPrefix(path, module); ok {
			names = append(names, name)
		}
	}
	return names
}

// within reports whether a package is at a path or below it.
func within(name, path string) bool { return name == path || strings.HasPrefix(name, path+"/") }

func TestArrows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range goList(t, "./...") {
		name := p.name()
		seen[name] = true
		if outside(name) {
			continue // see TestSandboxStaysOutside
		}
		may, known := allowed[name]
		if !assert.True(t, known, "%s is not in the table of arrows: add it, with what it may import", name) {
			continue
		}
		for _, imported := range ours(p.Imports) {
			assert.Contains(t, may, imported, "%s must not import %s", name, imported)
		}
		// Tests may use the sandbox, but must not turn an arrow round.
		for _, imported := range ours(slices.Concat(p.TestImports, p.XTestImports)) {
			if imported != name && !within(imported, sandbox) {
				assert.Contains(t, may, imported, "a test of %s must not import %s", name, imported)
			}
		}
		assertNone(t, p.Imports, forbidden[name], name+" must not import")
		assertNone(t, p.Deps, unreachable[name], name+" must not contain")
	}
	for name := range allowed {
		assert.True(t, seen[name], "%s is in the table of arrows, but gone", name)
	}
}

// What is merely useful for tests must not be in what people run, and a stand-in
// that shared code with the bot would share its mistakes.
func TestSandboxStaysOutside(t *testing.T) {
	t.Parallel()
	var standIns []string
	for _, p := range goList(t, "./...") {
		name := p.name()
		switch {
		case p.Name == "slacksim" || p.Name == "atlassim":
			standIns = append(standIns, p.Name)
			assert.Empty(t, ours(p.Imports), "%s stands in for somebody else, so it imports nothing of ours", name)
		case outside(name):
		default:
			for _, imported := range ours(p.Imports) {
				assert.False(t, within(imported, sandbox), "%s must not import %s", name, imported)
			}
		}
	}
	assert.ElementsMatch(t, []string{"slacksim", "atlassim"}, standIns)
}

// assertNone finds the paths that are at or below one of those not wanted.
func assertNone(t *testing.T, paths, unwanted []string, message string) {
	t.Helper()
	for _, path := range paths {
		for _, not := range unwanted {
			assert.False(t, within(path, not), "%s %s", message, path)
		}
	}
}

// slack-go has types and client in one package, so the imports alone do not say
// whether modals talks to anybody.
func TestModalsHoldsNoClient(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "internal", "modals", "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if of, ok := s.X.(*ast.Ident); ok {
					name := of.Name + "." + s.Sel.Name
					talks := name == "slack.New" || name == "slack.Client" || strings.HasPrefix(name, "slack.PostWebhook")
					assert.False(t, talks, "%s uses %s", filepath.Base(path), name)
				}
			}
			return true
		})
	}
}
