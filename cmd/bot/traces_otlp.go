package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// mostAnswer is more than a collector needs to say what it thinks of a batch.
const mostAnswer = 64 << 10

// otlpClient sends spans over OTLP/HTTP, in protobuf; it is an otlptrace.Client. The client
// that OpenTelemetry has for this brings gRPC along: docs/adr/0013 says why not.
type otlpClient struct {
	to       *collector
	http     *http.Client
	stopping context.Context
	stop     context.CancelFunc
}

func newOTLPClient(to *collector) *otlpClient {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // net/http documents its type
	transport.TLSClientConfig = to.tls
	c := &otlpClient{to: to, http: &http.Client{
		Transport: transport,
		Timeout:   to.timeout,
		// Credentials must not travel to a host that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.stopping, c.stop = context.WithCancel(context.Background())
	return c
}

// Start implements otlptrace.Client.
func (*otlpClient) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client: it cuts the call that is under way.
func (c *otlpClient) Stop(context.Context) error {
	c.stop()
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. A collector that cannot take the spans at the
// moment is asked again, until ctx or a minute is over.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// On the wire this is the same as an ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if c.to.gzip {
		body = zipped(body)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.stopping, cancel)() //nolint:contextcheck // the end of the exporter, not of this call
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 2 * time.Second
	_, err = backoff.Retry(ctx, func() (any, error) { return nil, c.send(ctx, body) },
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(time.Minute))
	return err
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// send is one attempt. An error that says that another would be no use is permanent.
func (c *otlpClient) send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.to.endpoint, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	for name, value := range c.to.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", userAgent())
	if c.to.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	switch {
	case resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices:
		if err == nil {
			err = rejected(answer)
		}
		if err != nil { // it has the others, so they are not sent again
			return backoff.Permanent(err)
		}
		return nil
	case comesBack(resp.StatusCode):
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			return backoff.RetryAfter(seconds)
		}
		return refusedBatch(resp, answer)
	default:
		return backoff.Permanent(refusedBatch(resp, answer))
	}
}

// comesBack reports whether OTLP says to try again after such an answer.
func comesBack(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

func refusedBatch(resp *http.Response, answer []byte) error {
	said := ""
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/") {
		said = ": " + strings.TrimSpace(string(answer))
	}
	return fmt.Errorf("the collector answers %s%s", resp.Status, said)
}

// rejected reads from a good answer, an ExportTraceServiceResponse, whether the collector
// left spans out: field 1 is a message whose field 1 is how many, and field 2 why.
func rejected(answer []byte) error {
	partial, _ := field(answer, 1)
	if _, spans := field(partial, 1); spans > 0 {
		why, _ := field(partial, 2)
		return fmt.Errorf("the collector left out %d spans: %s", spans, why)
	}
	return nil
}

// field finds a field of a message: its bytes, or its number.
func field(message []byte, wanted protowire.Number) (content []byte, number uint64) {
	for len(message) > 0 {
		found, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, 0
		}
		message = message[n:]
		if found == wanted && kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(message)
		}
		if found == wanted && kind == protowire.VarintType {
			number, _ = protowire.ConsumeVarint(message)
		}
		if n = protowire.ConsumeFieldValue(found, kind, message); n < 0 {
			return nil, 0
		}
		message = message[n:]
	}
	return content, number
}
