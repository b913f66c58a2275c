package redisd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A process is one redis-server, which can be started again with the same
// arguments after it ended.
type process struct {
	args  []string
	ready string // what it prints when clients may come

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// What the two modes of redis-server print when they listen.
const (
	serverReady   = "Ready to accept connections"
	sentinelReady = "Sentinel ID is"
)

// start runs the process until kill. It outlives ctx.
func (p *process) start(ctx context.Context) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "redis-server", p.args...) //nolint:gosec // our own arguments
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.done = cmd, make(chan struct{})
	ready := make(chan error, 1)
	go func() {
		defer close(p.done)
		waitReady(out, p.ready, ready)
		_ = cmd.Wait() // how it ended is for the caller to expect
	}()
	select {
	case err := <-ready:
		if err != nil {
			<-p.done
		}
		return err
	case <-time.After(10 * time.Second):
		p.kill()
		return errors.New("redis-server did not become ready within ten seconds")
	}
}

// kill ends the process as a crash would, also one that is suspended.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
	<-p.done
}

func waitReady(out io.Reader, marker string, ready chan<- error) {
	var last []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), marker) {
			ready <- nil
			_, _ = io.Copy(io.Discard, out)
			return
		}
		last = append(last, lines.Text())
	}
	ready <- fmt.Errorf("redis-server ended before it was ready: %s", strings.Join(last[max(0, len(last)-3):], " | "))
}
