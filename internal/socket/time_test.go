package socket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file live in bubbles, where time passes only when everybody
// waits: they run with the times of production, and take none.

// bubble runs a test with a far end, and a listener made of l.
func bubble(t *testing.T, l func() *Listener, test func(t *testing.T, f *far, r *running)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		test(t, f, listen(t, f, l()))
	})
}

func plain() *Listener { return &Listener{} }

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAQuietNight(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, r *running) {
		c := next(t, f.opened, "a connection")
		pass(8 * time.Hour)
		c.deliver("E1")
		assert.Equal(t, "E1", c.acked(t).ID)
		assert.Equal(t, 1, f.openings(), "silence of the payloads says nothing")
		assert.Equal(t, 1, r.Status().Standing)
	})
}

func TestADeadConnectionIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name        string
		edit        func(*far)
		least, most time.Duration
	}{
		{"no pong", func(f *far) { f.noPong = true }, 15 * time.Second, 20 * time.Second},
		{"no ping of Slack's", func(f *far) { f.noPing = true }, 30 * time.Second, 35 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newNearFar(t)
				f.from(tt.edit)
				r := listen(t, f, plain())
				dead := next(t, f.opened, "a connection")
				f.from(func(f *far) { f.noPing, f.noPong = false, false })
				begin := time.Now()
				<-dead.ended
				assert.GreaterOrEqual(t, time.Since(begin), tt.least)
				assert.LessOrEqual(t, time.Since(begin), tt.most)
				c := next(t, f.opened, "its successor")
				c.deliver("E1")
				assert.Equal(t, "E1", c.acked(t).ID)
				assert.Equal(t, "silent", r.Status().LastEnd)
			})
		})
	}
}

// TestAConnectionWithoutHelloIsNone, nor is one that begins with something else.
func TestAConnectionWithoutHelloIsNone(t *testing.T) {
	for _, first := range []any{
		nil,
		map[string]any{"type": "interactive", "envelope_id": "E0", "payload": typed},
		map[string]any{"type": "disconnect", "reason": "warning"},
		[]string{typed},
	} {
		t.Run(fmt.Sprintf("%T", first), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newNearFar(t)
				f.from(func(f *far) { f.greeting = first })
				r := listen(t, f, plain())
				none := next(t, f.opened, "a connection")
				assert.Zero(t, r.Status().Standing)
				f.from(func(f *far) { f.greeting = hi })
				next(t, none.ended, "the end of the one without")
				synctest.Wait()
				assert.NotEmpty(t, r.Status().Problem)
				c := next(t, f.opened, "another try")
				c.deliver("E1")
				assert.Equal(t, "E1", c.acked(t).ID)
				assert.Equal(t, 1, r.Status().Standing)
				assert.Empty(t, r.Status().Problem)
			})
		})
	}
}

// TestNoStorm: whatever the far end does to connections, they are opened about
// once a minute in the long run.
func TestNoStorm(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(c *farConn)
	}{
		{"ends at once", func(c *farConn) { c.cut() }},
		{"told to go at once", func(c *farConn) { c.disconnect("refresh_requested") }},
		{"told to go and cut", func(c *farConn) { c.disconnect("warning"); c.cut() }},
		{"lives for six seconds", func(c *farConn) { time.Sleep(6 * time.Second); c.cut() }},
		{"lives for ten, then told to go", func(c *farConn) { time.Sleep(10 * time.Second); c.disconnect("warning") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newNearFar(t)
				f.from(func(f *far) { f.serve = tt.serve })
				listen(t, f, &Listener{Connections: 2})
				pass(time.Hour)
				n := f.openings()
				assert.LessOrEqual(t, n, 2*60+6+mostHurries+int(time.Hour/hurryEvery))
				assert.GreaterOrEqual(t, n, 2*30, "and it does not give up")
			})
		})
	}
}

// TestRefreshedAgainAndAgain: Slack tells every connection to go a second after it was
// opened, and cuts it ten seconds later. For a minute, some connection stands all the time.
func TestRefreshedAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		f.from(func(f *far) {
			f.serve = func(c *farConn) {
				time.Sleep(time.Second)
				c.disconnect("refresh_requested")
				time.Sleep(10 * time.Second)
				c.cut()
			}
		})
		r := listen(t, f, &Listener{Connections: 2})
		pass(500 * time.Millisecond)
		for begin := time.Now(); time.Since(begin) < time.Minute; pass(100 * time.Millisecond) {
			require.Positive(t, r.Status().Standing, "after %s", time.Since(begin))
		}
		assert.LessOrEqual(t, f.openings(), 6+60/30+8)
	})
}

func TestNoStormOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		f.from(func(f *far) { f.always = errors.New("connection refused") })
		r := listen(t, f, &Listener{Connections: 4})
		pass(24 * time.Hour)
		n := f.openings()
		assert.LessOrEqual(t, n, 4*24*60*3/2)
		assert.GreaterOrEqual(t, n, 4*24*30, "there is no last try")
		assert.Contains(t, r.Status().Problem, "connection refused")
		f.from(func(f *far) { f.always = nil })
		pass(2 * time.Minute)
		assert.Equal(t, 4, r.Status().Standing)
		assert.Empty(t, r.Status().Problem)
	})
}

// TestALimitHoldsEverySlot, for as long as Slack says.
func TestALimitHoldsEverySlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		r := listen(t, f, &Listener{Connections: 2})
		first, second := next(t, f.opened, "a connection"), next(t, f.opened, "another")
		pass(time.Hour)
		f.from(func(f *far) { f.refuse = []error{&slack.RateLimitedError{RetryAfter: 90 * time.Second}} })
		first.cut()
		pass(time.Second)
		second.cut()
		pass(85 * time.Second)
		assert.Equal(t, 3, f.openings())
		pass(30 * time.Second)
		assert.Equal(t, 5, f.openings())
		assert.Equal(t, 2, r.Status().Standing)
	})
}

// TestEndsThatMustNotBeHurried are answered by waiting, whether they come after
// the hello or in its place; the status says what to do.
func TestEndsThatMustNotBeHurried(t *testing.T) {
	for _, reason := range []string{linkDisabled, tooManyWebsockets} {
		for _, instead := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, instead of hello %t", reason, instead), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newNearFar(t)
					if instead {
						f.from(func(f *far) { f.greeting = map[string]any{"type": "disconnect", "reason": reason} })
					}
					var told []string
					r := listen(t, f, &Listener{Observe: Observer{Reconnect: func(reason string) { told = append(told, reason) }}})
					c := next(t, f.opened, "a connection")
					f.from(func(f *far) { f.greeting = hi })
					if !instead {
						c.disconnect(reason)
					}
					next(t, c.ended, "the end of the connection")
					assert.Equal(t, websocket.CloseNormalClosure, c.goodbye, "it says goodbye")
					pass(mendPause - time.Second)
					assert.Equal(t, 1, f.openings())
					assert.Equal(t, []string{reason}, told)
					assert.Zero(t, r.Status().Standing)
					assert.Equal(t, advice[reason], r.Status().Problem)
					pass(mendPause/4 + time.Second)
					assert.Equal(t, 1, r.Status().Standing, "once mended, it heals")
					assert.Empty(t, r.Status().Problem)
				})
			})
		}
	}
}

// TestSocketModeIsSwitchedOffForAWhile: the bot stays, and says why it is idle.
func TestSocketModeIsSwitchedOffForAWhile(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, r *running) {
		c := next(t, f.opened, "a connection")
		f.from(func(f *far) { f.always = slack.SlackErrorResponse{Err: linkDisabled} })
		c.disconnect(linkDisabled)
		pass(time.Hour)
		assert.LessOrEqual(t, f.openings(), 13)
		assert.Contains(t, r.Status().Problem, "Socket Mode")
		assert.Empty(t, r.result)
		f.from(func(f *far) { f.always = nil })
		pass(2 * mendPause)
		assert.Equal(t, 1, r.Status().Standing)
	})
}

// TestATokenIsRevoked: a connection that stands goes on working, and when there is
// none, the bot ends with a sentence about it.
func TestATokenIsRevoked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		r := listen(t, f, &Listener{Connections: 2})
		first, last := next(t, f.opened, "a connection"), next(t, f.opened, "another")
		pass(time.Hour)
		f.from(func(f *far) { f.always = slack.SlackErrorResponse{Err: "token_revoked"} })
		first.disconnect("warning")
		pass(9 * time.Second)
		first.cut()
		pass(time.Minute)
		last.deliver("E1")
		assert.Equal(t, "E1", last.acked(t).ID)
		assert.Contains(t, r.Status().Problem, mend["token_revoked"])
		assert.Empty(t, r.result)
		last.cut()
		require.ErrorContains(t, next(t, r.result, "the end"), mend["token_revoked"])
	})
}

// TestTheOldConnectionWaitsForItsSuccessor, however long that takes, and is closed
// in good order some time after.
func TestTheOldConnectionWaitsForItsSuccessor(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, r *running) {
		old := next(t, f.opened, "a connection")
		pass(time.Hour)
		f.from(func(f *far) { f.always = errors.New("connection refused") })
		old.disconnect("warning")
		pass(10 * time.Minute)
		old.deliver("E1")
		assert.Equal(t, "E1", old.acked(t).ID)
		assert.Equal(t, 1, r.Status().Standing)
		f.from(func(f *far) { f.always = nil })
		pass(2 * time.Minute)
		successor := next(t, f.opened, "the successor")
		<-old.ended
		assert.Equal(t, websocket.CloseNormalClosure, old.goodbye)
		successor.deliver("E2")
		assert.Equal(t, "E2", successor.acked(t).ID)
		assert.Equal(t, 1, r.Status().Standing)
	})
}

func TestTheOldConnectionDrains(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, r *running) {
		old := next(t, f.opened, "a connection")
		pass(time.Hour)
		old.disconnect("warning")
		next(t, f.opened, "the successor")
		pass(7 * time.Second)
		assert.Equal(t, 2, r.Status().Standing)
		old.deliver("E1")
		assert.Equal(t, "E1", old.acked(t).ID)
		pass(2 * time.Second)
		assert.Equal(t, 1, r.Status().Standing)
		next(t, old.ended, "its end")
		assert.Equal(t, websocket.CloseNormalClosure, old.goodbye)
	})
}

// TestSlacksCountWithoutWhatEnded: a successor's hello counts the connection that drains
// beside it, and the next hello may be hours away.
func TestSlacksCountWithoutWhatEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		greets := func(connections int) func(*far) {
			greeting := maps.Clone(hi)
			greeting["num_connections"] = connections
			return func(f *far) { f.greeting = greeting }
		}
		told := make(chan int, 10)
		f.from(greets(7))
		r := listen(t, f, &Listener{Observe: Observer{ToldNumber: func(n int) { told <- n }}})
		old := next(t, f.opened, "a connection")
		pass(time.Hour)
		assert.Equal(t, 7, next(t, told, "the count"))
		f.from(greets(8))
		old.disconnect("warning")
		next(t, f.opened, "the successor")
		assert.Equal(t, 8, next(t, told, "the count with both"))
		next(t, old.ended, "its end")
		synctest.Wait()
		assert.Equal(t, 7, next(t, told, "the count with one"))
		assert.Equal(t, 7, r.Status().NumConnections)
	})
}

// slow is a handler that acks after two seconds.
func slow() *Listener {
	return &Listener{Handle: func(_ context.Context, _ Envelope, ack func(any) error) {
		time.Sleep(2 * time.Second)
		_ = ack(nil) // the far end tells
	}}
}

// TestAcksGoOutBeforeTheConnection, whoever ends it and however.
func TestAcksGoOutBeforeTheConnection(t *testing.T) {
	for name, end := range map[string]func(c *farConn, r *running){
		"Slack closes": func(c *farConn, _ *running) {
			c.control(websocket.CloseMessage, websocket.FormatCloseMessage(1001, ""))
		},
		"the bot stops":   func(_ *farConn, r *running) { r.cancel() },
		"too many":        func(c *farConn, _ *running) { c.disconnect(tooManyWebsockets) },
		"the old drained": func(c *farConn, _ *running) { c.disconnect("warning"); time.Sleep(7 * time.Second); c.deliver("E9") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, slow, func(t *testing.T, f *far, r *running) {
				c := next(t, f.opened, "a connection")
				c.deliver("E1")
				synctest.Wait()
				end(c, r)
				assert.Equal(t, "E1", c.acked(t).ID)
				<-c.ended
				assert.NotEqual(t, websocket.CloseAbnormalClosure, c.goodbye)
				assert.Empty(t, c.unacked)
			})
		})
	}
}

// TestStopping: what arrives while the bot stops is answered as long as anything
// else is under way on that connection; what comes after an ack has its time too.
func TestStopping(t *testing.T) {
	finished := false
	stopping := func() *Listener {
		return &Listener{Handle: func(ctx context.Context, e Envelope, ack func(any) error) {
			time.Sleep(2 * time.Second)
			_ = ack(nil)
			if e.ID == "E2" && sleep(ctx, 2*time.Second) {
				finished = true
			}
		}}
	}
	bubble(t, stopping, func(t *testing.T, f *far, r *running) {
		c := next(t, f.opened, "a connection")
		c.deliver("E1")
		synctest.Wait()
		begin := time.Now()
		r.cancel()
		pass(time.Second)
		c.deliver("E2")
		assert.Equal(t, "E1", c.acked(t).ID)
		assert.Equal(t, "E2", c.acked(t).ID)
		<-c.ended
		assert.Equal(t, 3*time.Second, time.Since(begin).Truncate(time.Second))
		assert.Equal(t, websocket.CloseNormalClosure, c.goodbye)
		require.NoError(t, next(t, r.result, "the end"))
		assert.True(t, finished)
		assert.Equal(t, 5*time.Second, time.Since(begin).Truncate(time.Second))
		assert.Equal(t, 1, f.openings())
	})
}

// TestStoppingHasAnEnd: a handler that does not come to its end loses its context,
// and is left behind when it ignores even that.
func TestStoppingHasAnEnd(t *testing.T) {
	t.Parallel()
	for _, stubborn := range []bool{false, true} {
		t.Run(fmt.Sprintf("stubborn %t", stubborn), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newNearFar(t)
				release := make(chan struct{})
				defer close(release)
				r := listen(t, f, &Listener{HandleTime: time.Hour, Handle: func(ctx context.Context, _ Envelope, _ func(any) error) {
					<-ctx.Done()
					if stubborn {
						<-release
					}
				}})
				c := next(t, f.opened, "a connection")
				c.deliver("E1")
				synctest.Wait()
				begin := time.Now()
				r.cancel()
				require.NoError(t, next(t, r.result, "the end"))
				assert.LessOrEqual(t, time.Since(begin), 10*time.Second)
				assert.GreaterOrEqual(t, time.Since(begin), 7*time.Second)
				next(t, c.ended, "the end of the connection")
				if !stubborn {
					assert.Equal(t, "E1", c.acked(t).ID, "acked empty")
				}
			})
		})
	}
}

// TestTooLateToBeAcked: what crosses the bot's goodbye on the wire is not begun, as
// nobody could be told how it went.
func TestTooLateToBeAcked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		f.from(func(f *far) { f.parting = func(c *farConn) { c.deliver("E1") } })
		dropped := make(chan string, 1)
		r := listen(t, f, &Listener{
			Observe: Observer{Dropped: func(kind string) { dropped <- kind }},
			Handle:  func(context.Context, Envelope, func(any) error) { t.Error("it must not be begun") },
		})
		c := next(t, f.opened, "a connection")
		synctest.Wait()
		r.cancel()
		assert.Equal(t, "interactive", next(t, dropped, "the envelope"))
		require.NoError(t, next(t, r.result, "the end"))
		<-c.ended
		assert.Empty(t, c.acks)
	})
}

// TestStoppingWhileOpening does not wait for a hello.
func TestStoppingWhileOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		f.from(func(f *far) { f.greeting = nil })
		r := listen(t, f, plain())
		next(t, f.opened, "a connection")
		synctest.Wait()
		begin := time.Now()
		r.cancel()
		require.NoError(t, next(t, r.result, "the end"))
		assert.LessOrEqual(t, time.Since(begin), closeTime)
	})
}

// TestStoppingWhileAnOldConnectionDrains does not wait for that either.
func TestStoppingWhileAnOldConnectionDrains(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, r *running) {
		old := next(t, f.opened, "a connection")
		pass(time.Hour)
		old.disconnect("warning")
		next(t, f.opened, "the successor")
		pass(time.Second)
		begin := time.Now()
		r.cancel()
		require.NoError(t, next(t, r.result, "the end"))
		assert.LessOrEqual(t, time.Since(begin), closeTime)
		<-old.ended
		assert.Equal(t, websocket.CloseNormalClosure, old.goodbye)
	})
}

// TestAGoodConnectionMakesUpForBadOnes: the pauses begin anew.
func TestAGoodConnectionMakesUpForBadOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		f.from(func(f *far) { f.always = errors.New("connection refused") })
		listen(t, f, plain())
		pass(time.Hour)
		f.from(func(f *far) { f.always = nil })
		pass(time.Hour)
		f.from(func(f *far) { f.refuse = []error{errors.New("connection refused")} })
		next(t, f.opened, "a connection").cut()
		begin := time.Now()
		next(t, f.opened, "its successor")
		assert.LessOrEqual(t, time.Since(begin), 2*firstPause+hop)
	})
}

// TestAFleetingConnectionIsAFailure: its successor has to wait.
func TestAFleetingConnectionIsAFailure(t *testing.T) {
	bubble(t, plain, func(t *testing.T, f *far, _ *running) {
		next(t, f.opened, "a connection").cut()
		begin := time.Now()
		next(t, f.opened, "its successor")
		assert.GreaterOrEqual(t, time.Since(begin), firstPause/2)
	})
}

// TestTheQueueIsBounded: reading goes on, and what has no chance to be acked in
// time is not begun.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		var dropped atomic.Int32
		begun := make(chan string, 10)
		release := make(chan struct{})
		l := &Listener{mostHandled: 1, mostQueue: 2, HandleTime: time.Hour}
		l.Observe.Dropped = func(string) { dropped.Add(1) }
		l.Handle = func(_ context.Context, e Envelope, ack func(any) error) {
			begun <- e.ID
			if e.ID == "E1" {
				<-release
			}
			_ = ack(nil)
		}
		r := listen(t, f, l)
		c := next(t, f.opened, "a connection")
		for _, id := range []string{"E1", "E2", "E3"} {
			c.deliver(id)
			synctest.Wait()
		}
		c.deliver("E4")
		synctest.Wait()
		assert.EqualValues(t, 1, dropped.Load(), "three are under way")
		pass(time.Minute)
		assert.EqualValues(t, 3, dropped.Load(), "two have waited too long")
		assert.Equal(t, "E1", <-begun)
		assert.Empty(t, begun)
		assert.Equal(t, 1, f.openings(), "pings are answered all the while")
		close(release)
		assert.Equal(t, "E1", c.acked(t).ID)
		c.deliver("E5")
		assert.Equal(t, "E5", c.acked(t).ID)
		assert.Contains(t, r.logs.String(), "an ack came too late")
	})
}

// TestAStuckConnection: the ack that cannot be written is told to its handler, and
// the connection is replaced.
func TestAStuckConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		told := make(chan error, 1)
		r := listen(t, f, &Listener{Handle: func(_ context.Context, _ Envelope, ack func(any) error) { told <- ack(nil) }})
		c := next(t, f.opened, "a connection")
		deaf := make(chan struct{})
		f.from(func(*far) { c.deaf = deaf })
		c.deliver("E1")
		require.NoError(t, next(t, told, "the last ack that is read"))
		c.deliver("E2")
		begin := time.Now()
		require.Error(t, next(t, told, "the ack that is stuck"))
		assert.Equal(t, writeTime, time.Since(begin))
		successor := next(t, f.opened, "the successor")
		assert.Equal(t, "unwritable", r.Status().LastEnd)
		successor.deliver("E3")
		assert.Equal(t, "E3", successor.acked(t).ID)
		close(deaf)
		next(t, c.ended, "the end of the stuck one")
	})
}

// TestWhatFollowsAnAckMakesWay for another ack that is owed, but not for long.
func TestWhatFollowsAnAckMakesWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ owed, least, most time.Duration }{
		{20 * time.Millisecond, 20 * time.Millisecond, 20*time.Millisecond + 2*quietTime},
		{time.Second, afterAcks, afterAcks + quietTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newNearFar(t)
			follows := make(chan time.Duration, 2)
			listen(t, f, &Listener{Handle: func(_ context.Context, e Envelope, ack func(any) error) {
				if e.ID == "E1" {
					time.Sleep(tt.owed)
				}
				_ = ack(nil) // seen at the far end
				follows <- time.Since(e.ReceivedAt)
			}})
			c := next(t, f.opened, "a connection")
			c.deliver("E1")
			c.deliver("E2")
			assert.Equal(t, "E2", c.acked(t).ID)
			after := next(t, follows, "what follows it")
			assert.GreaterOrEqual(t, after, tt.least)
			assert.LessOrEqual(t, after, tt.most)
			assert.Equal(t, "E1", c.acked(t).ID)
			next(t, follows, "what follows that")
		})
	}
}

// TestAPlaceThatIsWaitedFor is given back: what follows an ack does not make way for an
// envelope that has no place before it ends.
func TestAPlaceThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		listen(t, f, &Listener{mostHandled: 1, mostQueue: 1, Handle: func(_ context.Context, _ Envelope, ack func(any) error) {
			time.Sleep(10 * time.Millisecond)
			_ = ack(nil) // seen at the far end
		}})
		c := next(t, f.opened, "a connection")
		begun := time.Now()
		c.deliver("E1")
		c.deliver("E2")
		c.acked(t)
		c.acked(t)
		assert.LessOrEqual(t, time.Since(begun), 20*time.Millisecond)
	})
}

// TestOtherWorkMakesWay for acks that are owed, but not for long, and not for the ack of
// an envelope that came alone.
func TestOtherWorkMakesWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		envelopes   []string
		owed, waits time.Duration
	}{
		{[]string{"E1"}, time.Second, 0},
		{[]string{"E1", "E2", "E3"}, 20 * time.Millisecond, 20 * time.Millisecond},
		{[]string{"E1", "E2", "E3"}, time.Second, afterAcks},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newNearFar(t)
			r := listen(t, f, &Listener{Handle: func(_ context.Context, _ Envelope, ack func(any) error) {
				time.Sleep(tt.owed)
				_ = ack(nil) // seen at the far end
			}})
			c := next(t, f.opened, "a connection")
			r.MakeWay() // for nothing
			for _, id := range tt.envelopes {
				c.deliver(id)
			}
			synctest.Wait()
			begun := time.Now()
			r.MakeWay()
			assert.Equal(t, tt.waits, time.Since(begun))
			for range tt.envelopes {
				c.acked(t)
			}
			r.MakeWay()
			assert.Equal(t, tt.owed, time.Since(begun))
		})
	}
}

// TestASlowAckIsNoBurst: while one is owed for long, nothing makes way for it again and
// again, neither what follows the ack of an envelope that comes alone nor other work.
func TestASlowAckIsNoBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newNearFar(t)
		follows := make(chan time.Duration, 4)
		r := listen(t, f, &Listener{Handle: func(_ context.Context, e Envelope, ack func(any) error) {
			if e.ID == "slow" {
				time.Sleep(2 * time.Second)
			}
			_ = ack(nil) // seen at the far end
			follows <- time.Since(e.ReceivedAt)
		}})
		c := next(t, f.opened, "a connection")
		c.deliver("slow")
		c.deliver("beside it")
		assert.Equal(t, afterAcks, next(t, follows, "what follows the ack beside it"))
		pass(afterAcks)
		begun := time.Now()
		r.MakeWay()
		assert.Zero(t, time.Since(begun))
		for _, id := range []string{"alone", "alone again"} {
			c.deliver(id)
			assert.Zero(t, next(t, follows, "what follows an ack"), id)
			r.MakeWay()
			assert.Zero(t, time.Since(begun), id)
			pass(afterAcks)
			begun = time.Now()
		}
	})
}

// TestAHandlerThatTakesItsTime loses its context, and is acked all the same.
func TestAHandlerThatTakesItsTime(t *testing.T) {
	waits := func() *Listener {
		return &Listener{Handle: func(ctx context.Context, _ Envelope, _ func(any) error) { <-ctx.Done() }}
	}
	bubble(t, waits, func(t *testing.T, f *far, r *running) {
		c := next(t, f.opened, "a connection")
		c.deliver("E1")
		assert.Equal(t, "E1", c.acked(t).ID)
		synctest.Wait()
		assert.Contains(t, r.logs.String(), "a handler used up its time")
	})
}

// sleep waits, and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
