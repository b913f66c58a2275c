package approvals

import (
	"context"
	"crypto/sha1" //nolint:gosec // see computed
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// An Entry is one line of the audit trail: an append-only stream in Redis, to
// which every move adds in the same step in which it happens. Its fields "prev" and
// "hash" make the trail a chain; see Chain.
type Entry struct {
	ID     string            `json:"id"` // of the stream; its first part is the time in ms
	At     time.Time         `json:"at"`
	Event  string            `json:"event"` // an Event, or submit, target, refuse; of the bot itself start, policy, keyset
	Fields map[string]string `json:"fields"`
}

// Hash is the entry's own name in the chain: a SHA-1, in hex, of all that it says.
func (e *Entry) Hash() string { return e.Fields["hash"] }

// computed is what its hash should be.
func (e *Entry) computed() string {
	values := map[string]string{"event": e.Event}
	maps.Copy(values, e.Fields)
	delete(values, "hash")
	sum := sha1.New() //nolint:gosec // Redis has no other; who could choose both texts of a collision writes neither
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, _ = fmt.Fprintf(sum, "%d:%s%d:%s", len(name), name, len(values[name]), values[name]) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// A Chain checks a trail entry by entry, oldest first. The zero Chain is at its
// beginning.
type Chain struct {
	last *Entry
	seen int
}

// Errors of a trail that is not as it was written.
var (
	ErrAltered = errors.New("is not as it was written")
	ErrBroken  = errors.New("does not follow the entry before it: something was taken out, put in or moved")
)

// Add checks the next entry. The first one may follow others that were removed
// because they were old.
func (c *Chain) Add(e *Entry) error {
	_, twice := e.Fields["event"] // would be hashed in place of Event
	switch {
	case twice, e.computed() != e.Hash(), !e.At.Equal(clock(e.Fields["at"])):
		return fmt.Errorf("entry %s %w", e.ID, ErrAltered)
	case c.last != nil && e.Fields["prev"] != c.last.Hash():
		return fmt.Errorf("entry %s %w (that is %s)", e.ID, ErrBroken, c.last.ID)
	}
	c.last = e
	c.seen++
	return nil
}

// Head is the newest entry that was checked, nil if there is none, and how many
// there were.
func (c *Chain) Head() (head *Entry, entries int) { return c.last, c.seen }

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

// Newest reads the end of the audit trail, newest first.
func (s *Store) Newest(ctx context.Context, most int) ([]Entry, error) {
	messages, err := s.Redis.XRevRangeN(ctx, s.keys().audit(), "+", "-", int64(most)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the end of the audit trail: %w", err)
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
	return Entry{ID: m.ID, At: clock(fields["at"]), Event: event, Fields: fields}
}

// tell repeats in the log what a script added to the trail, one line each, so that
// a log kept elsewhere can be held against the trail, and lets Observe know.
func (s *Store) tell(ctx context.Context, list any, r *Request) {
	entries, _ := list.([]any)
	for _, item := range entries {
		values, _ := item.([]any)
		if len(values) == 0 {
			continue
		}
		id, _ := values[0].(string)
		attrs, fields := []slog.Attr{slog.String("entry", id)}, map[string]string{}
		for i := 1; i+1 < len(values); i += 2 {
			name, _ := values[i].(string)
			value, _ := values[i+1].(string)
			if value != "" {
				attrs = append(attrs, slog.String(name, value))
			}
			fields[name] = value
		}
		s.log().LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
		if s.Observe != nil {
			event := fields["event"]
			delete(fields, "event")
			s.Observe(Entry{ID: id, At: clock(fields["at"]), Event: event, Fields: fields}, r)
		}
	}
}
