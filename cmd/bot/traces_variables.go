package main

import (
	"crypto/tls"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Variables of OpenTelemetry that decide whether and where spans are exported. The others
// that are about spans (sampling, limits, batches, the names of the service) its SDK reads.
const (
	otelDisabled = "OTEL_SDK_DISABLED"
	otelExporter = "OTEL_TRACES_EXPORTER"

	// Each of these also with TRACES_ after the prefix, which then goes before it.
	otlpPrefix      = "OTEL_EXPORTER_OTLP_"
	otlpEndpoint    = "ENDPOINT"
	otlpProtocol    = "PROTOCOL"
	otlpHeaders     = "HEADERS"
	otlpTimeout     = "TIMEOUT"
	otlpCompression = "COMPRESSION"
	otlpCA          = "CERTIFICATE"
	otlpCertificate = "CLIENT_CERTIFICATE"
	otlpKey         = "CLIENT_KEY"
)

// A collector is where spans go.
type collector struct {
	endpoint string // whole, with the path
	headers  map[string]string
	timeout  time.Duration // of one call
	gzip     bool
	tls      *tls.Config
}

// untraced ends every hint about these variables: the bot works without traces, so what is
// wrong with them does not keep it from starting.
const untraced = ": nothing is traced"

// spansTo finds out where spans go: nowhere unless an endpoint is set. Hints quote no value,
// since a password may be in any of them.
func spansTo(get func(name string) string) (*collector, *problem) {
	exporter := strings.ToLower(get(otelExporter))
	name, endpoint := otlp(get, otlpEndpoint)
	switch {
	case endpoint == "" || strings.EqualFold(get(otelDisabled), "true") || exporter == "none":
		return nil, nil
	case exporter != "" && exporter != "otlp":
		return nil, &problem{otelExporter, "must be otlp or none" + untraced}
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, &problem{name, "is not an absolute URL such as http://collector:4318" + untraced}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, &problem{name, "must be a plain URL, without a user, a query or a fragment; credentials go into " +
			otlpPrefix + otlpHeaders + untraced}
	}
	if name == otlpPrefix+otlpEndpoint { // the other one is taken as it is
		u = u.JoinPath("v1/traces")
	}
	c := &collector{endpoint: u.String(), timeout: 10 * time.Second, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if hint := c.read(get); hint != nil {
		return nil, hint
	}
	return c, nil
}

// read reads how to speak to the collector.
func (c *collector) read(get func(name string) string) *problem {
	if name, protocol := otlp(get, otlpProtocol); protocol != "" && protocol != "http/protobuf" {
		return &problem{name, "must be http/protobuf, which collectors take at port 4318; the bot speaks neither gRPC nor JSON" + untraced}
	}
	name, headers := otlp(get, otlpHeaders)
	var ok bool
	if c.headers, ok = parseHeaders(headers); !ok {
		return &problem{name, "is not name=value, comma separated, with % before what is not a letter or digit" + untraced}
	}
	if name, timeout := otlp(get, otlpTimeout); timeout != "" {
		ms, err := strconv.Atoi(timeout)
		if err != nil || ms <= 0 {
			return &problem{name, "must be a whole number of milliseconds" + untraced}
		}
		c.timeout = time.Duration(ms) * time.Millisecond
	}
	switch name, compression := otlp(get, otlpCompression); compression {
	case "", "none":
	case "gzip":
		c.gzip = true
	default:
		return &problem{name, "must be gzip or none" + untraced}
	}
	nameCA, ca := otlp(get, otlpCA)
	nameCert, cert := otlp(get, otlpCertificate)
	_, key := otlp(get, otlpKey)
	if err := (certificates{ca: ca}).use(c.tls); err != nil {
		return &problem{nameCA, "is no file of a certificate in PEM that can be read" + untraced}
	}
	if err := (certificates{cert: cert, key: key}).use(c.tls); err != nil {
		return &problem{nameCert, "and " + otlpPrefix + otlpKey + " are no files of a pair in PEM that can be read" + untraced}
	}
	return nil
}

// otlp is the value of a variable of the exporter, and the name of the one that says it.
func otlp(get func(name string) string, what string) (name, value string) {
	own, all := otlpPrefix+"TRACES_"+what, otlpPrefix+what
	if value = get(own); value != "" {
		return own, value
	}
	return all, get(all)
}

// parseHeaders reads name=value, comma separated, as OpenTelemetry writes it.
func parseHeaders(text string) (map[string]string, bool) {
	headers := map[string]string{}
	for _, pair := range listOf(text) {
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		name = strings.TrimSpace(name)
		if !ok || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, false
		}
		headers[name] = value
	}
	return headers, true
}
