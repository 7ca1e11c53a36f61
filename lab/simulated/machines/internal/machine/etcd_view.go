package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The numbers that a member reports about its data are made up. The real etcd behind all machines
// is a single one.
const (
	shownDBBytes      = 20 << 20
	shownDBBytesInUse = 8 << 20
	shownRaftTerm     = 2
	shownEtcdVersion  = "3.6.7"
	shownStorage      = "3.6.0"
)

// errNotServing means that no etcd listens at the address.
var errNotServing = errors.New("no etcd listens at that address")

// etcdPoll is how often a call checks whether an etcd listens yet.
const etcdPoll = 50 * time.Millisecond

// whenServing calls an etcd like its client does: if none listens, the call waits for one until the
// caller's timeout.
func whenServing[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	ticker := time.NewTicker(etcdPoll)
	defer ticker.Stop()

	for {
		answer, err := ask()
		if !errors.Is(err, errNotServing) {
			return answer, err
		}

		select {
		case <-ctx.Done():
			return answer, status.FromContextError(ctx.Err()).Err()
		case <-ticker.C:
		}
	}
}

// EtcdMembers returns the members as the machine's own etcd knows them (local), or as any etcd
// known to Kubernetes does.
func (n *Node) EtcdMembers(ctx context.Context, local bool) ([]*machineapi.EtcdMember, error) {
	return whenServing(ctx, func() ([]*machineapi.EtcdMember, error) { return n.etcdMembers(local) })
}

func (n *Node) etcdMembers(local bool) ([]*machineapi.EtcdMember, error) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	cluster, err := n.reachableCluster(local)
	if err != nil {
		return nil, err
	}

	var members []*machineapi.EtcdMember
	for _, member := range cluster.Members {
		members = append(members, n.fleet.memberProto(member))
	}

	return members, nil
}

// reachableCluster is the etcd cluster that answers the machine.
func (n *Node) reachableCluster(local bool) (*EtcdCluster, error) {
	f := n.fleet

	if !local {
		return n.discoveredCluster()
	}

	cluster := f.clusterOf(n)
	if cluster == nil || !n.services["etcd"].running() {
		return nil, errNotServing
	}

	switch member := cluster.member(n.Hostname); {
	case member != nil && member.Learner:
		return nil, status.Error(codes.FailedPrecondition, "etcdserver: rpc not supported for learner")
	case !f.hasQuorum(cluster):
		return nil, status.Error(codes.Unavailable, "etcdserver: no leader")
	}

	return cluster, nil
}

// discoveredCluster is the etcd cluster at the addresses of the control plane machines, which a
// machine learns from the discovery service or, without that, from Kubernetes.
func (n *Node) discoveredCluster() (*EtcdCluster, error) {
	f := n.fleet
	discovery := n.cfg != nil && n.cfg.Cluster().Discovery().Enabled()

	switch {
	case f.vipOwner() != nil && (discovery || f.kubernetesUp):
		return f.mainCluster(), nil
	case discovery:
		return nil, errNotServing
	default:
		return nil, fmt.Errorf("no controlplane endpoints discovered yet")
	}
}

func (f *Fleet) memberProto(member EtcdMember) *machineapi.EtcdMember {
	address := member.Hostname
	name := member.Hostname

	if node := f.byHostname[member.Hostname]; node != nil {
		address = node.Address
		// A member that was added but has not started yet has no name.
		if !node.services["etcd"].running() && member.Learner {
			name = ""
		}
	}

	proto := &machineapi.EtcdMember{Id: member.ID, Hostname: name, IsLearner: member.Learner, PeerUrls: []string{"https://" + net.JoinHostPort(address, "2380")}}
	if name != "" {
		proto.ClientUrls = []string{"https://" + net.JoinHostPort(address, "2379")}
	}

	return proto
}

// EtcdStatus is the state of the machine's own member.
func (n *Node) EtcdStatus(ctx context.Context) (*machineapi.EtcdMemberStatus, error) {
	return whenServing(ctx, n.etcdStatus)
}

func (n *Node) etcdStatus() (*machineapi.EtcdMemberStatus, error) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	cluster := n.fleet.clusterOf(n)
	if cluster == nil || !n.services["etcd"].running() || cluster.member(n.Hostname) == nil {
		return nil, errNotServing
	}

	member := cluster.member(n.Hostname)
	index := uint64(n.fleet.now().Sub(cluster.BootstrappedAt).Seconds()*10) + 10

	result := &machineapi.EtcdMemberStatus{
		MemberId: member.ID, ProtocolVersion: shownEtcdVersion, StorageVersion: shownStorage, DbSize: shownDBBytes, DbSizeInUse: shownDBBytesInUse,
		RaftIndex: index, RaftAppliedIndex: index, RaftTerm: shownRaftTerm, IsLearner: member.Learner,
	}

	if leader := n.fleet.leader(cluster); leader != nil {
		result.Leader = cluster.member(leader.Hostname).ID
	} else {
		result.Errors = []string{"etcdserver: no leader"}
	}

	return result, nil
}
