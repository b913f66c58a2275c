package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Profiles are there for who asked for them, at the address for that and no other.
func TestProfiles(t *testing.T) {
	t.Parallel()
	b := begin(t, complete(t).with("HTTP_ADDR", "127.0.0.1:0", "PPROF_ADDR", "127.0.0.1:0"))
	addr, _ := b.line(t, "profiles are served to this machine")["pprof"].(string)
	status, body := get(t, "http://"+addr+"/debug/pprof/")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "goroutine")
	for _, address := range []string{"http://" + addr + "/metrics", b.url(t) + "/debug/pprof/"} {
		status, _ := get(t, address)
		assert.Equal(t, http.StatusNotFound, status, address)
	}
}

func TestProfilesAreOff(t *testing.T) {
	t.Parallel()
	b := begin(t, complete(t).with("HTTP_ADDR", "127.0.0.1:0"))
	b.line(t, "the bot begins")
	assert.NotContains(t, b.text(), "pprof")
	status, _ := get(t, b.url(t)+"/debug/pprof/")
	assert.Equal(t, http.StatusNotFound, status)
}
