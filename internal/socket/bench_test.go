package socket

import (
	"encoding/json"
	"strings"
	"testing"
)

// BenchmarkDecodeEnvelope is a submission as it comes from Slack, with the whole view.
func BenchmarkDecodeEnvelope(b *testing.B) {
	block := `{"type":"input","block_id":"PAGER_DUTY.region.1","label":{"type":"plain_text","text":"Region","emoji":true},"element":{"type":"static_select","action_id":"region"}}`
	view := `{"type":"view_submission","view":{"id":"V1","blocks":[` + strings.Repeat(block+",", 60) + block + `]}}`
	data, err := json.Marshal(map[string]any{
		"envelope_id": "8d5e1f1c-0000-4000-8000-000000000000", "type": "interactive", "accepts_response_payload": true, "payload": json.RawMessage(view),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := decode(data); !ok {
			b.Fatal("it is not read")
		}
	}
}

func BenchmarkEncodeAck(b *testing.B) {
	payload := map[string]string{"response_action": "update", "text": strings.Repeat("x", 2000)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode("8d5e1f1c-0000-4000-8000-000000000000", payload); err != nil {
			b.Fatal(err)
		}
	}
}
