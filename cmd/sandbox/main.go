// Sandbox is the whole product with no accounts: a stand-in for Slack, one for
// Atlas, a Redis inside the process, and the bot itself, unchanged, as a process of
// its own between them. It serves a page on which one acts as the engineer and as
// the approver, or plays the whole flow by itself with -script.
//
// Nothing that is done here reaches anybody, and nothing is kept: it is for a first
// look, for reviews and for work on the bot, not for running it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
)

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // something did not work
	exitUsage = 2 // the command line does not make sense: nothing was started
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute is the program without the process around it; it returns the exit code.
// That ctx ends is how the page ends, but a script should have come to its end first.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, usage())
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "sandbox: %v\n`sandbox -help` says what there is.\n", err)
		return exitUsage
	}
	if opt.verbose {
		opt.sandbox.Logs = stderr
	}
	if err := run(ctx, opt, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "sandbox: %v\n", err)
		return exitFault
	}
	return exitOK
}

// run starts everything, plays or serves, and ends everything.
func run(ctx context.Context, opt options, out io.Writer) error {
	var listener net.Listener
	if !opt.script {
		// First of all: whoever has the wrong port should not wait for a build.
		var err error
		if listener, err = listen(ctx, opt.addr); err != nil {
			return err
		}
		defer func() { _ = listener.Close() }() // the server has closed it, if there was one
	}
	if opt.sandbox.Bot == "" {
		_, _ = fmt.Fprintln(out, "building the bot …")
	}
	s, err := sandbox.Start(ctx, opt.sandbox)
	switch {
	case err != nil:
		return err //nolint:wrapcheck // it says what does not start
	case opt.script:
		err = script(ctx, s, out)
	default:
		err = serve(ctx, s, listener, opt.public, out)
	}
	return errors.Join(err, s.Close())
}

// options are what the flags say.
type options struct {
	addr    string
	public  bool
	script  bool
	verbose bool
	seed    string
	sandbox sandbox.Options
}

const defaultAddr = "127.0.0.1:8080"

func flags(opt *options) *flag.FlagSet {
	set := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	set.SetOutput(io.Discard) // execute prints the error
	set.StringVar(&opt.addr, "addr", defaultAddr, "serve the page on this `address`")
	set.BoolVar(&opt.public, "public", false, "allow an -addr that other machines can reach; the page asks nobody who they are")
	set.BoolVar(&opt.script, "script", false, "play the whole flow for every type, print each step with its time, and end")
	set.StringVar(&opt.seed, "seed", "", "start with the people, projects and integrations in this YAML `file`")
	set.StringVar(&opt.sandbox.RedisURL, "redis", "", "use the Redis at this `URL` instead of the one inside the sandbox")
	set.StringVar(&opt.sandbox.Bot, "bot", "", "run the bot that was built at this `path` instead of building it")
	set.BoolVar(&opt.verbose, "v", false, "print the log of the bot to stderr")
	return set
}

func usage() string {
	text := "The whole product with no accounts.\n\n  go run ./cmd/sandbox            a page to click through\n" +
		"  go run ./cmd/sandbox -script    the whole flow for every type, in the terminal\n\n"
	flags(&options{}).VisitAll(func(f *flag.Flag) {
		value, says := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			says += " (default " + f.DefValue + ")"
		}
		text += fmt.Sprintf("  %-16s %s\n", "-"+f.Name+" "+value, says)
	})
	return text
}

func parse(args []string) (options, error) {
	var opt options
	set := flags(&opt)
	if err := set.Parse(args); err != nil {
		return opt, err //nolint:wrapcheck // flag says what is wrong
	}
	if set.NArg() > 0 {
		return opt, fmt.Errorf("%q is not a flag", set.Arg(0))
	}
	return opt, errors.Join(opt.checkAddr(), opt.checkBot(), opt.readSeed())
}

func (opt *options) checkAddr() error {
	host, _, err := net.SplitHostPort(opt.addr)
	if err != nil {
		return fmt.Errorf("-addr %q is not host:port: %w", opt.addr, err)
	}
	if !loopback(host) && !opt.public {
		return fmt.Errorf("-addr %s can be reached from other machines, and the page asks nobody who they are: "+
			"use an address of this machine such as %s, or say -public too", opt.addr, defaultAddr)
	}
	return nil
}

// loopback reports whether only this machine reaches a host. No host at all stands
// for every address.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (opt *options) checkBot() error {
	if opt.sandbox.Bot == "" {
		return nil
	}
	info, err := os.Stat(opt.sandbox.Bot)
	switch {
	case err != nil:
		return fmt.Errorf("-bot: %w", err)
	case info.IsDir():
		return fmt.Errorf("-bot %s is a directory, not a program", opt.sandbox.Bot)
	default:
		return nil
	}
}

func (opt *options) readSeed() error {
	if opt.seed == "" {
		return nil
	}
	if opt.script {
		return errors.New("-seed does not go with -script, which has people and projects of its own")
	}
	content, err := os.ReadFile(opt.seed)
	if err != nil {
		return fmt.Errorf("-seed: %w", err)
	}
	if opt.sandbox.Seed, err = sandbox.ReadSeed(content); err != nil {
		return fmt.Errorf("-seed %s: %w", opt.seed, err)
	}
	return nil
}
