package redisd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Topology is a Redis as people run it: one server or several that belong
// together, all behind mutual TLS. User default is off; user bot is held to the
// rule that the topology was started with; admin is the tests' own.
type Topology struct {
	URL   string      // of user bot, in the form that go-redis takes for this kind
	TLS   *tls.Config // which a client needs beside it
	Nodes []*Node     // those that hold data
	Watch []*Node     // the Sentinels, if there are any

	dir       string
	rules     Rules
	authority *authority
	client    keyPair
	botWord   string
	adminWord string
}

// A Node is one redis-server of a topology.
type Node struct {
	Addr  string
	Admin *redis.Client // may do everything

	host     string
	port     int
	process  process
	sentinel *redis.SentinelClient // of a Sentinel
}

// errTaken is that no port was free in several tries.
var errTaken = errors.New("no port is free")

// newTopology prepares what all nodes share: certificates and passwords.
func newTopology(rules Rules) (*Topology, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	dir, err := os.MkdirTemp("", "redisd")
	if err != nil {
		return nil, err
	}
	t := &Topology{dir: dir, rules: rules, botWord: rand.Text(), adminWord: rand.Text()}
	if t.authority, err = newAuthority(dir); err == nil {
		if t.client, err = t.authority.issue("client"); err == nil {
			t.TLS, err = t.authority.client(t.client)
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return t, nil
}

// StartTLS runs one server.
func StartTLS(ctx context.Context, rules Rules, args ...string) (*Topology, error) {
	t, err := newTopology(rules)
	if err != nil {
		return nil, err
	}
	node, err := t.startNode(ctx, 0, rules.Standalone, args...)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.Nodes = []*Node{node}
	t.URL = "rediss://bot:" + t.botWord + "@" + node.Addr + "/0"
	return t, nil
}

// NewTopology runs one for a test, under the rules of a page. Where redis-server
// is missing it skips the test, which must not be so in CI.
func NewTopology[T io.Closer](
	t testing.TB, start func(ctx context.Context, rules Rules, args ...string) (T, error), page string, args ...string,
) T {
	t.Helper()
	rules, err := ReadRules(page)
	if err != nil {
		t.Fatal(err)
	}
	topology, err := start(context.Background(), rules, args...)
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := topology.Close(); err != nil {
			t.Error(err)
		}
	})
	return topology
}

// URLWithFiles is the URL as the bot takes it: it names the files of the
// certificates, too.
func (t *Topology) URLWithFiles() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		panic(err) // it is ours
	}
	query := u.Query()
	query.Set("tls_ca_file", t.authority.caFile())
	query.Set("tls_cert_file", t.client.cert)
	query.Set("tls_key_file", t.client.key)
	u.RawQuery = query.Encode()
	return u.String()
}

// Close ends every process and removes its files.
func (t *Topology) Close() error {
	var errs []error
	for _, node := range append(t.Watch, t.Nodes...) {
		node.Kill()
		errs = append(errs, node.Admin.Close())
		if node.sentinel != nil {
			errs = append(errs, node.sentinel.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(t.dir))...)
}

// startNode runs a server that has an address of its own, as far as the system
// has more than one on loopback, and a certificate for that address only.
func (t *Topology) startNode(ctx context.Context, number int, rule string, args ...string) (*Node, error) {
	for range 5 { // another process may take the port between finding and using it
		node, err := t.newNode(ctx, number)
		if err != nil {
			return nil, err
		}
		common, err := t.common(node, rule)
		if err != nil {
			return nil, err
		}
		words := append(strings.Fields(strings.Join(common, " ")), "--daemonize", "no", "--save", "",
			"--replica-announce-ip", node.host,
			// Replicas sync at once, and count as such after a second instead of ten.
			"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
		node.process = process{ready: serverReady, args: append(words, args...)}
		if err := node.process.start(ctx); err == nil {
			return node, nil
		}
		_ = node.Admin.Close() // it never connected
	}
	return nil, errTaken
}

func (t *Topology) newNode(ctx context.Context, number int) (*Node, error) {
	host := loopback(ctx, number)
	port, err := quietPort(ctx, host)
	if err != nil {
		return nil, err
	}
	node := &Node{Addr: net.JoinHostPort(host, strconv.Itoa(port)), host: host, port: port}
	node.Admin = redis.NewClient(t.adminOptions(node))
	return node, nil
}

func (t *Topology) adminOptions(node *Node) *redis.Options {
	return &redis.Options{
		Addr: node.Addr, TLSConfig: t.TLS, Username: "admin", Password: t.adminWord,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, ContextTimeoutEnabled: true,
	}
}

// common are the settings of servers and Sentinels alike, as options of the
// command line. It writes the files that they name.
func (t *Topology) common(node *Node, rule string) ([]string, error) {
	name := strings.NewReplacer(":", "-").Replace(node.Addr)
	dir := filepath.Join(t.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	pair, err := t.authority.issue(name, node.host)
	if err != nil {
		return nil, err
	}
	users := filepath.Join(dir, "users.acl")
	acl := t.rules.Default + "\nuser admin on >" + t.adminWord + " ~* &* +@all\n" + strings.ReplaceAll(rule, "PASSWORD", t.botWord) + "\n"
	if err := os.WriteFile(users, []byte(acl), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--port 0", "--tls-port " + strconv.Itoa(node.port), "--bind " + node.host, "--dir " + dir, "--aclfile " + users,
		"--tls-cert-file " + pair.cert, "--tls-key-file " + pair.key, "--tls-ca-cert-file " + t.authority.caFile(),
		"--tls-auth-clients yes", "--tls-replication yes", "--masteruser admin", "--masterauth " + t.adminWord,
	}, nil
}

// Kill ends the node as a crash would.
func (n *Node) Kill() { n.process.kill() }

// Again starts the node once more after Kill, with what it has kept on disk.
func (n *Node) Again(ctx context.Context) error { return n.process.start(ctx) }

// Ended is closed when the node has ended.
func (n *Node) Ended() <-chan struct{} { return n.process.done }

// Running reports whether the node was not killed.
func (n *Node) Running() bool {
	select {
	case <-n.process.done:
		return false
	default:
		return true
	}
}

// follow makes the node a replica.
func (n *Node) follow(ctx context.Context, primary *Node) error {
	return n.Admin.Do(ctx, "REPLICAOF", primary.host, primary.port).Err()
}

// info reads one field of INFO.
func (n *Node) info(ctx context.Context, section, field string) (string, error) {
	text, err := n.Admin.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value, nil
		}
	}
	return "", nil
}

// inSync reports whether the node is a replica that has all of its primary. One
// that never had is not eligible for promotion.
func (n *Node) inSync(ctx context.Context) (bool, error) {
	link, err := n.info(ctx, "replication", "master_link_status")
	return link == "up", err
}

// caughtUp waits until those of the nodes that follow a primary have what it has
// now.
func (t *Topology) caughtUp(ctx context.Context, primary *Node, nodes []*Node) error {
	offset, err := primary.info(ctx, "replication", "master_repl_offset")
	if err != nil {
		return err
	}
	want, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if node == primary || !node.Running() {
			continue
		}
		err := until(ctx, "a replica that has caught up", func(ctx context.Context) (bool, error) {
			offset, err := node.info(ctx, "replication", "slave_repl_offset")
			if err != nil {
				return false, err
			}
			has, err := strconv.ParseInt(offset, 10, 64)
			return has >= want, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until asks again until the answer is yes or ctx ends.
func until(ctx context.Context, what string, ask func(ctx context.Context) (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ask(ctx)
		if yes && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// formTime is how long a topology may take to form or to fail over.
const formTime = 60 * time.Second

// loopback is one of the addresses of the loopback network; on a system that has
// only the first, that.
func loopback(ctx context.Context, number int) string {
	const first = "127.0.0.1"
	address := "127.0.0." + strconv.Itoa(1+number)
	if listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address+":0"); err != nil || listener.Close() != nil {
		return first
	}
	return address
}

// quietPort finds a port below those that systems hand out to clients, so that no
// connection takes it. Ten thousand above it, where a Cluster has its bus, is
// free as well.
func quietPort(ctx context.Context, host string) (int, error) {
	const bus = 10000
	for range 100 {
		port := bus + mathrand.N(bus) //nolint:gosec // guards nothing
		if free(ctx, host, port) && free(ctx, host, port+bus) {
			return port, nil
		}
	}
	return 0, errTaken
}

func free(ctx context.Context, host string, port int) bool {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	return err == nil && listener.Close() == nil
}
