package approvals

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var lua embed.FS

// Each script's header is its contract.
var (
	submitScript  = move("submit")
	prepareScript = move("prepare")
	approveScript = move("approve")
	denyScript    = move("deny")
	cancelScript  = move("cancel")
	expireScript  = move("expire")
	beginScript   = move("begin")
	outcomeScript = move("outcome")
	retryScript   = move("retry")
	lapseScript   = move("lapse")
	claimScript   = move("claim")
	renewScript   = move("renew")
	releaseScript = move("release")
	shownScript   = move("shown")
	adoptScript   = move("adopt")
	refuseScript  = move("refuse")
	startedScript = move("started")
	rekeyedScript = move("rekeyed")
	dueScript     = redis.NewScript(source("due"))
	readScript    = redis.NewScript(source("read"))
	homesScript   = redis.NewScript(source("homes"))
	lookedScript  = redis.NewScript(source("looked"))
	headScript    = redis.NewScript(source("head"))

	overlappingScript = redis.NewScript(source("overlapping"))
)

func move(name string) *redis.Script { return redis.NewScript(source("prelude") + source(name)) }

func source(name string) string {
	text, err := lua.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(text)
}

// keys are the names of everything that is kept in Redis. All of one workspace
// share a hash tag, so that a script may touch several of them in a cluster.
type keys struct{ team string }

func (k keys) name(rest string) string     { return "{aib:" + k.team + "}:" + rest }
func (k keys) request(id string) string    { return k.name("request:" + id) }
func (k keys) sealed(id string) string     { return k.name("sealed:" + id) }
func (k keys) due() string                 { return k.name("due") }
func (k keys) show() string                { return k.name("show") }
func (k keys) open() string                { return k.name("open") }
func (k keys) history() string             { return k.name("history") }
func (k keys) audit() string               { return k.name("audit") }
func (k keys) project(id string) string    { return k.name("project:" + id) }
func (k keys) person(user string) string   { return k.name("person:" + user) }
func (k keys) underWay(user string) string { return k.name("under_way:" + user) }
func (k keys) refused(user string) string  { return k.name("refused:" + user) }
func (k keys) started() string             { return k.name("started") }
func (k keys) openFor(project, t string) string {
	return k.name("open:" + project + ":" + t)
}
func (k keys) target(project, t string) string { return k.name("applying:" + project + ":" + t) }

// move lists the keys in the order in which prelude.lua takes them.
func (k keys) move(id string, more ...string) []string {
	return append([]string{k.request(id), k.sealed(id), k.due(), k.show(), k.open(), k.history(), k.audit()}, more...)
}

// reply is what every move answers.
type reply struct {
	word    string
	request *Request // nil if there is none
	more    string   // of begin the sealed secrets, of claim for how many ms it was due
}

// run carries out a move and notes in the log what it added to the audit trail.
func (s *Store) run(ctx context.Context, script *redis.Script, id string, by Actor, keys []string, args ...any) (reply, error) {
	head := []any{id, by.User, by.Via, s.Retention.Milliseconds()}
	answer, err := script.Run(ctx, s.Redis, keys, append(head, args...)...).Slice()
	if err != nil {
		return reply{}, err
	}
	if len(answer) < 4 {
		return reply{}, fmt.Errorf("a script answered %d values", len(answer))
	}
	word, _ := answer[0].(string)
	ms, _ := answer[1].(string)
	r := reply{word: word}
	if fields := pairs(answer[2]); len(fields) > 0 {
		if r.request, err = s.decode(id, fields, clock(ms)); err != nil {
			return reply{}, err
		}
	}
	if len(answer) > 4 {
		r.more, _ = answer[4].(string)
	}
	s.tell(ctx, answer[3], r.request)
	return r, nil
}

// pairs makes a map of a flat list of names and values.
func pairs(list any) map[string]string {
	items, _ := list.([]any)
	fields := make(map[string]string, len(items)/2)
	for i := 0; i+1 < len(items); i += 2 {
		name, _ := items[i].(string)
		fields[name], _ = items[i+1].(string)
	}
	return fields
}

// due asks which requests of a queue to look at now, and when the next one is due.
func (s *Store) due(ctx context.Context, queue string, most int) (ids []string, wait time.Duration, err error) {
	answer, err := dueScript.Run(ctx, s.Redis, []string{queue}, most).Slice()
	if err != nil {
		return nil, 0, fmt.Errorf("ask what is due: %w", err)
	}
	for i, item := range answer {
		switch item := item.(type) {
		case int64:
			wait = time.Duration(item) * time.Millisecond
		case string:
			if i > 0 {
				ids = append(ids, item)
			}
		}
	}
	return ids, wait, nil
}
