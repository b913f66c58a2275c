package atlas

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

const (
	defaultBaseURL = "https://cloud.mongodb.com"
	defaultTimeout = 10 * time.Second

	// perPage keeps a page of projects, which carry their tags, well below
	// maxAnswer; maxPages ends a list that does not end by itself.
	perPage  = 200
	maxPages = 100
)

// ErrNotSent is that a call was refused before anything was sent: it would be
// refused again.
var ErrNotSent = errors.New("nothing was sent")

// Config says where Atlas is and who the bot is there: a service account
// (ClientID and ClientSecret) or an API key (PublicKey and PrivateKey).
type Config struct {
	BaseURL string // empty: https://cloud.mongodb.com; http only on loopback

	ClientID     string
	ClientSecret secret.Text

	PublicKey  string
	PrivateKey secret.Text

	UserAgent string            // empty: the name of the bot
	Timeout   time.Duration     // of one call; 0: ten seconds
	Transport http.RoundTripper // nil: one of its own
	Log       *slog.Logger      // nil: silent
}

// Client calls the Admin API. It repeats nothing, except once with a fresh token
// what Atlas refused because of the token; when to try again is for the caller to
// know. It is safe for use by several goroutines.
//
// An answer of Atlas that is a refusal is an *Error. Any other error, except one
// that wraps ErrNotSent, means that there was no answer, or none that could be
// understood, so what became of the call is unknown.
type Client struct {
	base      string
	userAgent string
	timeout   time.Duration
	transport http.RoundTripper // logs in by itself where there are no tokens
	tokens    *tokens           // nil with an API key
	log       *slog.Logger
	closeIdle func()
	sunset    sync.Once
}

// NewClient makes a client. It calls nobody yet.
func NewClient(config Config) (*Client, error) {
	base, err := baseURL(config.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:      base,
		userAgent: cmp.Or(config.UserAgent, "atlas-integration-bot ("+runtime.GOOS+";"+runtime.GOARCH+")"),
		timeout:   cmp.Or(config.Timeout, defaultTimeout),
		transport: config.Transport,
		log:       config.Log,
		closeIdle: func() {},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.transport == nil {
		own := newTransport()
		c.transport, c.closeIdle = own, own.CloseIdleConnections
	}
	account := config.ClientID != "" || !config.ClientSecret.IsZero()
	key := config.PublicKey != "" || !config.PrivateKey.IsZero()
	switch {
	case account && key:
		return nil, errors.New("atlas credentials: give a service account or an API key, not both")
	case account && (config.ClientID == "" || config.ClientSecret.IsZero()):
		return nil, errors.New("atlas credentials: a service account needs a client ID and a client secret")
	case account:
		c.tokens = newTokens(c, config.ClientID, config.ClientSecret)
	case config.PublicKey == "" || config.PrivateKey.IsZero():
		return nil, errors.New("atlas credentials: give a service account (client ID and secret) or an API key (public and private)")
	default:
		c.transport = newDigest(config.PublicKey, config.PrivateKey, c.transport)
	}
	return c, nil
}

// baseURL checks the address of Atlas. Its errors do not quote it: it may hold a
// password by mistake.
func baseURL(address string) (string, error) {
	address = cmp.Or(strings.TrimRight(address, "/"), defaultBaseURL)
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "", errors.New("atlas base URL: it must look like " + defaultBaseURL)
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("atlas base URL: give scheme and host only, like " + defaultBaseURL)
	case u.Scheme == "http" && loopback(u.Hostname()), u.Scheme == "https":
		return address, nil
	default:
		return "", errors.New("atlas base URL: it must start with https:// (http:// only on this machine)")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close ends the client and revokes its tokens, so that nothing that it left
// behind lets anybody in. An error only says that a token may live on until it
// expires.
func (c *Client) Close(ctx context.Context) error {
	defer c.closeIdle()
	if c.tokens == nil {
		return nil
	}
	return c.tokens.close(ctx)
}

// Projects lists the projects that the credentials see, by name.
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	var projects []Project
	err := c.list(ctx, "list projects", "", []string{"groups"}, func(entry json.RawMessage) {
		var p Project
		if json.Unmarshal(entry, &p) == nil && groupID.MatchString(p.ID) {
			projects = append(projects, p)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(projects, func(a, b Project) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	// A project created between two pages moves others to the next one.
	return slices.Compact(projects), nil
}

// Project reads one project.
func (c *Client) Project(ctx context.Context, id string) (Project, error) {
	const op = "get project"
	var p Project
	if err := checkProject(op, id); err != nil {
		return p, err
	}
	body, err := c.do(ctx, &call{op: op, method: http.MethodGet, project: id, path: []string{"groups", id}})
	if err != nil {
		return p, err
	}
	if json.Unmarshal(body, &p) != nil || p.ID != id {
		return Project{}, fmt.Errorf("%s: atlas answered with something that is not this project", op)
	}
	return p, nil
}

// TryRole finds out, without a change, whether the credentials have the role that a change
// takes: it asks for what Atlas shows only to a Project Owner, the API keys of the project.
// Of these nothing is kept. An *Error with status 401 or 403 means no.
func (c *Client) TryRole(ctx context.Context, project string) error {
	const op = "list API keys"
	if err := checkProject(op, project); err != nil {
		return err
	}
	body, err := c.do(ctx, &call{
		op: op, method: http.MethodGet, project: project,
		path: []string{"groups", project, "apiKeys"}, query: url.Values{"itemsPerPage": {"1"}},
	})
	clear(body)
	return err
}

// Integrations lists the integrations of a project. Of one of a type that the
// catalog lacks only the type is kept.
func (c *Client) Integrations(ctx context.Context, project string) ([]*Integration, error) {
	const op = "list integrations"
	if err := checkProject(op, project); err != nil {
		return nil, err
	}
	var shown []*Integration
	err := c.list(ctx, op, project, []string{"groups", project, "integrations"}, func(entry json.RawMessage) {
		if i, err := decodeIntegration(entry); err == nil && i.Type != "" {
			shown = append(shown, i)
		}
	})
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// Integration reads the integration of a type. Where there is none, the error is
// an *Error with the code INTEGRATION_NOT_CONFIGURED.
func (c *Client) Integration(ctx context.Context, project string, t *Type) (*Integration, error) {
	op := "get " + t.Name
	if err := checkTarget(op, project, t); err != nil {
		return nil, err
	}
	body, err := c.do(ctx, &call{
		op: op, method: http.MethodGet, project: project,
		path: []string{"groups", project, "integrations", t.Name},
	})
	if err != nil {
		return nil, err
	}
	defer clear(body) // some types come back with their keys in clear
	shown, err := decodeIntegration(body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", op, err)
	case shown.Type != t.Name:
		return nil, fmt.Errorf("%s: atlas answered with an integration of another type", op)
	}
	return shown, nil
}

// Update sets an integration and returns what Atlas then shows of it. Atlas
// answers with all integrations of the project: of the others, which may hold
// other people's keys, nothing is kept.
func (c *Client) Update(ctx context.Context, project string, s *Settings) (*Integration, error) {
	op := "put " + s.Type.Name
	if err := checkTarget(op, project, s.Type); err != nil {
		return nil, err
	}
	if problems, _ := s.Check(); len(problems) > 0 {
		return nil, fmt.Errorf("%s: %w: %s: %s", op, ErrNotSent, problems[0].Field, problems[0].Say)
	}
	encoded, err := s.Payload()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", op, ErrNotSent, err)
	}
	sent := &payload{data: encoded}
	defer sent.wipe()
	body, err := c.do(ctx, &call{
		op: op, method: http.MethodPut, project: project,
		path: []string{"groups", project, "integrations", s.Type.Name},
		body: sent, hidden: s.hidden(),
	})
	if err != nil {
		return nil, err
	}
	defer clear(body)
	var page listPage
	if err := page.decode(body); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for _, entry := range page.Results {
		if typeOf(entry) == s.Type.Name {
			return decodeIntegration(entry)
		}
	}
	return nil, fmt.Errorf("%s: atlas took the change, but its answer does not show the integration", op)
}

var groupID = regexp.MustCompile(`^[0-9a-f]{24}$`)

func checkProject(op, id string) error {
	if !groupID.MatchString(id) {
		return fmt.Errorf("%s: %w: a project ID has 24 characters, 0-9 and a-f", op, ErrNotSent)
	}
	return nil
}

func checkTarget(op, project string, t *Type) error {
	if t.Discontinued != "" {
		return fmt.Errorf("%s: %w: %s", op, ErrNotSent, t.Discontinued)
	}
	return checkProject(op, project)
}

// listPage is one page of any list.
type listPage struct {
	Results []json.RawMessage `json:"results"` // without null entries
	Links   []pageLink        `json:"links"`
	more    bool
}

type pageLink struct {
	Rel string `json:"rel"`
}

func (l pageLink) next() bool { return l.Rel == "next" }

func (p *listPage) decode(body []byte) error {
	// The error of encoding/json may quote the answer.
	if json.Unmarshal(body, p) != nil || p.Results == nil {
		return errors.New("atlas answered with something that is not a list")
	}
	// The total that Atlas names is an estimate, and a page may be shorter than
	// asked for.
	length := len(p.Results)
	p.more = length >= perPage || length > 0 && slices.ContainsFunc(p.Links, pageLink.next)
	p.Results = slices.DeleteFunc(p.Results, func(entry json.RawMessage) bool { return string(entry) == "null" })
	return nil
}

// list reads all pages of a list.
func (c *Client) list(ctx context.Context, op, project string, path []string, keep func(json.RawMessage)) error {
	for number := 1; number <= maxPages; number++ {
		body, err := c.do(ctx, &call{
			op: op, method: http.MethodGet, project: project, path: path,
			query: url.Values{"itemsPerPage": {strconv.Itoa(perPage)}, "pageNum": {strconv.Itoa(number)}},
		})
		if err != nil {
			return err
		}
		var page listPage
		if err := page.decode(body); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		for _, entry := range page.Results {
			keep(entry)
		}
		clear(body)
		if !page.more {
			return nil
		}
	}
	return fmt.Errorf("%s: the list has more than %d pages", op, maxPages)
}

func typeOf(entry json.RawMessage) string {
	var named struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(entry, &named) != nil {
		return ""
	}
	return named.Type
}
