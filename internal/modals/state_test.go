package modals_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestStateIsReadLeniently(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{
		`null`, `{}`, `[]`, `""`, `{"values":null}`, `{"values":[]}`, `{"values":{}}`, `{"values":{"reason":null}}`, `{"values":{"reason":[]}}`,
		`{"values":{"reason":{"reason":null}}}`, `{"values":{"reason":{"reason":{"value":null}}}}`, `{"values":{"reason":{"reason":{"value":7}}}}`,
		`{"values":{"type":{"type":{"selected_option":null}}}}`, `{"values":{"type":{"type":{"selected_option":[]}}}}`,
		`{"values":{"project":{"project":{"selected_options":{}}}}}`, `{"values":{"project":{"project":{"selected_options":[null,1,{}]}}}}`,
		`{"values":{"DATADOG.":{"":{}},"DATADOG.region":{"region":{}},"DATADOG.apiKey.1":{"apiKey":{"value":"x"}},"DATADOG.region.-1":{},".":{}}}`,
	} {
		var s modals.State
		require.NoError(t, json.Unmarshal([]byte(empty), &s), empty)
		in := modals.ReadForm(s)
		assert.Empty(t, in.Projects, empty)
		assert.Nil(t, in.Type, empty)
		assert.Empty(t, in.Reason, empty)
		assert.Empty(t, modals.ReadDeny(s), empty)
	}
}

func TestRepeatedProjectsCountOnce(t *testing.T) {
	t.Parallel()
	var s modals.State
	require.NoError(t, json.Unmarshal([]byte(`{"values":{"project":{"project":{"selected_options":[{"value":"a"},{"value":"b"},{"value":"a"}]}}}}`), &s))
	assert.Equal(t, []string{"a", "b"}, modals.ReadForm(s).Projects)
}

func TestDenyForm(t *testing.T) {
	t.Parallel()
	r := newRequest()
	view := modals.DenyView(r)
	golden(t, "deny", view)
	var s modals.State
	require.NoError(t, json.Unmarshal(person{"reason": " not now "}.fill(t, view), &s))
	assert.Equal(t, "not now", modals.ReadDeny(s))
	assert.Empty(t, modals.CheckDeny("not now"))
	for _, bad := range []string{"", strings.Repeat("x", 1001), "take " + strings.Repeat("0F", 16)} {
		for block := range modals.CheckDeny(bad) {
			assert.Contains(t, inputs(t, view), block)
		}
		assert.Len(t, modals.CheckDeny(bad), 1)
	}
	id, ok := modals.RequestOf(view.PrivateMetadata)
	assert.True(t, ok)
	assert.Equal(t, r.ID, id)
	_, ok = modals.RequestOf("anything")
	assert.False(t, ok)
}

// Whatever Slack, or somebody who passes for it, sends: no panic, no error at a
// block that the view does not have, no word of it in an error.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"values":{"type":{"type":{"selected_option":{"value":"PAGER_DUTY"}}},"PAGER_DUTY.serviceKey":{"serviceKey":{"value":"abc"}}}}`))
	f.Add([]byte(`{"values":{"project":{"project":{"selected_options":[{"value":"64b0000"}]}},"reason":{"reason":{"value":"because"}}}}`))
	f.Add([]byte(`{"values":{"type":{"type":{"selected_option":{"value":"DATADOG"}}},"DATADOG.region.3":{"region":{"selected_option":{"value":"EU"}}}}}`))
	f.Add([]byte(`{"values":[]}`))
	f.Add([]byte(`nul`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s modals.State
		if err := s.UnmarshalJSON(data); err != nil {
			assert.Equal(t, "a view's state must be JSON", err.Error())
			return
		}
		in := modals.ReadForm(s)
		errs, _ := in.Check(func(string) bool { return true })
		for block, say := range errs {
			_, seen := s.Values[block]
			fixed := block == "project" || block == "type" || block == "reason"
			assert.True(t, seen || fixed, "an error at a block that is not there")
			assert.LessOrEqual(t, len([]rune(say)), 150)
		}
		view := modals.Form{Type: in.Type, Generation: in.Generation + 1, Plain: in.Edited("")}.View()
		assert.NotEmpty(t, view.Blocks.BlockSet)
	})
}
