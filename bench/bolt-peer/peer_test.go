package boltpeer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// The peer is held to what the comparison rests on: it does the whole of the work,
// by the same names as the bot, and breaks no rule of Slack's on the way.

// People and channels of the stand-in's workspace.
const (
	mira      = "U0ENGINEER"
	sam       = "U0ENGINE2"
	jo        = "U0APPROVER"
	kim       = "U0APPROV2"
	approvals = "C0APPROVAL"
	incidents = "C0INCIDENT"
)

// patience is how long a test waits for what should happen at once.
const patience = 45 * time.Second

// world is the peer and everything around it.
type world struct {
	slack *slacksim.Server
	atlas *atlassim.Server
	redis *redisd.Server
	env   map[string]string
	dir   string // where the peer is installed
}

func newWorld(t *testing.T, edits ...func(env map[string]string)) *world {
	t.Helper()
	dir := install(t)
	slack, err := slacksim.New(slacksim.Options{NoRateLimits: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, v := range slack.Violations() {
			t.Errorf("the peer broke a rule of Slack's: %v", v)
		}
		_ = slack.Close()
	})
	sim, err := atlassim.New(atlassim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sim.Close() })
	require.NoError(t, atlassim.DefaultWorld(sim))
	w := &world{slack: slack, atlas: sim, redis: redisd.New(t, "--appendonly", "yes"), dir: dir}
	w.env = map[string]string{
		"SLACK_APP_TOKEN": slack.AppToken(), "SLACK_BOT_TOKEN": slack.BotToken(), "SLACK_API_URL": slack.APIURL(),
		"SLACK_APPROVALS_CHANNEL": approvals, "SLACK_APPROVERS": "S0APPROVE1",
		"MONGODB_ATLAS_CLIENT_ID": sim.ClientID(), "MONGODB_ATLAS_CLIENT_SECRET": sim.ClientSecret(),
		"MONGODB_ATLAS_BASE_URL": sim.URL(), "REDIS_URL": w.redis.URL, "SEALING_KEYSET": "only for this test",
		"HTTP_ADDR": freeAddr(t), "LOG_LEVEL": "debug",
	}
	for _, edit := range edits {
		edit(w.env)
	}
	return w
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// install gives a directory in which the peer can run. In CI there must be one.
func install(t *testing.T) string {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "there is no node: install Node.js 20 or later"
	} else if _, err := os.Stat(filepath.Join("node_modules", "ioredis")); err == nil {
		return "."
	} else if _, err := exec.LookPath("npm"); err != nil {
		missing = "there is no npm: install it, then run npm ci in bench/bolt-peer"
	} else if os.Getenv("CI") == "" {
		missing = "the peer is not installed: run npm ci in bench/bolt-peer"
	}
	if missing != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	installed.once.Do(func() { installed.dir, installed.err = npmCI(t.Context()) })
	require.NoError(t, installed.err)
	return installed.dir
}

var installed struct {
	once sync.Once
	dir  string
	err  error
}

// npmCI installs a copy, so that nothing appears in the working tree.
func npmCI(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "bolt-peer")
	if err != nil {
		return "", err
	}
	for _, pattern := range []string{"*.js", "package*.json"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			content, err := os.ReadFile(name) //nolint:gosec // our own files
			if err != nil {
				return "", err
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil { //nolint:gosec // into our own directory
				return "", err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return dir, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if installed.dir != "" {
		_ = os.RemoveAll(installed.dir) // of a run that is over
	}
	os.Exit(code)
}

// start runs the peer and waits until it is connected. The test's end asks it to end,
// which it must do with exit code 0.
func (w *world) start(t *testing.T) *logs {
	t.Helper()
	said := &logs{}
	cmd := exec.Command("node", "app.js") //nolint:noctx // it is asked to end
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, said, said
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	before := w.slack.Connections()
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			assert.NoError(t, err, "SIGTERM should end it with exit code 0")
		case <-time.After(15 * time.Second):
			t.Error("the peer did not end within fifteen seconds of SIGTERM")
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("what the peer said:\n%s", said)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.WaitConnections(ctx, before+1), "the peer did not connect:\n%s", said)
	return said
}

// logs keeps what a process printed.
type logs struct {
	guard sync.Mutex
	text  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.text.String()
}

// asked is what somebody puts into the form.
type asked struct {
	project, kind string
	values        map[string]any // by field name; a toggle is a bool
	reason        string
}

// rotation is a new PagerDuty key, which ends in four digits.
func rotation(last string) asked {
	return asked{"payments-prod", "PAGER_DUTY", map[string]any{"region": "EU", "serviceKey": key(last)}, "rotated after INC-" + last}
}

func key(last string) string { return strings.Repeat("0", 28) + last }

// ask has somebody type the command, fill in the form and submit it.
func (w *world) ask(t *testing.T, who string, a asked) {
	t.Helper()
	w.command(t, who, "update "+a.project+" "+a.kind)
	w.fill(t, who, a)
	result := w.submit(t, who)
	require.Empty(t, result.Errors)
	require.True(t, result.Updated, "the form should say that the request is kept")
}

func (w *world) command(t *testing.T, who, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.slack.Person(who).Command(ctx, incidents, "/atlas-integration", words)
	require.NoError(t, err)
}

func (w *world) fill(t *testing.T, who string, a asked) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(who)
	_, err := p.WaitView(ctx, func(v slacksim.View) bool {
		return v.CallbackID == "update_integration" && !bytes.Contains(v.JSON, []byte("Reading"))
	})
	require.NoError(t, err)
	kind, _ := atlas.FindType(a.kind)
	for name, value := range a.values {
		field, known := kind.Field(name)
		require.True(t, known, name)
		if field.Kind == atlas.Choice || field.Kind == atlas.Toggle {
			require.NoError(t, p.Select(ctx, name, fmt.Sprint(value)))
		} else {
			require.NoError(t, p.Type(name, fmt.Sprint(value)))
		}
	}
	require.NoError(t, p.Type("reason", a.reason))
}

func (w *world) submit(t *testing.T, who string) slacksim.SubmitResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := w.slack.Person(who).Submit(ctx)
	require.NoError(t, err)
	require.Empty(t, result.Trouble, "Slack did not take the peer's answer")
	return result
}

// card waits for the card in the approvals channel that gives a reason.
func (w *world) card(t *testing.T, state, reason string) slacksim.Message {
	t.Helper()
	return w.message(t, jo, approvals, state, reason)
}

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
func (w *world) told(t *testing.T, who, channel, words string) slacksim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := w.slack.Person(who).WaitMessage(ctx, channel, func(m slacksim.Message) bool {
		return m.Ephemeral && strings.Contains(m.PlainText(), words)
	})
	require.NoError(t, err, "nobody told %s %q", who, words)
	return m
}

func (w *world) click(t *testing.T, who string, m slacksim.Message, action string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.Person(who).Click(ctx, m, action))
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

func (w *world) unchanged(t *testing.T) {
	t.Helper()
	assert.Empty(t, w.puts(t, "payments-prod", "PAGER_DUTY"))
}

// TestEveryType: all nine types, from the command to what Atlas holds.
func TestEveryType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := w.start(t)
	for _, kind := range atlassim.Types() {
		want := atlassim.Sample(kind, "new")
		delete(want, "type")
		reason := "a new one for " + kind
		w.ask(t, mira, asked{"payments-prod", kind, want, reason})
		w.message(t, mira, w.slack.Person(mira).DM(), "pending", "")
		w.click(t, jo, w.card(t, "pending", reason), "approve")
		w.card(t, "applied", reason)

		body := maps.Clone(want)
		body["type"] = kind
		assert.Equal(t, []map[string]any{body}, w.puts(t, "payments-prod", kind), "the PUT should be what was typed, and the only one")
		held, there := w.atlas.Integration(w.atlas.ProjectID("payments-prod"), kind)
		require.True(t, there)
		for name, value := range want {
			assert.Equal(t, value, held[name], "%s.%s", kind, name)
		}
		w.keptSecret(t, kind, want, said)
	}
}

// keptSecret searches what left the peer for the secrets that were typed.
func (w *world) keptSecret(t *testing.T, kind string, values map[string]any, said *logs) {
	t.Helper()
	aof, err := w.redis.AOF()
	require.NoError(t, err)
	places := map[string][]byte{"Slack": w.slack.Everything(), "the log": []byte(said.String()), "Redis": aof}
	catalog, _ := atlas.FindType(kind)
	for name, value := range values {
		field, _ := catalog.Field(name)
		if !field.Secret() {
			continue
		}
		quoted, err := json.Marshal(value)
		require.NoError(t, err)
		for place, content := range places {
			if bytes.Contains(content, []byte(fmt.Sprint(value))) || bytes.Contains(content, quoted) {
				t.Errorf("%s.%s stands in what went to %s", kind, name, place)
			}
		}
	}
}

// TestTheFormByHand: project and type chosen in the form, whose plain fields show what
// Atlas has; what is wrong is said at the field, and what was typed stays.
func TestTheFormByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(mira)
	w.command(t, mira, "update")
	require.NoError(t, p.Select(ctx, "type", "PAGER_DUTY"))
	require.NoError(t, p.Select(ctx, "project", w.atlas.ProjectID("payments-prod"), w.atlas.ProjectID("search-prod")))
	view, err := p.WaitView(ctx, func(v slacksim.View) bool { return v.State["PAGER_DUTY.region"] != nil })
	require.NoError(t, err)
	assert.Equal(t, "US", view.State["PAGER_DUTY.region"]["region"].Selected[0].Value)

	require.NoError(t, p.Type("serviceKey", "too short"))
	require.NoError(t, p.Type("reason", "rotated"))
	result := w.submit(t, mira)
	assert.Contains(t, result.Errors["PAGER_DUTY.serviceKey"], "32 characters")

	require.NoError(t, p.Type("serviceKey", key("4242")))
	require.NoError(t, p.Type("reason", "rotated, now "+key("4242")))
	result = w.submit(t, mira)
	assert.Contains(t, result.Errors["reason"], "Take the key out")

	require.NoError(t, p.Type("reason", "rotated"))
	require.Empty(t, w.submit(t, mira).Errors)
	w.click(t, jo, w.card(t, "pending", "rotated"), "approve")
	w.card(t, "applied", "rotated")
	for _, project := range []string{"payments-prod", "search-prod"} {
		assert.Equal(t, []map[string]any{{"type": "PAGER_DUTY", "region": "US", "serviceKey": key("4242")}}, w.puts(t, project, "PAGER_DUTY"))
	}
}

// TestMoreProjectsThanAListTakes: they are searched for instead.
func TestMoreProjectsThanAListTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 100 {
		require.NoError(t, w.atlas.AddProject(fmt.Sprintf("%024x", i), fmt.Sprintf("another-%d", i)))
	}
	w.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(mira)
	w.command(t, mira, "update")
	require.NoError(t, p.Select(ctx, "type", "PAGER_DUTY"))
	require.NoError(t, p.Select(ctx, "project", w.atlas.ProjectID("payments-prod")))
	require.NoError(t, p.Type("serviceKey", key("5ea4")))
	require.NoError(t, p.Type("reason", "searched for"))
	require.Empty(t, w.submit(t, mira).Errors)
	w.click(t, jo, w.card(t, "pending", "searched for"), "approve")
	w.card(t, "applied", "searched for")
}

func TestDeny(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.ask(t, mira, rotation("de17"))
	card := w.card(t, "pending", "")
	w.click(t, sam, card, "deny")
	w.told(t, sam, approvals, "can decide on this request")
	w.click(t, jo, card, "deny")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := w.slack.Person(jo)
	_, err := p.WaitView(ctx, func(v slacksim.View) bool { return v.CallbackID == "deny_request" })
	require.NoError(t, err)
	require.NoError(t, p.Type("reason", "not during the freeze"))
	require.True(t, w.submit(t, jo).Closed)
	w.final(t, w.card(t, "denied", "not during the freeze"), "denied")
	w.message(t, mira, w.slack.Person(mira).DM(), "denied", "not during the freeze")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.ask(t, mira, rotation("ca01"))
	w.card(t, "pending", "INC-ca01")
	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "pending", ""), "cancel")
	w.final(t, w.card(t, "cancelled", "INC-ca01"), "cancelled")

	w.ask(t, mira, rotation("ca02"))
	id := requestID(t, w.card(t, "pending", "INC-ca02"))
	w.command(t, sam, "cancel "+id)
	w.told(t, sam, incidents, "who made the request")
	w.command(t, mira, "cancel "+id)
	w.told(t, mira, incidents, "*cancelled*")
	w.final(t, w.card(t, "cancelled", "INC-ca02"), "cancelled")
}

func TestNobodyApprovesTheirOwnRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.ask(t, jo, rotation("0e0e"))
	card := w.card(t, "pending", "")
	for _, action := range []string{"approve", "deny"} {
		w.click(t, jo, card, action)
		w.told(t, jo, approvals, "somebody else has to decide")
		w.slack.Person(jo).Reload()
	}
	w.unchanged(t)
	w.click(t, kim, card, "approve")
	w.card(t, "applied", "")
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(env map[string]string) { env["APPROVAL_TTL"] = "2s" })
	w.start(t)
	w.ask(t, mira, rotation("e191"))
	w.card(t, "pending", "")
	w.final(t, w.card(t, "expired", ""), "expired")
}

// final checks what holds for every request that ended without a change.
func (w *world) final(t *testing.T, card slacksim.Message, state string) {
	t.Helper()
	for _, action := range []string{"approve", "deny", "cancel", "retry"} {
		_, there := card.Button(action)
		assert.False(t, there, "no %s button should be left", action)
	}
	w.unchanged(t)
	// A click that was on its way, on the card as it was.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.slack.Person(kim).ClickStale(ctx, card, "approve", requestID(t, card)))
	w.told(t, kim, approvals, "*"+state+"*")
	w.unchanged(t)
	w.slack.Person(kim).Reload()
}

// TestClicksCountOnce: three clicks of two people at once, on two replicas, and later
// one more.
func TestClicksCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.env["HTTP_ADDR"] = freeAddr(t)
	w.start(t)
	w.ask(t, mira, rotation("2222"))
	card := w.card(t, "pending", "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var clicks sync.WaitGroup
	for _, who := range []string{jo, jo, kim} {
		clicks.Go(func() { assert.NoError(t, w.slack.Person(who).ClickStale(ctx, card, "approve", requestID(t, card))) })
	}
	clicks.Wait()
	w.card(t, "applied", "")
	assert.Len(t, w.puts(t, "payments-prod", "PAGER_DUTY"), 1)
}

func TestTwoApprovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(env map[string]string) { env["APPROVALS_REQUIRED"] = "2" })
	w.start(t)
	w.ask(t, mira, rotation("2002"))
	card := w.card(t, "pending", "0 of 2")
	w.click(t, jo, card, "approve")
	w.card(t, "pending", "1 of 2")
	w.click(t, jo, card, "approve")
	w.told(t, jo, approvals, "it counts once")
	w.unchanged(t)
	w.click(t, kim, card, "approve")
	w.card(t, "applied", "")
}

// TestRefusedAndRetried: Atlas refuses once, and its answer is shown; the retry goes through.
func TestRefusedAndRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut},
		atlassim.Fault{Kind: atlassim.EchoSecret, Status: http.StatusBadRequest, Code: "INVALID_INTEGRATION_SETTINGS"}, 1)
	w.ask(t, mira, rotation("4e14"))
	w.click(t, jo, w.card(t, "pending", ""), "approve")
	failed := w.card(t, "failed", "INVALID_INTEGRATION_SETTINGS")
	assert.NotContains(t, failed.PlainText(), key("4e14"))
	w.click(t, mira, w.message(t, mira, w.slack.Person(mira).DM(), "failed", ""), "retry")
	w.card(t, "applied", "")
	assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
}

// TestPassingFaults: what passes by itself is waited out.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Status: http.StatusServiceUnavailable}, 1)
	w.atlas.Fail(atlassim.Match{Method: http.MethodPut}, atlassim.Fault{Kind: atlassim.ResetAfterApply}, 1)
	w.ask(t, mira, rotation("0503"))
	w.click(t, jo, w.card(t, "pending", ""), "approve")
	w.card(t, "applied", "")
	assert.Equal(t, 1, w.atlas.Effects(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY"))
}

func TestSomebodyChangedItInBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.ask(t, mira, rotation("d21f"))
	card := w.card(t, "pending", "")
	require.NoError(t, w.atlas.ChangeBehind(w.atlas.ProjectID("payments-prod"), "PAGER_DUTY",
		func(settings map[string]any) { settings["serviceKey"] = key("b0b0") }))
	w.click(t, jo, card, "approve")
	failed := w.card(t, "failed", "*stale*")
	_, retry := failed.Button("retry")
	assert.False(t, retry, "what was approved is gone, so it cannot be retried")
	w.unchanged(t)
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.atlas.AddProject(strings.Repeat("e", 24), "empty"))
	w.start(t)
	a := rotation("4044")
	a.project = "empty"
	w.ask(t, mira, a)
	w.card(t, "rejected", "INTEGRATION_NOT_CONFIGURED")
	assert.Empty(t, w.puts(t, "empty", "PAGER_DUTY"))
}

// TestLookingThingsUp: every command that only answers.
func TestLookingThingsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.ask(t, mira, rotation("1000"))
	w.click(t, jo, w.card(t, "pending", "INC-1000"), "approve")
	w.card(t, "applied", "INC-1000")
	w.ask(t, mira, rotation("1001"))
	id := requestID(t, w.card(t, "pending", "INC-1001"))
	for _, tt := range []struct{ who, command, says string }{
		{mira, "", "/atlas-integration update [project] [TYPE]"},
		{mira, "help", "Splunk On-Call"},
		{mira, "list", "payments-prod"},
		{mira, "list payments-prod", "Integration key"},
		{mira, "list nowhere", "no project of that name"},
		{mira, "pending", "You wait for"},
		{jo, "pending", "Waits for you"},
		{sam, "pending", "Waits for others"},
		{mira, "history", "*applied*"},
		{mira, "history payments-prod", id},
		{mira, "status " + id, "*pending*"},
		{mira, "status req_0000000000", "no such request"},
		{mira, "dance", "not a command"},
		{mira, "update carrier pigeon", "no project or type carrier pigeon"},
		{mira, "update hipchat", "switched off"},
		{mira, key("1234"), "looks like a key"},
		{"U0GUEST001", "pending", "Guests cannot"},
		{"U0GUEST001", "update", "Guests cannot"},
	} {
		w.command(t, tt.who, tt.command)
		w.told(t, tt.who, incidents, tt.says)
		w.slack.Person(tt.who).Reload()
	}
	w.healthy(t)
}

func (w *world) healthy(t *testing.T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.env["HTTP_ADDR"]+"/healthz", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

// TestEveryProblemOfTheEnvironmentIsNamed: it does not start, and says why.
func TestEveryProblemOfTheEnvironmentIsNamed(t *testing.T) {
	t.Parallel()
	dir := install(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "app.js")
	cmd.Dir, cmd.Env = dir, []string{"APPROVAL_TTL=soon", "MONGODB_ATLAS_PROJECTS=payments"}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	for _, name := range []string{"SLACK_APP_TOKEN", "SLACK_APPROVERS", "SEALING_KEYSET", "APPROVAL_TTL", "MONGODB_ATLAS_PROJECTS"} {
		assert.Contains(t, string(out), name)
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
