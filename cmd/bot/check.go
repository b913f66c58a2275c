package main

import (
	"context"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// checkTime is how long one thing that is checked may take.
const checkTime = 10 * time.Second

// grade is what came of looking at one thing.
type grade string

const (
	fine    grade = "ok"
	doubt   grade = "warn" // the bot works, but somebody should know
	failure grade = "fail"
)

// A report prints a line for each thing that was looked at, as soon as it was.
type report struct {
	w      io.Writer
	failed bool
	fault  error // of writing
}

// add prints what was found and, unless all is well, what to do about it.
func (r *report) add(g grade, subject, found, mend string) {
	if g == failure {
		r.failed = true
	}
	if mend != "" {
		found += ": " + mend
	}
	const width = 24
	pad := max(width-utf8.RuneCountInString(subject), 0)
	if _, err := fmt.Fprintf(r.w, "%-4s  %s%*s  %s\n", g, subject, pad, "", found); err != nil {
		r.fault = err
	}
}

func (r *report) ok(subject, format string, args ...any) {
	r.add(fine, subject, fmt.Sprintf(format, args...), "")
}

// check tries everything that is configured, all of it even when some of it
// fails. It changes nothing but a key of its own in Redis, which it removes.
func check(ctx context.Context, cfg *config, wrong error, stdout io.Writer) error {
	if wrong != nil {
		return wrong // without a configuration there is nothing to try
	}
	r := &report{w: stdout}
	r.ok("configuration", "every variable is well formed")
	for _, hint := range cfg.hints {
		r.add(doubt, "configuration", hint, "")
	}
	team := checkSlack(ctx, r, cfg)
	checkRedis(ctx, r, cfg, team)
	checkInteractivity(ctx, r, cfg, team)
	checkKeys(ctx, r, cfg, team)
	checkAtlas(ctx, r, cfg)
	checkTraces(ctx, r, cfg)
	switch {
	case r.fault != nil:
		return fmt.Errorf("print what was found: %w", r.fault)
	case ctx.Err() != nil:
		return fmt.Errorf("check: %w", context.Cause(ctx))
	case r.failed:
		return errReported
	default:
		return nil
	}
}
