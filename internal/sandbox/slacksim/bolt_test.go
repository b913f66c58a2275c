package slacksim_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestBolt has Slack's own framework for JavaScript run a small app against the
// stand-in, with nothing but the address changed: it speaks Slack, and not only
// the dialect of our bot.
func TestBolt(t *testing.T) {
	t.Parallel()
	dir := installBolt(t)
	s, err := slacksim.New(slacksim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	startBolt(t, s, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.WaitConnections(ctx, 1))
	p := s.Person("U0ENGINEER")

	boltForm(ctx, t, p)
	card := boltMessage(ctx, t, p, "right")
	require.NoError(t, p.Click(ctx, card, "press"))
	boltMessage(ctx, t, p, "right, pressed by <@U0ENGINEER>")

	require.NoError(t, p.OpenHome(ctx))
	_, err = p.WaitHome(ctx, func(v slacksim.View) bool { return strings.Contains(string(v.JSON), "Hello ") })
	require.NoError(t, err)

	// It leaves when it is asked to, at once, and comes again, as it does when it is cut.
	boltComesBack(ctx, t, s, func() { s.Refresh("refresh_requested") })
	boltPing(ctx, t, p, 1)
	boltComesBack(ctx, t, s, s.CutSockets)
	boltPing(ctx, t, p, 2)
	assert.Empty(t, s.Violations())
}

// boltComesBack waits for the connection that follows what ends the one there is.
func boltComesBack(ctx context.Context, t *testing.T, s *slacksim.Server, end func()) {
	t.Helper()
	connected := make(chan struct{}, 1)
	defer s.Subscribe(func(e slacksim.Event) {
		if e.Kind == "socket" && e.Method == "connected" {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	})()
	end()
	select {
	case <-connected:
	case <-ctx.Done():
		require.FailNow(t, "the app did not come back")
	}
}

// installBolt gives a directory in which Bolt is installed. In CI it must be.
func installBolt(t *testing.T) string {
	t.Helper()
	source := filepath.Join("..", "..", "..", "bench", "bolt-peer")
	if _, err := os.Stat(filepath.Join(source, "node_modules")); err == nil {
		return source
	}
	if _, err := exec.LookPath("npm"); err != nil {
		const missing = "there is no npm: install Node.js 20 or later with npm (packages nodejs and npm)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if os.Getenv("CI") == "" {
		t.Skip("Bolt is not installed: run npm ci in bench/bolt-peer")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "smoke.js"} {
		content, err := os.ReadFile(filepath.Join(source, name)) //nolint:gosec // our own files
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600)) //nolint:gosec // into our own directory
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = dir
	out, err := npm.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func startBolt(t *testing.T, s *slacksim.Server, dir string) {
	t.Helper()
	var said printed
	cmd := exec.Command("node", "smoke.js") //nolint:noctx // it is asked to end
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Env = append(os.Environ(), "SLACK_BOT_TOKEN="+s.BotToken(), "SLACK_APP_TOKEN="+s.AppToken(), "SLACK_API_URL="+s.APIURL())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ends is its own affair
		if t.Failed() {
			t.Log("what the app said:\n" + said.String())
			for _, e := range s.Log() {
				t.Log(e.Kind, e.Method, e.Summary, string(e.JSON))
			}
		}
	})
}

// boltForm opens the form, is told what is wrong, and sends it.
func boltForm(ctx context.Context, t *testing.T, p *slacksim.Person) {
	t.Helper()
	_, err := p.Command(ctx, "C0INCIDENT", "/smoke", "")
	require.NoError(t, err)
	_, err = p.WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "smoke" })
	require.NoError(t, err)
	require.NoError(t, p.Type("words", "wrong"))
	result, err := p.Submit(ctx)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"words": "Other words, please."}, result.Errors)
	require.NoError(t, p.Type("words", "right"))
	result, err = p.Submit(ctx)
	require.NoError(t, err)
	assert.True(t, result.Closed)
}

func boltMessage(ctx context.Context, t *testing.T, p *slacksim.Person, words string) slacksim.Message {
	t.Helper()
	m, err := p.WaitMessage(ctx, "C0INCIDENT", func(m slacksim.Message) bool { return m.PlainText() == words })
	require.NoError(t, err, words)
	return m
}

// boltPing asks for an answer that only the person sees, the nth of its kind.
func boltPing(ctx context.Context, t *testing.T, p *slacksim.Person, nth int) {
	t.Helper()
	_, err := p.Command(ctx, "C0INCIDENT", "/smoke", "ping "+strconv.Itoa(nth))
	require.NoError(t, err)
	_, err = p.WaitMessage(ctx, "C0INCIDENT", func(m slacksim.Message) bool {
		return m.Ephemeral && m.Text == "pong "+strconv.Itoa(nth)
	})
	require.NoError(t, err)
}

// printed is what a process printed.
type printed struct {
	guard sync.Mutex
	text  strings.Builder
}

func (p *printed) Write(b []byte) (int, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.text.String()
}
