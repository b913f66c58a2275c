package atlassim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// An apiError is a refusal in the form that Atlas gives it.
type apiError struct {
	status     int
	code       string // none: the answer has no body
	detail     string
	parameters []any
	violations []violation
	retryAfter time.Duration
}

// A violation is one entry of an error's badRequestDetail.
type violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

func refuse(status int, code, detail string, parameters ...any) *apiError {
	return &apiError{status: status, code: code, detail: detail, parameters: parameters}
}

func badRequest(code, detail string, parameters ...any) *apiError {
	return refuse(http.StatusBadRequest, code, detail, parameters...)
}

// answer is the error as Atlas sends it.
func (e *apiError) answer() *answer {
	a := &answer{status: e.status, code: e.code, header: http.Header{}}
	if e.retryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(wholeSeconds(e.retryAfter)))
	}
	if e.code == "" {
		return a
	}
	parameters := e.parameters
	if parameters == nil {
		parameters = []any{}
	}
	body := map[string]any{
		"detail":     e.detail,
		"error":      e.status,
		"errorCode":  e.code,
		"parameters": parameters,
		"reason":     http.StatusText(e.status),
	}
	if len(e.violations) > 0 {
		body["badRequestDetail"] = map[string]any{"fields": e.violations}
	}
	a.header.Set("Content-Type", "application/json")
	a.header.Set("X-Error-Code", e.code)
	a.body = encode(body, false)
	return a
}

// encode makes JSON of values that can always be made JSON.
func encode(v any, pretty bool) []byte {
	var b []byte
	var err error
	if pretty {
		b, err = json.MarshalIndent(v, "", "  ")
	} else {
		b, err = json.Marshal(v)
	}
	if err != nil {
		panic("atlassim: encode an answer: " + err.Error())
	}
	return b
}
