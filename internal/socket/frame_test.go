package socket

import (
	"encoding/json"
	"testing"
)

// FuzzFrame: whatever arrives on a connection, no panic; a frame that is whole has the
// ID by which it would be acked if it were not.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`{"envelope_id":"e1","type":"slash_commands","accepts_response_payload":true,"payload":{"text":"help"}}`,
		`{"envelope_id":"e1","type":"interactive","retry_attempt":1,"retry_reason":"timeout","payload":null}`,
		`{"type":"disconnect","reason":"refresh_requested","debug_info":{"host":"x"}}`,
		`{"type":"hello","num_connections":1,"connection_info":{"app_id":"A0"}}`,
		`{"envelope_id":"e1","payload":{"text":`, `{"envelope_id":1}`, `[]`, `{"envelope_id":"a","envelope_id":"b"}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got frame
		var h hello
		_ = json.Unmarshal(data, &h)
		whole := json.Unmarshal(data, &got) == nil
		found := envelopeID(data)
		if len(found) > 3*len(data) {
			t.Fatal("an ID that is longer than its frame") // what is not UTF-8 takes three bytes instead of one
		}
		var exact map[string]json.RawMessage
		var id string
		if whole && json.Unmarshal(data, &exact) == nil && json.Unmarshal(exact["envelope_id"], &id) == nil && id != "" && found == "" {
			t.Fatal("a frame that is whole has an ID that is not found")
		}
	})
}
