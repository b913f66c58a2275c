package web

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the bot can show, the page can draw: no block and no element that it
// does not know.
func TestEveryScreenIsDrawn(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "modals", "testdata", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file) //nolint:gosec // our own
			require.NoError(t, err)
			var screen struct {
				Blocks json.RawMessage `json:"blocks"`
			}
			require.NoError(t, json.Unmarshal(content, &screen))
			d := &drawing{names: testNames, id: "test", post: "/do/click", params: []attr{{"as", "U0ENGINEER"}}}
			drawn := string(d.blocks(readBlocks(screen.Blocks)).html())
			for _, raw := range []string{"does not draw", "&lt;!date", "&lt;@U0ENGINEER"} {
				assert.False(t, strings.Contains(drawn, raw), "%s is shown", raw)
			}
		})
	}
}

func TestUnknownBlocksSaySo(t *testing.T) {
	t.Parallel()
	d := &drawing{names: testNames}
	drawn := string(d.blocks(readBlocks(json.RawMessage(`[{"type":"video"},{"type":"actions","elements":[{"type":"datepicker"}]}]`))).html())
	assert.Contains(t, drawn, "does not draw blocks of the type video")
	assert.Contains(t, drawn, "does not draw elements of the type datepicker")
}

func TestAttributesAreSetOnce(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `<p class="b"></p>`, string(el("p", "a").set("class", "b").html()))
}
