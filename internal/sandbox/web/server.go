package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

//go:embed assets
var assets embed.FS

//go:embed page.html
var layout string

var pageTemplate = template.Must(template.New("page").Parse(layout))

// A Page is the page of one sandbox. What people do on it they do in the stand-ins;
// it keeps nothing but what a Slack client keeps by itself.
type Page struct {
	s         *sandbox.Sandbox
	store     *approvals.Store // to look, never to move anything
	ctx       context.Context  // ends with Close
	cancel    context.CancelFunc
	running   sync.WaitGroup
	handler   http.Handler
	hub       hub
	days      dayLog
	redisGone sync.Mutex // held while Redis is away
	memory
}

// New makes the page of a sandbox. Unless it is public, it answers only to names
// of this machine, so that no web page reaches it through a name of its own.
func New(ctx context.Context, s *sandbox.Sandbox, public bool) *Page {
	p := &Page{s: s, store: &approvals.Store{Redis: s.Redis, Team: slacksim.TeamID}, memory: newMemory()}
	p.ctx, p.cancel = context.WithCancel(ctx)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /part/{part}", p.part)
	mux.HandleFunc("GET /options", p.options)
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("POST /do/{act}", p.act)
	mux.HandleFunc("POST /day/{day}", p.goWrong)
	static, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // it is embedded above
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(static)))
	p.handler = http.NewCrossOriginProtection().Handler(guarded(mux, public))
	p.running.Go(p.watchAtlas)
	p.running.Go(p.watchRedis)
	p.running.Go(func() {
		defer s.Slack.Subscribe(func(slacksim.Event) { p.hub.tell() })()
		<-p.ctx.Done()
	})
	return p
}

// Close ends what the page started and waits for it.
func (p *Page) Close() {
	p.cancel()
	p.running.Wait()
}

func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// guarded has every answer carry what keeps a browser from doing more than it is
// asked to, and refuses names that are not of this machine.
func guarded(next http.Handler, public bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !public && !local(r.Host) {
			http.Error(w, "this page answers only to localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func local(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// watchAtlas tells of every call that Atlas answered.
func (p *Page) watchAtlas() {
	seen := 0
	for p.ctx.Err() == nil {
		err := p.s.Atlas.WaitCalls(p.ctx, func(calls []atlassim.Call) bool {
			more := len(calls) > seen
			seen = len(calls)
			return more
		})
		if err != nil {
			return // the page or Atlas is closed
		}
		p.hub.tell()
	}
}

// watchRedis tells of every entry in the audit trail: some moves have nobody else
// who tells of them.
func (p *Page) watchRedis() {
	const again = time.Second // to look for a Redis that is away
	trail := "{aib:" + slacksim.TeamID + "}:audit"
	for p.ctx.Err() == nil {
		_, err := p.s.Redis.XRead(p.ctx, &redis.XReadArgs{Streams: []string{trail, "$"}, Block: again}).Result()
		switch {
		case err == nil:
			p.hub.tell()
		case errors.Is(err, redis.Nil):
		default:
			select {
			case <-time.After(again):
			case <-p.ctx.Done():
			}
		}
	}
}

// parts are what a page consists of, by name.
func (p *Page) draw(ctx context.Context, name string, w where) (*node, bool) {
	switch name {
	case left, right:
		return p.client(w, name), true
	case "atlas":
		return p.atlas(w), true
	case "story":
		return p.story(ctx, w), true
	case "days":
		return p.badDays(ctx), true
	default:
		return nil, false
	}
}

func (p *Page) page(w http.ResponseWriter, r *http.Request) {
	at := p.where(r.URL.Query())
	data := struct {
		Query       string
		Left, Right string
		Parts       map[string]template.HTML
	}{at.query().Encode(), p.person(at.left.person).Name, p.person(at.right.person).Name, map[string]template.HTML{}}
	for _, name := range []string{left, right, "atlas", "story", "days"} {
		n, _ := p.draw(r.Context(), name, at)
		data.Parts[name] = n.html()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = pageTemplate.Execute(w, data) // whoever asked has gone
}

func (p *Page) part(w http.ResponseWriter, r *http.Request) {
	n, known := p.draw(r.Context(), r.PathValue("part"), p.where(r.URL.Query()))
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprint(w, n.html()) //nolint:gosec // html escapes; an error is that whoever asked has gone
}

// events tells a page that something changed, as server-sent events.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	const pause = 50 * time.Millisecond // between two of them, so that a burst is one
	changed, leave := p.hub.subscribe()
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_, _ = fmt.Fprint(w, "retry: 500\n\n")
	for out.Flush() == nil {
		select {
		case <-changed:
			_, _ = fmt.Fprint(w, "data: changed\n\n")
		case <-time.After(15 * time.Second):
			_, _ = fmt.Fprint(w, ": still there\n\n")
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			return
		}
		_ = out.Flush()
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
	}
}

// options are what can be chosen in a select of the view on top, narrowed by what
// was typed.
func (p *Page) options(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	who := p.s.Slack.Person(q.Get("as"))
	v, open := who.View()
	if !open {
		return // it was closed meanwhile
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	d := p.viewDrawing(left, who.ID(), v)
	d.post = "/do/select"
	n := el("div", "")
	found, err := p.find(ctx, who, v, q)
	switch {
	case err != nil:
		n.add(el("p", "empty", text(inWords(err))))
	case len(found) == 0:
		n.add(el("p", "empty", text("No results")))
	}
	for _, o := range found {
		n.add(d.offer(q.Get("action"), o))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, child := range n.children {
		_, _ = fmt.Fprint(w, child.html()) // whoever asked has gone
	}
}

// find asks the app, where it searches, or looks through the options of a select.
func (p *Page) find(ctx context.Context, who *slacksim.Person, v slacksim.View, q url.Values) ([]slacksim.Option, error) {
	action, typed := q.Get("action"), q.Get("q")
	var found []slacksim.Option
	for _, b := range readBlocks(blocksOf(v)) {
		e := b.Element
		if e == nil || e.ActionID != action {
			continue
		}
		if strings.HasSuffix(e.Type, "external_select") {
			return who.Suggest(ctx, action, typed) //nolint:wrapcheck // it is shown as it is
		}
		chosen := map[string]bool{}
		for _, o := range v.State[b.ID][action].Selected {
			chosen[o.Value] = true
		}
		for _, o := range e.all() {
			if !chosen[o.Value] && strings.Contains(strings.ToLower(o.Text.Text), strings.ToLower(typed)) {
				found = append(found, slacksim.Option{Text: o.Text.Text, Value: o.Value, Description: o.Description.String()})
			}
		}
	}
	return found, nil
}
