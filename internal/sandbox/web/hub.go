package web

import "sync"

// A hub tells every open page that something changed. What changed it does not
// say: pages ask for their parts anew, and draw what is different.
type hub struct {
	mu      sync.Mutex
	waiting map[chan struct{}]bool
}

func (h *hub) subscribe() (changed <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[chan struct{}]bool{}
	}
	h.waiting[c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting, c)
	}
}

func (h *hub) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.waiting {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}
