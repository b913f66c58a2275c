package redisd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Cluster is three primaries, each with a replica.
type Cluster struct{ *Topology }

const (
	slots     = 16384
	primaries = 3
)

// StartCluster runs the six nodes, and returns when all slots are served and every
// replica is in sync.
func StartCluster(ctx context.Context, rules Rules, args ...string) (*Cluster, error) {
	t, err := newTopology(rules)
	if err != nil {
		return nil, err
	}
	c := &Cluster{t}
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	if err := c.form(ctx, args); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	query := url.Values{}
	for _, node := range c.Nodes[1:] {
		query.Add("addr", node.Addr)
	}
	c.URL = "rediss://bot:" + t.botWord + "@" + c.Nodes[0].Addr + "?" + query.Encode()
	return c, nil
}

func (c *Cluster) form(ctx context.Context, args []string) error {
	for number := range 2 * primaries {
		node, err := c.startNode(ctx, number, c.rules.Cluster, append([]string{
			"--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-node-timeout", "2000", "--cluster-announce-ip", loopback(ctx, number),
		}, args...)...)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
	}
	for number, node := range c.Nodes[:primaries] {
		if err := node.Admin.ClusterAddSlotsRange(ctx, number*slots/primaries, (number+1)*slots/primaries-1).Err(); err != nil {
			return err
		}
		if err := node.Admin.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", number+1).Err(); err != nil {
			return err
		}
	}
	for number, node := range c.Nodes { // each meets each: gossip alone takes its time
		for _, other := range c.Nodes[:number] {
			if err := node.Admin.Do(ctx, "CLUSTER", "MEET", other.host, other.port).Err(); err != nil {
				return err
			}
		}
	}
	if err := c.all(ctx, "nodes that know each other", c.Nodes, (*Node).meetsAll); err != nil {
		return err
	}
	for number, replica := range c.Nodes[primaries:] {
		id, err := c.Nodes[number].Admin.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return err
		}
		if err := replica.Admin.ClusterReplicate(ctx, id).Err(); err != nil {
			return err
		}
	}
	if err := c.all(ctx, "replicas in sync", c.Nodes[primaries:], (*Node).inSync); err != nil {
		return err
	}
	return c.all(ctx, "a Cluster that is whole", c.Nodes, (*Node).seesAll)
}

func (c *Cluster) all(ctx context.Context, what string, nodes []*Node, ask func(*Node, context.Context) (bool, error)) error {
	for _, node := range nodes {
		err := until(ctx, what, func(ctx context.Context) (bool, error) { return ask(node, ctx) })
		if err != nil {
			return err
		}
	}
	return nil
}

// meetsAll reports whether a node is connected to every other.
func (n *Node) meetsAll(ctx context.Context) (bool, error) {
	nodes, err := n.Admin.ClusterNodes(ctx).Result()
	return strings.Count(nodes, " connected") == 2*primaries && !strings.Contains(nodes, "handshake"), err
}

// serves reports whether the Cluster takes commands, as the node sees it.
func (n *Node) serves(ctx context.Context) (bool, error) {
	info, err := n.Admin.ClusterInfo(ctx).Result()
	return strings.Contains(info, "cluster_state:ok"), err
}

// ranges is who has which slots, as the node tells clients.
func (n *Node) ranges(ctx context.Context) ([]redis.ClusterSlot, error) {
	return n.Admin.ClusterSlots(ctx).Result() //nolint:staticcheck // by this answer go-redis itself finds its way
}

// seesAll reports whether a node sees every slot served and every replica.
func (n *Node) seesAll(ctx context.Context) (bool, error) {
	if serves, err := n.serves(ctx); err != nil || !serves {
		return false, err
	}
	ranges, err := n.ranges(ctx)
	for _, r := range ranges {
		if len(r.Nodes) != 2 {
			return false, err
		}
	}
	return len(ranges) == primaries, err
}

// Owner is the node that serves a key, as the others see it too.
func (c *Cluster) Owner(ctx context.Context, key string) (*Node, error) {
	slot, err := c.slot(ctx, key)
	if err != nil {
		return nil, err
	}
	return c.ownerOf(ctx, slot)
}

func (c *Cluster) ownerOf(ctx context.Context, slot int) (*Node, error) {
	var owner string
	for _, node := range c.Nodes {
		if !node.Running() {
			continue
		}
		serves, err := node.serves(ctx)
		if err != nil {
			return nil, err
		}
		if !serves {
			return nil, fmt.Errorf("for %s the Cluster is down", node.Addr)
		}
		ranges, err := node.ranges(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range ranges {
			if r.Start > slot || r.End < slot {
				continue
			}
			if owner != "" && owner != r.Nodes[0].Addr {
				return nil, fmt.Errorf("slot %d is of %s and of %s", slot, owner, r.Nodes[0].Addr)
			}
			owner = r.Nodes[0].Addr
		}
	}
	for _, node := range c.Nodes {
		if node.Addr == owner {
			return node, nil
		}
	}
	return nil, fmt.Errorf("slot %d is of %q", slot, owner)
}

func (c *Cluster) slot(ctx context.Context, key string) (int, error) {
	for _, node := range c.Nodes {
		if node.Running() {
			slot, err := node.Admin.ClusterKeySlot(ctx, key).Result()
			return int(slot), err
		}
	}
	return 0, errors.New("no node runs")
}

// CaughtUp waits until the replica of the node that serves a key has what that
// node has now.
func (c *Cluster) CaughtUp(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	owner, err := c.Owner(ctx, key)
	if err != nil {
		return err
	}
	var replicas []*Node
	for _, node := range c.Nodes {
		port, err := node.info(ctx, "replication", "master_port")
		if err != nil {
			return err
		}
		host, err := node.info(ctx, "replication", "master_host")
		if err != nil {
			return err
		}
		if net.JoinHostPort(host, port) == owner.Addr {
			replicas = append(replicas, node)
		}
	}
	if len(replicas) == 0 {
		return fmt.Errorf("%s has no replica", owner.Addr)
	}
	return c.caughtUp(ctx, owner, replicas)
}

// Failover kills the node that serves a key, and returns how long it took until
// all others agreed on another one.
func (c *Cluster) Failover(ctx context.Context, key string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	slot, err := c.slot(ctx, key)
	if err != nil {
		return 0, err
	}
	old, err := c.ownerOf(ctx, slot)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	old.Kill()
	err = until(ctx, "another owner", func(ctx context.Context) (bool, error) {
		now, err := c.ownerOf(ctx, slot)
		return err == nil && now != old, err
	})
	return time.Since(begun), err
}

// A Migration takes one slot from the node that has it to another, as resharding
// does. While it lasts, keys of the slot are in two places.
type Migration struct {
	cluster  *Cluster
	slot     int
	from, to *Node
}

// Migrate begins to take the slot of a key elsewhere.
func (c *Cluster) Migrate(ctx context.Context, key string) (*Migration, error) {
	slot, err := c.slot(ctx, key)
	if err != nil {
		return nil, err
	}
	m := &Migration{cluster: c, slot: slot}
	if m.from, err = c.ownerOf(ctx, slot); err != nil {
		return nil, err
	}
	for other := range primaries { // whichever has the slots next to it
		if m.to, err = c.ownerOf(ctx, (slot+(other+1)*slots/primaries)%slots); err != nil {
			return nil, err
		}
		if m.to != m.from {
			break
		}
	}
	from, to, err := m.ids(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.to.Admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", from).Err(); err != nil {
		return nil, err
	}
	return m, m.from.Admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", to).Err()
}

// Move takes up to so many keys along, and returns how many.
func (m *Migration) Move(ctx context.Context, most int) (int, error) {
	keys, err := m.from.Admin.ClusterGetKeysInSlot(ctx, m.slot, most).Result()
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	return len(keys), m.MoveKeys(ctx, keys...)
}

// MoveKeys takes these along.
func (m *Migration) MoveKeys(ctx context.Context, keys ...string) error {
	args := []any{"MIGRATE", m.to.host, m.to.port, "", 0, 5000, "AUTH2", "admin", m.cluster.adminWord, "KEYS"}
	for _, key := range keys {
		args = append(args, key)
	}
	return m.from.Admin.Do(ctx, args...).Err()
}

// Finish moves what is left, and tells every primary.
func (m *Migration) Finish(ctx context.Context) error {
	for {
		moved, err := m.Move(ctx, 100)
		if err != nil {
			return err
		}
		if moved == 0 {
			break
		}
	}
	_, id, err := m.ids(ctx)
	if err != nil {
		return err
	}
	for _, node := range []*Node{m.to, m.from} { // in this order, so that the slot always has an owner
		if err := node.Admin.Do(ctx, "CLUSTER", "SETSLOT", m.slot, "NODE", id).Err(); err != nil {
			return err
		}
	}
	return until(ctx, "a slot with a new owner", func(ctx context.Context) (bool, error) {
		now, err := m.cluster.ownerOf(ctx, m.slot)
		return err == nil && now == m.to, err
	})
}

func (m *Migration) ids(ctx context.Context) (from, to string, err error) {
	if from, err = m.from.Admin.Do(ctx, "CLUSTER", "MYID").Text(); err != nil {
		return "", "", err
	}
	to, err = m.to.Admin.Do(ctx, "CLUSTER", "MYID").Text()
	return from, to, err
}
