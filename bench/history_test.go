package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/system"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// A history that was made is to the bot what it has written itself: each record has
// the same fields, each list as many more entries, and people find what is in it.
func TestHistoryOfTheBot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "bot")
	_, err := output(t.Context(), "", "go", "build", "-o", path, module+"/cmd/bot")
	require.NoError(t, err)
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	historyOf(t, dir, &subject{
		Program: system.Program{Name: "bot", Path: path, Connections: 2}, env: []string{"SEALING_KEYSET=" + keyset.Reveal()},
	})
}

// The same of the peer, where it is installed.
func TestHistoryOfThePeer(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join("bolt-peer", "node_modules")); err != nil {
		t.Skip("the peer is not installed: run npm ci in bench/bolt-peer")
	}
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	historyOf(t, t.TempDir(), &subject{
		Program: system.Program{Name: "peer", Path: "node", Args: []string{"app.js"}, Dir: "bolt-peer", Connections: 1},
		env:     []string{"SEALING_KEYSET=" + keyset.Reveal()},
	})
}

func historyOf(t *testing.T, dir string, s *subject) {
	t.Helper()
	ctx := t.Context()
	err := s.startRedis(ctx)
	if errors.Is(err, redisd.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	require.NoError(t, s.learn(ctx, dir))
	before := footprint(ctx, t, s)
	const copies = 40
	require.NoError(t, s.trace.Write(ctx, s.addr, 0, copies))
	after := footprint(ctx, t, s)

	for key, had := range before {
		if _, lists := had.(int64); !lists {
			continue
		}
		grown := after[key].(int64) - had.(int64)
		assert.Contains(t, []int64{0, 1, copies}, min(grown, copies), "%s has %d more", key, grown)
	}
	var shapes []string // of records that are about one request
	made := 0
	for key, what := range after {
		if fields, is := what.([]string); is && strings.Contains(key, "00000") {
			made++
			shapes = append(shapes, strings.Join(masked(fields), " "))
		}
	}
	assert.Positive(t, made)
	assert.Zero(t, made%copies)
	slices.Sort(shapes)
	for _, shape := range slices.Compact(shapes) {
		assert.True(t, slices.ContainsFunc(records(before), func(fields []string) bool { return strings.Join(masked(fields), " ") == shape }), shape)
	}

	r, err := s.start(ctx, dir, seats, 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.stop()) }()
	p := r.world.Slack.Person("U0LOAD0003")
	_, err = p.Command(ctx, "C0INCIDENT", "/atlas-integration", "history load-0003")
	require.NoError(t, err)
	_, err = p.WaitMessage(ctx, "C0INCIDENT", func(m slacksim.Message) bool {
		return strings.Contains(m.PlainText()+m.Text, "0000003") && strings.Contains(m.PlainText()+m.Text, "applied")
	})
	require.NoError(t, err)
}

var seatID = regexp.MustCompile(`[0-9a-f]{16}10ad[0-9a-f]{4}`)

// masked are fields without what belongs to one seat.
func masked(fields []string) []string {
	all := make([]string, len(fields))
	for i, field := range fields {
		all[i] = seatID.ReplaceAllString(field, "PROJECT")
	}
	slices.Sort(all)
	return all
}

func records(footprint map[string]any) (all [][]string) {
	for _, what := range footprint {
		if fields, is := what.([]string); is {
			all = append(all, fields)
		}
	}
	return all
}

// footprint is what is in a Redis: the fields of hashes, the lengths of everything else.
func footprint(ctx context.Context, t *testing.T, s *subject) map[string]any {
	found := map[string]any{}
	keys, err := s.rdb.Keys(ctx, "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		kind, err := s.rdb.Type(ctx, key).Result()
		require.NoError(t, err)
		switch kind {
		case "hash":
			found[key], err = s.rdb.HKeys(ctx, key).Result()
		case "zset":
			found[key], err = s.rdb.ZCard(ctx, key).Result()
		case "set":
			found[key], err = s.rdb.SCard(ctx, key).Result()
		case "list":
			found[key], err = s.rdb.LLen(ctx, key).Result()
		case "stream":
			found[key], err = s.rdb.XLen(ctx, key).Result()
		case "string":
			found[key], err = s.rdb.StrLen(ctx, key).Result()
		default:
			err = fmt.Errorf("a %s", kind)
		}
		require.NoError(t, err)
	}
	return found
}
