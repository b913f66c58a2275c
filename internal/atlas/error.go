package atlas

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// An Error is a refusal by Atlas. Its texts are Atlas' own, made fit to be seen:
// no secret, no control characters, not too long.
type Error struct {
	Op         string // what was refused, like "put DATADOG"
	Project    string // its ID; empty where no project is concerned
	Status     int    // of HTTP
	Code       string // Atlas' errorCode, or the error of OAuth; empty if the answer has none
	Detail     string
	Parameters []string
	Fields     []FieldError
	RetryAfter time.Duration // how long Atlas wants to be left alone; 0: it does not say
}

// A FieldError is what Atlas says of one field of what was sent.
type FieldError struct{ Field, Say string }

// Error reads like "put DATADOG: atlas 403 USER_UNAUTHORIZED: detail".
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: atlas %d", e.Op, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Answer is the answer in short, like "403 USER_UNAUTHORIZED".
func (e *Error) Answer() string {
	if e.Code == "" {
		return strconv.Itoa(e.Status)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Code)
}

// Temporary reports whether the same call may be answered otherwise later. After a
// temporary refusal with a status of 500 or more, a change may have been made.
func (e *Error) Temporary() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout ||
		e.Code == "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"
}

const (
	maxNotes      = 10 // parameters and fields that are kept of an error
	maxRetryAfter = time.Hour
)

var codeForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

// apiError is the body of a refusal. Everything in it but the code may be missing,
// null or, in parameters, of any type.
type apiError struct {
	Code       string `json:"errorCode"`
	Detail     string `json:"detail"`
	Reason     string `json:"reason"`
	Parameters []any  `json:"parameters"`
	BadRequest struct {
		Fields []struct {
			Field       string `json:"field"`
			Description string `json:"description"`
		} `json:"fields"`
	} `json:"badRequestDetail"`
}

// refusal reads the answer to a call that Atlas refused.
func (call *call) refusal(resp *http.Response, conceal hidden) *Error {
	e := &Error{
		Op: call.op, Project: call.project, Status: resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
	}
	if resp.StatusCode < 400 {
		e.Detail = "redirected, and redirects are not followed"
		if to, err := url.Parse(resp.Header.Get("Location")); err == nil && to.Host != "" {
			e.Detail = conceal.scrub("redirected to " + to.Host + ", and redirects are not followed")
		}
		return e
	}
	// What can be read of the body is a bonus: the status alone is an answer. After
	// a digest login without a challenge the body is closed already.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorAnswer))
	var said apiError
	switch media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case isJSON(resp.Header) && json.Unmarshal(body, &said) == nil:
		e.quote(&said, conceal)
	case media == "text/plain":
		e.Detail = strings.TrimSpace(conceal.scrub(string(body)))
	}
	return e
}

func (e *Error) quote(said *apiError, conceal hidden) {
	e.Code = code(said.Code, conceal)
	e.Detail = conceal.scrub(said.Detail)
	if e.Detail == "" {
		e.Detail = conceal.scrub(said.Reason)
	}
	for _, p := range said.Parameters[:min(len(said.Parameters), maxNotes)] {
		switch p := p.(type) {
		case string:
			e.Parameters = append(e.Parameters, conceal.scrub(p))
		case float64:
			e.Parameters = append(e.Parameters, conceal.scrub(strconv.FormatFloat(p, 'f', -1, 64)))
		}
	}
	fields := said.BadRequest.Fields
	for _, f := range fields[:min(len(fields), maxNotes)] {
		e.Fields = append(e.Fields, FieldError{Field: conceal.scrub(f.Field), Say: conceal.scrub(f.Description)})
	}
}

// code keeps a code only if it looks like one.
func code(text string, conceal hidden) string {
	if !codeForm.MatchString(text) || conceal.scrub(text) != text {
		return ""
	}
	return text
}

// tokenError is the error of a request for a token. The error of x/oauth2 holds the
// body of the answer, so it goes no further.
func tokenError(op string, err error, conceal hidden) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return &Error{
			Op: op, Status: refused.Response.StatusCode,
			Code:       code(refused.ErrorCode, conceal),
			Detail:     conceal.scrub(refused.ErrorDescription),
			RetryAfter: retryAfter(refused.Response.Header.Get("Retry-After")),
		}
	}
	var unreachable *url.Error
	if errors.As(err, &unreachable) {
		return &fault{text: op + ": " + conceal.scrub(unreachable.Err.Error()), cause: unreachable.Err}
	}
	return errors.New(op + ": the answer holds no token")
}

// retryAfter reads the header, in seconds or as a date.
func retryAfter(header string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}
