package deploy_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mostBytes is what the bot may grow to before somebody has to look at why. The
// base image adds about two megabytes.
const mostBytes = 24 << 20

func readDockerfile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\\\n", " ")
}

// The chart relies on what the image says of itself.
func TestTheDockerfileFitsTheChart(t *testing.T) {
	t.Parallel()
	text := readDockerfile(t)
	stages := regexp.MustCompile(`(?m)^FROM .*$`).FindAllStringIndex(text, -1)
	require.Len(t, stages, 2)
	last := text[stages[1][0]:]
	assert.Regexp(t, `^FROM gcr\.io/distroless/static-debian\d+:nonroot(@sha256:[0-9a-f]{64})?\n`, last)
	assert.Contains(t, last, "\nUSER 65532:65532\n", "by number, or runAsNonRoot could not tell")
	assert.Contains(t, last, "\nENTRYPOINT [\"/bot\"]\n", "the check of the chart gives arguments")
	assert.NotContains(t, last, "\nRUN ", "there is nothing in the base image that could run")
}

// The binary of the image, built twice with the Dockerfile's own command, of what
// .dockerignore lets through, in different directories.
func TestTheBinaryIsReproducible(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^RUN .*(go build -.*) -o /bot (\./cmd/bot)$`).FindStringSubmatch(readDockerfile(t))
	require.NotNil(t, command, "the Dockerfile builds the bot in another way than this test knows")
	const version = "v0.0.0-test"
	var binaries [2][]byte
	for i := range binaries {
		dir := t.TempDir()
		copyContext(t, dir)
		path := filepath.Join(t.TempDir(), "bot")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command[1]+" -o "+path+" "+command[2]) //nolint:gosec // our own Dockerfile
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "VERSION="+version)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		binaries[i], err = os.ReadFile(path) //nolint:gosec // just built
		require.NoError(t, err)
		said, err := exec.CommandContext(t.Context(), path, "version").Output() //nolint:gosec // just built
		require.NoError(t, err)
		assert.Contains(t, string(said), " "+version+" ")
	}
	assert.True(t, bytes.Equal(binaries[0], binaries[1]), "two builds of the same source differ")
	assert.Less(t, len(binaries[0]), mostBytes)
	t.Logf("the binary has %.1f MB", float64(len(binaries[0]))/1e6)
	repository, err := filepath.Abs("..")
	require.NoError(t, err)
	assert.False(t, bytes.Contains(binaries[0], []byte(repository)), "the binary says where it was built")
}

// copyContext copies what a build of the image is given.
func copyContext(t *testing.T, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", ".dockerignore"))
	require.NoError(t, err)
	patterns := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(string(text), ""))
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", path)
		switch {
		case entry.IsDir() && (name == ".git" || name == "bin"):
			return fs.SkipDir // large, and below "*"
		case entry.IsDir() || ignored(patterns, name):
			return nil
		}
		content, err := os.ReadFile(path) //nolint:gosec // of this repository
		if err != nil {
			return err
		}
		into := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(into), 0o750); err != nil {
			return err
		}
		return os.WriteFile(into, content, 0o600) //nolint:gosec // below a directory of the test
	}))
	var top []string
	entries, err := os.ReadDir(to)
	require.NoError(t, err)
	for _, entry := range entries {
		top = append(top, entry.Name())
	}
	assert.Equal(t, []string{"cmd", "go.mod", "go.sum", "internal"}, top, "what a build of the image is given")
	for _, not := range []string{"internal/sandbox", "internal/house", "cmd/sandbox"} {
		assert.NoDirExists(t, filepath.Join(to, not))
	}
}

// ignored reads .dockerignore as Docker does, as far as ours goes: the last
// pattern that matches a file or a directory above it decides.
func ignored(patterns []string, name string) bool {
	out := false
	for _, pattern := range patterns {
		pattern, keep := strings.CutPrefix(pattern, "!")
		pattern, anywhere := strings.CutPrefix(pattern, "**/")
		for path := name; path != "."; path = filepath.Dir(path) {
			if anywhere {
				if matched, err := filepath.Match(pattern, filepath.Base(path)); err == nil && matched {
					out = !keep
				}
			} else if matched, err := filepath.Match(pattern, path); err == nil && matched {
				out = !keep
			}
		}
	}
	return out
}
