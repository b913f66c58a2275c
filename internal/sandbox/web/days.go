package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// redisAway is how long Redis stays away.
const redisAway = 10 * time.Second

// A day is something that goes wrong when its button is pressed.
type day struct {
	id, title string
	watch     string // what to look for
	do        func(*Page, context.Context) (what string, err error)
}

var days = []day{
	{
		"atlas-429", "Atlas: too many requests", "The next two PUTs are answered 429. The bot waits as long as Atlas says, and the card says applied in the end.",
		atlasFault(2, atlassim.Fault{Kind: atlassim.Refuse, Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Second}, "Atlas will answer the next two PUTs 429, retry after 2 s"),
	},
	{
		"atlas-500", "Atlas: error 500", "The next PUT is answered 500, though nothing was stored. The bot looks before it tries again.",
		atlasFault(1, atlassim.Fault{Kind: atlassim.Refuse, Status: http.StatusInternalServerError}, "Atlas will answer the next PUT 500"),
	},
	{
		"atlas-timeout", "Atlas: no answer, but stored", "The next PUT is stored, and its answer never comes. The bot must find out by looking, not send it again blindly.",
		atlasFault(1, atlassim.Fault{Kind: atlassim.HangAfterApply}, "Atlas will store the next PUT and not answer"),
	},
	{
		"slack-refresh", "Slack: refresh the sockets", "Slack asks every connection to go, as it does every few hours. The bot has the next one before it leaves the old.",
		func(p *Page, _ context.Context) (string, error) {
			p.s.Slack.Refresh("refresh_requested")
			return "Slack refreshes its sockets", nil
		},
	},
	{
		"slack-cut", "Slack: cut the sockets", "Every connection is cut without a word. The bot connects again; until then commands fail.",
		func(p *Page, _ context.Context) (string, error) {
			p.s.Slack.CutSockets()
			return "Slack cuts its sockets", nil
		},
	},
	{
		"slack-limit", "Slack: rate limit", "The next two posts and the next two updates of messages are refused for 3 s. The messages follow, in order and complete.",
		func(p *Page, _ context.Context) (string, error) {
			for _, method := range []string{"chat.postMessage", "chat.update"} {
				p.s.Slack.Fail(method, 2, slacksim.Failure{Error: "ratelimited", RetryAfter: 3 * time.Second})
			}
			return "Slack limits messages for 3 s", nil
		},
	},
	{
		"bot-kill", "Kill the bot", "As kill -9 does. Nothing is lost: press Start, and it goes on where it was.",
		func(p *Page, _ context.Context) (string, error) {
			if !p.s.BotRuns() {
				return "", errors.New("the bot does not run")
			}
			p.s.KillBot()
			return "the bot is killed", nil
		},
	},
	{
		"bot-start", "Start the bot", "After it was killed.",
		func(p *Page, ctx context.Context) (string, error) {
			if p.s.BotRuns() {
				return "", errors.New("the bot runs already")
			}
			return "the bot is started", p.s.StartBot(ctx)
		},
	},
	{"redis-away", "Redis: away for ten seconds", "Connections are cut and refused. Who submits is told to try again; what was approved goes on when Redis is back.", (*Page).takeRedisAway},
	{"drift", "Somebody changes it in between", "The integration of the newest pending request is changed in Atlas by somebody else. Approve it then: nothing is overwritten.", (*Page).drift},
}

// dayLog is what was made to go wrong.
type dayLog struct {
	mu   sync.Mutex
	had  []hadDay
	last string // what the last button did, or why it did nothing
}

type hadDay struct {
	at   time.Time
	what string
}

func (l *dayLog) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.had, l.last = append(l.had, hadDay{time.Now(), what}), what
}

func (l *dayLog) say(last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = last
}

func atlasFault(times int, fault atlassim.Fault, what string) func(*Page, context.Context) (string, error) {
	return func(p *Page, _ context.Context) (string, error) {
		p.s.Atlas.Fail(atlassim.Match{Method: http.MethodPut}, fault, times)
		return what, nil
	}
}

func (p *Page) takeRedisAway(context.Context) (string, error) {
	if !p.redisGone.TryLock() {
		return "", errors.New("Redis is away already") //nolint:staticcheck // the name has a capital
	}
	if err := p.s.TakeRedisAway(); err != nil {
		p.redisGone.Unlock()
		return "", fmt.Errorf("take Redis away: %w", err)
	}
	p.running.Go(func() {
		defer p.redisGone.Unlock()
		select {
		case <-time.After(redisAway):
		case <-p.ctx.Done():
		}
		back, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), actTime)
		defer cancel()
		err := p.s.BringRedisBack(back)
		if err == nil {
			p.days.note("Redis is back")
			p.hub.tell()
			err = p.s.WaitReady(back)
		}
		if err != nil {
			p.days.say(err.Error())
		} else {
			p.days.say("Redis is back, and the bot is ready again")
		}
		p.hub.tell()
	})
	return "Redis goes away for ten seconds", nil
}

// drift changes what the newest undecided request is about.
func (p *Page) drift(ctx context.Context) (string, error) {
	open, err := p.store.Undecided(ctx, 0, 20)
	if err != nil {
		return "", errors.New("Redis does not answer") //nolint:staticcheck // the name has a capital
	}
	var newest *approvals.Request
	for _, r := range open {
		if newest == nil || r.CreatedAt.After(newest.CreatedAt) {
			newest = r
		}
	}
	if newest == nil {
		return "", errors.New("no request is pending: submit one first")
	}
	at := newest.Targets[0]
	if err := p.s.Atlas.ChangeBehind(at.ID, newest.Type, otherSettings(newest.Type)); err != nil {
		return "", fmt.Errorf("change %s of %s: %w", newest.Type, at.Name, err)
	}
	return fmt.Sprintf("somebody changes %s of %s in Atlas", newest.Type, at.Name), nil
}

// otherSettings puts other values where there are some.
func otherSettings(typ string) func(map[string]any) {
	return func(settings map[string]any) {
		sample := atlassim.Sample(typ, "somebody else "+time.Now().Format(time.RFC3339Nano))
		t, _ := atlas.FindType(typ)
		for i := range t.Fields {
			if name := t.Fields[i].Name; sample[name] != nil && settings[name] != nil {
				settings[name] = sample[name]
			}
		}
	}
}

// goWrong is the button of a bad day.
func (p *Page) goWrong(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(days, func(d day) bool { return d.id == r.PathValue("day") })
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*actTime)
	defer cancel()
	if what, err := days[i].do(p, ctx); err != nil {
		p.days.say("Not done: " + err.Error() + ".")
	} else {
		p.days.note(what)
	}
	p.hub.tell()
	w.WriteHeader(http.StatusNoContent)
}

func (p *Page) botState(ctx context.Context) *node {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	state, class := fmt.Sprintf("The bot is ready, with %d connections to Slack.", p.s.Slack.Connections()), "good"
	if err := p.s.BotReady(ctx); err != nil {
		state, class = "The bot is not ready: "+err.Error()+".", "bad"
	}
	return el("p", class, text(state)).set("id", "bot-state")
}

// badDays draws the buttons.
func (p *Page) badDays(ctx context.Context) *node {
	n := el("section", "days").set("id", "days").set("aria-labelledby", "days-title")
	n.add(el("h2", "", text("Bad days")).set("id", "days-title"))
	n.add(p.botState(ctx))
	p.days.mu.Lock()
	last := p.days.last
	p.days.mu.Unlock()
	if last != "" {
		n.add(el("p", "last", text(last)).set("role", "status").set("id", "last-day"))
	}
	list := el("ul", "")
	for _, d := range days {
		button := el("button", "button", text(d.title)).set("type", "button").set("data-post", "/day/"+d.id).set("id", "day-"+d.id)
		list.add(el("li", "", button, el("p", "hint", text(d.watch))))
	}
	if broken := p.s.Slack.Violations(); len(broken) > 0 {
		n.add(el("p", "bad", text(fmt.Sprintf("The bot broke %d rules of Slack's; the last one: %s", len(broken), broken[len(broken)-1].Kind))))
	}
	return n.add(list, botLog(p.s))
}

func botLog(s *sandbox.Sandbox) *node {
	const most = 40
	log := s.BotLog()
	n := el("pre", "code").set("data-bottom", "")
	for _, line := range log[max(0, len(log)-most):] {
		n.add(text(line + "\n"))
	}
	return el("details", "log", el("summary", "", text(fmt.Sprintf("The bot's log, %d lines", len(log)))), n)
}
