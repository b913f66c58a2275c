package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
)

// echoing are the methods that answer with the whole view or message that they were
// sent.
var echoing = []string{"chat.postEphemeral", "chat.postMessage", "chat.update", "views.open", "views.publish", "views.update"}

// mostEcho is more than the largest view or message comes back with.
const mostEcho = 1 << 20

// An echo is what the bot wants to know of such an answer.
type echo struct {
	OK        bool            `json:"ok"`
	Error     string          `json:"error,omitempty"`
	Warning   string          `json:"warning,omitempty"`
	Errors    json.RawMessage `json:"errors,omitempty"`
	Metadata  json.RawMessage `json:"response_metadata,omitempty"`
	Needed    string          `json:"needed,omitempty"`
	Provided  string          `json:"provided,omitempty"`
	Channel   string          `json:"channel,omitempty"`
	TS        string          `json:"ts,omitempty"`
	MessageTS string          `json:"message_ts,omitempty"`
	View      *echoedView     `json:"view,omitempty"`
}

type echoedView struct {
	ID   string `json:"id"`
	Hash string `json:"hash"`
}

// withoutEcho takes out of answers what the bot has just sent: slack-go would decode
// it block by block, which was a quarter of all that the bot did.
func withoutEcho(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusOK || !slices.Contains(echoing, path.Base(req.URL.Path)) {
			return resp, err
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, mostEcho))
		rest := io.Reader(resp.Body) // what is longer stays as it is
		if err != nil {
			rest = broken{err}
		} else if short, ok := shorten(text); ok {
			text = short
		}
		resp.Body = body{io.MultiReader(bytes.NewReader(text), rest), resp.Body}
		return resp, nil
	})
}

func shorten(text []byte) (short []byte, ok bool) {
	var e echo
	if json.Unmarshal(text, &e) != nil {
		return nil, false
	}
	short, err := json.Marshal(e)
	return short, err == nil
}
