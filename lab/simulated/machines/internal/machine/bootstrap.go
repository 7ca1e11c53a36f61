package machine

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How long Talos waits for containerd and for the clock before it refuses a bootstrap.
const (
	bootstrapWaitCRI  = time.Second
	bootstrapWaitTime = 5 * time.Second
	// bootstrapPoll is how often the waits check again.
	bootstrapPoll = 50 * time.Millisecond
)

// Bootstrap makes a machine the first member of a new etcd cluster, or refuses with Talos's codes
// and texts, in Talos's order.
func (n *Node) Bootstrap(ctx context.Context) error {
	n.say("bootstrap request received")

	if !n.waitFor(ctx, bootstrapWaitCRI, func(time.Time) bool { return n.services["cri"].up() }) {
		return status.Error(codes.FailedPrecondition, "bootstrap is not available yet")
	}

	if !n.IsControlPlane() {
		return status.Error(codes.FailedPrecondition, "bootstrap can only be performed on a control plane node")
	}

	if !n.waitFor(ctx, bootstrapWaitTime, n.timeSynced) {
		return status.Error(codes.FailedPrecondition, "time is not in sync yet")
	}

	if n.bootstrapHangs() {
		<-ctx.Done()

		return status.FromContextError(ctx.Err()).Err()
	}

	if err := n.startEtcdCluster(); err != nil {
		return err
	}

	if n.cutsOff() {
		<-ctx.Done()
	}

	return nil
}

// cutsOff cuts every connection to the machine if the answer to a bootstrap is to be lost.
func (n *Node) cutsOff() bool {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	if n.faults.BootstrapAnswerLost {
		n.cuts++
	}

	return n.faults.BootstrapAnswerLost
}

// startEtcdCluster creates the cluster and saves it to disk before the caller gets an answer.
func (n *Node) startEtcdCluster() error {
	f := n.fleet

	f.mu.Lock()
	defer f.mu.Unlock()

	if n.disk.EtcdCluster != "" || n.faults.EtcdLeftovers {
		return status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}

	now := f.now()
	cluster := &EtcdCluster{
		ID: newClusterID(), BootstrappedBy: n.Hostname, BootstrappedAt: now.UTC(),
		Members: []EtcdMember{{Hostname: n.Hostname, ID: newEtcdID()}},
	}
	f.record.Etcd = append(f.record.Etcd, cluster)
	n.disk.EtcdCluster = cluster.ID
	f.changed()

	// Talos replaces the waiting service by a new one. The old one had no other events.
	delete(n.services, "etcd")
	n.begin(now, "etcd", needsOfEtcd)

	return f.saveIfNeeded()
}

// say writes a line to the machine's console.
func (n *Node) say(text string) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	n.log(n.fleet.now(), "%s", text)
}

// IsControlPlane reports whether the machine currently runs as a control plane node.
func (n *Node) IsControlPlane() bool {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.isControlPlane()
}

func (n *Node) bootstrapHangs() bool {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.faults.BootstrapHangs
}

// waitFor waits until the machine meets the condition, at most for the limit.
func (n *Node) waitFor(ctx context.Context, limit time.Duration, condition func(time.Time) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	ticker := time.NewTicker(bootstrapPoll)
	defer ticker.Stop()

	for {
		if n.meets(condition) {
			return true
		}

		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

func (n *Node) meets(condition func(time.Time) bool) bool {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return condition(n.fleet.now())
}
