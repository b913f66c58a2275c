package atlas

import (
	"io"
	"net/http"
	"sync"
)

// A payload is a body that holds secrets. It is wiped when nobody reads it any
// more, which may be after the call: net/http can have the answer while it still
// sends.
type payload struct {
	mu      sync.Mutex
	data    []byte
	readers int
	done    bool
}

// open reads the payload from its start, for http.Request.GetBody.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil, http.ErrBodyReadAfterClose
	}
	p.readers++
	return &payloadReader{p: p}, nil
}

// wipe ends the payload; the last reader to close takes the bytes along.
func (p *payload) wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	p.clear()
}

func (p *payload) clear() {
	if p.done && p.readers == 0 {
		clear(p.data)
	}
}

type payloadReader struct {
	p      *payload
	at     int
	closed bool
}

func (r *payloadReader) Read(b []byte) (int, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case r.at == len(r.p.data):
		return 0, io.EOF
	}
	n := copy(b, r.p.data[r.at:])
	r.at += n
	return n, nil
}

func (r *payloadReader) Close() error {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.p.readers--
		r.p.clear()
	}
	return nil
}
