package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/commands"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/socket"
)

// What is left to do when each part has had its eight seconds to finish what it is at:
// together less than the ten after which whoever asked the bot to end loses patience.
const (
	revokeTime = time.Second            // to end the session with Atlas
	flushTime  = 500 * time.Millisecond // to export the last spans
)

// run is the bot without the process around it. It works until ctx ends, then
// finishes what it is at. Slack, Redis and Atlas may be away when it begins, and
// come later: until they do, it says that it is not ready. Only what a person has
// to mend ends it.
func run(ctx context.Context, cfg *config, logs io.Writer) error {
	numbers := newMetrics()
	log := numbers.counted(cfg.logger(logs))
	if err := serve(ctx, cfg, numbers, log); err != nil {
		log.ErrorContext(ctx, "the bot ends", "error", err)
		return errors.Join(errReported, err)
	}
	log.InfoContext(ctx, "the bot ends")
	return nil
}

// serve runs the HTTP server around the work.
func serve(ctx context.Context, cfg *config, numbers *metrics, log *slog.Logger) error {
	rdb := cfg.redis.client()
	rdb.AddHook(redisHook{numbers})
	defer func() { _ = rdb.Close() }() // everything that uses it has ended
	listener, err := listen(ctx, "HTTP_ADDR", cfg.HTTPAddr)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "the bot begins", "version", buildVersion(), "http", listener.Addr().String(), "redis", cfg.redis.kind(),
		"atlas", cfg.atlasLogin(), "sealing", describeKeys(cfg.sealer))
	for _, hint := range cfg.hints {
		log.WarnContext(ctx, "configuration", "hint", hint)
	}

	state := newHealth(numbers)
	numbers.watchReady(state.ready) //nolint:contextcheck // Prometheus asks, long after this
	ending := context.AfterFunc(ctx, func() { state.notFit("the bot is ending") })
	defer ending()
	// Health is served for as long as anything is still being finished.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(serving, "HTTP_ADDR", listener, state.handler(), log) })
	g.Go(func() error { return serveProfiles(serving, cfg.PprofAddr, log) })
	g.Go(func() error {
		defer stop()
		return work(ctx, cfg, rdb, state, log)
	})
	return g.Wait()
}

// work finds out who the bot is in Slack, and does everything else from then on.
func work(ctx context.Context, cfg *config, rdb redis.UniversalClient, state *health, log *slog.Logger) error {
	spans := cfg.openTraces(ctx, log)
	defer spans.close(ctx)
	transport := slackTransport()
	defer transport.CloseIdleConnections()
	caller := slackHTTP(state.metrics.slack(spans.tracer, cfg.SlackAPIURL, withoutEcho(transport)))
	api := cfg.slackClient(caller)
	self, err := introduce(ctx, api, log)
	switch {
	case ctx.Err() != nil:
		return nil // asked to end before it could begin
	case err != nil:
		return err
	}
	log.InfoContext(ctx, "slack knows the bot", "team", self.TeamID, "workspace", self.Team, "user", self.UserID)
	if err := knowPeople(ctx, api, self.TeamID, cfg.policy, log); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}

	toAtlas := atlasTransport()
	defer toAtlas.CloseIdleConnections()
	admin, err := cfg.atlasClient(log, state.metrics.atlas(spans.tracer, toAtlas))
	if err != nil {
		return err
	}
	defer closeAtlas(ctx, admin, log)
	store := &approvals.Store{
		Redis: rdb, Sealer: cfg.sealer, Team: self.TeamID, Policy: cfg.policies(), Retention: cfg.Retention, MostOpen: cfg.RequestsPerPerson,
		Log: log, Observe: state.metrics.audited, Claimed: state.metrics.claimed, Trace: spans.tracer,
	}
	state.metrics.watch(store.Undecided)
	bot := &commands.Bot{
		Log: log, Slack: api, HTTP: caller, Requests: store, Atlas: admin, Team: self.TeamID, Workspace: self.URL,
		Channel: cfg.SlackApprovalsChannel, Projects: cfg.AtlasProjects, FormsPerMinute: cfg.FormsPerMinute, Dropped: state.metrics.foreign, Trace: spans.tracer,
	}
	defer bot.Close()
	sockets := &socket.Listener{Opener: api, Connections: cfg.SlackConnections, Log: log, Observe: state.metrics.observer()}
	sockets.Handle = handler(bot, sockets)
	store.MakeWay = sockets.MakeWay
	state.fit(store.Ping, func() error { return standing(sockets) }, func() error { return stuck(store) })

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return noteKeys(ctx, store, cfg, log) })
	g.Go(func() error { return sockets.Run(ctx) })
	g.Go(func() error { return (&approvals.Reconciler{Store: store, Atlas: admin}).Run(ctx) })
	g.Go(func() error { return (&approvals.Projector{Store: store, Notifier: bot}).Run(ctx) })
	g.Go(func() error { return (&approvals.Homes{Store: store, Draw: bot.ShowHome}).Run(ctx) })
	g.Go(func() error { return (&approvals.Heads{Store: store, Post: bot.PostHead}).Run(ctx) })
	return g.Wait()
}

// handler gives envelopes to the bot. Which app it is, Slack says with the first
// connection, before anything is delivered.
func handler(bot *commands.Bot, sockets *socket.Listener) socket.Handler {
	var once sync.Once
	return func(ctx context.Context, e socket.Envelope, ack func(payload any) error) {
		once.Do(func() { bot.AppID = sockets.Status().AppID })
		bot.Handle(ctx, commands.Envelope{ID: e.ID, Type: e.Type, Payload: e.Payload, ReceivedAt: e.ReceivedAt}, ack)
	}
}

// standing says what is wrong with the connections to Slack, if none stands.
func standing(sockets *socket.Listener) error {
	switch status := sockets.Status(); {
	case status.Standing > 0:
		return nil
	case status.Problem != "":
		return fmt.Errorf("no connection to slack stands: %s", status.Problem)
	default:
		return errors.New("no connection to slack stands yet")
	}
}

// stuckTime is more than the longest work on a request: each of its calls has a deadline.
const stuckTime = 15 * time.Minute

// stuck says which work has stopped without an end, if any has.
func stuck(store *approvals.Store) error {
	if queue := store.Stalled(stuckTime); queue != "" {
		return fmt.Errorf("the work on the queue %s has not moved for %s", queue, stuckTime)
	}
	return nil
}

// closeAtlas revokes the bot's token, which would otherwise live for up to an hour.
func closeAtlas(ctx context.Context, admin *atlas.Client, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	if err := admin.Close(ctx); err != nil {
		log.WarnContext(ctx, "revoke the atlas token", "error", err)
	}
}

// logger makes the log: one line an event.
func (c *config) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	var lines slog.Handler = slog.NewJSONHandler(w, options)
	if c.LogFormat == "text" {
		lines = slog.NewTextHandler(w, options)
	}
	if c.spans != nil {
		lines = tracedLines{lines}
	}
	return slog.New(lines)
}
