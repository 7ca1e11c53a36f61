package machine

import (
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reset is what a reset wipes.
type Reset struct {
	// Graceful makes a control plane machine leave etcd first.
	Graceful bool
	// Ephemeral wipes the etcd data and everything that Kubernetes stored on the machine.
	Ephemeral bool
	// Config also wipes the machine's configuration, so that it comes back in maintenance mode.
	Config bool
}

// Reset wipes the machine and reboots it. With the last member of its etcd cluster, Kubernetes is
// gone too.
func (n *Node) Reset(reset Reset) error {
	f := n.fleet

	f.mu.Lock()
	defer f.mu.Unlock()

	cluster := f.clusterOf(n)

	if cluster != nil && reset.Ephemeral {
		if reset.Graceful && !f.hasQuorum(cluster) {
			return status.Error(codes.FailedPrecondition, "etcd has no quorum, so the node cannot leave it: reset without --graceful")
		}

		f.wipeEtcd(n, cluster, reset.Graceful)
	}

	if reset.Config {
		n.disk.Wiped, n.disk.Config = true, ""
	}

	f.changed()
	n.log(f.now(), "reset request received")
	n.restart(runtime.MachineStageResetting, wipeTime)

	return f.saveIfNeeded()
}

// wipeEtcd empties the machine's etcd data directory. The other members still count it unless it
// left gracefully.
func (f *Fleet) wipeEtcd(n *Node, cluster *EtcdCluster, leave bool) {
	n.disk.EtcdCluster = ""

	if leave {
		cluster.remove(n.Hostname)
	}

	if f.hasData(cluster) {
		return
	}

	if cluster == f.mainCluster() {
		f.loseKubernetes()
	}

	kept := f.record.Etcd[:0]

	for _, other := range f.record.Etcd {
		if other != cluster {
			kept = append(kept, other)
		}
	}

	f.record.Etcd = kept
}

// hasData reports whether any machine still holds data of the cluster.
func (f *Fleet) hasData(cluster *EtcdCluster) bool {
	for _, disk := range f.record.Disks {
		if disk.EtcdCluster == cluster.ID {
			return true
		}
	}

	return false
}

// loseKubernetes closes the API servers at once and requests that their data is deleted before
// anything starts on it again.
func (f *Fleet) loseKubernetes() {
	f.kubernetesUp, f.record.WipeKubernetes = false, true

	for _, node := range f.nodes {
		node.apiServing, node.registered, node.nodeKnown, node.nodeReady = false, false, false, false
		node.kubelet = kubelet{}
	}
}
