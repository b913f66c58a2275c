package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseCPU(t *testing.T) {
	t.Parallel()
	// The name of the program is whatever the program likes.
	cpu, err := parseCPU("4711 (a) b ( c) S 1 2 3 4 5 6 7 8 9 10 250 13 99 99 20 0 7 0")
	require.NoError(t, err)
	assert.Equal(t, 2630*time.Millisecond, cpu)
	for _, wrong := range []string{"", "1 (a", "1 (a) S 1 2", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 13"} {
		_, err := parseCPU(wrong)
		assert.Error(t, err, wrong)
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	const status = "Name:\tbot\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n"
	peak, err := parseStatus(status, "VmHWM")
	require.NoError(t, err)
	assert.Equal(t, int64(20<<20), peak)
	_, err = parseStatus(status, "VmSwap")
	assert.Error(t, err)
}

func TestOfThisProcess(t *testing.T) {
	t.Parallel()
	cpu, err := CPU(os.Getpid())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, cpu, time.Duration(0))
	now, peak, err := Memory(os.Getpid())
	require.NoError(t, err)
	assert.Positive(t, now)
	assert.GreaterOrEqual(t, peak, now)
}

func TestParseCounters(t *testing.T) {
	t.Parallel()
	c := parseCounters("# Stats\r\ntotal_net_input_bytes:100\r\ntotal_net_output_bytes:250\r\n# Commandstats\r\n" +
		"cmdstat_evalsha:calls=3,usec=10,usec_per_call=3\r\ncmdstat_hget:calls=20,usec=1,usec_per_call=0\r\ncmdstat_info:calls=9,usec=1\r\n")
	assert.Equal(t, Counters{Commands: 23, In: 100, Out: 250}, c)
	assert.Equal(t, Counters{Commands: 22, In: 99, Out: 248}, c.Sub(Counters{1, 1, 2}))
}

// A transaction is one round trip, what a script does is none.
func TestTrips(t *testing.T) {
	t.Parallel()
	inside, sum := map[string]bool{}, 0
	for line := range strings.Lines(`1.1 [0 127.0.0.1:1] "evalsha" "abc" "1" "[x] y"
1.2 [0 lua] "hget" "a" "b"
1.3 [0 127.0.0.1:1] "MULTI"
1.4 [0 127.0.0.1:1] "set" "a" "b"
1.5 [0 127.0.0.1:2] "get" "a"
1.6 [0 127.0.0.1:1] "exec"
1.7 [0 127.0.0.1:1] "ping"
1.8 [0 127.0.0.1:3] "info" "stats"
`) {
		sum += trips(line, inside)
	}
	assert.Equal(t, 4, sum)
	assert.Empty(t, inside)
}

func TestSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "in"), 0o700))
	for _, name := range []string{"a", "in/b"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o600))
	}
	size, err := Size(dir)
	require.NoError(t, err)
	assert.Equal(t, int64(10), size)
}

// A copy has a number, a time and names of its own, and is as long as the original.
func TestTraceCopies(t *testing.T) {
	t.Parallel()
	tr := &Trace{}
	at := tr.add("ZADD", "project:load-0000", "1795000000000", "req_0000000000")
	tr.scores = []int{at[2]}
	tr.serials = []int{at[3] + len("req_000")}
	tr.names = []name{{[]string{"load-0000", "load-0001", "load-0002"}, places(tr.text, "load-0000")}}
	text := []byte(string(tr.text))
	tr.copied(text, 5)
	assert.Equal(t, "*4\r\n$4\r\nZADD\r\n$17\r\nproject:load-0002\r\n$13\r\n1794999999995\r\n$14\r\nreq_0000000005\r\n", string(text))
	tr.copied(text, 0)
	assert.Equal(t, string(tr.text), string(text))
}

func TestReadAnswers(t *testing.T) {
	t.Parallel()
	require.NoError(t, readAnswers(strings.NewReader(":1\r\n$15\r\n1795000000000-0\r\n+OK\r\n")))
	assert.ErrorContains(t, readAnswers(strings.NewReader(":1\r\n-WRONGTYPE of a key\r\n+OK\r\n")), "WRONGTYPE")
}
