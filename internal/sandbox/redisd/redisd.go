// Package redisd runs a Redis of its own for tests and for the sandbox: the real
// redis-server where it is installed, else miniredis inside the process. It is
// not a stand-in of ours: what a test proves here, it proves of Redis.
package redisd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// A Server is one running Redis on a free loopback port.
type Server struct {
	URL  string // redis://127.0.0.1:…/0
	Real bool   // redis-server, and not miniredis
	Dir  string // where a real one keeps its files

	args    []string
	port    int
	process process
	mini    *mini
}

// ErrMissing is that no redis-server is installed.
var ErrMissing = errors.New("redis-server is not installed: install the package redis-server, or any Redis 6.2 or later")

// Start runs redis-server with its own directory, which Close removes. Further
// arguments go on its command line, as in "--appendonly", "yes".
func Start(ctx context.Context, args ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "redisd")
	if err != nil {
		return nil, err
	}
	s := &Server{Real: true, Dir: dir, args: args}
	for range 5 { // another process may take the port between finding and using it
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		s.URL = fmt.Sprintf("redis://127.0.0.1:%d/0", s.port)
		if err = s.Again(ctx); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

// Again starts the server once more after Kill or Stop, on the same port and with
// what it has kept on disk. Further arguments hold for this time.
func (s *Server) Again(ctx context.Context, args ...string) error {
	if s.mini != nil {
		return s.mini.Restart()
	}
	s.process = process{ready: serverReady, args: append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no",
	}, slices.Concat(s.args, args)...)}
	return s.process.start(ctx)
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	if s.mini != nil {
		s.mini.Close()
		return
	}
	s.process.kill()
}

// Close ends the server and removes its files.
func (s *Server) Close() error {
	if s.mini != nil {
		s.mini.stop()
		return nil
	}
	s.Kill()
	return os.RemoveAll(s.Dir)
}

// AOF reads the append-only files, where persistence is on.
func (s *Server) AOF() ([]byte, error) {
	var all []byte
	files, err := filepath.Glob(filepath.Join(s.Dir, "appendonlydir", "*"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // our own directory
		if err != nil {
			return nil, err
		}
		all = append(all, content...)
	}
	return all, nil
}

// mini is a miniredis whose keys expire as time passes.
type mini struct {
	*miniredis.Miniredis
	quit    chan struct{}
	stopped sync.WaitGroup
}

// Mini runs miniredis on addr ("" for any free port), for machines without redis-server.
func Mini(addr string) (*Server, error) {
	m := &mini{Miniredis: miniredis.NewMiniRedis(), quit: make(chan struct{})}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if err := m.StartAddr(addr); err != nil {
		return nil, err
	}
	m.stopped.Go(m.age)
	return &Server{URL: "redis://" + m.Addr() + "/0", mini: m}, nil
}

// age lets time pass: miniredis stands still by itself.
func (m *mini) age() {
	const step = 100 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-m.quit:
			return
		case <-tick.C:
			m.FastForward(step)
		}
	}
}

func (m *mini) stop() {
	close(m.quit)
	m.stopped.Wait()
	m.Close()
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Shared returns one Redis for all tests of a package, which Main ends. Tests keep
// apart by their workspace. In CI it must be a real one.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = realOrMini(context.Background()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	if !shared.server.Real {
		t.Log("redis-server is not installed: this ran against miniredis")
	}
	return shared.server
}

// New returns a Redis of its own for one test.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	server, err := realOrMini(context.Background(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if !server.Real {
		t.Log("redis-server is not installed: this ran against miniredis")
	}
	return server
}

// Main runs the tests of a package and ends the shared Redis.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func realOrMini(ctx context.Context, args ...string) (*Server, error) {
	server, err := Start(ctx, args...)
	if errors.Is(err, ErrMissing) && os.Getenv("CI") == "" {
		return Mini("")
	}
	return server, err
}

func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
