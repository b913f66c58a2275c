package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTime is how long the bot may take until it is connected.
	readyTime = 30 * time.Second
	// graceTime is how long the bot may finish what it is at: it takes ten seconds
	// at most.
	graceTime = 12 * time.Second
)

// build makes the bot with the Go that is there, in dir.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "bot")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	const source = "github.com/atlas-integration-bot/atlas-integration-bot/cmd/bot"
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, source).CombinedOutput() //nolint:gosec // our own arguments
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("build the bot: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("build the bot: there is no Go in PATH; -bot takes the path of one that is built")
	case err != nil:
		return "", fmt.Errorf("build the bot: %w\n%s\nrun the sandbox in a clone of the repository, or give the path of a built bot with -bot",
			err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// A bot is the program, as one process at a time.
type bot struct {
	path string
	env  []string
	logs io.Writer

	mu      sync.Mutex
	cmd     *exec.Cmd
	health  string          // where it says how it is
	ended   context.Context // of the process; its cause is how
	stopped bool            // for good
}

// start runs the program, if it does not run. The context that it returns ends
// with the process.
func (b *bot) start(ctx context.Context) (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return nil, errors.New("the sandbox is ending")
	}
	if b.runs() {
		return b.ended, nil
	}
	health, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	// Not with ctx: that would kill it, and stop lets it finish.
	cmd := exec.Command(b.path) //nolint:gosec,noctx // our own bot, or the one that was asked for
	cmd.Env = append([]string{"HTTP_ADDR=" + health}, b.env...)
	if root := os.Getenv("SYSTEMROOT"); root != "" {
		cmd.Env = append(cmd.Env, "SYSTEMROOT="+root) // without it, Windows opens no socket
	}
	cmd.Stdout, cmd.Stderr = b.logs, b.logs
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bot: %w", err)
	}
	ended, end := context.WithCancelCause(context.WithoutCancel(ctx))
	go func() { // ends with the process, for which stop and kill wait
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		end(err)
	}()
	b.cmd, b.ended, b.health = cmd, ended, health
	return ended, nil
}

// ready asks whether commands and clicks would be answered now, and else why not.
func (b *bot) ready(ctx context.Context) error {
	b.mu.Lock()
	address, runs := b.health, b.runs()
	b.mu.Unlock()
	if !runs {
		return errors.New("it does not run")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the bot how it is: %w", err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.New("it does not say how it is")
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if err != nil || answer.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(said)))
	}
	return nil
}

func (b *bot) runs() bool { return b.cmd != nil && b.ended.Err() == nil }

// displaced reports whether the bot does not run and somebody else listens where it should.
func (b *bot) displaced(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs() || b.health == "" {
		return false
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", b.health)
	if err != nil {
		return ctx.Err() == nil
	}
	_ = listener.Close()
	return false
}

// kill ends the process as a crash does, without a word.
func (b *bot) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs() {
		_ = b.cmd.Process.Kill() // it may have ended meanwhile
		<-b.ended.Done()
	}
}

// stop lets the bot finish, ends it if it does not, and lets no other begin.
func (b *bot) stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if !b.runs() {
		return nil
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		_ = b.cmd.Process.Kill() // where there are no signals
	}
	select {
	case <-b.ended.Done():
		return nil
	case <-time.After(graceTime):
		_ = b.cmd.Process.Kill()
		<-b.ended.Done()
		return fmt.Errorf("the bot did not end within %s and was killed", graceTime)
	}
}

// freeAddress is an address of this machine that nobody listens on right now.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
