package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// whereabouts shows where the secrets of a request were looked for, and found.
func (p *Page) whereabouts(ctx context.Context, r *approvals.Request) *node {
	keys := p.keysOf(r.ID)
	if len(keys) == 0 {
		return nil
	}
	var labels []string
	for _, k := range keys {
		labels = append(labels, fmt.Sprintf("%s (%d characters)", k.label, len([]rune(k.value))))
	}
	n := el("details", "whereabouts", el("summary", "", text("🔑 Where the secret went: "+strings.Join(labels, ", ")))).set("open", "")
	list := el("ul", "")
	for _, place := range p.lookEverywhere(ctx, r, keys) {
		list.add(place.row())
	}
	return n.add(list)
}

// A sighting is how often a secret is in a place.
type sighting struct {
	place  string
	looked string // through how much
	found  int
	meant  bool // it has to be there
	failed bool // nobody could look
}

func (s sighting) row() *node {
	verdict, class := "not there", "good"
	switch {
	case s.failed:
		verdict, class = "could not be looked at", "bad"
	case s.found > 0:
		verdict = fmt.Sprintf("there, %d times", s.found)
		if s.found == 1 {
			verdict = "there, once"
		}
		if !s.meant {
			class = "bad"
		}
	}
	return el("li", class, el("b", "", text(s.place)), text(" "+s.looked+": "), el("span", "verdict", text(verdict)))
}

func (p *Page) lookEverywhere(ctx context.Context, r *approvals.Request, keys []key) []sighting {
	count := func(all []byte) int {
		n := 0
		for _, k := range keys {
			n += bytes.Count(all, []byte(k.value))
		}
		return n
	}
	sent := p.s.Slack.Everything()
	log := p.s.BotLog()
	kept, size, err := p.redisContent(ctx)
	puts, bodies := 0, 0
	for _, t := range r.Targets {
		for _, body := range p.s.Atlas.Puts(t.ID, r.Type) {
			if n := count(body); n > 0 {
				bodies++
				puts += n
			}
		}
	}
	return []sighting{
		{place: "Slack → bot", looked: "the envelope of the form", found: len(keys), meant: true},
		{place: "Redis", looked: fmt.Sprintf("%d keys, as they are now", size), found: count(kept), failed: err != nil},
		{place: "Bot's log", looked: fmt.Sprintf("%d lines", len(log)), found: count([]byte(strings.Join(log, "\n")))},
		{place: "Bot → Slack", looked: fmt.Sprintf("%d kB", (len(sent)+1023)/1024), found: count(sent)},
		{place: "Bot → Atlas", looked: fmt.Sprintf("%d bodies of PUT", bodies), found: puts, meant: true},
	}
}

// redisContent is everything that Redis keeps for the bot, and the number of keys.
func (p *Page) redisContent(ctx context.Context) ([]byte, int, error) {
	var all bytes.Buffer
	size := 0
	scan := p.s.Redis.Scan(ctx, 0, "*{aib:*", 1000).Iterator()
	for scan.Next(ctx) {
		size++
		content, err := p.content(ctx, scan.Val())
		if err != nil {
			return nil, 0, err
		}
		_, _ = fmt.Fprintln(&all, scan.Val(), content)
	}
	return all.Bytes(), size, scan.Err() //nolint:wrapcheck // the page says that it failed
}

func (p *Page) content(ctx context.Context, name string) (any, error) {
	kind, err := p.s.Redis.Type(ctx, name).Result()
	if err != nil {
		return nil, err //nolint:wrapcheck // the page says that it failed
	}
	type result interface {
		redis.Cmder
		Err() error
	}
	var cmd result
	switch kind {
	case "string":
		cmd = p.s.Redis.Get(ctx, name)
	case "hash":
		cmd = p.s.Redis.HGetAll(ctx, name)
	case "zset":
		cmd = p.s.Redis.ZRange(ctx, name, 0, -1)
	case "set":
		cmd = p.s.Redis.SMembers(ctx, name)
	case "list":
		cmd = p.s.Redis.LRange(ctx, name, 0, -1)
	case "stream":
		cmd = p.s.Redis.XRange(ctx, name, "-", "+")
	default: // it has expired since
		return "", nil
	}
	return cmd.String(), ignoreNil(cmd.Err())
}

func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
