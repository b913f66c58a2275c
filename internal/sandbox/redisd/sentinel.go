package redisd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Sentinel is a primary with two replicas, watched by three Sentinels.
type Sentinel struct{ *Topology }

// primaryName is what the Sentinels call the primary.
const primaryName = "main"

// StartSentinel runs the six processes, and returns when every replica is in sync
// and every Sentinel knows of everybody.
func StartSentinel(ctx context.Context, rules Rules, args ...string) (*Sentinel, error) {
	t, err := newTopology(rules)
	if err != nil {
		return nil, err
	}
	s := &Sentinel{t}
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	if err := s.form(ctx, args); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	query := url.Values{"master_name": {primaryName}, "username": {"bot"}, "password": {t.botWord}}
	for _, sentinel := range s.Watch[1:] {
		query.Add("addr", sentinel.Addr)
	}
	s.URL = "rediss://watch:" + t.botWord + "@" + s.Watch[0].Addr + "/0?" + query.Encode()
	return s, nil
}

func (s *Sentinel) form(ctx context.Context, args []string) error {
	for number := range 3 {
		node, err := s.startNode(ctx, number, s.rules.Standalone, args...)
		if err != nil {
			return err
		}
		s.Nodes = append(s.Nodes, node)
		if number > 0 {
			if err := node.follow(ctx, s.Nodes[0]); err != nil {
				return err
			}
		}
	}
	for _, replica := range s.Nodes[1:] {
		if err := until(ctx, "a replica in sync", replica.inSync); err != nil {
			return err
		}
	}
	for number := range 3 {
		if err := s.startSentinel(ctx, 3+number, s.rules.Sentinel); err != nil {
			return err
		}
	}
	for _, sentinel := range s.Watch {
		if err := until(ctx, "a Sentinel that knows of everybody", sentinel.knowsAll); err != nil {
			return err
		}
	}
	return nil
}

// startSentinel writes the configuration that a Sentinel wants to have as a file,
// since it rewrites it.
func (s *Sentinel) startSentinel(ctx context.Context, number int, rule string) error {
	node, err := s.newNode(ctx, number)
	if err != nil {
		return err
	}
	common, err := s.common(node, rule)
	if err != nil {
		return errors.Join(err, node.Admin.Close())
	}
	var conf strings.Builder
	for _, option := range common {
		if line := strings.TrimPrefix(option, "--"); !strings.HasPrefix(line, "master") {
			fmt.Fprintln(&conf, line)
		}
	}
	fmt.Fprintf(&conf, "sentinel announce-ip %s\nsentinel monitor %s %s %d 2\n", node.host, primaryName, s.Nodes[0].host, s.Nodes[0].port)
	fmt.Fprintf(&conf, "sentinel auth-user %s admin\nsentinel auth-pass %s %s\n", primaryName, primaryName, s.adminWord)
	fmt.Fprintf(&conf, "sentinel sentinel-user admin\nsentinel sentinel-pass %s\n", s.adminWord)
	fmt.Fprintf(&conf, "sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n", primaryName, primaryName)
	path := filepath.Join(s.dir, "sentinel-"+strconv.Itoa(number)+".conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return errors.Join(err, node.Admin.Close())
	}
	node.process = process{ready: sentinelReady, args: []string{path, "--sentinel"}}
	node.sentinel = redis.NewSentinelClient(s.adminOptions(node))
	s.Watch = append(s.Watch, node)
	return node.process.start(ctx)
}

// knowsAll reports whether a Sentinel has found both replicas and both of its
// fellows, and has asked each replica how it is.
func (n *Node) knowsAll(ctx context.Context) (bool, error) {
	primary, err := n.sentinel.Master(ctx, primaryName).Result()
	if err != nil || primary["flags"] != "master" || primary["num-slaves"] != "2" || primary["num-other-sentinels"] != "2" {
		return false, err
	}
	replicas, err := n.sentinel.Replicas(ctx, primaryName).Result()
	for _, replica := range replicas {
		if replica["flags"] != "slave" || replica["master-link-status"] != "ok" {
			return false, err
		}
	}
	return len(replicas) == 2, err
}

// Primary is the node that the Sentinels name.
func (s *Sentinel) Primary(ctx context.Context) (*Node, error) {
	return s.primaryOf(ctx, s.Watch[0])
}

func (s *Sentinel) primaryOf(ctx context.Context, sentinel *Node) (*Node, error) {
	address, err := sentinel.sentinel.GetMasterAddrByName(ctx, primaryName).Result()
	if err != nil {
		return nil, err
	}
	for _, node := range s.Nodes {
		if node.Addr == net.JoinHostPort(address[0], address[1]) {
			return node, nil
		}
	}
	return nil, fmt.Errorf("the Sentinels name %v", address)
}

// CaughtUp waits until both replicas have what the primary has now.
func (s *Sentinel) CaughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	primary, err := s.Primary(ctx)
	if err != nil {
		return err
	}
	return s.caughtUp(ctx, primary, s.Nodes)
}

// CutReplication has the replicas lose the primary for good, while clients and
// Sentinels still reach it: what is written from now on, only the primary has.
func (s *Sentinel) CutReplication(ctx context.Context) error {
	primary, err := s.Primary(ctx)
	if err != nil {
		return err
	}
	for _, node := range s.Nodes {
		if node == primary {
			continue
		}
		if err := node.Admin.ConfigSet(ctx, "masterauth", "not-"+s.adminWord).Err(); err != nil {
			return err
		}
	}
	if err := primary.Admin.ClientKillByFilter(ctx, "TYPE", "replica").Err(); err != nil {
		return err
	}
	return until(ctx, "a primary without replicas", func(ctx context.Context) (bool, error) {
		replicas, err := primary.info(ctx, "replication", "connected_slaves")
		return replicas == "0", err
	})
}

// Failover kills the primary, and returns how long it took until all Sentinels
// named another one that takes writes.
func (s *Sentinel) Failover(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	old, err := s.Primary(ctx)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	old.Kill()
	for _, node := range s.Nodes { // those that CutReplication cut off
		if node != old {
			if err := node.Admin.ConfigSet(ctx, "masterauth", s.adminWord).Err(); err != nil {
				return 0, err
			}
		}
	}
	for _, sentinel := range s.Watch {
		err := until(ctx, "another primary", func(ctx context.Context) (bool, error) {
			now, err := s.primaryOf(ctx, sentinel)
			if err != nil || now == old {
				return false, err
			}
			role, err := now.info(ctx, "replication", "role")
			return role == "master", err
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}
