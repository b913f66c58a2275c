package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
)

func TestScript(t *testing.T) {
	t.Parallel()
	var out, stderr bytes.Buffer
	require.Equal(t, exitOK, execute(t.Context(), []string{"-script"}, &out, &stderr), stderr.String())
	for _, typ := range atlassim.Types() {
		assert.Contains(t, out.String(), "\n"+typ+" in payments-prod\n")
	}
	assert.Equal(t, len(atlassim.Types()), strings.Count(out.String(), "Atlas holds what was typed"))
	assert.Contains(t, out.String(), "command to open form")
	assert.Contains(t, out.String(), "click to PUT, without Atlas' own time")
	assert.True(t, strings.HasSuffix(out.String(), "every type applied\n"))
	assert.Empty(t, stderr.String())
}

func TestPage(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		code <- execute(ctx, []string{"-addr", "127.0.0.1:0"}, w, &stderr)
		_ = w.Close()
	}()
	address := ""
	said := ""
	for address == "" {
		chunk := make([]byte, 1000)
		n, err := r.Read(chunk)
		require.NoError(t, err, stderr.String())
		said += string(chunk[:n])
		if _, rest, found := strings.Cut(said, "open "); found {
			address, _, _ = strings.Cut(rest, " in a browser")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Contains(t, string(body), "<title>atlas-integration-bot: the sandbox</title>")
	end()
	assert.Equal(t, exitOK, <-code, stderr.String())
}

func TestABusyPortNamesTheFlag(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	var out, stderr bytes.Buffer
	assert.Equal(t, exitFault, execute(t.Context(), []string{"-addr", listener.Addr().String()}, &out, &stderr))
	assert.Contains(t, stderr.String(), "is in use by another program: choose another port with -addr")
	assert.Empty(t, out.String(), "nobody with the wrong port waits for a build")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	seed := filepath.Join(t.TempDir(), "seed.yaml")
	require.NoError(t, os.WriteFile(seed, []byte("people: [{name: a}]"), 0o600))
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":          {[]string{"-fast"}, "flag provided but not defined: -fast"},
		"a word":                   {[]string{"script"}, `"script" is not a flag`},
		"an address that is none":  {[]string{"-addr", "8080"}, `-addr "8080" is not host:port`},
		"an address for everybody": {[]string{"-addr", ":8080"}, "can be reached from other machines"},
		"a bot that is not there":  {[]string{"-bot", filepath.Join(t.TempDir(), "none")}, "-bot: "},
		"a bot that is none":       {[]string{"-bot", t.TempDir()}, "is a directory, not a program"},
		"a seed that is not there": {[]string{"-seed", filepath.Join(t.TempDir(), "none")}, "-seed: "},
		"a seed that is none":      {[]string{"-seed", seed}, "an engineer and an approver at least"},
		"a seed for the script":    {[]string{"-script", "-seed", seed}, "-seed does not go with -script"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, stderr bytes.Buffer
			assert.Equal(t, exitUsage, execute(t.Context(), test.args, &out, &stderr))
			assert.Contains(t, stderr.String(), test.want)
			assert.Contains(t, stderr.String(), "sandbox -help")
			assert.Empty(t, out.String())
		})
	}
	var out, stderr bytes.Buffer
	assert.Equal(t, exitOK, execute(t.Context(), []string{"-help"}, &out, &stderr))
	for _, flag := range []string{"-addr", "-public", "-script", "-seed", "-redis", "-bot", "-v"} {
		assert.Contains(t, out.String(), "\n  "+flag+" ")
	}
}
