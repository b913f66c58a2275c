package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/trace"
)

// Labels of the calls.
var (
	slackMethods = []string{
		"apps.connections.open", "auth.test", "bots.info", "chat.postEphemeral", "chat.postMessage", "chat.update",
		"conversations.info", "usergroups.users.list", "users.info", "views.open", "views.publish", "views.update", responseURL, other,
	}
	// slackMends are the answers after which a person has to do something, and ok.
	slackMends = []string{
		resultOK, "invalid_auth", "account_inactive", "token_revoked", "missing_scope", "channel_not_found", "not_in_channel", "is_archived",
	}
	slackResults = append(slices.Clip(slackMends), []string{
		resultSilent, "ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
		"not_authed", "token_expired", "no_permission", "restricted_action", "message_not_found", "cant_update_message",
		"cannot_dm_bot", "user_not_found", "user_disabled", "expired_trigger_id", "trigger_expired", "exchanged_trigger_id",
		"hash_conflict", "not_found", "invalid_blocks", "invalid_arguments", "too_many_websockets", "link_disabled", other,
	}...)
	atlasCalls    = []string{"token", "revoke", "projects", "integrations", "integration", "update", other}
	atlasStatuses = []string{
		"200", "201", "204", "400", "401", "403", "404", "408", "409", "429", "500", "502", "503", "504", resultSilent, other,
	}
	redisCommands = []string{"evalsha", "eval", "exists", "zrevrange", "xrange", other}
)

const (
	resultOK     = "ok"
	resultSilent = "no_answer"
	responseURL  = "response_url" // an answer to a command or click, at the address that came with it
)

func (m *metrics) ofCalls() {
	m.slackCalls = m.counter("slack_calls_total",
		"Calls of Slack, by method and result: ok, the error that Slack answered, or no_answer.", "method", "result")
	m.slackSeconds = m.histogram("slack_seconds", "From a call of Slack to its answer, by method.", callBuckets, "method")
	m.atlasCalls = m.counter("atlas_calls_total", "Calls of Atlas, by call and HTTP status, or no_answer.", "call", "status")
	m.atlasSeconds = m.histogram("atlas_seconds", "From a call of Atlas to its answer, by call.", callBuckets, "call")
	m.redisErrors = m.counter("redis_errors_total", "Commands that Redis refused or did not answer in time, by command.", "command")
	m.redisSeconds = m.histogram("redis_seconds",
		"From a command of Redis to its answer, by command; evalsha is every move of a request.", redisBuckets, "command")
	// An alert sees a first refusal only if the series stood at zero before it.
	for _, method := range slackMethods {
		m.slackSeconds.WithLabelValues(method)
		for _, result := range slackMends {
			m.slackCalls.WithLabelValues(method, result)
		}
	}
	for _, call := range atlasCalls {
		m.atlasSeconds.WithLabelValues(call)
		for _, status := range atlasStatuses {
			m.atlasCalls.WithLabelValues(call, status)
		}
	}
	for _, command := range redisCommands {
		m.redisErrors.WithLabelValues(command)
		m.redisSeconds.WithLabelValues(command)
	}
}

// A roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// slack counts the calls that go through a transport, and traces those that are about
// a request. api is the root of the Web API: whatever is elsewhere is a response URL.
func (m *metrics) slack(tracer *trace.Tracer, api string, next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		method := responseURL
		if strings.HasPrefix(req.URL.String(), api) {
			method = label(path.Base(req.URL.Path), slackMethods)
		}
		_, span := tracer.Call(req.Context(), "slack", method)
		defer span.End()
		begun := time.Now()
		resp, err := next.RoundTrip(req)
		result := resultSilent
		if err == nil {
			result = slackResult(resp)
		}
		span.Set(trace.Result, result)
		if result != resultOK {
			span.Fail(result)
		}
		m.slackSeconds.WithLabelValues(method).Observe(time.Since(begun).Seconds())
		m.slackCalls.WithLabelValues(method, result).Inc()
		return resp, err
	})
}

// mostRefusal is more than Slack needs to say that it refuses: a longer answer is
// not looked at.
const mostRefusal = 8 << 10

// slackResult reads whether Slack refused, which its status alone does not say,
// and leaves the body as it was.
func slackResult(resp *http.Response) string {
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		return "ratelimited"
	case resp.StatusCode >= http.StatusInternalServerError:
		return "service_unavailable"
	case resp.StatusCode >= http.StatusMultipleChoices:
		return other
	}
	begin, err := io.ReadAll(io.LimitReader(resp.Body, mostRefusal))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = broken{err}
	}
	resp.Body = body{io.MultiReader(bytes.NewReader(begin), rest), resp.Body}
	if err != nil {
		return resultSilent
	}
	var said struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(begin, &said) != nil || said.OK == nil || *said.OK {
		return resultOK // a response URL answers "ok", not as JSON
	}
	return label(said.Error, slackResults)
}

// A body is read from one place and closed at another.
type body struct {
	io.Reader
	io.Closer
}

// A broken reader has failed before.
type broken struct{ err error }

// Read implements io.Reader.
func (b broken) Read([]byte) (int, error) { return 0, b.err }

// atlas counts the calls that go through a transport, and traces those that are about
// a request.
func (m *metrics) atlas(tracer *trace.Tracer, next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		call := atlasCall(req)
		_, span := tracer.Call(req.Context(), "atlas", call)
		defer span.End()
		begun := time.Now()
		resp, err := next.RoundTrip(req)
		status := resultSilent
		if err == nil {
			span.SetNumber(trace.Status, int64(resp.StatusCode))
			if challenged(req, resp) {
				return resp, nil
			}
			status = label(strconv.Itoa(resp.StatusCode), atlasStatuses)
		}
		if err != nil || resp.StatusCode >= http.StatusBadRequest {
			span.Fail(status)
		}
		m.atlasSeconds.WithLabelValues(call).Observe(time.Since(begun).Seconds())
		m.atlasCalls.WithLabelValues(call, status).Inc()
		return resp, err
	})
}

// challenged reports whether an answer is the first step of a digest login, and no
// answer to the call.
func challenged(req *http.Request, resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && req.Header.Get("Authorization") == "" &&
		strings.HasPrefix(strings.ToLower(resp.Header.Get("WWW-Authenticate")), "digest")
}

// atlasCall names a call by what is asked for, without project or type.
func atlasCall(req *http.Request) string {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch at := slices.Index(parts, "groups"); {
	case parts[len(parts)-1] == "token":
		return "token"
	case parts[len(parts)-1] == "revoke":
		return "revoke"
	case at < 0:
		return other
	case len(parts) == at+1:
		return "projects"
	case len(parts) == at+3 && parts[at+2] == "integrations":
		return "integrations"
	case len(parts) == at+4 && parts[at+2] == "integrations" && req.Method == http.MethodPut:
		return "update"
	case len(parts) == at+4 && parts[at+2] == "integrations":
		return "integration"
	default:
		return other
	}
}

// redisHook times the commands of Redis.
type redisHook struct{ m *metrics }

// DialHook implements redis.Hook.
func (redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		begun := time.Now()
		err := next(ctx, cmd)
		command := label(cmd.Name(), redisCommands)
		h.m.redisSeconds.WithLabelValues(command).Observe(time.Since(begun).Seconds())
		// A script that Redis has not seen yet is sent to it: no fault.
		if err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			h.m.redisErrors.WithLabelValues(command).Inc()
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook. The bot sends no pipelines.
func (redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}
