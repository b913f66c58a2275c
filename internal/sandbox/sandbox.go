// Package sandbox is the whole product without an account: the stand-ins for
// Slack and Atlas, a Redis, and the bot itself as a process of its own between
// them. The bot does not know that it is in a sandbox; only its environment says
// other addresses.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// People and channels of the stand-in's workspace.
const (
	Engineer  = "U0ENGINEER"
	Approver  = "U0APPROVER"
	Approver2 = "U0APPROV2"
	Approvals = "C0APPROVAL"
	Incidents = "C0INCIDENT"
	Command   = "/atlas-integration"
)

// Options say how a sandbox is set up. The zero value is one that needs nothing.
type Options struct {
	RedisURL string    // empty: a Redis inside this process
	Bot      string    // path of a built bot; empty: it is built from its source
	Logs     io.Writer // where the bot's log goes; nil: nowhere
}

// A Sandbox is everything, running.
type Sandbox struct {
	Slack *slacksim.Server
	Atlas *atlassim.Server

	redis  *redisd.Server // nil if it is somebody else's
	binary string
	dir    string
	env    []string
	logs   io.Writer

	guard sync.Mutex
	bot   *process
}

// process is one run of the bot.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed
}

// Start sets up a sandbox and waits until the bot is connected.
func Start(ctx context.Context, options Options) (*Sandbox, error) {
	s := &Sandbox{binary: options.Bot, logs: options.Logs}
	if s.logs == nil {
		s.logs = io.Discard
	}
	if err := s.start(ctx, options); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, options Options) (err error) {
	if s.dir, err = os.MkdirTemp("", "sandbox"); err != nil {
		return err
	}
	if s.binary == "" {
		if err := s.build(ctx); err != nil {
			return err
		}
	}
	if s.Slack, err = slacksim.New(slacksim.Options{}); err != nil {
		return fmt.Errorf("start the stand-in for Slack: %w", err)
	}
	if s.Atlas, err = atlassim.New(atlassim.Options{}); err != nil {
		return fmt.Errorf("start the stand-in for Atlas: %w", err)
	}
	if err := atlassim.DefaultWorld(s.Atlas); err != nil {
		return fmt.Errorf("fill the stand-in for Atlas: %w", err)
	}
	redisURL := options.RedisURL
	if redisURL == "" {
		if s.redis, err = redisd.Mini(""); err != nil {
			return fmt.Errorf("start a Redis: %w", err)
		}
		redisURL = s.redis.URL
	}
	if err := s.environment(ctx, redisURL); err != nil {
		return err
	}
	return s.StartBot(ctx)
}

// build builds the bot that stands in this repository.
func (s *Sandbox) build(ctx context.Context) error {
	s.binary = filepath.Join(s.dir, "bot")
	const source = "github.com/atlas-integration-bot/atlas-integration-bot/cmd/bot"
	out, err := exec.CommandContext(ctx, "go", "build", "-o", s.binary, source).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return fmt.Errorf("build the bot (run this from within the repository, or give a built one with -bot): %w\n%s", err, out)
	}
	return nil
}

func (s *Sandbox) environment(ctx context.Context, redisURL string) error {
	keyset, err := secret.NewKeyset()
	if err != nil {
		return err
	}
	health, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.env = []string{
		"SLACK_APP_TOKEN=" + s.Slack.AppToken(), "SLACK_BOT_TOKEN=" + s.Slack.BotToken(), "SLACK_API_URL=" + s.Slack.APIURL(),
		"SLACK_APPROVALS_CHANNEL=" + Approvals, "SLACK_APPROVERS=" + Approver + "," + Approver2,
		"MONGODB_ATLAS_CLIENT_ID=" + s.Atlas.ClientID(), "MONGODB_ATLAS_CLIENT_SECRET=" + s.Atlas.ClientSecret(),
		"MONGODB_ATLAS_BASE_URL=" + s.Atlas.URL(), "REDIS_URL=" + redisURL, "SEALING_KEYSET=" + keyset.Reveal(),
		"HTTP_ADDR=" + health, "LOG_FORMAT=text",
	}
	return nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// StartBot starts the bot and waits until it is connected. If it runs already,
// nothing happens.
func (s *Sandbox) StartBot(ctx context.Context) error {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.bot != nil && s.bot.running() {
		return nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.binary) //nolint:gosec // the bot that was asked for
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, s.logs, s.logs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the sandbox, which then ends the bot
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the bot: %w", err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	s.bot = p
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	connected := make(chan error, 1)
	go func() { connected <- s.Slack.WaitConnections(ctx, 1) }()
	select {
	case err := <-connected:
		if err != nil {
			return fmt.Errorf("the bot did not connect: %w", err)
		}
		return nil
	case <-p.done:
		cancel()
		<-connected
		return fmt.Errorf("the bot ended at once (%w); -v shows its log", p.err)
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// KillBot ends the bot as a crash would.
func (s *Sandbox) KillBot() {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.bot != nil {
		_ = s.bot.cmd.Process.Kill() // it may have ended by itself
		<-s.bot.done
	}
}

// BotRuns reports whether the bot runs.
func (s *Sandbox) BotRuns() bool {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.bot != nil && s.bot.running()
}

// stopBot has the bot finish what it is at.
func (s *Sandbox) stopBot() {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.bot == nil {
		return
	}
	_ = s.bot.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.bot.done:
	case <-time.After(12 * time.Second):
		_ = s.bot.cmd.Process.Kill()
		<-s.bot.done
	}
}

// Close ends everything and leaves nothing behind.
func (s *Sandbox) Close() error {
	s.stopBot()
	var errs []error
	if s.Slack != nil {
		errs = append(errs, s.Slack.Close())
	}
	if s.Atlas != nil {
		errs = append(errs, s.Atlas.Close())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
