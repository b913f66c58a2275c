package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set by the linker in releases: -X main.version=v1.2.3.
var version string

// buildVersion is the version of the release or, of a build from a checkout, what
// Go noted about it.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if version != "" || !ok {
		return cmp.Or(version, "unknown")
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = "+changed"
		}
	}
	return cmp.Or(revision, "development") + dirty
}

// userAgent is how the bot introduces itself to Atlas.
func userAgent() string {
	return fmt.Sprintf("atlas-integration-bot/%s (%s;%s)", buildVersion(), runtime.GOOS, runtime.GOARCH)
}

func printVersion(w io.Writer) error {
	_, err := fmt.Fprintf(w, "atlas-integration-bot %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
