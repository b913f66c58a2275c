package modals

import (
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Help says what the bot does, with commands to copy.
func Help() Message {
	p := &page{}
	p.section("*Update the third-party integrations of MongoDB Atlas projects.*\n" +
		"You fill in a form, a second person approves it, and the bot changes Atlas, checks the result and shows it without the keys.")
	lines := make([]string, len(commandHelp))
	for i, c := range commandHelp {
		lines[i] = code("/atlas-integration "+c.usage, 100) + "  " + c.does
	}
	p.section(strings.Join(lines, "\n"))
	p.section("*Examples*\n" + code("/atlas-integration update", 100) + "\n" + code("/atlas-integration update payments-prod pagerduty", 100))
	var titles []string
	for _, t := range atlas.Types {
		if t.Discontinued == "" {
			titles = append(titles, Escape(t.Title))
		}
	}
	p.section("*Types:* " + and(titles) + ". Case, spaces, - and _ do not matter.")
	p.context(":key: Keys belong in the form, never in the command: what you type here may be logged.")
	return p.message()
}

// commandHelp is every subcommand, in the order of help.
var commandHelp = []struct{ name, usage, does string }{
	{"update", "update [project] [TYPE]", "open the form"},
	{"list", "list [project]", "what is configured, and since when"},
	{"pending", "pending", "what waits for you and for others"},
	{"history", "history [project]", "who changed what"},
	{"status", "status ID", "one request in full"},
	{"cancel", "cancel ID", "take back your request"},
	{"help", "help", "this"},
}
