package atlas

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

const (
	fetchToken  = "fetch token"
	revokeToken = "revoke token"

	// renewPause is how long a token that could not be renewed ahead of time is
	// used before the next try.
	renewPause = 30 * time.Second

	// youngToken is the age up to which a missing role is not blamed on the token.
	youngToken = 5 * time.Minute

	revokeTime = 5 * time.Second
)

var errClosed = errors.New("the atlas client is closed")

// tokens holds the access token of a service account. One request fetches it for
// all who wait; it is renewed well before it expires, while the old one is still in
// use.
type tokens struct {
	config *clientcredentials.Config
	revoke string // URL
	http   *http.Client
	client *Client

	// A fetch outlives the call that began it: others may wait for it too.
	ctx     context.Context
	stop    context.CancelFunc
	fetches sync.WaitGroup

	mu       sync.Mutex
	current  *token
	issued   []*token // those that may still let somebody in
	fetching *fetch
	closed   bool
}

type token struct {
	value   string
	fetched time.Time
	renew   time.Time // from here on it should be replaced
	expires time.Time // from here on it must not be used
}

// A fetch is one request for a token; done closes when token and err are set.
type fetch struct {
	done  chan struct{}
	token *token
	err   error
}

func newTokens(c *Client, id string, clientSecret secret.Text) *tokens {
	t := &tokens{
		config: &clientcredentials.Config{
			ClientID: id, ClientSecret: clientSecret.Reveal(),
			TokenURL:  c.base + "/api/oauth/token",
			AuthStyle: oauth2.AuthStyleInHeader,
		},
		revoke: c.base + "/api/oauth/revoke",
		client: c,
	}
	t.http = &http.Client{
		Transport:     oauthHeaders{next: c.transport, userAgent: c.userAgent},
		Timeout:       c.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.ctx, t.stop = context.WithCancel(context.WithValue(context.Background(), oauth2.HTTPClient, t.http))
	return t
}

// get returns a token that can be used now.
func (t *tokens) get(ctx context.Context) (*token, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, errClosed
	}
	now, current := time.Now(), t.current
	if current != nil && now.Before(current.renew) {
		t.mu.Unlock()
		return current, nil
	}
	f := t.fetching
	if f == nil {
		f = &fetch{done: make(chan struct{})}
		t.fetching = f
		t.fetches.Go(func() { t.fetch(f) })
	}
	t.mu.Unlock()
	if current != nil && now.Before(current.expires) {
		return current, nil
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", fetchToken, ctx.Err())
	}
}

// drop forgets a token that Atlas refused, and reports whether a fresh one may
// help: not if the login was good and only a role is missing.
func (t *tokens) drop(refused *token, refusal *Error) bool {
	if refusal.Status != http.StatusUnauthorized {
		return false
	}
	switch refusal.Code {
	case "USER_UNAUTHORIZED", "NOT_IN_GROUP", "USER_CANNOT_ACCESS_GROUP":
		if time.Since(refused.fetched) < youngToken {
			return false
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == refused {
		t.current = nil
	}
	return true
}

func (t *tokens) fetch(f *fetch) {
	defer close(f.done)
	begun := time.Now()
	granted, err := t.config.Token(t.ctx)
	if err != nil {
		f.err = tokenError(fetchToken, err, t.hidden(""))
	} else if f.token, f.err = newToken(granted, begun); f.err != nil {
		f.err = fmt.Errorf("%s: %w", fetchToken, f.err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetching = nil
	if f.err == nil {
		t.current = f.token
		t.issued = append(t.live(), f.token)
		return
	}
	if t.current != nil && time.Now().Before(t.current.expires) && !t.closed {
		t.current.renew = time.Now().Add(renewPause)
		t.client.log.Warn("atlas token not renewed, the old one is still good", "expires", t.current.expires, "error", f.err)
	}
}

func newToken(granted *oauth2.Token, begun time.Time) (*token, error) {
	if !strings.EqualFold(granted.Type(), "bearer") {
		return nil, errors.New("the token is not a bearer token")
	}
	life := time.Until(granted.Expiry)
	if granted.Expiry.IsZero() {
		life = time.Hour // what Atlas documents
	}
	return &token{
		value: granted.AccessToken, fetched: begun,
		renew: begun.Add(life * 2 / 3), expires: begun.Add(life - min(life/10, time.Minute)),
	}, nil
}

// live are the tokens issued that have not expired.
func (t *tokens) live() []*token {
	var live []*token
	for _, issued := range t.issued {
		if time.Now().Before(issued.expires) {
			live = append(live, issued)
		}
	}
	return live
}

// close ends fetching and revokes every token that may still be good.
func (t *tokens) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.fetches.Wait()

	t.mu.Lock()
	live := t.live()
	t.issued, t.current = nil, nil
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	var errs []error
	for _, token := range live {
		errs = append(errs, t.revokeOne(ctx, token))
	}
	return errors.Join(errs...)
}

func (t *tokens) revokeOne(ctx context.Context, token *token) error {
	form := url.Values{"token": {token.value}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New(revokeToken + ": build the request")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(t.config.ClientID), url.QueryEscape(t.config.ClientSecret))
	resp, err := t.http.Do(req)
	if err != nil {
		return tokenError(revokeToken, err, t.hidden(token.value))
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorAnswer)) // of no use but in a refusal
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	refused := &oauth2.RetrieveError{Response: resp}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &said) == nil {
		refused.ErrorCode, refused.ErrorDescription = said.Error, said.Description
	}
	return tokenError(revokeToken, refused, t.hidden(token.value))
}

// hidden lists what an error of the token endpoints must not quote.
func (t *tokens) hidden(token string) hidden {
	id, key := url.QueryEscape(t.config.ClientID), url.QueryEscape(t.config.ClientSecret)
	return hidden{
		{text: t.config.ClientSecret},
		{text: token},
		{text: base64.StdEncoding.EncodeToString([]byte(id + ":" + key)), whole: true},
	}
}

// oauthHeaders adds what x/oauth2 does not send.
type oauthHeaders struct {
	next      http.RoundTripper
	userAgent string
}

// RoundTrip implements http.RoundTripper.
func (t oauthHeaders) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", t.userAgent)
	return t.next.RoundTrip(req)
}
