package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Trace is all that one decided request has left in Redis, as the commands that
// would leave it there once more: a record of its own, its places in lists, its
// entries in streams. It is read from what a bot wrote, so that a history that is
// made of it has the shape of a real one, whatever that is.
type Trace struct {
	text    []byte // the commands, in the protocol of Redis
	serials []int  // where the end of the request's ID is: a number of serialDigits
	scores  []int  // where a time in ms is, which goes back by one for each copy
	names   []name
}

// A name is something that each copy has of its own, by turns.
type name struct {
	values []string // of one length
	at     []int
}

const (
	serialDigits = 7
	scoreDigits  = 13
)

// ReadTrace finds what a request has left. Names are lists of equally long words, the
// first of which is what the request has: copies have one of them each, by turns.
func ReadTrace(ctx context.Context, rdb *redis.Client, id string, names ...[]string) (*Trace, error) {
	t := &Trace{}
	keys := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := t.readKey(ctx, rdb, keys.Val(), id); err != nil {
			return nil, fmt.Errorf("read what request %s has left in %s: %w", id, keys.Val(), err)
		}
	}
	if err := keys.Err(); err != nil {
		return nil, fmt.Errorf("look for what request %s has left: %w", id, err)
	}
	for _, at := range places(t.text, id) {
		t.serials = append(t.serials, at+len(id)-serialDigits)
	}
	for _, values := range names {
		t.names = append(t.names, name{values, places(t.text, values[0])})
	}
	if len(t.serials) == 0 {
		return nil, fmt.Errorf("request %s has left nothing", id)
	}
	return t, nil
}

func (t *Trace) readKey(ctx context.Context, rdb *redis.Client, key, id string) error {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return err
	}
	own := strings.Contains(key, id) // else only what names the request
	is := func(values ...string) bool {
		return own || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, id) })
	}
	switch kind {
	case "string":
		value, err := rdb.Get(ctx, key).Result()
		if err != nil || !is(value) {
			return err
		}
		t.add("SET", key, value)
	case "hash":
		fields, err := rdb.HGetAll(ctx, key).Result()
		if err != nil {
			return err
		}
		words := []string{"HSET", key}
		for field, value := range fields {
			if is(field, value) {
				words = append(words, field, value)
			}
		}
		t.add(words...)
	case "zset":
		members, err := rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
		if err != nil {
			return err
		}
		for _, m := range members {
			if member, _ := m.Member.(string); is(member) {
				score := strconv.FormatFloat(m.Score, 'f', -1, 64)
				at := t.add("ZADD", key, score, member)
				if len(score) == scoreDigits {
					t.scores = append(t.scores, at[2])
				}
			}
		}
	case "set":
		members, err := rdb.SMembers(ctx, key).Result()
		if err != nil {
			return err
		}
		t.addEach("SADD", key, members, is)
	case "list":
		items, err := rdb.LRange(ctx, key, 0, -1).Result()
		if err != nil {
			return err
		}
		t.addEach("RPUSH", key, items, is)
	case "stream":
		entries, err := rdb.XRange(ctx, key, "-", "+").Result()
		if err != nil {
			return err
		}
		for _, e := range entries {
			words := []string{"XADD", key, "*"}
			for field, value := range e.Values {
				words = append(words, field, fmt.Sprint(value))
			}
			if is(words[3:]...) {
				t.add(words...)
			}
		}
	default:
		return fmt.Errorf("a %s, which cannot be copied", kind)
	}
	return t.keepLife(ctx, rdb, key, own)
}

// keepLife has the copy of a key expire, if the key does.
func (t *Trace) keepLife(ctx context.Context, rdb *redis.Client, key string, own bool) error {
	if !own {
		return nil
	}
	left, err := rdb.PTTL(ctx, key).Result()
	if err == nil && left > 0 {
		t.add("PEXPIRE", key, strconv.FormatInt(left.Milliseconds(), 10))
	}
	return err
}

func (t *Trace) addEach(command, key string, values []string, is func(...string) bool) {
	for _, value := range values {
		if is(value) {
			t.add(command, key, value)
		}
	}
}

// add writes down a command, unless it says nothing, and returns where its words begin.
func (t *Trace) add(words ...string) []int {
	if len(words) < 3 {
		return nil
	}
	var at []int
	t.text = fmt.Appendf(t.text, "*%d\r\n", len(words))
	for _, word := range words {
		t.text = fmt.Appendf(t.text, "$%d\r\n", len(word))
		at = append(at, len(t.text))
		t.text = append(append(t.text, word...), "\r\n"...)
	}
	return at
}

func places(text []byte, word string) []int {
	var at []int
	for i := 0; ; {
		j := bytes.Index(text[i:], []byte(word))
		if j < 0 {
			return at
		}
		at = append(at, i+j)
		i += j + len(word)
	}
}

// copied writes the commands for the copy of a number into text, which is t.text or
// was made of it before.
func (t *Trace) copied(text []byte, number int) {
	serial := fmt.Appendf(nil, "%0*d", serialDigits, number)
	for _, at := range t.serials {
		copy(text[at:], serial)
	}
	for _, at := range t.scores {
		ms, _ := strconv.Atoi(string(t.text[at : at+scoreDigits])) // they are digits
		copy(text[at:], strconv.Itoa(ms-number))
	}
	for _, n := range t.names {
		for _, at := range n.at {
			copy(text[at:], n.values[number%len(n.values)])
		}
	}
}

// Write leaves the copies from one number to before another in Redis.
func (t *Trace) Write(ctx context.Context, addr string, from, to int) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	read := make(chan error, 1)
	go func() { read <- readAnswers(conn) }()
	text := bytes.Clone(t.text)
	pipe := bufio.NewWriterSize(conn, 256<<10)
	for number := from; number < to; number++ {
		t.copied(text, number)
		if _, err := pipe.Write(text); err != nil {
			return fmt.Errorf("write a history: %w", err)
		}
	}
	_, err = pipe.WriteString("*1\r\n$4\r\nQUIT\r\n")
	if err := errors.Join(err, pipe.Flush(), <-read); err != nil {
		return fmt.Errorf("write a history: %w", err)
	}
	return nil
}

// readAnswers reads until Redis closes the connection, and finds refusals.
func readAnswers(conn io.Reader) error {
	for lines := bufio.NewReaderSize(conn, 64<<10); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line[0] == '-':
			return errors.New(strings.TrimSpace(string(line[1:])))
		}
	}
}
