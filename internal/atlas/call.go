package atlas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	apiRoot = "/api/atlas/v2"

	// mediaType names the only version in which these operations exist.
	mediaType = "application/vnd.atlas.2023-01-01+json"

	maxAnswer      = 1 << 20
	maxErrorAnswer = 64 << 10
)

// A call is one request to the API as the client wants it.
type call struct {
	op      string // how errors and logs name it
	method  string
	project string
	path    []string // below apiRoot, not escaped
	query   url.Values
	body    *payload // nil: none
	hidden  hidden   // what no error may quote
}

// do carries out a call within its deadline and returns the body of the answer.
func (c *Client) do(ctx context.Context, call *call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.tokens == nil {
		return c.exchange(ctx, call, "")
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		return nil, call.unanswered(err, call.hidden)
	}
	body, err := c.exchange(ctx, call, token.value)
	if refusal := (*Error)(nil); !errors.As(err, &refusal) || !c.tokens.drop(token, refusal) {
		return body, err
	}
	if token, err = c.tokens.get(ctx); err != nil {
		return nil, call.unanswered(err, call.hidden)
	}
	return c.exchange(ctx, call, token.value)
}

// exchange is one request and its answer.
func (c *Client) exchange(ctx context.Context, call *call, token string) ([]byte, error) {
	conceal := append(hidden{{text: token}}, call.hidden...)
	req, err := c.request(ctx, call, token)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: build the request", call.op, ErrNotSent)
	}
	begun := time.Now()
	// Not an http.Client: that would follow redirects, secrets and all.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, call.unanswered(err, conceal)
	}
	defer func() { _ = resp.Body.Close() }()
	c.log.DebugContext(ctx, "atlas answered", "call", call.op, "project", call.project,
		"status", resp.StatusCode, "duration", time.Since(begun))
	c.warnOfSunset(ctx, call, resp.Header)
	if resp.StatusCode < 200 || resp.StatusCode >= 300 {
		return nil, call.refusal(resp, conceal)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, call.unanswered(fmt.Errorf("read the answer: %w", err), conceal)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", call.op, maxAnswer)
	case !isJSON(resp.Header):
		return nil, fmt.Errorf("%s: the answer is not JSON", call.op)
	}
	return body, nil
}

func (c *Client) request(ctx context.Context, call *call, token string) (*http.Request, error) {
	address := c.base + apiRoot
	for _, part := range call.path {
		address += "/" + url.PathEscape(part)
	}
	if len(call.query) > 0 {
		address += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	if call.body != nil {
		if req.Body, err = call.body.open(); err != nil {
			return nil, err
		}
		req.GetBody = call.body.open
		req.ContentLength = int64(len(call.body.data))
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("User-Agent", c.userAgent)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// warnOfSunset logs once that Atlas is going to drop this version of its API.
func (c *Client) warnOfSunset(ctx context.Context, call *call, header http.Header) {
	deprecation, sunset := header.Get("Deprecation"), header.Get("Sunset")
	if deprecation == "" && sunset == "" {
		return
	}
	c.sunset.Do(func() {
		c.log.WarnContext(ctx, "atlas will drop this version of its API; look for a newer release of the bot",
			"call", call.op, "deprecation", shorten(deprecation), "sunset", shorten(sunset))
	})
}

// unanswered is the error of a call without an answer, or with one that broke off.
// It wraps the cause, and quotes of it what may be seen.
func (call *call) unanswered(cause error, conceal hidden) error {
	return &fault{text: call.op + ": " + conceal.scrub(cause.Error()), cause: cause}
}

// A fault wraps an error that somebody else made, with its text scrubbed: net/http
// may quote what a broken server answered.
type fault struct {
	text  string
	cause error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.cause }

// isJSON takes application/json and application/vnd.atlas.2023-01-01+json, both
// with parameters.
func isJSON(header http.Header) bool {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (media == "application/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// newTransport is like http.DefaultTransport, but nobody else's.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
