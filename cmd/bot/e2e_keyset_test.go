package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func patient(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), patience)
}

// TestKeysAreRotatedWithoutARestart: a mounted file that Kubernetes exchanges is taken
// up; what was sealed before still opens; `bot check` says when the old key can go.
func TestKeysAreRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	file := filepath.Join(mount, "keyset")
	w := newWorld(t, func(w *world) {
		project(t, mount, w.env["SEALING_KEYSET"])
		require.NoError(t, os.Symlink(filepath.Join("..data", "keyset"), file))
		delete(w.env, "SEALING_KEYSET")
		w.env["SEALING_KEYSET_FILE"] = file
	})
	bot := w.start(t)
	before := rotation("0a01", "payments-prod")
	before.reason = "before the rotation"
	require.Empty(t, w.ask(t, mira, before).Errors)
	w.cardOf(t, "pending", before.reason)
	old := primaryKey(t, w.command(t, "check"))

	bot.after(t, func() { project(t, mount, w.command(t, "keyset", "rotate")) }, "took up another keyset")
	found := w.command(t, "check")
	assert.Regexp(t, `ok    key `+old+` +needed for 1 request under way, until 20`, found)
	after := rotation("0a02", "search-prod")
	after.reason = "after the rotation"
	require.Empty(t, w.ask(t, mira, after).Errors)
	for _, reason := range []string{after.reason, before.reason} {
		w.click(t, jo, w.cardOf(t, "pending", reason), "approve")
		w.cardOf(t, "applied", reason)
	}

	found = w.command(t, "check")
	assert.Contains(t, found, "it can go with `bot keyset remove "+old+"`")
	bot.after(t, func() { project(t, mount, w.command(t, "keyset", "remove", old)) }, "no other keys")
	// What holds no keyset is not taken up, and what was typed is not lost by it.
	bot.after(t, func() { project(t, mount, "no keyset") }, "holds no keyset; the keyset of before stays")
	last := rotation("0a03", "payments-prod")
	last.reason = "still sealed"
	require.Empty(t, w.ask(t, mira, last).Errors)
	w.click(t, jo, w.cardOf(t, "pending", last.reason), "approve")
	w.cardOf(t, "applied", last.reason)
	assert.Equal(t, 2, strings.Count(bot.logs.String(), `"event":"keyset"`), "the trail names both changes")
	assert.NotContains(t, bot.logs.String(), mount, "nor does the log name the path")
}

// project mounts a keyset as Kubernetes does: a directory of a new name, and a link
// that is exchanged in one step.
func project(t *testing.T, mount, keyset string) {
	t.Helper()
	dir, err := os.MkdirTemp(mount, "..2026_")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keyset"), []byte(keyset), 0o600))
	link := filepath.Join(mount, "..data_tmp")
	require.NoError(t, os.Symlink(filepath.Base(dir), link))
	require.NoError(t, os.Rename(link, filepath.Join(mount, "..data")))
}

// primaryKey is the number of the primary key, as `bot check` prints it.
func primaryKey(t *testing.T, check string) string {
	t.Helper()
	_, rest, found := strings.Cut(check, "primary key ")
	require.True(t, found)
	number, _, _ := strings.Cut(rest, ",")
	return number
}

// command is what a subcommand of the bot prints to stdout.
func (w *world) command(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := patient(t)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...) //nolint:gosec // our own binary
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	require.NoError(t, err, "%s:\n%s", args, out)
	return string(out)
}

// after does something, and waits for a line of the log that follows.
func (p *process) after(t *testing.T, do func(), words string) {
	t.Helper()
	ctx, cancel := patient(t)
	defer cancel()
	before := len(p.logs.String())
	do()
	require.NoError(t, p.logs.wait(ctx, before, words), "the bot did not log %q", words)
}
