package machine

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reset is what of a machine shall be wiped.
type Reset struct {
	// Graceful makes a control plane machine leave etcd first.
	Graceful bool
	// Ephemeral wipes the etcd data and all that Kubernetes kept on the machine.
	Ephemeral bool
	// Config wipes the machine's configuration as well, so that it comes back in maintenance mode.
	Config bool
}

// Reset wipes the machine and reboots it.
//
// The last member of the etcd cluster that Kubernetes lives in cannot be wiped here: its data are the real API server's.
// The lab as a whole is thrown away instead.
func (n *Node) Reset(reset Reset) error {
	f := n.fleet

	f.mu.Lock()
	defer f.mu.Unlock()

	cluster := f.clusterOf(n)

	if cluster != nil && reset.Ephemeral {
		if cluster == f.mainCluster() && len(cluster.Members) == 1 {
			return status.Error(codes.FailedPrecondition,
				"the simulated target cannot wipe the last etcd member, as the API server behind it is real: take the simulated lab down instead")
		}

		if reset.Graceful && !f.hasQuorum(cluster) {
			return status.Error(codes.FailedPrecondition, "etcd has no quorum, so the node cannot leave it: reset without --graceful")
		}

		f.wipeEtcd(n, cluster, reset.Graceful)
	}

	if reset.Config {
		n.disk.Wiped, n.disk.Config = true, ""
	}

	f.changed()
	n.reboot()

	return f.saveIfNeeded()
}

// wipeEtcd empties the machine's etcd data directory; the other members go on counting it unless it left in good order.
func (f *Fleet) wipeEtcd(n *Node, cluster *EtcdCluster, leave bool) {
	n.disk.EtcdCluster = ""

	if leave {
		cluster.remove(n.Hostname)
	}

	if len(cluster.Members) > 0 {
		return
	}

	kept := f.record.Etcd[:0]

	for _, other := range f.record.Etcd {
		if other != cluster {
			kept = append(kept, other)
		}
	}

	f.record.Etcd = kept
}
