package socket_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/socket"
)

const patience = 20 * time.Second

// workspace is a Slack in which a test runs listeners. It is strict: at the end of
// the test, nothing may have been acked late, twice or on another connection.
type workspace struct {
	*slacksim.Server
	clock *slacksim.Clock
	ctx   context.Context
}

func newWorkspace(t *testing.T, opt slacksim.Options) *workspace {
	t.Helper()
	w := &workspace{clock: &slacksim.Clock{}}
	opt.Clock = w.clock
	var err error
	w.Server, err = slacksim.New(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.ctx = ctx
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, w.Close())
		assert.Empty(t, w.Violations())
	})
	return w
}

// answer is a handler that answers every command.
func answer(_ context.Context, e socket.Envelope, ack func(any) error) {
	if e.Type == "slash_commands" {
		_ = ack(slack.Msg{Text: "heard"}) // the person would tell
	}
}

// run starts a listener and returns what stops it and waits for its end.
func (w *workspace) run(t *testing.T, l *socket.Listener) (stop func() error) {
	t.Helper()
	if l.Handle == nil {
		l.Handle = answer
	}
	l.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	l.Opener = w.opener()
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return l.Run(ctx) })
	stop = func() error { cancel(); return g.Wait() }
	t.Cleanup(func() { assert.NoError(t, stop()) })
	return stop
}

func (w *workspace) opener() socket.Opener {
	return slack.New("", slack.OptionAPIURL(w.APIURL()), slack.OptionAppLevelToken(w.AppToken()))
}

// say has a person type a command, and reports what they would see go wrong.
func (w *workspace) say(words string) error {
	_, err := w.Person("U0ENGINEER").Command(w.ctx, "C0INCIDENT", "/atlas-integration", words)
	return err
}

func TestSlackRefreshesUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	l := &socket.Listener{Connections: 2}
	stop := w.run(t, l)
	for _, reason := range []string{"warning", "refresh_requested"} {
		require.NoError(t, w.WaitConnections(w.ctx, 2))
		var people errgroup.Group
		for range 8 {
			people.Go(func() error {
				for range 50 {
					if err := w.say("help"); err != nil {
						return err
					}
				}
				return nil
			})
		}
		w.Refresh(reason)
		require.NoError(t, w.WaitConnections(w.ctx, 4), "the successors stand beside the old ones")
		require.NoError(t, w.say("help"))
		require.NoError(t, people.Wait())
		w.clock.Advance(10 * time.Second) // the old ones are cut
		require.Eventually(t, func() bool { return w.Connections() == 2 && l.Status().Standing == 2 }, patience, time.Millisecond)
		require.NoError(t, w.say("help"))
	}
	require.NoError(t, stop())
	require.Eventually(t, func() bool { return w.Connections() == 0 }, patience, time.Millisecond, "goodbye was said")
}

func TestSlackDeliversTwice(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	w.run(t, &socket.Listener{})
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	w.DeliverTwice(true)
	for range 20 {
		require.NoError(t, w.say("help"))
	}
}

func TestSlackTakesTheLargestAnswer(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	w.run(t, &socket.Listener{Handle: func(_ context.Context, _ socket.Envelope, ack func(any) error) {
		assert.NoError(t, ack(map[string]string{"text": strings.Repeat("<", 18_900)}))
	}})
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	require.NoError(t, w.say("help"))
	require.NoError(t, w.say("help"), "and the connection is still good")
	assert.Equal(t, 2, w.Connections())
}

func TestSlackCutsConnections(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	l := &socket.Listener{}
	w.run(t, l)
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	w.CutSockets()
	require.Eventually(t, func() bool { return l.Status().LastEnd == "closed" && w.Connections() == 2 }, patience, time.Millisecond)
	require.NoError(t, w.say("help"))
}

func TestSlackFallsSilent(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{PingEvery: 50 * time.Millisecond})
	l := &socket.Listener{PingEvery: 50 * time.Millisecond, PongTime: time.Second, SilenceTime: 5 * time.Second}
	w.run(t, l)
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	w.SilenceSocket(0)
	require.Eventually(t, func() bool { return l.Status().LastEnd == "silent" }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return l.Status().Standing == 2 && w.Connections() == 2 }, patience, time.Millisecond)
	require.NoError(t, w.say("help"))
}

func TestSlackDoesNotSayHello(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	w.SkipHello(1)
	l := &socket.Listener{Connections: 1, HelloTime: 200 * time.Millisecond}
	w.run(t, l)
	require.NoError(t, w.WaitConnections(w.ctx, 1))
	require.NoError(t, w.say("help"))
}

func TestSocketModeIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	l := &socket.Listener{}
	w.run(t, l)
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	w.SetSocketMode(false)
	require.Eventually(t, func() bool { s := l.Status(); return s.Standing == 0 && s.Problem != "" }, patience, time.Millisecond)
	assert.Contains(t, l.Status().Problem, "Socket Mode")
	assert.ErrorContains(t, (&socket.Listener{Opener: w.opener()}).Run(w.ctx), "Socket Mode", "at the start it is an error")
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{NoRateLimits: true})
	for _, n := range []int{4, 4, 2} {
		w.run(t, &socket.Listener{Connections: n})
	}
	require.NoError(t, w.WaitConnections(w.ctx, 10))
	eleventh := &socket.Listener{Connections: 1}
	w.run(t, eleventh)
	require.Eventually(t, func() bool { return eleventh.Status().Problem != "" }, patience, time.Millisecond)
	assert.Contains(t, eleventh.Status().Problem, "ten connections")
	assert.Equal(t, 10, w.Connections())
}

func TestSlackLimitsOpenings(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	w.Fail("apps.connections.open", 1, slacksim.Failure{RetryAfter: time.Second})
	w.Fail("apps.connections.open", 1, slacksim.Failure{Status: 503})
	w.Fail("apps.connections.open", 1, slacksim.Failure{Error: "internal_error"})
	w.Fail("apps.connections.open", 1, slacksim.Failure{Reset: true})
	w.run(t, &socket.Listener{Connections: 1})
	require.NoError(t, w.WaitConnections(w.ctx, 1))
	require.NoError(t, w.say("help"))
}

func TestTheAppTokenLacksItsScope(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	w.SetAppScopes()
	assert.ErrorContains(t, (&socket.Listener{Opener: w.opener()}).Run(w.ctx), "connections:write")
}

// TestThePersonIsAnsweredWhileTheBotStops, as Slack gives the envelope to no other.
func TestThePersonIsAnsweredWhileTheBotStops(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, slacksim.Options{})
	begun, goOn := make(chan struct{}), make(chan struct{})
	stop := w.run(t, &socket.Listener{Handle: func(ctx context.Context, e socket.Envelope, ack func(any) error) {
		close(begun)
		<-goOn
		answer(ctx, e, ack)
	}})
	require.NoError(t, w.WaitConnections(w.ctx, 2))
	var person errgroup.Group
	person.Go(func() error { return w.say("help") })
	<-begun
	var bot errgroup.Group
	bot.Go(stop)
	require.Eventually(t, func() bool { return w.Connections() == 1 }, patience, time.Millisecond, "the idle connection closes")
	close(goOn)
	require.NoError(t, person.Wait())
	require.NoError(t, bot.Wait())
}
