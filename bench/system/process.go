// Package system runs the programs that are measured, as processes of their own, and
// reads what the system and Redis know of them.
package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Program is what can be started.
type Program struct {
	Name        string
	Path        string
	Args        []string
	Dir         string // where it is started; empty: here
	Connections int    // of Socket Mode that one process of it keeps
}

// A Process is a program that runs.
type Process struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
}

// Start runs a program. The environment is all that it gets, besides the path.
func Start(p Program, dir string, env []string) (*Process, error) {
	log, err := os.CreateTemp(dir, p.Name+"-*.log")
	if err != nil {
		return nil, err
	}
	// The stand-ins and Redis go first: what is measured is the program, and not what
	// waits for a processor in front of them.
	args := append([]string{"-n", "5", p.Path}, p.Args...)
	cmd := exec.Command("nice", args...) //nolint:gosec,noctx // our own programs, which are asked to end
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HTTP_ADDR=127.0.0.1:0"}, env...)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), log.Close())
	}
	process := &Process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(process.ended)
		_ = cmd.Wait() // how it ended, its log says
	}()
	return process, nil
}

// graceTime is how long a program may finish what it is at.
const graceTime = 12 * time.Second

// Stop asks the process to end, and waits until it has.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(graceTime):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.log.Close()
}

// While gives a context that ends with the process, too.
func (p *Process) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.ended:
			cancel(errors.New("the program ended"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// LastWords is the end of what the process has written.
func (p *Process) LastWords() string {
	const most = 2000
	info, err := p.log.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, min(info.Size(), most))
	if _, err := p.log.ReadAt(text, info.Size()-int64(len(text))); err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(text)
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// CPU is the time that a process, and none of its children, has spent.
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// tick is the unit of /proc/PID/stat: USER_HZ, which Linux has fixed at 100 for
// everything that is told to programs.
const tick = 10 * time.Millisecond

// parseCPU adds up the 14th and 15th field. The second one, in parentheses, may hold
// anything.
func parseCPU(stat string) (time.Duration, error) {
	_, rest, found := cutLast(stat, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is not as it should be")
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// Memory is what a process holds now and has held at most, in bytes.
func Memory(pid int) (now, peak int64, err error) {
	text, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return 0, 0, err
	}
	if now, err = parseStatus(string(text), "VmRSS"); err != nil {
		return 0, 0, err
	}
	peak, err = parseStatus(string(text), "VmHWM")
	return now, peak, err
}

// parseStatus reads a line of /proc/PID/status that is in kB.
func parseStatus(status, name string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kB << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s", name)
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// Size adds up what the files below a path hold.
func Size(path string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(path, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum += info.Size()
		return nil
	})
	return sum, err
}
