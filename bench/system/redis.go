package system

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Counters are what Redis has counted since it began.
type Counters struct {
	Commands int64 // those that scripts called, too
	In, Out  int64 // bytes from and to clients
}

// Sub is what was counted since before.
func (c Counters) Sub(before Counters) Counters {
	return Counters{c.Commands - before.Commands, c.In - before.In, c.Out - before.Out}
}

// Count reads the counters.
func Count(ctx context.Context, rdb *redis.Client) (Counters, error) {
	text, err := rdb.Info(ctx, "commandstats", "stats").Result()
	if err != nil {
		return Counters{}, fmt.Errorf("ask redis what it counted: %w", err)
	}
	return parseCounters(text), nil
}

func parseCounters(info string) Counters {
	var c Counters
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case name == "total_net_input_bytes":
			c.In = number(value)
		case name == "total_net_output_bytes":
			c.Out = number(value)
		case strings.HasPrefix(name, "cmdstat_") && !strings.HasPrefix(name, "cmdstat_info"):
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			c.Commands += number(calls)
		}
	}
	return c
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Watch counts round trips while f runs: commands that clients send, a transaction as
// one. Redis tells of each as it carries it out.
func Watch(ctx context.Context, addr string, f func() error) (roundTrips int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, err
	}
	lines := bufio.NewReaderSize(conn, 1<<20)
	if _, err := lines.ReadString('\n'); err != nil { // +OK
		return 0, err
	}
	var counting sync.WaitGroup
	counting.Go(func() {
		for inside := map[string]bool{}; ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // closed below
			}
			roundTrips += trips(line, inside)
		}
	})
	err = f()
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // for what is still on its way
	counting.Wait()
	return roundTrips, err
}

// trips is how many round trips a line of MONITOR stands for. inside are the clients
// that are in a transaction.
func trips(line string, inside map[string]bool) int {
	_, rest, found := strings.Cut(line, "[")
	client, rest, _ := strings.Cut(rest, "] ")
	_, from, _ := strings.Cut(client, " ")
	word, _, _ := strings.Cut(strings.TrimPrefix(rest, `"`), `"`)
	switch word = strings.ToLower(word); {
	case !found || from == "lua" || word == "info":
		return 0
	case word == "multi":
		inside[from] = true
		return 1
	case word == "exec" || word == "discard":
		delete(inside, from)
		return 0
	case inside[from]:
		return 0
	default:
		return 1
	}
}
