package atlas

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRefusal: whatever Atlas, or what stands before it, answers to a PUT that it
// refuses: no panic, no part of the key, and never more than fits a message.
func FuzzRefusal(f *testing.F) {
	secretKey := strings.Repeat("0123456789", 3)[:26] // not of any vendor's form
	for _, seed := range []struct{ media, body, retry string }{
		{"application/json", `{"error":400,"errorCode":"INVALID_INTEGRATION_SETTINGS","detail":"bad key ` + secretKey + `","parameters":["PAGER_DUTY",1,null,{}]}`, ""},
		{"application/vnd.atlas.2023-01-01+json", `{"detail":null,"badRequestDetail":{"fields":[{"field":"serviceKey","description":"` + base64.StdEncoding.EncodeToString([]byte(secretKey)) + `"}]}}`, "120"},
		{"text/html", "<html>Bad gateway</html>", "Wed, 21 Oct 2099 07:28:00 GMT"},
		{"text/plain; charset=utf-8", secretKey[3:15], "-1"},
		{"", "", "x"},
		{"application/json", `[]`, "999999999999"},
	} {
		f.Add(503, seed.media, seed.body, seed.retry)
	}
	f.Fuzz(func(t *testing.T, status int, media, body, retry string) {
		header := http.Header{"Content-Type": {media}, "Retry-After": {retry}, "Location": {body}}
		e := (&call{op: "put PAGER_DUTY"}).refusal(
			&http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(body)))}, hidden{{text: secretKey}})
		said := e.Error() + e.Advice() + e.Detail + e.Code + strings.Join(e.Parameters, " ")
		for _, field := range e.Fields {
			said += field.Field + field.Say
		}
		for i := 0; i+gram <= len(secretKey); i++ {
			if strings.Contains(strings.ToLower(said), secretKey[i:i+gram]) {
				t.Fatal("a part of the key is repeated") // which, is not for a log
			}
		}
		if utf8.RuneCountInString(said) > 40*longest || e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
			t.Fatalf("%d characters, to be tried again after %s", utf8.RuneCountInString(said), e.RetryAfter)
		}
	})
}
