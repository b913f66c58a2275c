package atlassim

import (
	"crypto/md5" //nolint:gosec // the digest scheme of Atlas
	"crypto/subtle"
	"encoding/hex"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Paths of the service account's tokens, for a Match.
const (
	TokenPath  = "/api/oauth/token"
	RevokePath = "/api/oauth/revoke"
)

const (
	realm = "MMS Public API"

	// nonceLife is how long a nonce of the digest scheme can be used.
	nonceLife = 5 * time.Minute
)

// login is everything that lets somebody in.
type login struct {
	clientSecrets []string // several may be valid at a time
	privateKey    string
	tokens        map[string]time.Time // and when they expire
	nonces        map[string]*nonce
	swept         time.Time // when the expired were last thrown away
	issued        int
	revoked       int
	disabled      bool
	blocked       IPBlock
}

type nonce struct {
	expires time.Time
	count   uint64 // the last nc seen
}

func newLogin(opt Options) login {
	return login{
		clientSecrets: []string{opt.ClientSecret}, privateKey: opt.PrivateKey,
		tokens: map[string]time.Time{}, nonces: map[string]*nonce{},
	}
}

// IPBlock says where the caller's address is refused.
type IPBlock int

// Where the IP access list of the credentials can bite.
const (
	NotBlocked     IPBlock = iota
	BlockedAtUse           // calls of the API answer 403, tokens are still given out
	BlockedAtToken         // the token endpoint answers 403
)

// authenticate says who may not come in, with the answer for them.
func (s *Server) authenticate(x *exchange) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	scheme, value, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		if !s.login.valid(value, s.clock.Now()) {
			return unauthorized(`Bearer realm="` + realm + `", error="invalid_token"`)
		}
	case strings.EqualFold(scheme, "Digest"):
		if ok, stale := s.checkDigest(x.r, value); !ok {
			return unauthorized(s.challenge(stale))
		}
	default:
		return unauthorized(s.challenge(false))
	}
	if s.login.blocked == BlockedAtUse {
		ip, _, _ := net.SplitHostPort(x.r.RemoteAddr)
		return refuse(http.StatusForbidden, "IP_ADDRESS_NOT_ON_ACCESS_LIST",
			"IP address "+ip+" is not allowed to access this resource.", ip).answer()
	}
	return nil
}

// unauthorized is the answer to a failed login: unlike every other error it is
// pretty-printed and has no parameters.
func unauthorized(challenge string) *answer {
	a := &answer{status: http.StatusUnauthorized, code: "UNEXPECTED_ERROR", header: http.Header{}}
	a.header.Set("Content-Type", "application/json")
	a.header.Set("WWW-Authenticate", challenge)
	a.header.Set("X-Error-Code", a.code)
	a.body = encode(map[string]any{
		"detail":    "You are not authorized for this resource.",
		"error":     http.StatusUnauthorized,
		"errorCode": a.code,
		"reason":    "Unauthorized",
	}, true)
	return a
}

// challenge begins a digest login with a new nonce.
func (s *Server) challenge(stale bool) string {
	now := s.clock.Now()
	if now.Sub(s.login.swept) > nonceLife {
		s.login.sweep(now)
	}
	n := randomHex(16)
	s.login.nonces[n] = &nonce{expires: now.Add(nonceLife)}
	return `Digest realm="` + realm + `", domain="", nonce="` + n +
		`", algorithm=MD5, qop="auth", stale=` + strconv.FormatBool(stale)
}

// checkDigest verifies the credentials of RFC 7616 with MD5 and qop=auth, the only
// form that Atlas offers. A right answer to an old nonce, or to one whose count was
// used before, is stale: the client may try again with a new one.
func (s *Server) checkDigest(r *http.Request, value string) (ok, stale bool) {
	p := digestParams(value)
	nc, err := strconv.ParseUint(p["nc"], 16, 32)
	if err != nil || len(p["nc"]) != 8 || p["cnonce"] == "" || p["qop"] != "auth" ||
		p["realm"] != realm || p["uri"] != r.RequestURI || p["username"] != s.opt.PublicKey ||
		(p["algorithm"] != "" && p["algorithm"] != "MD5") || s.login.disabled {
		return false, false
	}
	ha1 := md5hex(s.opt.PublicKey + ":" + realm + ":" + s.login.privateKey)
	ha2 := md5hex(r.Method + ":" + r.RequestURI)
	want := md5hex(strings.Join([]string{ha1, p["nonce"], p["nc"], p["cnonce"], "auth", ha2}, ":"))
	if subtle.ConstantTimeCompare([]byte(want), []byte(p["response"])) != 1 {
		return false, false
	}
	n := s.login.nonces[p["nonce"]]
	if n == nil || nc <= n.count || !s.clock.Now().Before(n.expires) {
		return false, true
	}
	n.count = nc
	return true, false
}

// digestParams reads name=value pairs; values may be quoted and hold commas then.
func digestParams(s string) map[string]string {
	p := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, ", \t") {
		name, rest, found := strings.Cut(s, "=")
		if !found {
			return nil
		}
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if value, rest, found = strings.Cut(quoted, `"`); !found {
				return nil
			}
		} else if i := strings.IndexAny(rest, ", \t"); i >= 0 {
			value, rest = rest[:i], rest[i:]
		} else {
			value, rest = rest, ""
		}
		p[strings.ToLower(strings.TrimSpace(name))] = value
		s = rest
	}
	return p
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // the digest scheme of Atlas
	return hex.EncodeToString(sum[:])
}

// valid reports whether the token lets somebody in.
func (l *login) valid(token string, now time.Time) bool {
	expires, known := l.tokens[token]
	return known && !l.disabled && now.Before(expires)
}

// sweep forgets what is no longer valid.
func (l *login) sweep(now time.Time) {
	l.swept = now
	for t, expires := range l.tokens {
		if !now.Before(expires) {
			delete(l.tokens, t)
		}
	}
	for n, state := range l.nonces {
		if !now.Before(state.expires) {
			delete(l.nonces, n)
		}
	}
}

// oauth serves the two paths of the service account. Their errors have the form of
// RFC 6749, not that of the API.
func (s *Server) oauth(x *exchange) *answer {
	if x.r.Method != http.MethodPost {
		a := oauthError(http.StatusMethodNotAllowed, "invalid_request", "Only POST is supported.")
		a.header.Set("Allow", http.MethodPost)
		return a
	}
	if media, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil ||
		media != "application/x-www-form-urlencoded" {
		return oauthError(http.StatusBadRequest, "invalid_request", "The request is not a form.")
	}
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "The form is malformed.")
	}
	for _, values := range form {
		if len(values) != 1 {
			return oauthError(http.StatusBadRequest, "invalid_request", "A parameter is repeated.")
		}
	}
	// RFC 6749, 2.3: not more than one way to authenticate.
	if form.Has("client_id") || form.Has("client_secret") {
		return oauthError(http.StatusBadRequest, "invalid_request", "Credentials belong in the header.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clientKnown(x.r) {
		a := oauthError(http.StatusUnauthorized, "invalid_client", "Invalid credentials provided.")
		a.header.Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
		return a
	}
	if x.route.path == RevokePath {
		return s.revoke(form)
	}
	return s.issue(form)
}

// clientKnown checks the Basic credentials, each part of which is URL-escaped.
func (s *Server) clientKnown(r *http.Request) bool {
	user, pass, ok := r.BasicAuth()
	if !ok || s.login.disabled {
		return false
	}
	id, err := url.QueryUnescape(user)
	if err != nil || id != s.opt.ClientID {
		return false
	}
	secret, err := url.QueryUnescape(pass)
	if err != nil {
		return false
	}
	for _, valid := range s.login.clientSecrets {
		if subtle.ConstantTimeCompare([]byte(valid), []byte(secret)) == 1 {
			return true
		}
	}
	return false
}

func (s *Server) issue(form url.Values) *answer {
	switch grant := form.Get("grant_type"); {
	case s.login.blocked == BlockedAtToken:
		return oauthError(http.StatusForbidden, "access_denied", "IP access list validation failed for the service account.")
	case grant == "":
		return oauthError(http.StatusBadRequest, "invalid_request", "grant_type is missing.")
	case grant != "client_credentials":
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	}
	s.login.sweep(s.clock.Now())
	token := "atlassim." + randomHex(24)
	s.login.tokens[token] = s.clock.Now().Add(s.opt.TokenLifetime)
	s.login.issued++
	return oauthAnswer(http.StatusOK, map[string]any{
		"access_token": token,
		"expires_in":   int(s.opt.TokenLifetime / time.Second),
		"token_type":   "Bearer",
	})
}

// revoke ends a token. That an unknown token gets the same answer is RFC 7009.
func (s *Server) revoke(form url.Values) *answer {
	token := form.Get("token")
	if token == "" {
		return oauthError(http.StatusBadRequest, "invalid_request", "token is missing.")
	}
	if s.login.valid(token, s.clock.Now()) {
		s.login.revoked++
	}
	delete(s.login.tokens, token)
	return &answer{status: http.StatusOK, header: http.Header{}}
}

func oauthAnswer(status int, body map[string]any) *answer {
	a := &answer{status: status, header: http.Header{}, body: encode(body, false)}
	a.header.Set("Content-Type", "application/json;charset=utf-8")
	a.header.Set("Cache-Control", "no-store")
	return a
}

func oauthError(status int, code, description string) *answer {
	a := oauthAnswer(status, map[string]any{"error": code, "error_description": description})
	a.code = code
	return a
}

// ClientSecret is the newest secret of the service account.
func (s *Server) ClientSecret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.clientSecrets[len(s.login.clientSecrets)-1]
}

// PrivateKey is the private part of the API key.
func (s *Server) PrivateKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.privateKey
}

// RotateSecret gives the service account a new secret and returns it. Without
// keepOld the older ones can no longer fetch a token; tokens that they fetched stay
// valid until they expire or RevokeTokens.
func (s *Server) RotateSecret(keepOld bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keepOld {
		s.login.clientSecrets = nil
	}
	secret := "mdb_sa_sk_" + randomHex(16)
	s.login.clientSecrets = append(s.login.clientSecrets, secret)
	return secret
}

// RotateAPIKey replaces the private part of the API key and returns the new one.
func (s *Server) RotateAPIKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.privateKey = randomHex(16)
	return s.login.privateKey
}

// RevokeTokens ends every token now, as somebody with the right to can.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.login.tokens)
}

// ExpireNonces makes every challenge given out so far stale.
func (s *Server) ExpireNonces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.login.nonces)
}

// SetCredentialsRevoked takes service account and API key away, or gives them back:
// while they are gone every call answers 401, with valid tokens too.
func (s *Server) SetCredentialsRevoked(gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.disabled = gone
}

// SetIPBlock sets where the caller's address is refused.
func (s *Server) SetIPBlock(where IPBlock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.blocked = where
}

// TokensIssued counts the tokens ever given out.
func (s *Server) TokensIssued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.issued
}

// TokensRevoked counts the tokens that were valid when a client revoked them.
func (s *Server) TokensRevoked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.revoked
}

// TokensValid counts the tokens that are good now.
func (s *Server) TokensValid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.sweep(s.clock.Now())
	return len(s.login.tokens)
}

func authScheme(r *http.Request) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.ToLower(scheme)
}
