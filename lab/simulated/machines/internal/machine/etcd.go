package machine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// startedEtcd is Talos's message when the etcd container runs. The number is made up.
const startedEtcd = "Started task etcd (PID 1707) for container etcd"

// nagInterval is how often a machine repeats on its console that it waits to join.
const nagInterval = 30 * time.Second

// stepEtcd advances the etcd service of one control plane machine.
func (n *Node) stepEtcd(now time.Time) {
	if n.mode != Configured || n.isEnding() || !onControlPlane(n, now) {
		return
	}

	service := n.services["etcd"]
	if service == nil {
		n.begin(now, "etcd", needsOfEtcd)
	}

	if service != nil && service.state == Failed {
		n.staysFailed(now, service)

		return
	}

	if !service.running() && n.waiting(now, "etcd", waitsForTimeAndCRI(n, now)) {
		return
	}

	if problem := n.etcdRefusal(); problem.state != "" && !service.running() {
		n.set(now, "etcd", problem.state, "%s", problem.message)

		return
	}

	if n.disk.EtcdCluster == "" {
		n.waitToJoin(now)

		return
	}

	n.runEtcd(now)
}

// Talos's words for an etcd that does not form or join a cluster.
const (
	noSpec       = "Waiting for etcd spec"
	leftovers    = `Error running Containerd(etcd), going to restart forever: task "etcd" failed: exit code 1`
	joinTimedOut = "Failed to run pre stage: failed to build initial etcd cluster: failed to build cluster arguments: 1 error(s) occurred:\n\ttimeout"
)

// refusal is the state in which etcd stays, and the reason.
type refusal struct {
	state   State
	message string
}

// etcdRefusal returns the fault of the machine that keeps etcd from running.
func (n *Node) etcdRefusal() refusal {
	switch {
	case n.faults.EtcdNoSpec:
		return refusal{Waiting, noSpec}
	case n.faults.EtcdLeftovers && n.disk.EtcdCluster == "":
		return refusal{Waiting, leftovers}
	case n.faults.EtcdJoinTimesOut && n.disk.EtcdCluster == "":
		return refusal{Failed, joinTimedOut}
	default:
		return refusal{}
	}
}

// staysFailed handles a failed etcd. Talos does not start it again, even on request, before the
// next boot: by hand, or when the boot sequence has timed out waiting for it.
func (n *Node) staysFailed(now time.Time, service *Service) {
	if now.Sub(service.since) < constants.BootTimeout-constants.EtcdJoinTimeout {
		return
	}

	n.log(now, "boot sequence: failed")
	n.restart(runtime.MachineStageRebooting, 0)
}

// waitToJoin is what a control plane machine without etcd data does until it is bootstrapped or can
// join.
func (n *Node) waitToJoin(now time.Time) {
	n.set(now, "etcd", Preparing, "Running pre state")

	if now.Sub(n.joinNaggedAt) < nagInterval {
		return
	}

	n.joinNaggedAt = now
	n.log(now, "etcd is waiting to join the cluster, if this node is the first node in the cluster, please run `talosctl bootstrap` against one of the following IPs:")
	n.log(now, "[%s]", n.Address)
}

// runEtcd runs the member whose data is on the machine.
func (n *Node) runEtcd(now time.Time) {
	if !n.services["etcd"].running() {
		n.set(now, "etcd", Preparing, "Running pre state")
		n.set(now, "etcd", Preparing, "Creating service runner")
		n.set(now, "etcd", Running, startedEtcd)
		n.etcdStarted = now
	}

	if now.Sub(n.etcdStarted) >= n.fleet.lab.Timings.Etcd() {
		n.check(now, "etcd", n.etcdProblem())
	}
}

// etcdProblem is why a health check of the member fails; empty if it is healthy.
func (n *Node) etcdProblem() string {
	cluster := n.fleet.clusterOf(n)
	if cluster == nil {
		return "etcdserver: server stopped"
	}

	member := cluster.member(n.Hostname)

	switch {
	case member == nil:
		return "etcdserver: the member has been permanently removed from the cluster"
	case member.Learner:
		return "etcdserver: rpc not supported for learner"
	case n.faults.EtcdStalls, !n.fleet.hasQuorum(cluster):
		return "context deadline exceeded"
	default:
		return ""
	}
}

// etcdHealthy reports whether the machine's member is up.
func (n *Node) etcdHealthy() bool { return n.services["etcd"].running() && n.services["etcd"].up() }

// clusterOf returns the etcd cluster whose data a machine holds.
func (f *Fleet) clusterOf(n *Node) *EtcdCluster {
	for _, cluster := range f.record.Etcd {
		if n.disk.EtcdCluster != "" && cluster.ID == n.disk.EtcdCluster {
			return cluster
		}
	}

	return nil
}

// mainCluster is the etcd cluster of Kubernetes: the one bootstrapped first.
func (f *Fleet) mainCluster() *EtcdCluster {
	if len(f.record.Etcd) == 0 {
		return nil
	}

	return f.record.Etcd[0]
}

// hasQuorum reports whether more than half of the voting members run.
func (f *Fleet) hasQuorum(cluster *EtcdCluster) bool {
	voters, running := 0, 0

	for _, member := range cluster.Members {
		if member.Learner {
			continue
		}

		voters++

		if node := f.byHostname[member.Hostname]; node != nil && node.services["etcd"].running() && !node.faults.EtcdStalls {
			running++
		}
	}

	return voters > 0 && running > voters/2
}

// leader is the member that leads the cluster and owns the virtual address.
func (f *Fleet) leader(cluster *EtcdCluster) *Node {
	if cluster == nil || !f.hasQuorum(cluster) {
		return nil
	}

	for _, member := range cluster.Members {
		if node := f.byHostname[member.Hostname]; node != nil && !member.Learner && node.etcdHealthy() {
			return node
		}
	}

	return nil
}

func (c *EtcdCluster) member(hostname string) *EtcdMember {
	for i := range c.Members {
		if c.Members[i].Hostname == hostname {
			return &c.Members[i]
		}
	}

	return nil
}

// remove takes a member out of the cluster.
func (c *EtcdCluster) remove(hostname string) {
	kept := c.Members[:0]

	for _, member := range c.Members {
		if member.Hostname != hostname {
			kept = append(kept, member)
		}
	}

	c.Members = kept
}

func newEtcdID() uint64 {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		panic(err) // the computer has no randomness: nothing here can work
	}

	return binary.BigEndian.Uint64(raw[:])
}

func newClusterID() string { return fmt.Sprintf("%016x", newEtcdID()) }
