package approvals

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// An Entry is one line of the audit trail: an append-only stream in Redis, to
// which every move adds in the same step in which it happens.
type Entry struct {
	ID     string            `json:"id"` // of the stream; its first part is the time in ms
	At     time.Time         `json:"at"`
	Event  string            `json:"event"` // an Event, or submit, target, refuse
	Fields map[string]string `json:"fields"`
}

// Trail reads the audit trail, oldest first, from the entry after an ID ("" for
// the beginning).
func (s *Store) Trail(ctx context.Context, after string, most int) ([]Entry, error) {
	start := "-"
	if after != "" {
		start = "(" + after
	}
	messages, err := s.Redis.XRangeN(ctx, s.keys().audit(), start, "+", int64(most)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	entries := make([]Entry, 0, len(messages))
	for _, m := range messages {
		entries = append(entries, newEntry(m))
	}
	return entries, nil
}

func newEntry(m redis.XMessage) Entry {
	fields := make(map[string]string, len(m.Values))
	for name, value := range m.Values {
		fields[name] = fmt.Sprint(value)
	}
	event := fields["event"]
	delete(fields, "event")
	ms, _, _ := strings.Cut(m.ID, "-")
	at, _ := strconv.ParseInt(ms, 10, 64)
	return Entry{ID: m.ID, At: time.UnixMilli(at).UTC(), Event: event, Fields: fields}
}

// logEntries repeats in the log what a script added to the trail: one line each,
// so that a log kept elsewhere can be held against the trail.
func (s *Store) logEntries(ctx context.Context, list any) {
	entries, _ := list.([]any)
	for _, item := range entries {
		values, _ := item.([]any)
		if len(values) == 0 {
			continue
		}
		id, _ := values[0].(string)
		attrs := []slog.Attr{slog.String("entry", id)}
		for i := 1; i+1 < len(values); i += 2 {
			name, _ := values[i].(string)
			value, _ := values[i+1].(string)
			if value != "" {
				attrs = append(attrs, slog.String(name, value))
			}
		}
		s.log().LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
	}
}
