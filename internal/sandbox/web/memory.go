package web

import (
	"maps"
	"sync"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// memory is what clients keep by themselves: what they said, and what was read.
type memory struct {
	mu      sync.Mutex
	notices map[string]string            // by person: what their client last said
	errors  map[string]map[string]string // by view and block ID: what a submission got back
	seen    map[seat]string              // the newest message that somebody saw in a place
	keys    map[string][]key             // by request: what was typed into its secret inputs
}

// A key is what somebody typed as a secret. The sandbox keeps it to show where it
// went, and where it did not.
type key struct{ label, value string }

func newMemory() memory {
	return memory{
		notices: map[string]string{}, errors: map[string]map[string]string{}, seen: map[seat]string{}, keys: map[string][]key{},
	}
}

func (p *Page) notice(person string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.notices[person]
}

func (p *Page) say(person, notice string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notices[person] = notice
}

func (p *Page) errorsOf(view string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.errors[view])
}

func (p *Page) setErrors(view string, errors map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors[view] = errors
}

func (p *Page) keysOf(request string) []key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[request]
}

func (p *Page) keepKeys(view string, keys []key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[approvals.RequestID(slacksim.TeamID, view)] = keys
}

func (p *Page) newest(person, place string) string {
	newest := ""
	for _, m := range p.s.Slack.Person(person).Messages(place) {
		newest = max(newest, m.TS)
	}
	return newest
}

// read notes that somebody has seen all that there is in a place.
func (p *Page) read(person, place string) {
	newest := p.newest(person, place)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[seat{person, place}] = newest
}

func (p *Page) unread(person, place string) bool {
	newest := p.newest(person, place)
	p.mu.Lock()
	defer p.mu.Unlock()
	return newest > p.seen[seat{person, place}]
}
