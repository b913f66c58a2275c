// Command bench measures the bot beside a bot of the same form on Slack's own framework
// for JavaScript (bench/bolt-peer), a loop that only acks, and the round trips that no
// bot can do without: on this machine, in turns, against the same stand-ins.
//
//	go run ./bench                 everything, in less than ten minutes
//	go run ./bench -quick          whether all of it works, in less than two
//	go run ./bench -json FILE      all values, for machines
//	go run ./bench -update         write docs/performance.md and its plots anew
//	go run ./bench -profile FILE   measure the bot alone, and write what its processor did
//
// The report goes to stdout.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := benchmark(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func benchmark(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	quick := flags.Bool("quick", false, "show that everything works; the numbers say nothing")
	file := flags.String("json", "", "write all values to this file")
	update := flags.Bool("update", false, "write docs/performance.md and its plots anew")
	profile := flags.String("profile", "", "measure the bot alone, and write a CPU profile of it to this file")
	_ = flags.Parse(args) // it ends the program instead
	switch {
	case *quick && *update:
		return errors.New("-quick and -update: the page is written from a whole run only")
	case *profile != "" && (*file != "" || *update):
		return errors.New("-profile measures the bot alone: leave out -json and -update")
	}
	if err := need(); err != nil {
		return err
	}
	debug.SetGCPercent(400) // the stand-ins keep everything; it is not they that are measured
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log("build the programs")
	b, err := prepare(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()

	plan := fullPlan()
	if *quick {
		plan = quickPlan()
	}
	if *profile != "" {
		return b.profile(ctx, &plan, *profile)
	}
	results, err := b.results(ctx, &plan)
	if err != nil {
		return err
	}
	results.Quick = *quick
	log("done")
	if *file != "" {
		err = writeJSON(*file, results)
	}
	if *update {
		err = errors.Join(err, b.writePage(results))
	}
	fmt.Print(results.Markdown())
	return err
}

// results measures, and says where that was.
func (b *bench) results(ctx context.Context, p *plan) (*report.Results, error) {
	r := &report.Results{
		Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(),
		Usual: p.usual, Histories: p.histories, Loads: p.loads, Replicas: p.replicas, Repeats: p.repeats,
	}
	var err error
	if r.Processor, r.MemoryGiB, err = machine(); err != nil {
		return nil, err
	}
	if r.Versions, err = b.versions(ctx); err != nil {
		return nil, err
	}
	sizes, err := b.sizes()
	if err != nil {
		return nil, err
	}
	if r.Runs, err = b.measure(ctx, p); err != nil {
		return nil, err
	}
	r.Runs = append(r.Runs, sizes...)
	r.Judge()
	return r, nil
}

// machine names the processor and the memory.
func machine() (processor string, memoryGiB int, err error) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", 0, err
	}
	processor = "an unnamed processor"
	for text := range strings.Lines(string(cpu)) {
		if name, value, _ := strings.Cut(text, ":"); strings.TrimSpace(name) == "model name" {
			processor = strings.TrimSpace(value)
			break
		}
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", 0, err
	}
	var kB int
	if _, err := fmt.Sscanf(string(memory), "MemTotal: %d kB", &kB); err != nil {
		return "", 0, fmt.Errorf("/proc/meminfo: %w", err)
	}
	return processor, (kB + 1<<19) >> 20, nil
}

func writeJSON(path string, results *report.Results) error {
	text, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // for everybody to read
}

// Between these marks the page is written by this command; the rest by people.
const (
	begin = "<!-- results:begin -->"
	end   = "<!-- results:end -->"
)

// writePage puts the results into the page, and the plots beside it.
func (b *bench) writePage(results *report.Results) error {
	docs := filepath.Join(b.root, "docs")
	page := filepath.Join(docs, "performance.md")
	text, err := os.ReadFile(page) //nolint:gosec // of this repository
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, also := strings.Cut(rest, end)
	if !found || !also {
		return fmt.Errorf("%s lacks the marks %s and %s", page, begin, end)
	}
	for path, content := range map[string]string{
		page: before + begin + "\n" + results.Markdown() + end + after,
		filepath.Join(docs, "images", "latency.svg"): results.Latency(),
		filepath.Join(docs, "images", "history.svg"): results.Cost(),
	} {
		err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644)) //nolint:gosec // for everybody to read
	}
	return err
}
