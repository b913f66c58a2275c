package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

const usage = `atlas-integration-bot changes MongoDB Atlas third-party integrations from Slack, once a second person has approved.

Usage: bot [subcommand]

  run             the bot itself (the default); stops on SIGINT or SIGTERM
  check           try everything that is configured, one line each
  keyset new      make a keyset that seals values while they wait for approval
  keyset rotate   give the current keyset (SEALING_KEYSET, or stdin) a new primary key
  keyset remove   take a key out of it, by its number, when ` + "`bot check`" + ` says that nothing needs it
  audit export    print the audit trail as JSON Lines; these narrow it down:
                    -request ID, -user ID, -project NAME (or its ID)
                    -since TIME, -until TIME: 36h (so long ago), 2026-01-31 (in UTC) or 2026-01-31T15:04:05Z (RFC 3339)
  audit verify    check an exported trail (a file, or stdin), without Slack or Redis; -head HASH must be in it
  audit receipt   print all that is known of one request, as JSON
  version         print the version
  help            print this; with -markdown, the table of variables as in README.md

Exit codes: 0 all is well, 1 something did not work, 2 the configuration or the command line is wrong.

Variables (those marked * also as NAME_FILE, the path of a file that holds the value):

`

// help prints what there is, or only the variables as a Markdown table.
func help(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("bot help", flag.ContinueOnError)
	asMarkdown := flags.Bool("markdown", false, "print the table of variables as in README.md")
	if err := parseFlags(flags, args, 0); err != nil {
		return err
	}
	if *asMarkdown {
		_, err := io.WriteString(w, markdown())
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(w, usage); err != nil {
		return err
	}
	for _, v := range variables {
		star := ""
		if v.secret {
			star = " *"
		}
		for i, line := range wrap(strings.ReplaceAll(v.meaning, "`", "")+" ("+v.standing()+")", 80) {
			name := ""
			if i == 0 {
				name = v.name + star
			}
			if _, err := fmt.Fprintf(table, "  %s\t%s\n", name, line); err != nil {
				return err
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\nWith OTEL_EXPORTER_OTLP_ENDPOINT set, requests are traced; OpenTelemetry's other variables work too.\n")
	return err
}

// standing says whether a variable has to be set.
func (v *variable) standing() string {
	switch {
	case v.need != "":
		return v.need
	case v.fallback != "":
		return "default " + v.fallback
	default:
		return "optional"
	}
}

// wrap breaks a text into lines at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// markdown is the table of variables that README.md holds between two markers.
func markdown() string {
	var table strings.Builder
	table.WriteString("| Variable | Meaning | Default | Secret |\n| --- | --- | --- | --- |\n")
	for _, v := range variables {
		standing, hidden := v.need, ""
		if standing == "" && v.fallback != "" {
			standing = "`" + v.fallback + "`"
		}
		if v.secret {
			hidden = "yes, also `" + v.name + "_FILE`"
		}
		_, _ = fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", v.name, strings.ReplaceAll(v.meaning, "|", `\|`), cmp.Or(standing, " "), hidden)
	}
	return table.String()
}
