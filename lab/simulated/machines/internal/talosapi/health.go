package talosapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/gen/xslices"
	"github.com/siderolabs/talos/pkg/cluster"
	"github.com/siderolabs/talos/pkg/cluster/check"
	"github.com/siderolabs/talos/pkg/conditions"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	clusterres "github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/config"
)

// HealthCheck runs Talos's own list of checks, with Talos's own code, against the simulated
// machines and the real API server.
func (m *machined) HealthCheck(request *clusterapi.HealthCheckRequest, stream clusterapi.ClusterService_HealthCheckServer) error {
	if err := m.checkReach(request.GetClusterInfo().GetForceEndpoint()); err != nil {
		return err
	}

	clients := &socketClients{socket: m.socket}
	defer clients.Close() //nolint:errcheck // the connection is inside the process

	kubernetes := &cluster.KubernetesClient{ClientProvider: clients, ForceEndpoint: request.GetClusterInfo().GetForceEndpoint()}
	defer kubernetes.K8sClose() //nolint:errcheck // the check is over

	ctx, cancel := context.WithTimeout(stream.Context(), request.GetWaitTimeout().AsDuration())
	defer cancel()

	// The checks run with the roles of the caller.
	md := metadata.New(nil)
	authz.SetMetadata(md, authz.GetRoles(stream.Context()))
	ctx = metadata.NewOutgoingContext(ctx, md)

	info, err := m.clusterInfo(ctx, request, kubernetes)
	if err != nil {
		return err
	}

	addresses := xslices.Map(info.Nodes(), func(node cluster.NodeInfo) string { return node.InternalIP.String() })
	if err := stream.Send(&clusterapi.HealthCheckProgress{Message: fmt.Sprintf("discovered nodes: %q", addresses)}); err != nil {
		return err
	}

	subject := struct {
		cluster.ClientProvider
		cluster.K8sProvider
		cluster.Info
	}{clients, kubernetes, info}

	return check.Wait(ctx, &subject, append(check.DefaultClusterChecks(), check.ExtraClusterChecks()...), &progress{stream: stream})
}

// checkReach keeps the checks on the loopback network, wherever the request or an applied
// configuration points.
func (m *machined) checkReach(forced string) error {
	endpoint := forced
	if endpoint == "" && m.node.Config() != nil {
		endpoint = m.node.Config().Cluster().Endpoint().String()
	}

	if err := config.CheckEndpoint("the Kubernetes endpoint", endpoint); err != nil {
		return status.Errorf(codes.Unavailable, "cannot check the cluster's health: %s", err)
	}

	return nil
}

// clusterInfo is the list of machines: the one in the request, else the discovered one, else that
// of Kubernetes.
func (m *machined) clusterInfo(ctx context.Context, request *clusterapi.HealthCheckRequest, kubernetes *cluster.KubernetesClient) (cluster.Info, error) {
	controlPlanes, workers := request.GetClusterInfo().GetControlPlaneNodes(), request.GetClusterInfo().GetWorkerNodes()
	if len(controlPlanes)+len(workers) > 0 {
		return listedCluster(controlPlanes, workers)
	}

	members, err := safe.StateListAll[*clusterres.Member](ctx, m.node.Resources())
	if err == nil && members.Len() > 0 {
		return check.NewDiscoveredClusterInfo(safe.ToSlice(members, func(member *clusterres.Member) *clusterres.Member { return member }))
	}

	return kubernetesCluster(ctx, kubernetes)
}

// listed is a cluster whose machines are known by their addresses.
type listed map[machine.Type][]cluster.NodeInfo

func listedCluster(controlPlanes, workers []string) (cluster.Info, error) {
	controlPlaneInfos, err := cluster.IPsToNodeInfos(controlPlanes)
	if err != nil {
		return nil, err
	}

	workerInfos, err := cluster.IPsToNodeInfos(workers)
	if err != nil {
		return nil, err
	}

	return listed{machine.TypeControlPlane: controlPlaneInfos, machine.TypeWorker: workerInfos}, nil
}

// Nodes returns all machines.
func (l listed) Nodes() []cluster.NodeInfo {
	return append(append([]cluster.NodeInfo(nil), l[machine.TypeControlPlane]...), l[machine.TypeWorker]...)
}

// NodesByType returns the machines of one type.
func (l listed) NodesByType(t machine.Type) []cluster.NodeInfo { return l[t] }

// progress reports to the caller what is waited for, once per change.
type progress struct {
	stream clusterapi.ClusterService_HealthCheckServer
	last   string
}

// Update implements check.Reporter.
func (p *progress) Update(condition conditions.Condition) {
	line := fmt.Sprintf("waiting for %s", condition)
	if line == p.last {
		return
	}

	p.last = line
	p.stream.Send(&clusterapi.HealthCheckProgress{Message: strings.TrimSpace(line)}) //nolint:errcheck // the check itself notices that the caller is gone
}

// socketClients returns the client of the machine's own apid.
type socketClients struct {
	socket dialer
	client *client.Client
}

// Client implements cluster.ClientProvider.
func (c *socketClients) Client(endpoints ...string) (*client.Client, error) {
	if len(endpoints) > 0 {
		return nil, fmt.Errorf("custom endpoints not supported with LocalClientProvider")
	}

	if c.client != nil {
		return c.client, nil
	}

	var err error

	c.client, err = client.New(context.Background(), client.WithUnixSocket("apid"), client.WithGRPCDialOptions(
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(c.socket.dial)))

	return c.client, err
}

// Close implements cluster.ClientProvider.
func (c *socketClients) Close() error {
	if c.client == nil {
		return nil
	}

	return c.client.Close()
}
