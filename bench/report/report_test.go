package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	tests := []struct {
		values []int
		p      float64
		want   int
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 0, 1},
		{[]int{3, 1, 2}, 50, 2},
		{[]int{3, 1, 2}, 99, 3},
		{[]int{1, 2}, 50, 1},
		{[]int{7}, 99, 7},
		{nil, 50, 0},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, Percentile(tt.values, tt.p), "%v of %d values", tt.p, len(tt.values))
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	s := Sample{}
	s.Latencies("none", nil)
	assert.Empty(t, s)
	s.Latencies("ack", []time.Duration{3 * time.Millisecond, time.Millisecond, 2500 * time.Microsecond})
	assert.Equal(t, Sample{"ack/p50": 2.5, "ack/p99": 3, "ack/max": 3}, s)
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	runs := []Sample{{"a": 4}, {"a": 1, "b": 2}, {"a": 3}, {"a": 100}}
	s, ok := Summarize(runs, "a")
	assert.True(t, ok)
	assert.Equal(t, Summary{Median: 3.5, Least: 1, Most: 100, Runs: 4}, s)
	s, ok = Summarize(runs, "b")
	assert.True(t, ok)
	assert.Equal(t, Summary{2, 2, 2, 1}, s)
	_, ok = Summarize(runs, "c")
	assert.False(t, ok)
}

// measured are results in which the bot is ten times better than the peer.
func measured(edit func(bot Sample)) *Results {
	r := &Results{
		Date: "2026-01-31", Processor: "a processor", Cores: 2, MemoryGiB: 8, Versions: map[string]string{"Go": "1", "Redis": "7"},
		Usual: 10_000, Histories: []int{10, 10_000, 1_000_000}, Loads: []int{1, 50, 300}, Replicas: []int{2}, Repeats: 2,
	}
	for _, history := range r.Histories {
		for _, system := range []string{Bot, Peer, Bare} {
			for range r.Repeats {
				values := Sample{}
				for _, row := range r.rows() {
					values[row.name] = 10
					if (system == Peer) != row.more {
						values[row.name] = 100
					}
				}
				values["redis/trips"], values["busy/subject"], values["busy/redis"], values["busy/stand-ins"] = 12, 0.5, 0.2, 1.2
				if system == Bot {
					edit(values)
				}
				r.Runs = append(r.Runs, Run{system, "flows", history, 1, values})
			}
		}
	}
	for _, system := range []string{Bot, Peer} {
		r.Runs = append(r.Runs,
			Run{system, "replicas", r.Usual, 2, Sample{"flows/s": 200, "busy/redis": 0.95}},
			Run{system, "refresh", r.Usual, 1, Sample{"refresh/commands": 500, "refresh/lost": 0, "refresh/late": 0, "refresh/slowest": 20}})
	}
	r.Judge()
	return r
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for _, g := range measured(func(Sample) {}).Goals {
		assert.True(t, g.Held, "%s: %s", g.Goal, g.By)
	}
	worse := measured(func(bot Sample) {
		for name := range bot {
			bot[name] = 1000
		}
		bot["flows/cpu"], bot["flows/s"], bot["busy/subject"], bot["busy/redis"], bot["busy/stand-ins"] = 1, 1000, 0.1, 0.1, 0.1
	})
	worse.Runs = append(worse.Runs, Run{Bot, "refresh", worse.Usual, 1, Sample{"refresh/commands": 500, "refresh/lost": 1}})
	worse.Judge()
	for _, g := range worse.Goals {
		if !strings.Contains(g.Goal, "flat") {
			assert.False(t, g.Held, "%s: %s", g.Goal, g.By)
		}
	}
}

func TestFlatness(t *testing.T) {
	t.Parallel()
	r := measured(func(Sample) {})
	for i := range r.Runs {
		if r.Runs[i].System == Bot && r.Runs[i].History == 1_000_000 {
			r.Runs[i].Values["cpu/flow"] *= 1.2
		}
	}
	r.Judge()
	var found bool
	for _, g := range r.Goals {
		if strings.HasPrefix(g.Goal, "CPU of the bot") {
			found = true
			assert.False(t, g.Held)
			assert.Equal(t, "+20 %", g.By)
		}
	}
	assert.True(t, found)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	r := measured(func(Sample) {})
	assert.Equal(t, "the machine, of which the stand-ins have 63 %", r.Limit(Bot, 1))
	assert.Equal(t, "Redis", r.Limit(Bot, 2))
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := measured(func(bot Sample) { bot["start"] = 12.345 }).Markdown()
	for _, want := range []string{
		"2026-01-31, 2 cores of a processor, 8 GiB. Go 1, Redis 7.",
		"| ack of a click, 300 at a time, p99 (ms) | 10.0 (10.0–10.0) | 100 (100–100) | 10.0 | 10.0 (10.0–10.0) |",
		"| cold start until Slack's hello (ms) | 12.3 (12.3–12.3) | 100 (100–100) | 8.1 |",
		"| flows for a second of CPU | 100 (100–100) | 10.0 (10.0–10.0) | 10.0 |",
		"| | Bot, 10 | Bot, 10,000 | Bot, 1,000,000 | Peer, 10 |",
		"| bot | 2 | 200 |", "| Redis |", "| held |",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "NaN")
	assert.NotContains(t, text, "not held")
}

// Whatever was measured, the plots are drawings that can be read.
func TestPlots(t *testing.T) {
	t.Parallel()
	whole := measured(func(bot Sample) { bot["ack/click/300/p99"], bot["cpu/flow"] = 0.004, 0 })
	empty := &Results{Loads: []int{1}, Histories: []int{10}}
	for _, r := range []*Results{whole, empty} {
		for _, drawing := range []string{r.Latency(), r.Cost()} {
			decoder := xml.NewDecoder(strings.NewReader(drawing))
			for {
				_, err := decoder.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
			}
			assert.NotContains(t, drawing, "NaN")
			assert.NotContains(t, drawing, "Inf")
		}
	}
	assert.Contains(t, whole.Latency(), "bot, submission")
	assert.Contains(t, whole.Cost(), "1,000,000")
}
