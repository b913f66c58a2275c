package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// The end-to-end tests drive the bot as a process, by the names that Slack, Atlas
// and the environment have for things, against a real redis-server and strict
// stand-ins. They know nothing of its inside.

// People and channels of the stand-in's workspace.
const (
	mira      = "U0ENGINEER"
	sam       = "U0ENGINE2"
	jo        = "U0APPROVER"
	kim       = "U0APPROV2"
	approvals = "C0APPROVAL"
	incidents = "C0INCIDENT"
	command   = "/atlas-integration"
)

// patience is how long a test waits for what should happen at once.
const patience = 45 * time.Second

var built struct {
	once sync.Once
	path string
	err  error
}

// buildFlags are those that the tests themselves were built with.
var buildFlags []string

// binary builds the bot once.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "bot"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "bot")
		args := append(append([]string{"build"}, buildFlags...), "-o", built.path, ".")
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
			built.err = fmt.Errorf("build the bot: %w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

// world is everything around the bot.
type world struct {
	slack *slacksim.Server
	atlas *atlassim.Server
	redis *redisd.Server
	env   map[string]string
}

// newWorld starts the stand-ins and a Redis of their own. Edits change what the
// bot is told.
func newWorld(t *testing.T, edits ...func(w *world)) *world {
	t.Helper()
	return newWorldOf(t, slacksim.Options{}, atlassim.Options{}, edits...)
}

func newWorldOf(t *testing.T, like slacksim.Options, atlasLike atlassim.Options, edits ...func(w *world)) *world {
	t.Helper()
	slack, err := slacksim.New(like)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, v := range slack.Violations() {
			t.Errorf("the bot broke a rule of Slack's: %v", v)
		}
		_ = slack.Close()
	})
	sim, err := atlassim.New(atlasLike)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sim.Close() })
	require.NoError(t, atlassim.DefaultWorld(sim))
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	w := &world{slack: slack, atlas: sim, redis: redisd.New(t, "--appendonly", "yes")}
	w.env = map[string]string{
		"SLACK_APP_TOKEN": slack.AppToken(), "SLACK_BOT_TOKEN": slack.BotToken(), "SLACK_API_URL": slack.APIURL(),
		"SLACK_APPROVALS_CHANNEL": approvals, "SLACK_APPROVERS": jo + "," + kim,
		"MONGODB_ATLAS_CLIENT_ID": sim.ClientID(), "MONGODB_ATLAS_CLIENT_SECRET": sim.ClientSecret(),
		"MONGODB_ATLAS_BASE_URL": sim.URL(), "REDIS_URL": w.redis.URL, "SEALING_KEYSET": keyset.Reveal(),
		"LOG_LEVEL": "debug", "REQUESTS_PER_PERSON": "100000", "FORMS_PER_MINUTE": "100000", // tests are faster than people
	}
	for _, edit := range edits {
		edit(w)
	}
	return w
}

// process is one running bot.
type process struct {
	cmd  *exec.Cmd
	addr string // of /readyz
	logs *logs
	done chan struct{}
}

// logs keeps what a process printed.
type logs struct {
	guard   sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed by the next line; nil: nobody waits
}

func (l *logs) Write(p []byte) (int, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return l.text.Write(p)
}

// wait waits for words behind the first so many bytes.
func (l *logs) wait(ctx context.Context, after int, words string) error {
	for {
		l.guard.Lock()
		found := strings.Contains(l.text.String()[after:], words)
		if l.written == nil {
			l.written = make(chan struct{})
		}
		written := l.written
		l.guard.Unlock()
		if found {
			return nil
		}
		select {
		case <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *logs) String() string {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.text.String()
}

// start runs a bot and waits until it is ready.
func (w *world) start(t *testing.T) *process {
	t.Helper()
	before := w.slack.Connections()
	p := w.launch(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.WaitConnections(ctx, before+2), "the bot did not connect:\n%s", p.logs)
	return p
}

// launch runs a bot; the test's end ends it.
func (w *world) launch(t *testing.T) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &process{cmd: exec.Command(binary(t)), addr: listener.Addr().String(), logs: &logs{}, done: make(chan struct{})} //nolint:gosec // our own binary
	require.NoError(t, listener.Close())
	p.cmd.Env = append(p.cmd.Env, "HTTP_ADDR="+p.addr)
	for name, value := range w.env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout = p.logs
	out, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_, _ = io.Copy(p.logs, bufio.NewReader(out))
		_ = p.cmd.Wait() // how it ended is for the test to say
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(15 * time.Second):
			t.Error("the bot did not end within fifteen seconds of SIGTERM")
			p.kill()
		}
		if t.Failed() {
			t.Logf("the bot's log:\n%s", p.logs)
		}
	})
	return p
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// filled is one way to fill in the form.
type filled struct {
	projects []string // names
	kind     string
	values   map[string]any // by field name; a toggle is a bool
	reason   string
}

// ask has somebody type the command, fill in the form and submit it.
func (w *world) ask(t *testing.T, who string, f filled) slacksim.SubmitResult {
	t.Helper()
	w.open(t, who, "update", f)
	return w.submit(t, who)
}

// open has somebody type the command and fill in the form.
func (w *world) open(t *testing.T, who, text string, f filled) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(who)
	result, err := p.Command(ctx, incidents, command, text)
	require.NoError(t, err)
	require.Nil(t, result.Message, "the command should open a form")
	w.fill(t, who, f)
}

// fill puts values into the open form, as a person would: type and projects
// first, then what the form then asks for.
func (w *world) fill(t *testing.T, who string, f filled) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(who)
	if f.kind != "" {
		require.NoError(t, p.Select(ctx, "type", f.kind))
	}
	if len(f.projects) > 0 {
		var ids []string
		for _, name := range f.projects {
			ids = append(ids, w.atlas.ProjectID(name))
		}
		require.NoError(t, p.Select(ctx, "project", ids...))
	}
	if f.kind != "" && len(f.projects) > 0 {
		w.settled(t, who)
	}
	kind, _ := atlas.FindType(f.kind)
	for name, value := range f.values {
		field, ok := kind.Field(name)
		require.True(t, ok, name)
		switch value := value.(type) {
		case bool:
			require.NoError(t, p.Select(ctx, name, fmt.Sprint(value)))
		case string:
			if field.Kind == atlas.Choice {
				require.NoError(t, p.Select(ctx, name, value))
			} else {
				require.NoError(t, p.Type(name, value))
			}
		}
	}
	if f.reason != "" {
		require.NoError(t, p.Type("reason", f.reason))
	}
}

// settled waits until the form was drawn with the projects that were chosen, and no longer
// says that it is reading current values. Of two choices that go to two replicas, the older
// one may be drawn last.
func (w *world) settled(t *testing.T, who string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	several := w.slack.Connections() > 2
	_, err := w.slack.Person(who).WaitView(ctx, func(v slacksim.View) bool {
		drawn := strings.Contains(string(v.JSON), `"initial_options"`) || several
		return drawn && !strings.Contains(string(v.JSON), "Reading")
	})
	require.NoError(t, err, "the form did not get its current values")
}

func (w *world) submit(t *testing.T, who string) slacksim.SubmitResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := w.slack.Person(who).Submit(ctx)
	require.NoError(t, err)
	require.Empty(t, result.Trouble, "Slack did not take the bot's answer")
	return result
}

// card waits for a card in the approvals channel that is in a state.
func (w *world) card(t *testing.T, state string) slacksim.Message {
	t.Helper()
	return w.cardOf(t, state, "")
}

// cardOf waits for the card of one request, told by words of its reason.
func (w *world) cardOf(t *testing.T, state, reason string) slacksim.Message {
	t.Helper()
	return w.message(t, jo, approvals, state, reason)
}

// message waits for a message of the bot that is in a state, and holds words.
func (w *world) message(t *testing.T, who, channel, state, words string) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := w.slack.Person(who).WaitMessage(ctx, channel, func(m slacksim.Message) bool {
		return m.ThreadTS == "" && !m.Ephemeral && stateOf(m) == state && strings.Contains(m.PlainText(), words)
	})
	require.NoError(t, err, "no message in %s is %q and says %q", channel, state, words)
	return m
}

var stateWord = regexp.MustCompile(`\*(submitted|pending|approved|applying|applied|failed|rejected|denied|cancelled|expired)\*`)

// stateOf is the state that a message names first.
func stateOf(m slacksim.Message) string {
	found := stateWord.FindStringSubmatch(m.PlainText())
	if found == nil {
		return ""
	}
	return found[1]
}

// told waits for an answer that only one person sees.
func (w *world) told(t *testing.T, who, channel, word string) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := w.slack.Person(who).WaitMessage(ctx, channel, func(m slacksim.Message) bool {
		return m.Ephemeral && strings.Contains(m.PlainText(), word)
	})
	require.NoError(t, err, "nobody told %s %q", who, word)
	return m
}

// click presses a button of a message.
func (w *world) click(t *testing.T, who string, m slacksim.Message, action string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.Person(who).Click(ctx, m, action))
}

// holds is what Atlas really holds.
func (w *world) holds(t *testing.T, project, kind string) map[string]any {
	t.Helper()
	settings, ok := w.atlas.Integration(w.atlas.ProjectID(project), kind)
	require.True(t, ok, "%s should have a %s integration", project, kind)
	return settings
}

// puts are the bodies that Atlas was sent for a target.
func (w *world) puts(t *testing.T, project, kind string) []map[string]any {
	t.Helper()
	var bodies []map[string]any
	for _, raw := range w.atlas.Puts(w.atlas.ProjectID(project), kind) {
		var body map[string]any
		require.NoError(t, json.Unmarshal(raw, &body))
		bodies = append(bodies, body)
	}
	return bodies
}

// rotation is a change of the PagerDuty key of some projects.
func rotation(last string, projects ...string) filled {
	return filled{
		projects: projects, kind: "PAGER_DUTY", reason: "rotated after INC-42",
		values: map[string]any{"region": "EU", "serviceKey": key(last)},
	}
}

// key is a PagerDuty key that ends in four digits.
func key(last string) string { return strings.Repeat("0", 28) + last }

// TestEveryType: all nine types, from the command to what Atlas holds.
func TestEveryType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	for _, kind := range atlassim.Types() {
		want := atlassim.Sample(kind, "new")
		delete(want, "type")
		require.Empty(t, w.ask(t, mira, filled{projects: []string{"payments-prod"}, kind: kind, values: want, reason: "a new one for " + kind}).Errors)
		w.click(t, jo, w.cardOf(t, "pending", "a new one for "+kind), "approve")
		w.cardOf(t, "applied", "a new one for "+kind)

		body := maps.Clone(want)
		body["type"] = kind
		assert.Equal(t, []map[string]any{body}, w.puts(t, "payments-prod", kind), "the PUT should be what was typed, and the only one")
		held := w.holds(t, "payments-prod", kind)
		for name, value := range want {
			assert.Equal(t, value, held[name], "%s.%s", kind, name)
		}
	}
	w.noSecrets(t)
}

func TestOneOfThreeProjectsFailsAndIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	projects := []string{"payments-prod", "search-prod", "ledger-prod"}
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut, GroupID: w.atlas.ProjectID("search-prod")},
		atlassim.Fault{Status: 403, Code: "IP_ADDRESS_NOT_ON_ACCESS_LIST", Detail: "IP address 203.0.113.7 is not allowed"}, 1)
	require.Empty(t, w.ask(t, mira, rotation("3333", projects...)).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	failed := w.card(t, "failed")
	text := failed.PlainText()
	assert.Contains(t, text, "refused")
	assert.Contains(t, text, "applied")
	assert.Contains(t, text, "IP_ADDRESS_NOT_ON_ACCESS_LIST")
	assert.Contains(t, text, "203.0.113.7")

	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "failed", ""), "retry")
	w.card(t, "applied")
	for _, project := range projects {
		assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID(project), "PAGER_DUTY"), project)
		assert.Equal(t, key("3333"), w.holds(t, project, "PAGER_DUTY")["serviceKey"])
	}
}

func TestAPIKeyInsteadOfServiceAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		delete(w.env, "MONGODB_ATLAS_CLIENT_ID")
		delete(w.env, "MONGODB_ATLAS_CLIENT_SECRET")
		w.env["MONGODB_ATLAS_PUBLIC_API_KEY"] = w.atlas.PublicKey()
		w.env["MONGODB_ATLAS_PRIVATE_API_KEY"] = w.atlas.PrivateKey()
	})
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("d1e5", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "applied")
	assert.Equal(t, key("d1e5"), w.holds(t, "payments-prod", "PAGER_DUTY")["serviceKey"])
}

func TestApproversByGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["SLACK_APPROVERS"] = "S0APPROVE1" })
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("9209", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.click(t, sam, card, "approve")
	w.told(t, sam, approvals, "can decide on this request")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.click(t, jo, card, "approve")
	w.card(t, "applied")
}

// TestTwoReplicasAndADoubleClick: two people press at once, on two replicas, and
// one of them twice.
func TestTwoReplicasAndADoubleClick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("2222", "payments-prod")).Errors)
	card := w.card(t, "pending")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var clicks sync.WaitGroup
	for _, who := range []string{jo, jo, kim} {
		clicks.Go(func() { assert.NoError(t, w.slack.Person(who).Click(ctx, card, "approve")) })
	}
	clicks.Wait()
	w.card(t, "applied")
	assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
}

func TestNobodyApprovesTheirOwnRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, jo, rotation("0e0e", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.click(t, jo, card, "approve")
	w.told(t, jo, approvals, "somebody else has to decide")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.click(t, kim, card, "approve")
	w.card(t, "applied")
}

func TestDenyWithAReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("de17", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "deny")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.slack.Person(jo).WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, w.slack.Person(jo).Type("reason", "not during the freeze"))
	require.Empty(t, w.submit(t, jo).Errors)
	card := w.card(t, "denied")
	assert.Contains(t, card.PlainText(), "not during the freeze")
	dm := w.message(t, mira, w.slack.Person(mira).DM(), "denied", "")
	assert.Contains(t, dm.PlainText(), "not during the freeze")
	_, err = w.slack.Person(mira).WaitMessage(ctx, dm.Channel, func(m slacksim.Message) bool {
		return m.ThreadTS == dm.TS && stateOf(m) == "denied" && strings.Contains(m.PlainText(), "<@"+mira+">")
	})
	require.NoError(t, err, "she is told by a mention, since nobody notices an edit")
	w.final(t, card, "denied")
}

// TestDenyOnACardThatNobodyRemembers: one whose bot died before it could write it down.
func TestDenyOnACardThatNobodyRemembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("de18", "payments-prod")).Errors)
	card := w.card(t, "pending")
	w.remembers(t, card)
	options, err := redis.ParseURL(w.redis.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer func() { assert.NoError(t, client.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, client.HDel(ctx, "{aib:"+slacksim.TeamID+"}:request:"+requestID(t, card), "message:card").Err())
	w.click(t, jo, card, "deny")
	_, err = w.slack.Person(jo).WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	w.remembers(t, card) // the form comes first: nobody writes a reason before the card is taken up
	require.NoError(t, w.slack.Person(jo).Type("reason", "not now"))
	require.Empty(t, w.submit(t, jo).Errors)
	assert.Equal(t, card.TS, w.card(t, "denied").TS)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("ca0c", "payments-prod")).Errors)
	w.card(t, "pending")
	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "pending", ""), "cancel")
	w.final(t, w.card(t, "cancelled"), "cancelled")
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.env["APPROVAL_TTL"] = "2s" })
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("e191", "payments-prod")).Errors)
	w.card(t, "pending")
	w.final(t, w.card(t, "expired"), "expired")
}

// final checks what holds for every request that ended without a change.
func (w *world) final(t *testing.T, card slacksim.Message, state string) {
	t.Helper()
	for _, action := range []string{"approve", "deny", "cancel", "retry"} {
		_, there := card.Button(action)
		assert.False(t, there, "no %s button should be left", action)
	}
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
	w.noSecrets(t)
	// A click that was on its way, on the card as it was.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.Person(kim).ClickStale(ctx, card, "approve", requestID(t, card)))
	w.told(t, kim, approvals, state)
}

func TestSomebodyChangedItInBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	require.Empty(t, w.ask(t, mira, rotation("d21f", "payments-prod")).Errors)
	card := w.card(t, "pending")
	require.NoError(t, w.atlas.ChangeBehind(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY",
		func(settings map[string]any) { settings["serviceKey"] = key("b0b0") }))
	w.click(t, jo, card, "approve")
	failed := w.card(t, "failed")
	assert.Contains(t, failed.PlainText(), "stale")
	_, retry := failed.Button("retry")
	assert.False(t, retry, "what was approved is gone, so it cannot be retried")
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
}

// TestWhatAtlasMayAnswer: every refusal is shown with its code, every passing
// fault is waited out.
func TestWhatAtlasMayAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault atlassim.Fault
		state string
		says  string
	}{
		{"400", atlassim.Fault{Status: 400, Code: "INVALID_INTEGRATION_SETTINGS", Detail: "apiKey is not known"}, "failed", "INVALID_INTEGRATION_SETTINGS"},
		{"401", atlassim.Fault{Status: 401, Code: "USER_UNAUTHORIZED", Detail: "no role"}, "failed", "USER_UNAUTHORIZED"},
		{"403", atlassim.Fault{Status: 403, Code: "ACCESS_FORBIDDEN", Detail: "no"}, "failed", "ACCESS_FORBIDDEN"},
		{"404", atlassim.Fault{Status: 404, Code: "GROUP_NOT_FOUND", Detail: "no such group"}, "failed", "GROUP_NOT_FOUND"},
		{"409", atlassim.Fault{Status: 409, Code: "INTEGRATION_ALREADY_CONFIGURED", Detail: "conflict"}, "failed", "409"},
		{"429", atlassim.Fault{Status: 429, Code: "RATE_LIMITED_TOKEN_BUCKET", RetryAfter: time.Second}, "applied", ""},
		{"500", atlassim.Fault{Status: 500}, "applied", ""},
		{"500 after applying", atlassim.Fault{Kind: atlassim.RefuseAfterApply, Status: 500}, "applied", ""},
		{"503", atlassim.Fault{Status: 503}, "applied", ""},
		{"reset before applying", atlassim.Fault{Kind: atlassim.ResetBeforeApply}, "applied", ""},
		{"reset after applying", atlassim.Fault{Kind: atlassim.ResetAfterApply}, "applied", ""},
		{"answer cut", atlassim.Fault{Kind: atlassim.CutBody}, "applied", ""},
		{"stores something else", atlassim.Fault{Kind: atlassim.StoreWrong}, "failed", "shows something else"},
		{"quotes the value back", atlassim.Fault{Kind: atlassim.EchoSecret, Status: 400, Code: "INVALID_INTEGRATION_SETTINGS"}, "failed", "INVALID_INTEGRATION_SETTINGS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start(t)
			w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, tt.fault, 1)
			require.Empty(t, w.ask(t, mira, rotation("fa17", "payments-prod")).Errors)
			w.click(t, jo, w.card(t, "pending"), "approve")
			card := w.card(t, tt.state)
			assert.Contains(t, card.PlainText(), tt.says)
			if tt.state == "applied" {
				assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
			}
			w.noSecrets(t)
		})
	}
}

// TestCrashBetweenApprovalAndResult: the bot dies while Atlas has applied the
// change and has not answered.
func TestCrashBetweenApprovalAndResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start(t)
	hang := w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: atlassim.HangAfterApply}, 1)
	require.Empty(t, w.ask(t, mira, rotation("c4a5", "payments-prod")).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, hang.Wait(ctx, 1))
	first.kill()
	hang.Release()

	w.launch(t)
	w.card(t, "applied")
	assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
	w.noSecrets(t)
}

// TestRedisDownAtSubmission: nothing is sent, the form says so and keeps what was
// typed, and the same form goes through when Redis is back.
func TestRedisDownAtSubmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.open(t, mira, "update payments-prod PAGER_DUTY", filled{})
	w.settled(t, mira)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(mira)
	require.NoError(t, p.Select(ctx, "region", "EU"))
	require.NoError(t, p.Type("serviceKey", key("40d1")))
	require.NoError(t, p.Type("reason", "rotated"))

	w.redis.Kill()
	result := w.submit(t, mira)
	require.Len(t, result.Errors, 1)
	for _, say := range result.Errors {
		assert.Contains(t, strings.ToLower(say), "nothing was sent")
	}
	assert.Empty(t, w.slack.Person(jo).Messages(approvals))

	require.NoError(t, w.redis.Again(t.Context()))
	require.Empty(t, w.submit(t, mira).Errors)
	w.click(t, jo, w.card(t, "pending"), "approve")
	w.card(t, "applied")
}

// noSecrets searches everything that left the bot for the values that were typed:
// what Slack was sent, what it logged, what Redis keeps on disk.
func (w *world) noSecrets(t *testing.T) {
	t.Helper()
	var typed []string
	for _, project := range w.atlas.Projects() {
		for _, kind := range atlassim.Types() {
			catalog, _ := atlas.FindType(kind)
			for _, raw := range w.atlas.Puts(project.ID, kind) {
				var body map[string]any
				require.NoError(t, json.Unmarshal(raw, &body))
				for name, value := range body {
					if f, ok := catalog.Field(name); ok && f.Secret() {
						typed = append(typed, fmt.Sprint(value))
					}
				}
			}
		}
	}
	typed = append(typed, key("de17"), key("ca0c"), key("e191"))
	places := map[string][]byte{"Slack": w.slack.Everything()}
	if w.redis.Real {
		aof, err := w.redis.AOF()
		require.NoError(t, err)
		places["the append-only file of Redis"] = aof
	}
	for place, content := range places {
		for i, value := range typed {
			quoted, err := json.Marshal(value)
			require.NoError(t, err)
			if bytes.Contains(content, []byte(value)) || bytes.Contains(content, quoted) {
				t.Errorf("secret number %d stands in what went to %s", i, place)
			}
		}
	}
}

var requestIDs = regexp.MustCompile(`req_[0-9A-Z]{10}`)

// requestID is the ID that a message names.
func requestID(t *testing.T, m slacksim.Message) string {
	t.Helper()
	id := requestIDs.FindString(m.PlainText())
	require.NotEmpty(t, id)
	return id
}
