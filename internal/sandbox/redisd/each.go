package redisd

import (
	"context"
	"testing"
)

// OnEach runs a test on each topology that people use, as a subtest each. Its
// failOver waits until the replicas have caught up with the primary that has the
// key, ends that one as a crash would, and returns when there is one again:
// another, or where there is no other, the same with what it kept on disk.
func OnEach(
	t *testing.T, page, key string,
	test func(t *testing.T, topology *Topology, failOver func(context.Context) error), args ...string,
) {
	t.Helper()
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		topology := NewTopology(t, StartTLS, page, args...)
		test(t, topology, func(ctx context.Context) error {
			topology.Nodes[0].Kill()
			return topology.Nodes[0].Again(ctx)
		})
	})
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		sentinel := NewTopology(t, StartSentinel, page, args...)
		test(t, sentinel.Topology, func(ctx context.Context) error {
			if err := sentinel.CaughtUp(ctx); err != nil {
				return err
			}
			_, err := sentinel.Failover(ctx)
			return err
		})
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		cluster := NewTopology(t, StartCluster, page, args...)
		test(t, cluster.Topology, func(ctx context.Context) error {
			if err := cluster.CaughtUp(ctx, key); err != nil {
				return err
			}
			_, err := cluster.Failover(ctx, key)
			return err
		})
	})
}
