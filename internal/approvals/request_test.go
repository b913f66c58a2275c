package approvals

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Whatever stands in Redis is read, or is an error; what was read can be looked at
// without a panic, and is no larger than the record was.
func FuzzDecodeRequest(f *testing.F) {
	doc := `{"id":"req_7Q2M4KX9TB","type":"PAGER_DUTY","targets":[{"id":"a","name":"b"}],"needed":1,"secrets":{"serviceKey":{"mask":{"length":32,"lastFour":"beef"}}}}`
	f.Add(doc, "pending", "outcome:a", "applied")
	f.Add(doc, "failed", "baseline:a", `{"type":"PAGER_DUTY","masks":{"serviceKey":{"length":32,"lastFour":"beef"}},"unknown":["x"]}`)
	f.Add(doc, "applied", "result:a", `{"detail":"x","at":"2026-01-02T03:04:05Z"}`)
	f.Add(doc, "pending", "vote:U0JO", "1795442700000")
	f.Add(doc, "pending", "message:card", `{"ref":"C:1","version":3}`)
	f.Add("{}", "", "baseline:", "null")
	f.Add("[]", "nothing", "tries", "9223372036854775808")
	f.Fuzz(func(t *testing.T, doc, state, field, value string) {
		r, err := (&Store{}).decode("req_7Q2M4KX9TB", map[string]string{"doc": doc, "state": state, field: value}, time.UnixMilli(1))
		if err != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil || len(text) > 2000+12*(len(doc)+len(state)+len(field)+len(value)) {
			t.Fatalf("%d bytes were read from %d: %v", len(text), len(doc)+len(value), err)
		}
		_, _, _ = r.Catalog(), r.Retryable(), r.ApprovedBy("U0JO")
		for _, say := range r.Doubts() {
			if strings.TrimSpace(say) == "" {
				t.Fatal("a doubt that says nothing")
			}
		}
		for _, project := range r.Targets {
			_ = r.Target(project.ID)
		}
	})
}

// An ID is read as people type it, and never as another.
func FuzzParseRequestID(f *testing.F) {
	for _, seed := range []string{"req_7Q2M4KX9TB", "`7q2m4kx9tb`", "REQ_7Q2M4KX9TB", "req_", "req_7Q2M4KX9TI", "<req_7Q2M4KX9TB>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		id, ok := ParseRequestID(typed)
		if !ok {
			return
		}
		again, ok := ParseRequestID(id)
		if !ok || again != id || len(id) != len("req_7Q2M4KX9TB") {
			t.Fatalf("%q is read as %q, and that as %q", typed, id, again)
		}
	})
}
