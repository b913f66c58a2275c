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
	if opt.script {
		err = script(ctx, opt, stdout, stderr)
	} else {
		err = page(ctx, opt, stdout, stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "sandbox: %v\n", err)
		return exitFault
	}
	return exitOK
}

// options are what the flags say.
type options struct {
	addr    string
	public  bool
	script  bool
	redis   string
	bot     string
	verbose bool
}

const defaultAddr = "127.0.0.1:8080"

func flags(opt *options) *flag.FlagSet {
	set := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	set.SetOutput(io.Discard) // execute prints the error
	set.StringVar(&opt.addr, "addr", defaultAddr, "serve the page on this `address`")
	set.BoolVar(&opt.public, "public", false, "allow an -addr that other machines can reach; the page asks nobody who they are")
	set.BoolVar(&opt.script, "script", false, "play the whole flow for every type, print each step with its time, and end")
	set.StringVar(&opt.redis, "redis", "", "use the Redis at this `URL` instead of the one inside the sandbox")
	set.StringVar(&opt.bot, "bot", "", "run the bot that was built at this `path` instead of building it")
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
	host, _, err := net.SplitHostPort(opt.addr)
	if err != nil {
		return opt, fmt.Errorf("-addr %q is not host:port: %w", opt.addr, err)
	}
	if !loopback(host) && !opt.public {
		return opt, fmt.Errorf("-addr %s can be reached from other machines, and the page asks nobody who they are: "+
			"use an address of this machine such as %s, or say -public too", opt.addr, defaultAddr)
	}
	if opt.bot != "" {
		if info, err := os.Stat(opt.bot); err != nil {
			return opt, fmt.Errorf("-bot: %w", err)
		} else if info.IsDir() {
			return opt, fmt.Errorf("-bot %s is a directory, not a program", opt.bot)
		}
	}
	return opt, nil
}

// loopback reports whether only this machine reaches a host. No host at all stands
// for every address.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
