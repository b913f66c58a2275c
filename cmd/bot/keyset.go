package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// newKeyset prints a keyset on stdout, and on stderr what to do with it, so that
// the keyset alone can be piped into a secret store.
func newKeyset(stdout, stderr io.Writer) error {
	keyset, err := secret.NewKeyset()
	if err != nil {
		return err
	}
	return printKeyset(keyset, stdout, stderr, "Put the line above into SEALING_KEYSET, or into a file that SEALING_KEYSET_FILE names.\n"+
		"Keep it like a password: with it and a copy of Redis, waiting values can be read.")
}

// rotateKeyset prints the current keyset with a new primary key.
func rotateKeyset(env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer) error {
	current, err := currentKeyset(env, stdin)
	if err != nil {
		return err
	}
	rotated, err := secret.RotateKeyset(current)
	if err != nil {
		return fmt.Errorf("rotate the keyset: %w", err)
	}
	return printKeyset(rotated, stdout, stderr, "Replace SEALING_KEYSET by the line above. If a file holds it, every replica takes it up within seconds; else restart them.\n"+
		"The older keys stay, so what waits for approval still opens. A replica that is late leaves what the others\n"+
		"seal to them for ten minutes. `bot check` says when an older key is needed no more.")
}

// removeKey prints the current keyset without one of its keys.
func removeKey(typed string, env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer) error {
	id, err := strconv.ParseUint(typed, 10, 32)
	if err != nil {
		return misuse("a key is named by its number, as `bot check` prints it")
	}
	current, err := currentKeyset(env, stdin)
	if err != nil {
		return err
	}
	reduced, err := secret.RemoveKey(current, uint32(id))
	if err != nil {
		return fmt.Errorf("remove a key: %w", err)
	}
	return printKeyset(reduced, stdout, stderr, "Replace SEALING_KEYSET by the line above, but only when `bot check` says that nothing needs the key:\n"+
		"a request that was sealed with it cannot be applied, and has to be made again.")
}

// currentKeyset takes the keyset from SEALING_KEYSET or its file, else from stdin.
func currentKeyset(env envconfig.Lookuper, stdin io.Reader) (secret.Text, error) {
	v, _ := findVariable("SEALING_KEYSET")
	source := &environment{env: env}
	value := source.value(v)
	if len(source.problems) > 0 {
		return secret.Text{}, &configError{problems: source.problems}
	}
	if value == "" {
		piped, err := io.ReadAll(io.LimitReader(stdin, maxSecretFile))
		if err != nil {
			return secret.Text{}, fmt.Errorf("read the keyset from stdin: %w", err)
		}
		value = strings.TrimSpace(string(piped))
	}
	if value == "" {
		return secret.Text{}, misuse("there is no keyset: set SEALING_KEYSET or SEALING_KEYSET_FILE, or pipe it in")
	}
	return secret.New(value), nil
}

func printKeyset(keyset secret.Text, stdout, stderr io.Writer, say string) error {
	sealer, err := secret.NewSealer(keyset)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, keyset.Reveal())
	if err != nil {
		return fmt.Errorf("print the keyset: %w", err)
	}
	_, err = fmt.Fprintf(stderr, "%s\n%s\n", describeKeys(sealer), say)
	return err
}

// describeKeys says which keys a keyset has, by ID.
func describeKeys(sealer *secret.Sealer) string {
	var primary string
	var others []string
	for _, key := range sealer.Keys() {
		if key.Primary {
			primary = fmt.Sprint(key.ID)
		} else {
			others = append(others, fmt.Sprint(key.ID))
		}
	}
	if len(others) == 0 {
		return "primary key " + primary + ", no other keys"
	}
	return "primary key " + primary + ", also opens with " + strings.Join(others, ", ")
}
