// Package drive has people use a bot, many at a time: they stand at the stand-in for
// Slack, and what comes of it is seen at the stand-in for Atlas. It knows the bot by
// its command, its action IDs and the words on its card only, so that it drives any
// bot of that form.
package drive

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// Where people are, and what they use.
const (
	Approvals = "C0APPROVAL"
	incidents = "C0INCIDENT"
	command   = "/atlas-integration"
	approver  = "U0APPROVER"
	typ       = "PAGER_DUTY"
	keyInput  = "serviceKey"
)

// A World is the two stand-ins, without rate limits, with one engineer and one
// project for each flow that may be under way.
type World struct {
	Slack *slacksim.Server
	Atlas *atlassim.Server

	seats   []*seat
	cancels []func()

	mu     sync.Mutex
	figure *Figures // nil: nobody measures
	last   string   // ID of the request on the newest card
}

// A seat is one engineer with a project of their own, so that flows do not wait for
// each other's locks.
type seat struct {
	person  *slacksim.Person
	project string
	turn    int

	form    chan struct{}
	card    chan string // timestamps of messages
	applied chan struct{}

	mu      sync.Mutex
	shown   string // the card that was clicked
	clicked time.Time
}

// NewWorld starts the stand-ins with so many seats.
func NewWorld(seats int) (*World, error) {
	w := &World{}
	var err error
	if w.Slack, err = slacksim.New(slacksim.Options{NoRateLimits: true}); err != nil {
		return nil, err
	}
	if w.Atlas, err = atlassim.New(atlassim.Options{NoRateLimits: true}); err != nil {
		return nil, errors.Join(err, w.Slack.Close())
	}
	for i := range seats {
		user, project, id := userOf(i), projectOf(i), projectIDOf(i)
		w.Slack.SetUser(user, func(u *slacksim.User) { u.Name = user })
		err = errors.Join(err, w.Atlas.AddProject(id, project), w.Atlas.Seed(id, atlassim.Sample(typ, project)))
		w.seats = append(w.seats, &seat{
			person: w.Slack.Person(user), project: project,
			form: make(chan struct{}, 1), card: make(chan string, 1), applied: make(chan struct{}, 1),
		})
	}
	w.cancels = []func(){w.Slack.Subscribe(w.seen), w.Atlas.Subscribe(w.called)}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// LastRequest is the ID of the request that came to be asked for last.
func (w *World) LastRequest() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Names are the words that are each seat's own: user, project and its ID.
func Names(seats int) [][]string {
	names := make([][]string, 3)
	for i := range seats {
		for k, name := range []string{userOf(i), projectOf(i), projectIDOf(i)} {
			names[k] = append(names[k], name)
		}
	}
	return names
}

const firstID = 0x10ad0000

func userOf(seat int) string      { return fmt.Sprintf("U0LOAD%04d", seat) }
func projectOf(seat int) string   { return fmt.Sprintf("load-%04d", seat) }
func projectIDOf(seat int) string { return fmt.Sprintf("%024x", firstID+seat) }

// Close ends the stand-ins.
func (w *World) Close() error {
	for _, cancel := range w.cancels {
		cancel()
	}
	return errors.Join(w.Slack.Close(), w.Atlas.Close())
}

// Environment is what a bot has to be told of this world.
func (w *World) Environment() []string {
	return []string{
		"SLACK_API_URL=" + w.Slack.APIURL(),
		"SLACK_APP_TOKEN=" + w.Slack.AppToken(),
		"SLACK_BOT_TOKEN=" + w.Slack.BotToken(),
		"SLACK_APPROVALS_CHANNEL=" + Approvals,
		"SLACK_APPROVERS=" + approver,
		"MONGODB_ATLAS_BASE_URL=" + w.Atlas.URL(),
		"MONGODB_ATLAS_CLIENT_ID=" + w.Atlas.ClientID(),
		"MONGODB_ATLAS_CLIENT_SECRET=" + w.Atlas.ClientSecret(),
	}
}

var (
	seatOfProject = regexp.MustCompile(`load-(\d{4})`)
	appliedWord   = regexp.MustCompile(`\bapplied\b`)
)

// reading is what a form says while the bot still asks Atlas what there is: what is
// typed before it is complete would be lost with it.
var reading = []byte("Reading what Atlas has now")

// seen takes what happens at Slack, one event at a time, to whoever waits for it.
func (w *World) seen(e slacksim.Event) {
	switch e.Kind {
	case "ack":
		w.measure(func(f *Figures) { f.acked(e.About, e.Took) })
	case "view":
		if bytes.Contains(e.JSON, []byte(`"`+keyInput+`"`)) && !bytes.Contains(e.JSON, reading) {
			if s := w.seatOf(e.Actor[len("U0LOAD"):]); s != nil {
				offer(s.form, struct{}{})
			}
		}
	case "message":
		w.message(e)
	}
}

func (w *World) message(e slacksim.Event) {
	m, ok := readMessage(e.JSON)
	if !ok || m.Channel != Approvals {
		return
	}
	named := seatOfProject.FindSubmatch(e.JSON)
	if named == nil {
		return
	}
	s := w.seatOf(string(named[1]))
	button, asks := slacksim.Message{Blocks: m.Blocks}.Button("approve")
	switch {
	case s == nil:
	case asks:
		w.mu.Lock()
		w.last = button.Value
		w.mu.Unlock()
		offer(s.card, m.TS)
	case s.waitsFor(m.TS) && appliedWord.Match(m.Blocks):
		offer(s.applied, struct{}{})
	}
}

// called takes what happens at Atlas: a PUT that follows a click.
func (w *World) called(c atlassim.Call) {
	if c.Method != http.MethodPut || !c.Applied {
		return
	}
	id, err := strconv.ParseInt(c.GroupID, 16, 64)
	seat := int(id) - firstID
	if err != nil || seat < 0 || seat >= len(w.seats) {
		return
	}
	s := w.seats[seat]
	s.mu.Lock()
	clicked := s.clicked
	s.mu.Unlock()
	w.measure(func(f *Figures) { f.put(c.At.Sub(clicked)) })
}

func (w *World) seatOf(digits string) *seat {
	i, err := strconv.Atoi(digits)
	if err != nil || i >= len(w.seats) {
		return nil
	}
	return w.seats[i]
}

func (w *World) measure(note func(*Figures)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.figure != nil {
		note(w.figure)
	}
}

// Measure has figures collected while f runs.
func (w *World) Measure(figures *Figures, f func() error) error {
	w.mu.Lock()
	w.figure = figures
	w.mu.Unlock()
	err := f()
	w.mu.Lock()
	w.figure = nil
	w.mu.Unlock()
	return err
}

func (s *seat) waitsFor(ts string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown == ts
}

// offer puts a value into a channel that holds one, in the place of an older one.
func offer[V any](c chan V, value V) {
	select {
	case <-c:
	default:
	}
	c <- value
}
