package sandbox

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
)

// keptLines is how much of the bot's log is kept: enough for a long evening.
const keptLines = 20_000

// lines keeps what is written to it, line by line, and passes it on.
type lines struct {
	next io.Writer

	mu      sync.Mutex
	all     []string
	partial []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := append(l.partial, p...) //nolint:gocritic // the rest is put back below
	for {
		line, rest, found := bytes.Cut(whole, []byte("\n"))
		if !found {
			break
		}
		l.all, whole = append(l.all, string(line)), rest
	}
	l.partial = slices.Clone(whole)
	if extra := len(l.all) - keptLines; extra > 0 {
		l.all = slices.Delete(l.all, 0, extra)
	}
	if l.next == nil {
		return len(p), nil
	}
	return l.next.Write(p) //nolint:wrapcheck // whoever gave the writer knows it
}

func (l *lines) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// tail is the last n lines.
func (l *lines) tail(n int) string {
	all := l.lines()
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
