package main_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	requests "github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

var (
	soakTime = flag.Duration("soak", 8*time.Second, "how long TestSoak goes on")
	soakSeed = flag.Uint64("soak.seed", 0, "what TestSoak takes its chances from; 0: the clock")
)

// pairs is how many engineers are at it at once, each with an approver of their own:
// a person has one form open at a time.
const pairs = 24

// TestSoak has many people work at once while everything around the bot fails now
// and then and its replicas are stopped and killed in turn. In the end nothing that
// was taken is lost or done twice, and nothing has piled up.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("for %s, with -soak.seed=%d", *soakTime, seed)
	s := newSoak(t, seed)
	s.run(*soakTime)
	s.settle()
	s.check()
}

type soak struct {
	t     *testing.T
	w     *world
	store *requests.Store // to look
	seed  uint64

	veteran  *process   // is never stopped, so what it piles up is seen
	replicas []*process // are
	begun    float64    // goroutines of the veteran before anything happened

	guard sync.Mutex
	taken map[string]bool // request IDs
	count map[string]int
}

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{t: t, seed: seed, taken: map[string]bool{}, count: map[string]int{}}
	s.w = newWorldOf(t, slacksim.Options{NoRateLimits: true}, atlassim.Options{NoRateLimits: true}, func(w *world) {
		var approvers []string
		for i := range pairs {
			for _, id := range []string{engineerID(i), approverID(i)} {
				w.slack.SetUser(id, func(u *slacksim.User) { u.Name = strings.ToLower(id) })
				for _, channel := range []string{approvals, incidents} {
					w.slack.SetChannel(channel, func(c *slacksim.Channel) { c.Members = append(c.Members, id) })
				}
			}
			approvers = append(approvers, approverID(i))
		}
		w.env["SLACK_APPROVERS"] = strings.Join(approvers, ",")
		w.env["LOG_LEVEL"] = "warn"
	})
	options, err := redis.ParseURL(s.w.redis.URL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	s.store = &requests.Store{Redis: client, Team: slacksim.TeamID}
	s.veteran = s.w.start(t)
	s.begun = s.metric(s.veteran, "go_goroutines")
	s.replicas = []*process{s.w.start(t), s.w.start(t)}
	return s
}

func engineerID(i int) string { return fmt.Sprintf("U0SOAKENG%02d", i) }
func approverID(i int) string { return fmt.Sprintf("U0SOAKAPP%02d", i) }

// run lets people work and things fail for a while.
func (s *soak) run(length time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), length)
	defer cancel()
	var working sync.WaitGroup
	for i := range pairs {
		working.Go(func() {
			chance := rand.New(rand.NewPCG(s.seed, uint64(i))) //nolint:gosec // to be repeated, not to be secret
			for n := 0; ctx.Err() == nil; n++ {
				s.work(ctx, chance, i, n)
			}
		})
	}
	working.Go(func() { s.every(ctx, 700*time.Millisecond, 1000, s.fault) })
	working.Go(func() { s.every(ctx, max(2*time.Second, length/20), 1001, s.restart) })
	working.Wait()
}

func (s *soak) every(ctx context.Context, pause time.Duration, stream uint64, do func(*rand.Rand)) {
	chance := rand.New(rand.NewPCG(s.seed, stream)) //nolint:gosec // to be repeated, not to be secret
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			do(chance)
		case <-ctx.Done():
			return
		}
	}
}

func (s *soak) noted(what string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.count[what]++
}

// work is one request, from the command to a decision. What goes wrong on the way
// people see and leave; what was taken is followed to its end later.
func (s *soak) work(ctx context.Context, chance *rand.Rand, i, n int) {
	projects := s.w.atlas.Projects()
	project := projects[chance.IntN(len(projects))].Name
	// No two keys end alike while both may be in Atlas, which shows no more than that.
	value := fmt.Sprintf("%028x%04x", n, (n*pairs+i)%0x10000)
	what, decision := chance.IntN(10), chance.IntN(10)
	id, err := s.ask(ctx, engineerID(i), project, value)
	if err != nil {
		s.noted("not taken")
		return
	}
	s.guard.Lock()
	s.taken[id] = true
	s.guard.Unlock()
	s.noted("taken")
	if what == 0 {
		return // nobody looks at it
	}
	r, err := s.until(ctx, id, func(r *requests.Request) bool {
		return r.State != requests.Submitted && (r.State != requests.Pending || r.Messages[string(requests.Card)].Ref != "")
	})
	if err != nil || r.State != requests.Pending {
		return
	}
	if err := s.decide(ctx, i, r, decision); err != nil {
		s.noted("not decided")
	}
}

// ask has an engineer make a request, and gives its ID once the bot has taken it.
func (s *soak) ask(ctx context.Context, who, project, value string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := s.w.slack.Person(who)
	if _, err := p.Command(ctx, incidents, command, "update "+project+" PAGER_DUTY"); err != nil {
		return "", err
	}
	form, cancelForm := context.WithTimeout(ctx, 5*time.Second)
	defer cancelForm()
	view, err := p.WaitView(form, func(v slacksim.View) bool {
		return v.CallbackID == "update_integration" && !strings.Contains(string(v.JSON), "Reading")
	})
	if err != nil {
		return "", err
	}
	if err := errors.Join(p.Select(ctx, "region", "EU"), p.Type("serviceKey", value), p.Type("reason", "soak")); err != nil {
		return "", err
	}
	result, err := p.Submit(ctx)
	switch {
	case err != nil:
		return "", err
	case result.Trouble != "" || len(result.Errors) > 0:
		return "", fmt.Errorf("refused: %s %v", result.Trouble, result.Errors)
	}
	return requests.RequestID(slacksim.TeamID, view.ID), nil
}

// decide has the approver approve most requests and deny some, and the requester
// take back a few.
func (s *soak) decide(ctx context.Context, i int, r *requests.Request, decision int) error {
	channel, ts, _ := strings.Cut(r.Messages[string(requests.Card)].Ref, ":")
	card := slacksim.Message{Channel: channel, TS: ts}
	approver := s.w.slack.Person(approverID(i))
	switch decision {
	case 0:
		_, err := s.w.slack.Person(engineerID(i)).Command(ctx, incidents, command, "cancel "+r.ID)
		return err
	case 1:
		if err := approver.Click(ctx, card, "deny"); err != nil {
			return err
		}
		form, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := approver.WaitView(form, func(slacksim.View) bool { return true }); err != nil {
			return err
		}
		if err := approver.Type("reason", "not now"); err != nil {
			return err
		}
		_, err := approver.Submit(ctx)
		return err
	case 2: // twice at once, as a thumb does
		other := make(chan error, 1)
		go func() { other <- approver.Click(ctx, card, "approve") }()
		return errors.Join(approver.Click(ctx, card, "approve"), <-other)
	default:
		return approver.Click(ctx, card, "approve")
	}
}

// until waits for a request to be as it should be.
func (s *soak) until(ctx context.Context, id string, is func(*requests.Request) bool) (*requests.Request, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := s.store.Get(ctx, id)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err == nil && is(r) {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// fault is something that fails, for a call or a few.
func (s *soak) fault(chance *rand.Rand) {
	put := atlassim.Match{Method: http.MethodPut}
	faults := []struct {
		name string
		do   func()
	}{
		{"Atlas 429", func() {
			s.w.atlas.Fail(atlassim.Match{}, atlassim.Fault{Kind: atlassim.Refuse, Status: http.StatusTooManyRequests, RetryAfter: time.Second}, 3)
		}},
		{"Atlas 500", func() { s.w.atlas.Fail(put, atlassim.Fault{Kind: atlassim.Refuse, Status: 500}, 2) }},
		{"Atlas 503 after it was done", func() { s.w.atlas.Fail(put, atlassim.Fault{Kind: atlassim.RefuseAfterApply, Status: 503}, 2) }},
		{"Atlas resets before", func() { s.w.atlas.Fail(put, atlassim.Fault{Kind: atlassim.ResetBeforeApply}, 2) }},
		{"Atlas resets after", func() { s.w.atlas.Fail(put, atlassim.Fault{Kind: atlassim.ResetAfterApply}, 2) }},
		{"Slack refreshes", func() { s.w.slack.Refresh("refresh_requested") }},
		{"Slack limits updates", func() {
			s.w.slack.Fail("chat.update", 3, slacksim.Failure{Error: "ratelimited", RetryAfter: time.Second})
		}},
		{"Slack fails to post", func() { s.w.slack.Fail("chat.postMessage", 1, slacksim.Failure{Error: "internal_error"}) }},
	}
	f := faults[chance.IntN(len(faults))]
	s.noted(f.name)
	f.do()
}

// restart stops or kills a replica and starts another in its place.
func (s *soak) restart(chance *rand.Rand) {
	i := chance.IntN(len(s.replicas))
	old := s.replicas[i]
	if chance.IntN(2) == 0 {
		s.noted("a replica is killed")
		old.kill()
	} else {
		s.noted("a replica is stopped")
		begun := time.Now()
		_ = old.cmd.Process.Signal(syscall.SIGTERM)
		<-old.done
		if took := time.Since(begun); took > 10*time.Second {
			s.t.Errorf("the bot took %s to end", took)
		}
	}
	s.replicas[i] = s.w.launch(s.t)
}

// settle takes back what nobody decided, and waits until everything is over. There
// may be more than was seen to be taken: an answer can get lost on its way.
func (s *soak) settle() {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for {
		open, err := s.store.Undecided(ctx, 0, 100)
		require.NoError(s.t, err)
		if len(open) == 0 {
			break
		}
		for _, r := range open {
			s.takeBack(ctx, r)
		}
	}
	idle := eventually(ctx, s.w, func() bool {
		const prefix = "{aib:" + slacksim.TeamID + "}:"
		return s.store.Redis.Exists(ctx, prefix+"due", prefix+"show", prefix+"open").Val() == 0
	})
	require.True(s.t, idle, "something is left to do")
	for id := range s.taken {
		r, err := s.until(ctx, id, func(r *requests.Request) bool {
			card, shown := r.Messages[string(requests.Card)] // whoever takes back at once leaves none
			return !r.State.Open() && r.Messages[string(requests.DM)].Version == r.Version && (!shown || card.Version == r.Version)
		})
		require.NoError(s.t, err, "%s was taken, and is lost, does not come to its end, or people are not told: %s, version %d, %+v", id, r.State, r.Version, r.Messages)
	}
}

// takeBack cancels what waits, again if nothing comes of it: what was on its way to a
// replica that was killed is lost, and its requester was told so.
func (s *soak) takeBack(ctx context.Context, r *requests.Request) {
	for r.State.Open() && ctx.Err() == nil {
		if r.State == requests.Pending || r.State == requests.Submitted {
			// Whether it was heard shows the request itself.
			_, _ = s.w.slack.Person(r.Requester).Command(ctx, incidents, command, "cancel "+r.ID)
		}
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		now, err := s.until(soon, r.ID, func(r *requests.Request) bool { return !r.State.Open() })
		cancel()
		if now != nil {
			r = now
		}
		if err != nil && ctx.Err() != nil {
			require.NoError(s.t, err, "%s does not come to its end: it is %s, %q; the replicas say:\n%s", r.ID, r.State, r.Trouble, s.linesOf(r.ID))
		}
	}
}

// linesOf are the lines that the replicas have logged about a request.
func (s *soak) linesOf(id string) string {
	var found strings.Builder
	for _, p := range append([]*process{s.veteran}, s.replicas...) {
		for line := range strings.Lines(p.logs.String()) {
			if strings.Contains(line, id) {
				found.WriteString("log: " + line)
			}
		}
	}
	return found.String()
}

// check holds what came out against what was promised.
func (s *soak) check() {
	ctx := s.t.Context()
	applied, ends, all := map[string]int{}, map[requests.State]int{}, 0
	for {
		page, err := s.store.Decided(ctx, all, 500)
		require.NoError(s.t, err)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			ends[r.State]++
			if r.State == requests.Applied {
				applied[r.Targets[0].ID]++
			}
		}
		all += len(page)
	}
	assert.GreaterOrEqual(s.t, all, len(s.taken), "what was taken is in history")
	for _, p := range s.w.atlas.Projects() {
		assert.Equal(s.t, applied[p.ID], s.w.atlas.Effects(p.ID, "PAGER_DUTY"), "%s: one effective change for each request that was applied, and no other", p.Name)
	}
	assert.Positive(s.t, ends[requests.Applied])

	const prefix = "{aib:" + slacksim.TeamID + "}:"
	keys, err := s.store.Redis.Keys(ctx, prefix+"*").Result()
	require.NoError(s.t, err)
	kinds := map[string]int{}
	for _, key := range keys {
		kind, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), ":")
		kinds[kind]++
	}
	assert.Zero(s.t, kinds["sealed"], "no sealed value is left")
	assert.Equal(s.t, all, kinds["request"], "one record for each request")
	assert.LessOrEqual(s.t, kinds["person"], pairs, "a list for each person")
	assert.LessOrEqual(s.t, kinds["project"], len(s.w.atlas.Projects()), "a list for each project")
	assert.LessOrEqual(s.t, kinds["open"], len(s.w.atlas.Projects()), "what is open for each target")
	assert.LessOrEqual(s.t, kinds["under_way"], pairs, "what each person has under way")
	assert.LessOrEqual(s.t, kinds["head"], 1, "that the head of the trail is posted, which begins after some seconds")
	for _, kind := range []string{"request", "person", "project", "open", "under_way", "head"} {
		delete(kinds, kind)
	}
	assert.Equal(s.t, map[string]int{"audit": 1, "history": 1, "started": 1}, kinds, "and nothing else")

	goroutines, memory := s.metric(s.veteran, "go_goroutines"), s.metric(s.veteran, "process_resident_memory_bytes")
	// Idle connections to Redis, Slack and Atlas have two each, and are bounded.
	assert.Less(s.t, goroutines, s.begun+150, "goroutines, after %v at the start", s.begun)
	assert.Less(s.t, memory, 200.0*(1<<20), "memory")
	s.t.Logf("%d requests, of which %d were seen to be taken: %v; %v", all, len(s.taken), ends, s.count)
	s.t.Logf("the bot that was never stopped: %.0f goroutines after %.0f, %.1f MiB", goroutines, s.begun, memory/(1<<20))
}

// metric reads one number that a replica says of itself.
func (s *soak) metric(p *process, name string) float64 {
	answer, err := http.Get("http://" + p.addr + "/metrics") //nolint:noctx // of this machine
	require.NoError(s.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(body)
	require.NotNil(s.t, found, "%s in the metrics", name)
	value, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(s.t, err)
	return value
}
