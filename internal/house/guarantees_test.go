package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tests are named by a link, or by a path from the top of the repository.
var (
	linkedTest = regexp.MustCompile(`\[(Test\w+)\]\(([^)]+_test\.go)\)`)
	quotedTest = regexp.MustCompile("`([\\w/.-]+_test\\.go):(Test\\w+)`")
)

// A promise whose test is gone is a promise no more.
func TestTestsNamedInDocsAreThere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	found := 0
	isThere := func(page, path, name string) {
		found++
		source, err := os.ReadFile(path) //nolint:gosec // of this repository
		if assert.NoError(t, err, "%s names %s", page, path) {
			assert.True(t, strings.Contains(string(source), "func "+name+"(t *testing.T)"), "%s names %s, which is not in %s", page, name, path)
		}
	}
	for _, page := range pages {
		content, err := os.ReadFile(page) //nolint:gosec // of this repository
		require.NoError(t, err)
		for _, link := range linkedTest.FindAllStringSubmatch(string(content), -1) {
			isThere(filepath.Base(page), filepath.Join(filepath.Dir(page), filepath.FromSlash(link[2])), link[1])
		}
		for _, quote := range quotedTest.FindAllStringSubmatch(string(content), -1) {
			isThere(filepath.Base(page), filepath.Join(root, filepath.FromSlash(quote[1])), quote[2])
		}
	}
	assert.Greater(t, found, 20)
}
