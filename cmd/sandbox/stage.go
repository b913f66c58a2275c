package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slackstand"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// People and places of the stand-in's workspace.
const (
	engineer         = "U0ENGINEER"
	approver         = "U0APPROVER"
	secondApprover   = "U0APPROV2"
	approvalsChannel = "C0APPROVAL"
	incidentsChannel = "C0INCIDENT"
	command          = "/atlas-integration"
)

// readyTime is how long the bot may take to connect.
const readyTime = 30 * time.Second

// A stage is everything that plays: the stand-ins, Redis, and the bot between them.
type stage struct {
	slack *slacksim.Server
	atlas *atlassim.Server
	redis *redisd.Server // nil if it is somebody else's
	bot   *bot

	dir     string // of the bot's log, and of the bot if it was built
	logPath string // nothing with -v
	closers []func() error
	closing sync.Once
}

// raise starts everything and waits until the bot is connected. What was started
// is ended again if something does not start.
func raise(ctx context.Context, opt options, progress, stderr io.Writer) (s *stage, err error) {
	s = &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "atlas-integration-sandbox-"); err != nil {
		return s, fmt.Errorf("make a directory for the sandbox: %w", err)
	}
	s.onClose(func() error { return os.RemoveAll(s.dir) })
	redisURL, err := s.startRedis(ctx, opt)
	if err != nil {
		return s, err
	}
	if s.slack, err = slacksim.New(slacksim.Options{}); err != nil {
		return s, err
	}
	s.onClose(s.slack.Close)
	if s.atlas, err = atlassim.New(atlassim.Options{}); err != nil {
		return s, err
	}
	s.onClose(s.atlas.Close)
	if err := atlassim.DefaultWorld(s.atlas); err != nil {
		return s, fmt.Errorf("fill the Atlas stand-in: %w", err)
	}
	path := opt.bot
	if path == "" {
		_, _ = fmt.Fprintln(progress, "building the bot …")
		if path, err = build(ctx, s.dir); err != nil {
			return s, err
		}
	}
	logs, err := s.openLog(opt, stderr)
	if err != nil {
		return s, err
	}
	env, err := s.environment(redisURL)
	if err != nil {
		return s, err
	}
	s.bot = &bot{path: path, env: env, logs: logs}
	s.onClose(s.bot.stop)
	return s, s.startBot(ctx)
}

// startBot runs the bot and waits until it hears Slack.
func (s *stage) startBot(ctx context.Context) error {
	ended, err := s.bot.start(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	stop := context.AfterFunc(ended, cancel)
	defer stop()
	if err := s.slack.WaitConnections(ctx, 1); err != nil {
		if ended.Err() != nil {
			err = fmt.Errorf("the bot ended before it was connected: %w", context.Cause(ended))
		}
		return errors.Join(err, s.lastWords())
	}
	return nil
}

// startRedis gives the address of a Redis that answers.
func (s *stage) startRedis(ctx context.Context, opt options) (string, error) {
	if opt.redis == "" {
		server, err := redisd.Mini("")
		if err != nil {
			return "", fmt.Errorf("start a Redis: %w", err)
		}
		s.redis = server
		s.onClose(server.Close)
		return server.URL, nil
	}
	parsed, err := redis.ParseURL(opt.redis)
	if err != nil {
		return "", fmt.Errorf("-redis: %w", withoutURL(err))
	}
	client := redis.NewClient(parsed)
	defer func() { _ = client.Close() }() // it was only asked whether it is there
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return "", fmt.Errorf("-redis: the Redis at %s does not answer: %w", parsed.Addr, err)
	}
	return opt.redis, nil
}

// environment is what the bot is told.
func (s *stage) environment(redisURL string) ([]string, error) {
	keyset, err := secret.NewKeyset()
	if err != nil {
		return nil, err
	}
	return []string{
		"SLACK_API_URL=" + s.slack.APIURL(),
		"SLACK_APP_TOKEN=" + s.slack.AppToken(),
		"SLACK_BOT_TOKEN=" + s.slack.BotToken(),
		"SLACK_APPROVALS_CHANNEL=" + approvalsChannel,
		"SLACK_APPROVERS=" + approver + "," + secondApprover,
		"MONGODB_ATLAS_BASE_URL=" + s.atlas.URL(),
		"MONGODB_ATLAS_CLIENT_ID=" + s.atlas.ClientID(),
		"MONGODB_ATLAS_CLIENT_SECRET=" + s.atlas.ClientSecret(),
		"REDIS_URL=" + redisURL,
		"SEALING_KEYSET=" + keyset.Reveal(),
		"LOG_FORMAT=text",
	}, nil
}

func (s *stage) openLog(opt options, stderr io.Writer) (io.Writer, error) {
	if opt.verbose {
		return stderr, nil
	}
	s.logPath = filepath.Join(s.dir, "bot.log")
	file, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a file for the bot's log: %w", err)
	}
	s.onClose(file.Close)
	return file, nil
}

// lastWords are the end of the bot's log, for whoever has to find out what happened.
func (s *stage) lastWords() error {
	if s.logPath == "" {
		return nil // it is on the screen
	}
	tail, err := lastLines(s.logPath, 12)
	if err != nil || tail == "" {
		return err
	}
	return fmt.Errorf("the last lines of the bot's log:\n%s", tail)
}

func (s *stage) onClose(f func() error) { s.closers = append(s.closers, f) }

// close ends everything, the last started first, and waits for it.
func (s *stage) close() error {
	var errs []error
	s.closing.Do(func() {
		for i := len(s.closers) - 1; i >= 0; i-- {
			errs = append(errs, s.closers[i]())
		}
	})
	return errors.Join(errs...)
}
