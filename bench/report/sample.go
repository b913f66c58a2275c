// Package report makes of what was measured a table, its plots and a verdict.
package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Sample is what one run gave, by name: times in ms, memory and sizes in MiB.
type Sample map[string]float64

// Latencies adds p50, p99 and max of times, unless there are none.
func (s Sample) Latencies(name string, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	for suffix, p := range map[string]float64{"p50": 50, "p99": 99, "max": 100} {
		s[name+"/"+suffix] = float64(Percentile(times, p)) / float64(time.Millisecond)
	}
}

// Percentile is the smallest of the values that at least p percent of them do not
// exceed; of no values it is 0. It sorts them.
func Percentile[V cmp.Ordered](values []V, p float64) (v V) {
	if len(values) == 0 {
		return v
	}
	slices.Sort(values)
	rank := int(math.Ceil(p / 100 * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}

// A Summary is what several runs agree on.
type Summary struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	Runs   int     `json:"runs"`
}

// Summarize takes the value of a name from those runs that have it.
func Summarize(runs []Sample, name string) (s Summary, ok bool) {
	var values []float64
	for _, run := range runs {
		if v, has := run[name]; has {
			values = append(values, v)
		}
	}
	n := len(values)
	if n == 0 {
		return Summary{}, false
	}
	slices.Sort(values)
	median := (values[(n-1)/2] + values[n/2]) / 2
	return Summary{median, values[0], values[n-1], n}, true
}
