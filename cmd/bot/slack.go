package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/slack-go/slack"
)

// slackTime is how long one call of Slack may take.
const slackTime = 10 * time.Second

// slackTransport is one pool of connections for all calls of Slack.
func slackTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // net/http documents its type
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxResponseHeaderBytes = 64 << 10
	t.MaxIdleConnsPerHost = 64 // a busy minute draws many messages side by side
	t.ResponseHeaderTimeout = slackTime
	return t
}

// slackHTTP is the client that all calls of Slack go through. It follows no
// redirects: a token must not travel to a host that nobody configured. No answer of
// Slack's is as long as mostOfSlack, so one that is does not fill the memory.
func slackHTTP(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     bounded{transport},
		Timeout:       slackTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

const mostOfSlack = 8 << 20

// bounded ends answers that are longer than mostOfSlack with an error.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, mostOfSlack)
	}
	return response, err //nolint:wrapcheck // whoever calls says what of
}

// slackClient makes the client of the Web API. It neither prints what it sends nor
// repeats it: a message that was posted twice stays twice.
func (c *config) slackClient(client *http.Client) *slack.Client {
	return slack.New(c.SlackBotToken.Reveal(),
		slack.OptionAppLevelToken(c.SlackAppToken.Reveal()),
		slack.OptionAPIURL(c.SlackAPIURL),
		slack.OptionHTTPClient(client))
}

// introduce asks Slack who the bot is, again and again while Slack is away. An
// error says which setting a person has to mend.
func introduce(ctx context.Context, api *slack.Client, log *slog.Logger) (*slack.AuthTestResponse, error) {
	ask := func() (*slack.AuthTestResponse, error) {
		self, err := api.AuthTestContext(ctx)
		var limited *slack.RateLimitedError
		switch {
		case err == nil:
			return self, nil
		case mendToken(slackCode(err)) != "":
			return nil, backoff.Permanent(fmt.Errorf("SLACK_BOT_TOKEN: slack answers %s: %s", slackCode(err), mendToken(slackCode(err))))
		case errors.As(err, &limited):
			return nil, backoff.RetryAfter(int(limited.RetryAfter.Seconds()) + 1)
		default:
			return nil, slackError(err)
		}
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = time.Second, 30*time.Second
	return backoff.Retry(ctx, ask, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			log.WarnContext(ctx, "ask slack who the bot is", "error", err, "pause", pause.String())
		}))
}

// slackCode is the error that Slack answered with, or nothing.
func slackCode(err error) string {
	var refusal slack.SlackErrorResponse
	if errors.As(err, &refusal) {
		return refusal.Err
	}
	return ""
}

// slackError says of an error of a Slack call what may be shown.
func slackError(err error) error {
	var refusal slack.SlackErrorResponse
	if errors.As(err, &refusal) {
		return errors.New(strings.Join(append([]string{refusal.Err}, refusal.ResponseMetadata.Messages...), "; "))
	}
	return err
}

// mendToken says what a person has to do about an answer that means that a token
// will not do, or nothing if it means something else.
func mendToken(code string) string {
	switch code {
	case "invalid_auth", "not_authed":
		return "the token is wrong; copy it again from the app's settings"
	case "account_inactive", "token_revoked", "token_expired":
		return "the token is no longer valid; reinstall the app and copy the new one"
	case "not_allowed_token_type":
		return "it is a token of another kind; SLACK_APP_TOKEN takes xapp-…, SLACK_BOT_TOKEN takes xoxb-…"
	case "missing_scope":
		return "the token lacks a scope; add it in the app's settings and reinstall the app"
	case "no_permission", "access_denied", "forbidden_team", "team_access_not_granted", "ekm_access_denied":
		return "the workspace does not let the app in; ask an admin of it to approve the app"
	case "link_disabled":
		return "Socket Mode is off; switch it on in the app's settings, Socket Mode"
	default:
		return ""
	}
}
