package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// tripwire stands between the bot and one of its far ends and counts what passes.
// At the number it is set to, it pulls: before what the bot asks for has reached
// the far end, or after it has been done and before the bot learns of it.
type tripwire struct {
	guard  sync.Mutex
	armed  bool
	number int // of the call to pull at, from 1
	after  bool
	passed int
	pull   func()
}

// passes counts a call, and reports whether this is the one.
func (w *tripwire) passes() bool {
	w.guard.Lock()
	defer w.guard.Unlock()
	if !w.armed {
		return false
	}
	w.passed++
	return w.passed == w.number
}

func (w *tripwire) arm() {
	w.guard.Lock()
	defer w.guard.Unlock()
	w.armed = true
}

func (w *tripwire) count() int {
	w.guard.Lock()
	defer w.guard.Unlock()
	return w.passed
}

// around is a proxy for an HTTP far end.
func (w *tripwire) around(t *testing.T, far string) string {
	t.Helper()
	target, err := url.Parse(far)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/apps.connections.open") || !w.passes() {
			proxy.ServeHTTP(rw, r)
			return
		}
		if w.after {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		}
		w.pull()
	}))
	t.Cleanup(server.Close)
	return server.URL + target.Path
}

// aroundRedis is a proxy for Redis. Only what changes something is counted: the
// regular looks for what is due come whenever they come.
func (w *tripwire) aroundRedis(t *testing.T, far string) string {
	t.Helper()
	options, err := redis.ParseURL(far)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { w.relay(near, options.Addr) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); connections.Wait() })
	return "redis://" + listener.Addr().String() + "/0"
}

func (w *tripwire) relay(near net.Conn, addr string) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	var mute sync.Mutex // held while an answer must not come back
	var answers sync.WaitGroup
	answers.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := far.Read(buf)
			if err != nil {
				_ = near.Close()
				return
			}
			mute.Lock()
			_, err = near.Write(buf[:n])
			mute.Unlock()
			if err != nil {
				return
			}
		}
	})
	defer answers.Wait()
	defer func() { _ = far.Close() }()
	commands := bufio.NewReaderSize(near, 64<<10)
	for {
		raw, moves, err := readCommand(commands)
		if err != nil {
			return
		}
		if !moves || !w.passes() {
			if _, err := far.Write(raw); err != nil {
				return
			}
			continue
		}
		mute.Lock()
		if w.after {
			if _, err := far.Write(raw); err == nil {
				w.settle(addr)
			}
		}
		w.pull()
		mute.Unlock()
		return
	}
}

// settle makes sure that Redis has carried out what was written to it before: it
// answers one client after the other, but need not read them in that order.
func (w *tripwire) settle(addr string) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	for range 20 {
		_ = client.Ping(context.Background()).Err() // each is one turn of Redis' loop
	}
}

// readCommand reads one command of RESP, and whether it is a script by its hash
// with the keys of a request, which is how the bot changes things.
func readCommand(r *bufio.Reader) (raw []byte, moves bool, err error) {
	line := func() (string, error) {
		text, err := r.ReadString('\n')
		raw = append(raw, text...)
		return strings.TrimRight(text, "\r\n"), err
	}
	head, err := line()
	if err != nil {
		return nil, false, err
	}
	count, err := strconv.Atoi(strings.TrimPrefix(head, "*"))
	if err != nil {
		return nil, false, fmt.Errorf("not a command: %q", head[:1])
	}
	var words []string
	for range count {
		size, err := line()
		if err != nil {
			return nil, false, err
		}
		n, err := strconv.Atoi(strings.TrimPrefix(size, "$"))
		if err != nil {
			return nil, false, errors.New("not a string")
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, false, err
		}
		raw = append(raw, data...)
		words = append(words, string(data[:n]))
	}
	moves = len(words) > 3 && strings.HasPrefix(strings.ToLower(words[0]), "eval") && words[2] != "1"
	return raw, moves, nil
}

// TestCrashEverywhere kills the bot at each call that it makes in the life of a
// request, before and after the call took effect, and lets another one finish.
func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	for far, calls := range map[string]int{"redis": 10, "slack": 6, "atlas": 3} {
		for number := 1; number <= calls; number++ {
			for _, after := range []bool{false, true} {
				name := fmt.Sprintf("%s call %d, before it", far, number)
				if after {
					name = fmt.Sprintf("%s call %d, after it", far, number)
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					crash(t, far, number, after)
				})
			}
		}
	}
}

func crash(t *testing.T, far string, number int, after bool) {
	w := newWorld(t)
	dead := make(chan struct{})
	var victim *process
	var once sync.Once
	wire := &tripwire{number: number, after: after}
	wire.pull = func() {
		once.Do(func() { victim.kill(); close(dead) })
	}
	env := w.env
	w.env = map[string]string{}
	for name, value := range env {
		w.env[name] = value
	}
	switch far {
	case "redis":
		w.env["REDIS_URL"] = wire.aroundRedis(t, w.env["REDIS_URL"])
	case "slack":
		w.env["SLACK_API_URL"] = wire.around(t, w.env["SLACK_API_URL"])
	case "atlas":
		w.env["MONGODB_ATLAS_BASE_URL"] = wire.around(t, w.env["MONGODB_ATLAS_BASE_URL"])
	}
	victim = w.start(t)
	w.open(t, mira, "update", rotation("c4a5", "payments-prod"))
	wire.arm()

	// People do what people do: when Slack shows an error, they do it again.
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	relieved := false
	relieve := func() {
		select {
		case <-dead:
		default:
			return
		}
		if !relieved {
			relieved = true
			w.env = env
			w.launch(t)
		}
	}
	require.True(t, eventually(ctx, w, func() bool {
		relieve()
		result, err := w.slack.Person(mira).Submit(ctx)
		return err == nil && result.Trouble == "" && len(result.Errors) == 0
	}), "the form was not taken")
	approved := false
	for !approved {
		if !eventually(ctx, w, func() bool { relieve(); return undecided(w) || decided(w) }) {
			require.FailNow(t, "no card came")
		}
		relieve()
		if decided(w) {
			break
		}
		for _, m := range cards(w) {
			if _, there := m.Button("approve"); there {
				err := w.slack.Person(jo).Click(ctx, m, "approve")
				approved = approved || err == nil
			}
		}
		relieve()
	}
	require.True(t, eventually(ctx, w, func() bool {
		relieve()
		return told(w, jo, approvals, false) && told(w, jo, approvals, true) && told(w, mira, w.slack.Person(mira).DM(), false)
	}), "people were not told that it was applied")

	select { // people may see what the last calls did before the bot is dead
	case <-dead:
	case <-ctx.Done():
		t.Errorf("the bot made only %d calls, so it was not killed: take the number out", wire.count())
	}
	project := w.atlas.ProjectID("payments-prod")
	assert.Equal(t, 1, w.atlas.Effects(project, "PAGER_DUTY"), "one effective change")
	assert.Equal(t, key("c4a5"), w.holds(t, "payments-prod", "PAGER_DUTY")["serviceKey"])
	assertRest(t, w)
	w.noSecrets(t)
}

// assertRest checks what Redis holds of a request that is over.
func assertRest(t *testing.T, w *world) {
	t.Helper()
	options, err := redis.ParseURL(w.redis.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	const prefix = "{aib:T0ONCALL01}:"
	sealed, err := client.Keys(t.Context(), prefix+"sealed:*").Result()
	require.NoError(t, err)
	assert.Empty(t, sealed, "no sealed value is left")
	trail, err := client.XRange(t.Context(), prefix+"audit", "-", "+").Result()
	require.NoError(t, err)
	seen := map[string]int{}
	for _, entry := range trail {
		seen[fmt.Sprint(entry.Values["event"])]++
	}
	for _, event := range []string{"submit", "prepare", "approve", "begin", "target", "succeed"} {
		assert.Equal(t, 1, seen[event], "%s in the audit trail", event)
	}
}

// told reports whether the newest message of a channel, or of its threads, says
// that the request was applied.
func told(w *world, who, channel string, inThread bool) bool {
	latest := ""
	for _, m := range w.slack.Person(who).Messages(channel) {
		if state := stateOf(m); (m.ThreadTS != "") == inThread && !m.Ephemeral && state != "" {
			latest = state
		}
	}
	return latest == "applied"
}

func cards(w *world) []slacksim.Message {
	var found []slacksim.Message
	for _, m := range w.slack.Person(jo).Messages(approvals) {
		if m.ThreadTS == "" && !m.Ephemeral && stateOf(m) != "" {
			found = append(found, m)
		}
	}
	return found
}

func undecided(w *world) bool {
	for _, m := range cards(w) {
		if _, there := m.Button("approve"); there {
			return true
		}
	}
	return false
}

func decided(w *world) bool {
	for _, m := range cards(w) {
		if stateOf(m) != "pending" {
			return true
		}
	}
	return false
}

// eventually looks whenever something happens in Slack, and once a second for
// what happens elsewhere.
func eventually(ctx context.Context, w *world, done func() bool) bool {
	happened := make(chan struct{}, 1)
	cancel := w.slack.Subscribe(func(slacksim.Event) {
		select {
		case happened <- struct{}{}:
		default:
		}
	})
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-happened:
		case <-tick.C:
		}
	}
	return true
}
