package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// TestSecretsStaySecret types secrets into every secret field of every type, lets
// their requests come to all kinds of ends, and then searches everything that the
// bot ever emitted for them. The only place where one may be is the body of a PUT.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	for _, kind := range atlassim.Types() {
		h.wrong(kind)
		h.denied(kind)
		h.cancelled(kind)
		h.refusedAndRetried(kind)
		h.drifted(kind)
	}
	h.expired()
	h.unanswered()
	h.search()
}

type hunt struct {
	t       *testing.T
	w       *world
	bot     *process
	monitor *monitor
	spans   *collector
	planted map[string]string // the secret → what it is, to name it without telling it
	count   int
}

func newHunt(t *testing.T) *hunt {
	h := &hunt{t: t, planted: map[string]string{}, spans: newCollector(t)}
	h.w = newWorldOf(t, slacksim.Options{NoRateLimits: true}, atlassim.Options{NoRateLimits: true}, func(w *world) {
		w.env["APPROVAL_TTL"] = "30s"
		h.spans.settings(w)
	})
	h.monitor = watch(t, h.w.redis)
	h.bot = h.w.start(t)
	return h
}

// secrets are settings of a type whose secrets nobody has typed before.
func (h *hunt) secrets(kind string) filled {
	h.count++
	values := atlassim.Sample(kind, fmt.Sprintf("canary %d", h.count))
	delete(values, "type")
	catalog, _ := atlas.FindType(kind)
	for name, value := range values {
		if f, _ := catalog.Field(name); f.Secret() {
			h.planted[fmt.Sprint(value)] = fmt.Sprintf("%s.%s of request %d", kind, name, h.count)
		}
	}
	return filled{projects: []string{"payments-prod"}, kind: kind, values: values, reason: h.reason()}
}

func (h *hunt) reason() string { return fmt.Sprintf("request number %d.", h.count) }

// ask makes a request and gives its pending card.
func (h *hunt) ask(kind string) slacksim.Message {
	f := h.secrets(kind)
	require.Empty(h.t, h.w.ask(h.t, mira, f).Errors)
	return h.w.cardOf(h.t, "pending", h.reason())
}

func (h *hunt) ends(state string) { h.w.cardOf(h.t, state, h.reason()) }

// wrong types secrets that are none: each is refused at its input.
func (h *hunt) wrong(kind string) {
	f := h.secrets(kind)
	catalog, _ := atlas.FindType(kind)
	for name, value := range f.values {
		if field, _ := catalog.Field(name); field.Secret() {
			f.values[name] = fmt.Sprint(value) + " <&>\\"
			h.planted[fmt.Sprint(f.values[name])] = "a wrong " + kind + "." + name
		}
	}
	h.w.open(h.t, mira, "update", f)
	result := h.w.submit(h.t, mira)
	if len(result.Errors) == 0 { // some types take any text; then it is a request like others
		h.w.click(h.t, jo, h.w.cardOf(h.t, "pending", h.reason()), "approve")
		h.ends("applied")
	}
}

func (h *hunt) denied(kind string) {
	h.w.click(h.t, jo, h.ask(kind), "deny")
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	_, err := h.w.slack.Person(jo).WaitView(ctx, func(slacksim.View) bool { return true })
	require.NoError(h.t, err)
	require.NoError(h.t, h.w.slack.Person(jo).Type("reason", "not now"))
	require.Empty(h.t, h.w.submit(h.t, jo).Errors)
	h.ends("denied")
}

func (h *hunt) cancelled(kind string) {
	card := h.ask(kind)
	dm := h.w.message(h.t, mira, h.w.slack.Person(mira).DM(), "pending", requestID(h.t, card))
	h.w.click(h.t, mira, dm, "cancel")
	h.ends("cancelled")
}

// refusedAndRetried has Atlas quote what it was sent, first.
func (h *hunt) refusedAndRetried(kind string) {
	card := h.ask(kind)
	h.w.atlas.Fail(atlassim.Match{Method: http.MethodPut, Type: kind}, atlassim.Fault{Kind: atlassim.EchoSecret, Status: 400}, 1)
	h.w.click(h.t, jo, card, "approve")
	h.w.click(h.t, jo, h.w.cardOf(h.t, "failed", h.reason()), "retry")
	h.ends("applied")
}

func (h *hunt) drifted(kind string) {
	card := h.ask(kind)
	other := atlassim.Sample(kind, "somebody else")
	require.NoError(h.t, h.w.atlas.ChangeBehind(h.w.atlas.ProjectID("payments-prod"), kind, func(settings map[string]any) {
		for name, value := range other {
			if name != "type" {
				settings[name] = value
			}
		}
	}))
	h.w.click(h.t, jo, card, "approve")
	h.ends("failed")
}

// expired waits for the requests' time to pass, on the clock of Redis.
func (h *hunt) expired() {
	env := h.w.env
	h.w.env = map[string]string{}
	for name, value := range env {
		h.w.env[name] = value
	}
	h.w.env["APPROVAL_TTL"] = "2s"
	other := h.w.start(h.t)
	h.bot.stop(h.t)
	require.Empty(h.t, h.w.ask(h.t, mira, h.secrets("PAGER_DUTY")).Errors)
	h.ends("expired")
	h.w.env = env
	next := h.w.start(h.t)
	_, _ = next.logs.Write([]byte(h.bot.logs.String() + other.logs.String())) // it takes everything
	other.stop(h.t)
	h.bot = next
}

// unanswered has Atlas store what it is sent and never answer, and then kills the
// bot with a signal that has it print all its goroutines.
func (h *hunt) unanswered() {
	card := h.ask("DATADOG")
	late := h.w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: atlassim.HangAfterApply}, 1)
	h.w.click(h.t, jo, card, "approve")
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	require.NoError(h.t, late.Wait(ctx, 1))
	require.NoError(h.t, h.bot.cmd.Process.Signal(syscall.SIGQUIT))
	<-h.bot.done
	require.Contains(h.t, h.bot.logs.String(), "goroutine ", "the crash should be there to be searched")
	require.True(h.t, eventually(ctx, h.w, func() bool { return h.w.slack.Connections() == 0 }), "its connections should end with it")
	next := h.w.start(h.t)
	_, _ = next.logs.Write([]byte(h.bot.logs.String())) // it takes everything
	h.bot = next
	h.ends("applied")
}

// stop ends a bot as Kubernetes does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.done
}

// search looks through everything for every secret, in every guise.
func (h *hunt) search() {
	places := map[string][]byte{
		"what Slack was sent":      h.w.slack.Everything(),
		"the bot's log":            []byte(h.bot.logs.String()),
		"/metrics":                 h.get("/metrics"),
		"/healthz":                 h.get("/healthz"),
		"/readyz":                  h.get("/readyz"),
		"bot check":                h.run("check"),
		"bot audit export":         h.run("audit", "export"),
		"bot audit receipt":        h.run("audit", "receipt", requestID(h.t, h.w.cardOf(h.t, "applied", h.reason()))),
		"the exported spans":       h.spans.everything(),
		"the commands of Redis":    h.monitor.stop(),
		"what Redis keeps on disk": h.disk(),
	}
	for place, content := range places {
		require.NotEmpty(h.t, content, "there is nothing to search in %s", place)
	}
	require.Greater(h.t, len(h.planted), 50)
	for value, what := range h.planted {
		for guise, text := range guises(value) {
			for place, content := range places {
				if bytes.Contains(content, []byte(text)) {
					h.t.Errorf("%s is in %s, %s", what, place, guise)
				}
			}
		}
	}
}

// guises are the ways in which a secret may be written, with halves of it.
func guises(value string) map[string]string {
	quoted, _ := json.Marshal(value) //nolint:errchkjson // a text
	reversed := []rune(value)
	slices.Reverse(reversed)
	half := len(value) / 2
	all := map[string]string{
		"as it is":       value,
		"as JSON":        strings.Trim(string(quoted), `"`),
		"in an address":  url.QueryEscape(value),
		"in a path":      url.PathEscape(value),
		"in hex":         hex.EncodeToString([]byte(value)),
		"backwards":      string(reversed),
		"its first half": value[:half],
		"its last half":  value[half:],
	}
	// In base64 it depends on what stands before it, modulo three.
	for shift := range 3 {
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 for addresses": base64.RawURLEncoding} {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + value))
			all[fmt.Sprintf("in %s at %d", name, shift)] = encoded[(shift*4+2)/3+1 : len(encoded)-2]
		}
	}
	return all
}

func (h *hunt) get(path string) []byte {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://"+h.bot.addr+path, http.NoBody)
	require.NoError(h.t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(h.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(h.t, err)
	return body
}

// run is all that a command of the bot prints.
func (h *hunt) run(args ...string) []byte {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(h.t), args...) //nolint:gosec // our own binary
	for name, value := range h.w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	require.NoError(h.t, err, "%s:\n%s", args, out)
	return out
}

// disk is the append-only file and a snapshot, which is made for this.
func (h *hunt) disk() []byte {
	h.t.Helper()
	if !h.w.redis.Real {
		return []byte("miniredis keeps nothing on disk")
	}
	options, err := redis.ParseURL(h.w.redis.URL)
	require.NoError(h.t, err)
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	// Compressed, it would hide what it holds.
	require.NoError(h.t, client.ConfigSet(h.t.Context(), "rdbcompression", "no").Err())
	require.NoError(h.t, client.Save(h.t.Context()).Err())
	snapshot, err := os.ReadFile(filepath.Join(h.w.redis.Dir, "dump.rdb"))
	require.NoError(h.t, err)
	require.True(h.t, bytes.Contains(snapshot, []byte("payments-prod")), "the snapshot can be searched")
	file, err := h.w.redis.AOF()
	require.NoError(h.t, err)
	return append(file, snapshot...)
}

// A monitor is told every command that Redis carries out.
type monitor struct {
	conn net.Conn
	seen logs
	done chan struct{}
}

func watch(t *testing.T, server *redisd.Server) *monitor {
	t.Helper()
	m := &monitor{done: make(chan struct{})}
	if !server.Real {
		close(m.done)
		_, _ = m.seen.Write([]byte("miniredis has no MONITOR"))
		return m
	}
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	m.conn, err = net.DialTimeout("tcp", address.Host, 5*time.Second)
	require.NoError(t, err)
	_, err = m.conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	go func() {
		defer close(m.done)
		_, _ = io.Copy(&m.seen, m.conn) // it ends with the connection
	}()
	t.Cleanup(func() { _ = m.conn.Close(); <-m.done })
	return m
}

func (m *monitor) stop() []byte {
	if m.conn != nil {
		_ = m.conn.Close()
	}
	<-m.done
	return []byte(m.seen.String())
}
