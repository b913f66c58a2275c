// Dockerfile-lint has BuildKit look at Dockerfiles, as `docker build --check` does, but
// without a daemon and without a registry: of the images that they are built from it
// assumes nothing. It prints what BuildKit warns of, and exits with 1 if there is any.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerui"
	digest "github.com/opencontainers/go-digest"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dockerfile-lint:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return errors.New("name the Dockerfiles to look at")
	}
	var warnings int
	for _, path := range paths {
		found, err := look(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		warnings += found
	}
	if warnings > 0 {
		return fmt.Errorf("%d to mend", warnings)
	}
	return nil
}

// look prints what there is to say of one Dockerfile, and how many things these are.
func look(ctx context.Context, path string) (int, error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by whoever runs it
	if err != nil {
		return 0, err
	}
	source := llb.NewSourceMap(nil, path, "Dockerfile", text)
	source.Definition = &llb.Definition{} // the results refer to it
	results, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{
		Config:       dockerui.Config{LinterConfig: &linter.Config{ExperimentalAll: true}},
		SourceMap:    source,
		MetaResolver: nothing{},
	})
	if err != nil {
		return 0, err
	}
	if results.Error != nil {
		return 0, errors.New(results.Error.Message)
	}
	for _, w := range results.Warnings {
		line := int32(1)
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			line = ranges[0].GetStart().GetLine()
		}
		fmt.Printf("%s:%d: %s: %s\n", path, line, w.RuleName, w.Detail)
	}
	return len(results.Warnings), nil
}

// nothing is a registry in which each image has an empty configuration.
type nothing struct{}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (nothing) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte("{}"), nil
}
