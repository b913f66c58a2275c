// Bot is the service: from Slack, an engineer asks for a change of a MongoDB Atlas
// third-party integration, a second person approves it, and the bot makes the
// change in Atlas, proves it and says so.
//
// A tour, along the way of one request:
//
//   - internal/socket keeps several connections to Slack open and hands over what
//     they deliver.
//   - internal/commands answers it: the slash command opens a form, which
//     internal/modals draws from the catalog in internal/atlas; its submission
//     becomes a request in internal/approvals.
//   - internal/approvals keeps the request in Redis, with the new values sealed by
//     internal/secret. Every move of it is one Lua script. Its reconciler reads
//     what Atlas holds, and its projector keeps the messages in Slack in step.
//   - A click on Approve comes in the way the command did. The reconciler then
//     applies the request with the client in internal/atlas, and proves it.
//
// This package only puts these together: main.go chooses the subcommand, config.go
// reads the environment (variables.go is the table of it), run.go is the bot
// itself, health.go what it shows to whoever operates it. The other subcommands
// help with that: check tries everything that is configured, keyset makes the key
// that seals, audit prints the trail and checks it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"
	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel"
)

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // something did not work
	exitUsage = 2 // the configuration or the command line is wrong: nothing was tried
)

func main() {
	// What go-redis would print about its connections comes back as errors too, and
	// those are logged with what they were about.
	redis.SetLogger(silent{})
	// OpenTelemetry's SDK would print values of its variables that it cannot read, and there
	// may be credentials among these. What cannot be exported is logged where it is sent.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	// Little of what the bot makes outlives an envelope. So the collector finds little to keep, and may come half as
	// often for a few MiB more; GOGC says otherwise.
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(200)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], processEnvironment{}, os.Stdin, os.Stdout, os.Stderr))
}

// execute is the program without the process around it; it returns the exit code.
func execute(ctx context.Context, args []string, env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, env, stdin, stdout, stderr)
	if err == nil {
		return exitOK
	}
	var wrongConfig *configError
	var wrongUse *usageError
	var wanted *helpError
	switch {
	case errors.As(err, &wanted):
		wanted.flags.SetOutput(stdout)
		wanted.flags.Usage()
		return exitOK
	case errors.Is(err, errReported) && errors.As(err, &wrongConfig):
		return exitUsage
	case errors.Is(err, errReported):
		return exitFault
	case errors.As(err, &wrongConfig):
		_, _ = fmt.Fprintf(stderr, "bot: %v\n`bot help` says what each variable means.\n", wrongConfig)
		return exitUsage
	case errors.As(err, &wrongUse):
		_, _ = fmt.Fprintf(stderr, "bot: %v\n`bot help` says what there is.\n", wrongUse)
		return exitUsage
	default:
		_, _ = fmt.Fprintf(stderr, "bot: %v\n", err)
		return exitFault
	}
}

func dispatch(ctx context.Context, args []string, env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer) error {
	command, rest := "run", args
	if len(args) > 0 {
		command, rest = args[0], args[1:]
	}
	switch command {
	case "help", "-h", "-help", "--help":
		return help(rest, stdout)
	case "keyset", "audit", "run", "check", "version":
	default:
		return misuse("there is no subcommand %q", command)
	}
	if slices.ContainsFunc(rest, asksForHelp) && !hasFlags(args) {
		return help(nil, stdout)
	}
	switch {
	case command == "keyset":
		return keysetCommand(rest, env, stdin, stdout, stderr)
	case command == "audit":
		return auditCommand(ctx, rest, env, stdin, stdout)
	case len(rest) > 0:
		return misuse("`bot %s` takes no arguments", command)
	}
	if command == "version" {
		return printVersion(stdout)
	}
	cfg, err := readConfig(ctx, env)
	if command == "check" {
		return check(ctx, cfg, err, stdout)
	}
	if err != nil {
		return err
	}
	return run(ctx, cfg, stderr)
}

func keysetCommand(args []string, env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "new":
		return newKeyset(stdout, stderr)
	case len(args) == 1 && args[0] == "rotate":
		return rotateKeyset(env, stdin, stdout, stderr)
	case len(args) == 2 && args[0] == "remove":
		return removeKey(args[1], env, stdin, stdout, stderr)
	default:
		return misuse("say `bot keyset new`, `bot keyset rotate` or `bot keyset remove ID`")
	}
}

// errReported ends a command with exit code 1 when what went wrong has been said.
var errReported = errors.New("reported")

// A usageError is a command line that does not make sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func misuse(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// A helpError is no mistake: somebody asked which flags there are.
type helpError struct{ flags *flag.FlagSet }

func (*helpError) Error() string { return flag.ErrHelp.Error() }

func asksForHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// hasFlags reports whether a subcommand has flags, which parseFlags knows.
func hasFlags(args []string) bool {
	return len(args) > 1 && args[0] == "audit" && (args[1] == "export" || args[1] == "verify")
}

// parseFlags reads the flags of a subcommand, which takes so many arguments besides.
func parseFlags(flags *flag.FlagSet, args []string, most int) error {
	flags.SetOutput(io.Discard) // execute prints the error
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return &helpError{flags}
	case err != nil:
		return misuse("%s: %w", flags.Name(), err)
	case flags.NArg() <= most:
		return nil
	case most == 0:
		return misuse("%s: %q is not a flag", flags.Name(), flags.Arg(0))
	default:
		return misuse("%s: %q is one argument too many", flags.Name(), flags.Arg(most))
	}
}

// processEnvironment is the environment of the process.
type processEnvironment struct{}

// Lookup implements envconfig.Lookuper.
func (processEnvironment) Lookup(name string) (string, bool) { return os.LookupEnv(name) }

func (processEnvironment) names() []string {
	names := os.Environ()
	for i, pair := range names {
		names[i], _, _ = strings.Cut(pair, "=")
	}
	return names
}

type silent struct{}

// Printf drops a line of go-redis.
func (silent) Printf(context.Context, string, ...any) {}
