package approvals

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// mostAsked bounds how many submissions a process remembers.
const mostAsked = 4096

// submissions remembers what was asked for, by ID: it is in every answer of Redis about a
// request and never changes, so it is decoded once. The zero value remembers nothing yet.
type submissions struct {
	guard sync.Mutex
	known map[string]remembered
}

// remembered is a submission as it was stored, and what that says. Nobody changes it.
type remembered struct {
	doc string
	sub *Submission
}

func (s *submissions) find(id string) remembered {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.known[id]
}

func (s *submissions) keep(id string, r remembered) {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.known == nil || len(s.known) >= mostAsked {
		s.known = map[string]remembered{}
	}
	s.known[id] = r
}

// Asked is what was asked for with a request. It may be of a request that is gone by
// now: what is done with it then says so. Who is given it must not change it.
func (s *Store) Asked(ctx context.Context, id string) (*Submission, error) {
	if known := s.asked.find(id); known.sub != nil {
		return known.sub, nil
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &r.Submission, nil
}

// decode reads a record. What was asked for is decoded only if this process has not
// seen it before, to the letter.
func (s *Store) decode(id string, fields map[string]string, now time.Time) (*Request, error) {
	known, doc := s.asked.find(id), fields["doc"]
	if known.sub == nil || known.doc != doc {
		known = remembered{doc, new(Submission)}
		if err := json.Unmarshal([]byte(doc), known.sub); err != nil {
			return nil, fmt.Errorf("read request %s: the record in Redis is not readable: %w", id, err)
		}
		if known.sub.ID == id {
			s.asked.keep(id, known)
		}
	}
	return decodeRequest(known, fields, now)
}
