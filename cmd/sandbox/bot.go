package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const botPackage = "github.com/atlas-integration-bot/atlas-integration-bot/cmd/bot"

// build makes the bot with the Go that is there, in dir.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "bot")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, botPackage).CombinedOutput() //nolint:gosec // our own arguments
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("build the bot: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("build the bot: there is no Go in PATH; -bot takes one that was built")
	case err != nil:
		return "", fmt.Errorf("build the bot: %w\n%s\nrun the sandbox inside a clone of the repository, or say -bot and the path of a bot that was built",
			err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// graceTime is how long the bot may finish what it is at: it takes ten seconds at most.
const graceTime = 12 * time.Second

// A bot is the program, as one process at a time.
type bot struct {
	path string
	env  []string
	logs io.Writer

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   context.Context // of the process; its cause is how
	stopped bool            // for good
}

var errStopped = errors.New("the sandbox is ending")

// start runs the program. The context that it returns ends with the process.
func (b *bot) start(ctx context.Context) (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return nil, errStopped
	}
	if b.cmd != nil && b.ended.Err() == nil {
		return b.ended, nil
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	// Not with ctx: that would kill it, and stop lets it finish.
	cmd := exec.Command(b.path) //nolint:gosec,noctx // our own bot, or the one that -bot names
	cmd.Env = append([]string{"HTTP_ADDR=" + addr}, b.env...)
	if root := os.Getenv("SYSTEMROOT"); root != "" {
		cmd.Env = append(cmd.Env, "SYSTEMROOT="+root) // without it, Windows opens no socket
	}
	cmd.Stderr = b.logs
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
	b.cmd, b.ended = cmd, ended
	return ended, nil
}

// kill ends the process as a crash does, without a word.
func (b *bot) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil && b.ended.Err() == nil {
		_ = b.cmd.Process.Kill() // it may have ended meanwhile
		<-b.ended.Done()
	}
}

// running reports whether there is a process.
func (b *bot) running() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cmd != nil && b.ended.Err() == nil
}

// stop lets the bot finish, ends it if it does not, and lets no other begin.
func (b *bot) stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.cmd == nil || b.ended.Err() != nil {
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

// freeAddr is an address of this machine that nobody listens on right now.
func freeAddr(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func lastLines(path string, n int) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // our own file
	if err != nil {
		return "", fmt.Errorf("read the bot's log: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n"), nil
}
