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
	"net/url"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// People and channels of the stand-in's workspace.
const (
	Engineer  = "U0ENGINEER"
	Engineer2 = "U0ENGINE2"
	Approver  = "U0APPROVER"
	Approver2 = "U0APPROV2"
	Guest     = "U0GUEST001"
	Stranger  = "U0STRANGER"
	Approvals = "C0APPROVAL"
	Incidents = "C0INCIDENT"
	Command   = "/atlas-integration"
)

// Options say how a sandbox is set up. The zero value is one that needs nothing.
type Options struct {
	RedisURL string    // empty: a Redis inside this process
	Bot      string    // path of a built bot; empty: it is built from its source
	Seed     *Seed     // who and what there is; nil: the world of the stand-ins
	Logs     io.Writer // where the bot's log goes as well; nil: nowhere
}

// A Sandbox is everything, running.
type Sandbox struct {
	Slack *slacksim.Server
	Atlas *atlassim.Server
	Redis redis.UniversalClient // to look at what the bot keeps

	People []Person // whom one can be

	redisURL string
	own      *redisd.Server // the Redis; nil if it is somebody else's
	bot      *bot
	log      *lines
	closers  []func() error
}

// Start sets up a sandbox and waits until the bot is connected. What was started
// is ended again if something does not start.
func Start(ctx context.Context, options Options) (*Sandbox, error) {
	s := &Sandbox{log: &lines{next: options.Logs}}
	if err := s.start(ctx, options); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, options Options) error {
	if err := s.startRedis(ctx, options.RedisURL); err != nil {
		return err
	}
	if err := s.startStandIns(); err != nil {
		return err
	}
	if err := options.Seed.plant(s); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "atlas-integration-sandbox-")
	if err != nil {
		return fmt.Errorf("make a directory for the sandbox: %w", err)
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	path := options.Bot
	if path == "" {
		if path, err = build(ctx, dir); err != nil {
			return err
		}
	}
	env, err := s.environment()
	if err != nil {
		return err
	}
	s.bot = &bot{path: path, env: env, logs: s.log}
	s.closers = append(s.closers, s.bot.stop)
	return s.StartBot(ctx)
}

// startRedis finds a Redis that answers.
func (s *Sandbox) startRedis(ctx context.Context, address string) error {
	s.redisURL = address
	if address == "" {
		server, err := redisd.Mini("")
		if err != nil {
			return fmt.Errorf("start a Redis: %w", err)
		}
		s.own, s.redisURL = server, server.URL
		s.closers = append(s.closers, server.Close)
	}
	options, err := redis.ParseURL(s.redisURL)
	if err != nil {
		return fmt.Errorf("-redis: %w", withoutURL(err))
	}
	options.MaxRetries = -1 // whoever looks at a Redis that is away looks again
	redis.SetLogger(silent{})
	client := redis.NewClient(options)
	s.Redis = client
	s.closers = append(s.closers, client.Close)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("-redis: the Redis at %s does not answer: %w", options.Addr, err)
	}
	return nil
}

// silent keeps go-redis from writing of a Redis that was taken away on purpose.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// withoutURL takes the URL out of an error: it may hold a password.
func withoutURL(err error) error {
	if parse, ok := errors.AsType[*url.Error](err); ok {
		return parse.Err
	}
	return err
}

func (s *Sandbox) startStandIns() (err error) {
	if s.Slack, err = slacksim.New(slacksim.Options{}); err != nil {
		return fmt.Errorf("start the stand-in for Slack: %w", err)
	}
	s.closers = append(s.closers, s.Slack.Close)
	if s.Atlas, err = atlassim.New(atlassim.Options{}); err != nil {
		return fmt.Errorf("start the stand-in for Atlas: %w", err)
	}
	s.closers = append(s.closers, s.Atlas.Close)
	return nil
}

// environment is what the bot is told.
func (s *Sandbox) environment() ([]string, error) {
	keyset, err := secret.NewKeyset()
	if err != nil {
		return nil, err
	}
	return []string{
		"SLACK_API_URL=" + s.Slack.APIURL(),
		"SLACK_APP_TOKEN=" + s.Slack.AppToken(),
		"SLACK_BOT_TOKEN=" + s.Slack.BotToken(),
		"SLACK_APPROVALS_CHANNEL=" + Approvals,
		"SLACK_APPROVERS=" + s.with(RoleApprover),
		"MONGODB_ATLAS_BASE_URL=" + s.Atlas.URL(),
		"MONGODB_ATLAS_CLIENT_ID=" + s.Atlas.ClientID(),
		"MONGODB_ATLAS_CLIENT_SECRET=" + s.Atlas.ClientSecret(),
		"REDIS_URL=" + s.redisURL,
		"SEALING_KEYSET=" + keyset.Reveal(),
		"LOG_FORMAT=text",
		"FORMS_PER_MINUTE=1000", // the script is faster than people
	}, nil
}

// StartBot starts the bot, if it does not run, and waits until it is connected.
func (s *Sandbox) StartBot(ctx context.Context) error {
	for tries := 1; ; tries++ {
		err := s.connectBot(ctx)
		// Another process may take the port between finding and using it.
		if err == nil || tries == 5 || !s.bot.displaced(ctx) {
			return err
		}
	}
}

func (s *Sandbox) connectBot(ctx context.Context) error {
	ended, err := s.bot.start(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	defer context.AfterFunc(ended, cancel)()
	if err := s.Slack.WaitConnections(ctx, 1); err != nil {
		if ended.Err() != nil {
			err = fmt.Errorf("it ended: %w", context.Cause(ended))
		}
		return fmt.Errorf("the bot did not connect: %w\nthe end of its log:\n%s", err, s.LastWords())
	}
	return nil
}

// LastWords is the end of the bot's log, for whoever has to find out what happened.
func (s *Sandbox) LastWords() string { return s.log.tail(12) }

// KillBot ends the bot as a crash would.
func (s *Sandbox) KillBot() { s.bot.kill() }

// BotReady asks the bot whether commands and clicks would be answered now. The
// error says why not.
func (s *Sandbox) BotReady(ctx context.Context) error { return s.bot.ready(ctx) }

// WaitReady waits until the bot is ready.
func (s *Sandbox) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.bot.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the bot is not ready: %w", err)
		}
	}
}

// BotRuns reports whether there is a bot.
func (s *Sandbox) BotRuns() bool {
	s.bot.mu.Lock()
	defer s.bot.mu.Unlock()
	return s.bot.runs()
}

// BotLog is what the bot has logged, line by line.
func (s *Sandbox) BotLog() []string { return s.log.lines() }

// ErrNotOurs is that the Redis belongs to somebody else.
var ErrNotOurs = errors.New("this Redis is not the sandbox's own: take it away yourself")

// TakeRedisAway cuts all connections to the sandbox's own Redis and lets nobody
// in until BringRedisBack. What it keeps, it keeps.
func (s *Sandbox) TakeRedisAway() error {
	if s.own == nil {
		return ErrNotOurs
	}
	s.own.Kill()
	return nil
}

// BringRedisBack undoes TakeRedisAway.
func (s *Sandbox) BringRedisBack(ctx context.Context) error {
	if s.own == nil {
		return ErrNotOurs
	}
	if err := s.own.Again(ctx); err != nil {
		return fmt.Errorf("start Redis again: %w", err)
	}
	return nil
}

// Close ends everything, what was started last first, and leaves nothing behind.
func (s *Sandbox) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
