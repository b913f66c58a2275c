package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/drive"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
	"github.com/atlas-integration-bot/atlas-integration-bot/bench/system"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

const module = "github.com/atlas-integration-bot/atlas-integration-bot"

// peerDir is where the peer lies, from the top of the repository.
var peerDir = filepath.Join("bench", "bolt-peer")

// need says what is missing on this machine, and how to get it.
func need() error {
	var errs []error
	if runtime.GOOS != "linux" {
		errs = append(errs, errors.New("this needs Linux: processor time and memory are read from /proc"))
	}
	for _, tool := range []struct{ name, get string }{
		{"redis-server", "install the package redis-server, or any Redis 6.2 or later"},
		{"node", "install Node.js 20 or later (package nodejs)"},
		{"npm", "install npm (package npm)"},
		{"nice", "install the package coreutils"},
	} {
		if _, err := exec.LookPath(tool.name); err != nil {
			errs = append(errs, fmt.Errorf("there is no %s: %s", tool.name, tool.get))
		}
	}
	return errors.Join(errs...)
}

// A bench is everything that is measured.
type bench struct {
	dir             string // for what is only needed meanwhile
	root            string // of the repository
	bot, peer, bare *subject
}

// prepare builds the programs and starts a Redis for each that needs one.
func prepare(ctx context.Context, dir string) (*bench, error) {
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return nil, fmt.Errorf("find the repository: run this in a clone of it: %w", err)
	}
	b := &bench{dir: dir, root: root}
	for _, name := range []string{"bot", "bareloop"} {
		source := map[string]string{"bot": module + "/cmd/bot", "bareloop": module + "/bench/bareloop"}[name]
		if _, err := output(ctx, root, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, name), source); err != nil {
			return nil, err
		}
	}
	peer := filepath.Join(root, peerDir)
	if _, err := os.Stat(filepath.Join(peer, "node_modules")); err != nil {
		if _, err := output(ctx, peer, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"); err != nil {
			return nil, err
		}
	}
	keyset, err := secret.NewKeyset()
	if err != nil {
		return nil, err
	}
	env := []string{
		"SEALING_KEYSET=" + keyset.Reveal(), "NODE_ENV=production",
		"REQUESTS_PER_PERSON=100000", "FORMS_PER_MINUTE=100000", // those of the benchmark are faster than people
	}
	b.bare = &subject{Program: system.Program{Name: "bare loop", Path: filepath.Join(dir, "bareloop"), Connections: 2}}
	b.bot = &subject{Program: system.Program{Name: "bot", Path: filepath.Join(dir, "bot"), Connections: 2}, env: env}
	b.peer = &subject{
		Program: system.Program{Name: "peer", Path: "node", Args: []string{"app.js"}, Dir: peer, Connections: 1}, env: env,
	}
	return b, errors.Join(b.bot.startRedis(ctx), b.peer.startRedis(ctx))
}

func (b *bench) close() error {
	return errors.Join(b.bot.close(), b.peer.close())
}

func (s *subject) startRedis(ctx context.Context) error {
	server, err := redisd.Start(ctx)
	if err != nil {
		return err
	}
	options, err := redis.ParseURL(server.URL)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	s.redis, s.rdb, s.addr = server, redis.NewClient(options), options.Addr
	info, err := s.rdb.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask redis who it is: %w", err)
	}
	for line := range strings.Lines(info) {
		_, _ = fmt.Sscanf(line, "process_id:%d", &s.pid) // of the one line that has it
	}
	return nil
}

func (s *subject) close() error {
	if s == nil || s.redis == nil {
		return nil
	}
	return errors.Join(s.rdb.Close(), s.redis.Close())
}

// learn has the subject make two requests, so that histories can be made of the first:
// what it leaves behind is what is there when the same person has made another.
func (s *subject) learn(ctx context.Context, dir string) error {
	r, err := s.start(ctx, dir, seats, 1)
	if err != nil {
		return err
	}
	err = r.world.Together(ctx, 1, 1)
	first := r.world.LastRequest()
	err = errors.Join(err, r.world.Together(ctx, 1, 1), r.stop()) // it finishes what it is at
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.trace, err = system.ReadTrace(ctx, s.rdb, first, drive.Names(seats)...)
	return err
}

// remember gives the subject a history of so many decided requests, and nothing else.
func (s *subject) remember(ctx context.Context, decided int) error {
	if err := s.rdb.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	return s.trace.Write(ctx, s.addr, 0, decided)
}

// sizes are what has to be shipped.
func (b *bench) sizes() (runs []report.Run, err error) {
	bot, err := system.Size(b.bot.Path)
	if err != nil {
		return nil, err
	}
	peer, err := system.Size(b.peer.Dir)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	node, err := system.Size(path)
	if err != nil {
		return nil, err
	}
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	return []report.Run{
		{System: "bot", What: "size", Values: report.Sample{"size/program": mib(bot)}},
		{System: "peer", What: "size", Values: report.Sample{"size/program": mib(peer), "size/runtime": mib(node)}},
	}, nil
}

// versions names what was measured and with what.
func (b *bench) versions(ctx context.Context) (map[string]string, error) {
	found := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	node, err := output(ctx, "", "node", "--version")
	if err != nil {
		return nil, err
	}
	found["Node.js"] = strings.TrimPrefix(node, "v")
	for _, name := range []string{"@slack/bolt", "ioredis"} {
		text, err := os.ReadFile(filepath.Join(b.peer.Dir, "node_modules", filepath.FromSlash(name), "package.json"))
		if err != nil {
			return nil, err
		}
		var p struct{ Version string }
		if err := json.Unmarshal(text, &p); err != nil {
			return nil, fmt.Errorf("the version of %s: %w", name, err)
		}
		found[name] = p.Version
	}
	info, err := b.bot.rdb.Info(ctx, "server").Result()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(info) {
		if version, is := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); is {
			found["Redis"] = version
		}
	}
	return found, nil
}

// output runs a command and gives what it printed.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own arguments
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
