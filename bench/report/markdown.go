package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A row is a line of the table: a value with its unit.
type row struct {
	title, name, unit string
	more              bool // more of it is better
}

func (r *Results) rows() []row {
	rows := []row{}
	for _, kind := range []string{"command", "submission", "click"} {
		for _, n := range r.Loads {
			for _, p := range []string{"p50", "p99", "max"} {
				rows = append(rows, row{fmt.Sprintf("ack of a %s, %d at a time, %s", kind, n, p), fmt.Sprintf("ack/%s/%d/%s", kind, n, p), "ms", false})
			}
		}
	}
	for _, n := range r.Loads {
		for _, p := range []string{"p50", "p99"} {
			rows = append(rows, row{fmt.Sprintf("click on Approve until the PUT, %d at a time, %s", n, p), fmt.Sprintf("put/%d/%s", n, p), "ms", false})
		}
	}
	return append(rows, []row{
		{"whole flows, 50 people", "flows/s", "/s", true},
		{"whole flow, 50 people, p50", "flow/p50", "ms", false},
		{"CPU for a flow", "cpu/flow", "ms", false},
		{"flows for a second of CPU", "flows/cpu", "", true},
		{"CPU of Redis for a flow", "redis cpu/flow", "ms", false},
		{"Redis round trips for a flow", "redis/trips", "", false},
		{"Redis commands for a flow, those of scripts too", "redis/commands", "", false},
		{"bytes to and from Redis for a flow", "redis/bytes", "B", false},
		{"commands and submissions done again, as nothing came of them", "again", "", false},
		{"memory, idle", "memory/idle", "MiB", false},
		{"memory, most under load", "memory/load", "MiB", false},
		{"cold start until Slack's hello", "start", "ms", false},
	}...)
}

// Markdown is the report as a page.
func (r *Results) Markdown() string {
	var b strings.Builder
	r.where(&b)
	r.table(&b)
	r.histories(&b)
	r.replicas(&b)
	r.refresh(&b)
	r.floors(&b)
	r.sizes(&b)
	b.WriteString("\n## Goals\n\nThey were set before anything was measured.\n\n| | Goal | Measured |\n| --- | --- | --- |\n")
	for _, g := range r.Goals {
		held := "held"
		if !g.Held {
			held = "**not held**"
		}
		line(&b, "| %s | %s | %s |", held, g.Goal, g.By)
	}
	return b.String()
}

func line(b *strings.Builder, format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }

func (r *Results) where(b *strings.Builder) {
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	line(b, "%s, %d cores of %s, %d GiB. %s.", r.Date, r.Cores, r.Processor, r.MemoryGiB, strings.Join(versions, ", "))
	if r.Quick {
		line(b, "\n**A quick run: it shows that everything works. Its numbers say nothing.**")
	}
}

func (r *Results) table(b *strings.Builder) {
	line(b, "\n## The table\n\n%s decided requests in history, one process. Each value is the median of %d runs, with the least and the most;\n"+
		"the ratio is how much better the bot is than the peer.\n", thousands(r.Usual), r.Repeats)
	line(b, "| | Bot | Peer | Ratio | Bare loop |\n| --- | ---: | ---: | ---: | ---: |")
	for _, row := range r.rows() {
		bot, ok := r.usual(Bot, row.name)
		peer, also := r.usual(Peer, row.name)
		if !ok || !also {
			continue
		}
		bare := ""
		if s, ok := r.usual(Bare, row.name); ok {
			bare = s.String()
		}
		title := row.title
		if row.unit != "" {
			title += " (" + row.unit + ")"
		}
		line(b, "| %s | %s | %s | %s | %s |", title, bot, peer, better(bot, peer, row.more), bare)
	}
}

// better says how many times better the first value is.
func better(bot, peer Summary, more bool) string {
	a, b := peer.Median, bot.Median
	if more {
		a, b = b, a
	}
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", a/b)
}

// String writes the median with three digits, and the spread behind it.
func (s Summary) String() string {
	if s.Runs < 2 {
		return digits(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", digits(s.Median), digits(s.Least), digits(s.Most))
}

func digits(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func (r *Results) histories(b *strings.Builder) {
	line(b, "\n## Against history\n\nThe same, with other numbers of decided requests in Redis.\n")
	head, under := "| |", "| --- |"
	for _, system := range []string{"Bot", "Peer"} {
		for _, n := range r.Histories {
			head += fmt.Sprintf(" %s, %s |", system, thousands(n))
			under += " ---: |"
		}
	}
	line(b, "%s\n%s", head, under)
	for _, row := range r.rows() {
		text, found := "| "+strings.TrimSuffix(row.title+" ("+row.unit+")", " ()")+" |", false
		for _, system := range []string{Bot, Peer} {
			for _, n := range r.Histories {
				s, ok := r.of(system, "flows", n, 1, row.name)
				found = found || ok
				text += " " + digits(s.Median) + " |"
			}
		}
		if found {
			line(b, "%s", text)
		}
	}
}

func (r *Results) replicas(b *strings.Builder) {
	line(b, "\n## Replicas\n\nWhole flows a second, 50 people, and what keeps it from more: the share of a core that each had.\n")
	line(b, "| | Replicas | Flows (/s) | CPU for a flow (ms) | Itself | Redis | Stand-ins | The limit |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
	for _, system := range []string{Bot, Peer} {
		for _, n := range append([]int{1}, r.Replicas...) {
			what := "replicas"
			if n == 1 {
				what = "flows"
			}
			var cells []string
			for _, name := range []string{"flows/s", "cpu/flow", "busy/subject", "busy/redis", "busy/stand-ins"} {
				s, _ := r.of(system, what, r.Usual, n, name)
				cells = append(cells, s.String())
			}
			line(b, "| %s | %d | %s | %s |", system, n, strings.Join(cells, " | "), r.Limit(system, n))
		}
	}
}

func (r *Results) refresh(b *strings.Builder) {
	line(b, "\n## While connections are refreshed\n\nEvery second Slack tells all connections of one process that they end, and cuts them ten seconds later.\n")
	line(b, "| | Commands | Lost | Later than 1 s | Slowest ack (ms) |\n| --- | ---: | ---: | ---: | ---: |")
	for _, system := range []string{Bot, Peer} {
		var cells []string
		for _, name := range []string{"commands", "lost", "late", "slowest"} {
			s, _ := r.of(system, "refresh", r.Usual, 1, "refresh/"+name)
			cells = append(cells, s.String())
		}
		line(b, "| %s | %s |", system, strings.Join(cells, " | "))
	}
}

func (r *Results) floors(b *strings.Builder) {
	line(b, "\n## Round trips alone\n\nWhat no bot can do without, from Go (ms).\n")
	head, rule := "| |", "| --- |"
	for _, n := range r.Loads {
		head += fmt.Sprintf(" %d at a time, p50 | p99 |", n)
		rule += " ---: | ---: |"
	}
	line(b, "%s\n%s", head, rule)
	for _, trip := range []struct{ title, name string }{
		{"Redis, PING", "redis"}, {"Redis, the smallest script that keeps a click", "redis vote"}, {"Atlas, GET", "atlas get"}, {"Atlas, PUT", "atlas put"},
	} {
		var cells []string
		for _, n := range r.Loads {
			for _, p := range []string{"p50", "p99"} {
				s, _ := r.of(Floors, "floors", 0, 0, fmt.Sprintf("%s/%d/%s", trip.name, n, p))
				cells = append(cells, s.String())
			}
		}
		line(b, "| %s | %s |", trip.title, strings.Join(cells, " | "))
	}
}

func (r *Results) sizes(b *strings.Builder) {
	bot, _ := r.of(Bot, "size", 0, 0, "size/program")
	peer, _ := r.of(Peer, "size", 0, 0, "size/program")
	node, _ := r.of(Peer, "size", 0, 0, "size/runtime")
	line(b, "\n## Size\n\nThe bot is one file of %s MiB, which is all that its image holds besides certificates and time zones. The peer is %s MiB of its\n"+
		"own and in `node_modules`, and needs Node.js: %s MiB, and the libraries of its image.", digits(bot.Median), digits(peer.Median), digits(node.Median))
}
