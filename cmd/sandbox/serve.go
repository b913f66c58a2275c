package main

import (
	"context"
	"errors"
	"io"
)

func serve(_ context.Context, _ options, _ io.Writer) error { return errors.New("no page yet") }
