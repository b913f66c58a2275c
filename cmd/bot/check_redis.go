package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// leastRedis is the first version that has what the scripts use.
var leastRedis = [2]int{6, 2}

// checkRedis looks at whether Redis does what the bot needs, and keeps what it is
// given.
func checkRedis(ctx context.Context, r *report, cfg *config, team string) {
	rdb := cfg.redis.client()
	defer func() { _ = rdb.Close() }() // nothing is left to lose
	if !ping(ctx, r, rdb, cfg.redis.kind()) {
		return
	}
	checkWriting(ctx, r, rdb, team)
	for _, node := range primaries(ctx, r, rdb) {
		node.user = cfg.redis.user()
		checkNode(ctx, r, node)
	}
}

func ping(ctx context.Context, r *report, rdb redis.UniversalClient, kind string) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := rdb.Ping(ctx).Err(); err != nil { // the first call also connects
		r.add(failure, "redis", err.Error(), mendRedis(err))
		return false
	}
	begun := time.Now()
	if err := rdb.Ping(ctx).Err(); err != nil {
		r.add(failure, "redis", err.Error(), mendRedis(err))
		return false
	}
	took := time.Since(begun)
	if took > 100*time.Millisecond {
		r.add(doubt, "redis", fmt.Sprintf("%s, answers in %s", kind, took.Round(time.Millisecond)),
			"a form is acknowledged after several such answers, and Slack waits three seconds; keep Redis close to the bot")
		return true
	}
	r.ok("redis", "%s, answers in %s", kind, took.Round(10*time.Microsecond))
	return true
}

func mendRedis(err error) string {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.Contains(text, "AUTH"):
		return "put the right user and password into REDIS_URL"
	case strings.HasPrefix(text, "NOPERM"):
		return "let the Redis user of REDIS_URL do this; docs/redis.md has the ACL rule"
	case strings.Contains(text, "certificate"), strings.Contains(text, "tls:"):
		return "look at the certificate of Redis, and whether REDIS_URL should begin with redis:// or rediss://"
	default:
		return "look at REDIS_URL and at whether Redis runs and can be reached"
	}
}

// tryScript uses, on a key of its own, each command that the bot and its scripts
// do, so that a rule which leaves one out is noticed before a request is.
var tryScript = redis.NewScript(`
local function call(command, ...) return redis.call(command, KEYS[1], ...) end
redis.call('TIME')
call('SET', ARGV[1], 'PX', 60000)
call('GET')
call('DEL')
call('HSET', 'state', ARGV[1])
call('HINCRBY', 'version', 1)
call('HDEL', 'version')
call('PEXPIRE', 60000)
call('PERSIST')
call('EXISTS')
call('HGETALL')
local state = call('HGET', 'state')
call('DEL')
call('ZADD', 'LT', 1, 'due')
call('ZSCORE', 'due')
call('ZRANGEBYSCORE', '-inf', 2)
call('ZREVRANGE', 0, 1)
call('ZREMRANGEBYSCORE', '-inf', 0)
call('ZREM', 'due')
call('XADD', 'MINID', '~', 1, '*', 'event', 'check')
call('XRANGE', '-', '+', 'COUNT', 1)
call('XREVRANGE', '+', '-', 'COUNT', 1)
call('DEL')
return state`)

// checkWriting writes, reads and deletes a key among those of the workspace, once
// by itself and once in a script.
func checkWriting(ctx context.Context, r *report, rdb redis.UniversalClient, team string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	value := rand.Text()
	key := "{aib:" + team + "}:check:" + value
	_, err := rdb.Set(ctx, key, value, time.Minute).Result()
	if err == nil {
		var got string
		if got, err = rdb.Get(ctx, key).Result(); err == nil && got != value {
			err = fmt.Errorf("read %d bytes that are not what was written", len(got))
		}
	}
	if err == nil {
		err = rdb.Del(ctx, key).Err()
	}
	if err != nil {
		r.add(failure, "redis keys", err.Error(), mendRedis(err))
		return
	}
	r.ok("redis keys", "written, read and deleted under {aib:%s}", team)
	switch got, err := tryScript.Run(ctx, rdb, []string{key}, value).Text(); {
	case err != nil:
		r.add(failure, "redis scripts", err.Error(), mendScript(err))
	case got != value:
		r.add(failure, "redis scripts", "the answer is not what the script was given", "look at what answers at REDIS_URL")
	default:
		r.ok("redis scripts", "allowed, with the commands that the bot uses")
	}
}

func mendScript(err error) string {
	if strings.HasPrefix(err.Error(), "NOPERM") || strings.Contains(err.Error(), "permission") {
		return "let the Redis user of REDIS_URL run scripts and these commands; docs/redis.md has the ACL rule"
	}
	return fmt.Sprintf("the bot needs Redis %d.%d or later with Lua scripts", leastRedis[0], leastRedis[1])
}

// A node is one Redis that takes writes.
type node struct {
	name   string // empty if there is only one
	user   string // as whom the bot speaks to it; empty: user default
	client redis.Cmdable
}

func (n *node) subject(what string) string {
	if n.name == "" {
		return "redis " + what
	}
	return "redis " + what + " " + n.name
}

// primaries are the nodes that hold data: those of a Cluster, else the one.
func primaries(ctx context.Context, r *report, rdb redis.UniversalClient) []node {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return []node{{client: rdb}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var guard sync.Mutex
	var nodes []node
	err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		guard.Lock()
		defer guard.Unlock()
		nodes = append(nodes, node{name: c.Options().Addr, client: c})
		return nil
	})
	if err != nil {
		r.add(failure, "redis cluster", err.Error(), mendRedis(err))
	}
	return nodes
}

// checkNode reads from one node what it says of itself.
func checkNode(ctx context.Context, r *report, n node) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	info := map[string]string{}
	for _, section := range []string{"server", "persistence", "memory", "replication"} {
		text, err := n.client.Info(ctx, section).Result()
		if err != nil {
			r.add(doubt, n.subject("info"), section+" cannot be read ("+err.Error()+")", byHand)
			continue
		}
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
	}
	checkVersion(r, n, info)
	checkPersistence(ctx, r, n, info)
	checkEviction(r, n, info)
	checkRole(r, n, info)
}

// byHand is what is left when Redis does not say.
const byHand = "look by hand whether it is 6.2 or later, has appendonly yes and maxmemory-policy noeviction"

func checkVersion(r *report, n node, info map[string]string) {
	version := info["redis_version"]
	if version == "" {
		return // said already, or a Redis that does not tell
	}
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA == nil && errB == nil && (a < leastRedis[0] || a == leastRedis[0] && b < leastRedis[1]) {
		r.add(failure, n.subject("version"), version, fmt.Sprintf("the bot needs %d.%d or later", leastRedis[0], leastRedis[1]))
		return
	}
	r.ok(n.subject("version"), "%s", version)
}

// checkPersistence finds out what a restart of Redis leaves of the requests.
func checkPersistence(ctx context.Context, r *report, n node, info map[string]string) {
	subject := n.subject("persistence")
	aof, known := info["aof_enabled"]
	switch {
	case !known:
		r.add(doubt, subject, "Redis does not say", byHand)
	case aof == "1" && info["aof_last_write_status"] == "err":
		r.add(failure, subject, "Redis cannot write its append-only file", "look at its log and its disk")
	case aof == "1" && n.user != "":
		// What a script wrote, Redis reads back with the rights of user default, and
		// drops without them. The bot's own user cannot see what those are.
		r.ok(subject, "append-only file; if user default is off, it must keep its rights: docs/redis.md")
	case aof == "1":
		r.ok(subject, "append-only file")
	default:
		checkSnapshots(ctx, r, n, info)
	}
}

func checkSnapshots(ctx context.Context, r *report, n node, info map[string]string) {
	subject := n.subject("persistence")
	const mend = "set appendonly yes"
	settings, err := n.client.ConfigGet(ctx, "save").Result()
	switch {
	case err != nil:
		r.add(doubt, subject, "no append-only file; whether there are snapshots Redis does not say", mend)
	case settings["save"] == "":
		r.add(failure, subject, "none", "a restart of Redis forgets every request and the audit trail; "+mend)
	case info["rdb_last_bgsave_status"] == "err":
		r.add(failure, subject, "only snapshots, and the last one failed", "look at the log and the disk of Redis, and "+mend)
	default:
		r.add(doubt, subject, "only snapshots", "a crash of Redis forgets what came after the last one; "+mend)
	}
}

func checkEviction(r *report, n node, info map[string]string) {
	subject := n.subject("eviction")
	const mend = "Redis may drop requests to make room; set maxmemory-policy noeviction"
	switch policy := info["maxmemory_policy"]; {
	case policy == "":
		r.add(doubt, subject, "Redis does not say", byHand)
	case policy == "noeviction":
		r.ok(subject, "%s", policy)
	case info["maxmemory"] == "0":
		r.add(doubt, subject, policy+", without a limit of memory", mend+" before a limit is set")
	default:
		r.add(failure, subject, policy, mend)
	}
}

func checkRole(r *report, n node, info map[string]string) {
	subject := n.subject("role")
	switch replicas := info["connected_slaves"]; {
	case info["role"] == "":
		r.add(doubt, subject, "Redis does not say", "look by hand whether it is the primary")
	case info["role"] != "master":
		r.add(failure, subject, "a replica", "put the address of the primary into REDIS_URL, or of the Sentinels with ?master_name=")
	case replicas == "0" || replicas == "":
		r.ok(subject, "primary without replicas: while it is down, the bot refuses new requests")
	case info["min_slaves_good_slaves"] == "": // which Redis tells if min-replicas-to-write is set
		r.ok(subject, "primary, replicas: %s; without min-replicas-to-write a failover may forget the last clicks", replicas)
	default:
		r.ok(subject, "primary, replicas: %s; it takes nothing that none of them would have", replicas)
	}
}
