package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// longestEntry is more than any entry of a trail has: twenty projects and a reason.
const longestEntry = 1 << 20

// verifyCommand checks a trail that was exported: a file, or what comes in.
func verifyCommand(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("bot audit verify", flag.ContinueOnError)
	head := flags.String("head", "", "`hash` that must be in the trail: of a line of the log that says audit")
	if err := parseFlags(flags, args, 1); err != nil { // a file, or none for what comes in
		return err
	}
	if name := flags.Arg(0); name != "" && name != "-" {
		file, err := os.Open(name) //nolint:gosec // the file that was asked for
		if err != nil {
			return fmt.Errorf("verify the audit trail: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		stdin = file
	}
	return verifyTrail(stdin, *head, stdout)
}

func verifyTrail(r io.Reader, head string, w io.Writer) error {
	var chain approvals.Chain
	var first *approvals.Entry
	found := head == ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestEntry)
	number := 0
	for lines.Scan() {
		number++
		entry, err := readEntry(lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d is not an entry of an audit trail: %w", number, err)
		}
		if err := chain.Add(entry); errors.Is(err, approvals.ErrBroken) {
			return fmt.Errorf("line %d: %w; if the export was narrowed down, verify a whole one", number, err)
		} else if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if first == nil {
			first = entry
		}
		found = found || entry.Hash() == head
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	last, entries := chain.Head()
	switch {
	case entries == 0:
		return errors.New("there is no entry in this trail")
	case !found:
		return fmt.Errorf("no entry has the hash %s: the end of the trail was cut off, or this is another trail", head)
	}
	begins := ""
	if first.Fields["prev"] != "" {
		begins = "; what was before it is older than RETENTION, or was left out"
	}
	_, err := fmt.Fprintf(w, "%d entries, from %s to %s, are as they were written%s.\nhead %s\n",
		entries, first.At.Format(time.RFC3339), last.At.Format(time.RFC3339), begins, last.Hash())
	return err //nolint:wrapcheck // of the writer that was given
}

// readEntry reads a line of an export, strictly: what is verified must be what every other
// reader of the file takes the line to say. So each name is there once, and in this case,
// which encoding/json by itself does not ask for.
func readEntry(line []byte) (*approvals.Entry, error) {
	entry := &approvals.Entry{Fields: map[string]string{}}
	parts := map[string]any{"id": &entry.ID, "at": &entry.At, "event": &entry.Event}
	err := eachName(line, func(name string, value json.RawMessage) error {
		if name == "fields" {
			return eachName(value, func(name string, value json.RawMessage) error {
				var text string
				err := json.Unmarshal(value, &text)
				entry.Fields[name] = text
				return err //nolint:wrapcheck // the line is named by who asked
			})
		}
		part, known := parts[name]
		if !known {
			return fmt.Errorf("it has %q", name)
		}
		return json.Unmarshal(value, part) //nolint:wrapcheck // the line is named by who asked
	})
	return entry, err
}

// eachName goes through an object, each of whose names must be there once.
func eachName(object []byte, do func(name string, value json.RawMessage) error) error {
	if !json.Valid(object) {
		return errors.New("it is no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if opening, _ := d.Token(); opening != json.Delim('{') {
		return errors.New("it is no object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token() // the whole is valid
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("it has %q twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		_ = d.Decode(&value)
		if err := do(name, value); err != nil {
			return err
		}
	}
	return nil
}
