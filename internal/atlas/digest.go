package atlas

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/mongodb-forks/digest"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// newDigest logs in with an API key.
func newDigest(public string, private secret.Text, next http.RoundTripper) http.RoundTripper {
	return digest.NewTransportWithHTTPRoundTripper(public, private.Reveal(), knock{next})
}

// knock is below the digest transport, which sends every request twice. The first
// time, to be challenged, it goes without its body: so do curl and browsers, and
// secrets travel once, to somebody who was asked for a login. And it passes on only
// challenges that the digest transport can read: it fails at any directive that it
// does not know.
type knock struct{ next http.RoundTripper }

var errNoChallenge = errors.New("a request without credentials was answered as if it had some")

// RoundTrip implements http.RoundTripper.
func (k knock) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" {
		return k.next.RoundTrip(req)
	}
	bare := req.Clone(req.Context())
	bare.Body, bare.GetBody, bare.ContentLength = http.NoBody, nil, 0
	if req.Body != nil {
		_ = req.Body.Close() // a RoundTripper must; nothing was read
	}
	resp, err := k.next.RoundTrip(bare)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		challenge := readable(resp.Header.Values("WWW-Authenticate"))
		resp.Header.Del("WWW-Authenticate")
		if challenge != "" {
			resp.Header.Set("WWW-Authenticate", challenge)
		}
	case resp.StatusCode < 300:
		_ = resp.Body.Close()
		return nil, errNoChallenge
	}
	return resp, nil
}

var directive = regexp.MustCompile(`([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))`)

// readable writes the digest challenge among several the way that the digest
// transport reads it, or returns nothing if there is none that it can answer.
func readable(challenges []string) string {
	for _, challenge := range challenges {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(challenge), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		offer := map[string]string{}
		for _, found := range directive.FindAllStringSubmatch(rest, -1) {
			offer[strings.ToLower(found[1])] = found[2] + found[3]
		}
		if text, good := rewrite(offer); good {
			return text
		}
	}
	return ""
}

func rewrite(offer map[string]string) (text string, good bool) {
	if qop, given := offer["qop"]; given {
		if !offersAuth(qop) {
			return "", false
		}
		offer["qop"] = digest.MsgAuth
	}
	if algorithm, given := offer["algorithm"]; given {
		offer["algorithm"] = strings.ToUpper(algorithm)
		if offer["algorithm"] != digest.AlgMD5 && offer["algorithm"] != digest.AlgSha256 {
			return "", false
		}
	}
	var kept []string
	for _, name := range []string{"realm", "nonce", "opaque", "algorithm", "qop"} {
		value, given := offer[name]
		switch {
		case !given:
		case strings.Contains(value, ", "): // where the digest transport splits
			return "", false
		default:
			kept = append(kept, name+`="`+value+`"`)
		}
	}
	return "Digest " + strings.Join(kept, ", "), offer["nonce"] != ""
}

// offersAuth reports whether one of the qualities of protection on offer is auth,
// the only one that there is an implementation of.
func offersAuth(qop string) bool {
	for offer := range strings.SplitSeq(qop, ",") {
		if strings.EqualFold(strings.TrimSpace(offer), digest.MsgAuth) {
			return true
		}
	}
	return false
}
