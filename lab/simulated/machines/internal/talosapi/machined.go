package talosapi

import (
	"context"

	cosiv1alpha1 "github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/siderolabs/talos/pkg/grpc/factory"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	storageapi "github.com/siderolabs/talos/pkg/machinery/api/storage"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/machine"
)

// machined executes the calls of one machine.
//
// The embedded types answer calls that are not simulated with Unimplemented, which is never more
// than a real machine gives.
type machined struct {
	machineapi.UnimplementedMachineServiceServer
	clusterapi.UnimplementedClusterServiceServer
	storageapi.UnimplementedStorageServiceServer

	node       *machine.Node
	kubeconfig KubeconfigFunc
	// socket leads to the machine's own apid.
	socket dialer
	// stopped ends with the server, so that followers of logs and events do not delay it.
	stopped context.Context
}

// startMachined starts the machined of a machine and returns the connection to it.
func (f *Factory) startMachined(owner *Server, node *machine.Node, socket dialer) dialer {
	stopped, cancel := context.WithCancel(context.Background())
	service := &machined{node: node, kubeconfig: f.Kubeconfig, socket: socket, stopped: stopped}

	record := recorder{node: node.Hostname, calls: f.Calls, log: f.Log}
	injector := &authz.Injector{Mode: authz.MetadataOnly}
	authorizer := &authz.Authorizer{Rules: rules(), FallbackRoles: admins}

	grpcServer := factory.NewServer(service,
		factory.ServerOptions(grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize)),
		factory.WithUnaryInterceptor(record.unary), factory.WithStreamInterceptor(record.stream),
		factory.WithUnaryInterceptor(injector.UnaryInterceptor()), factory.WithStreamInterceptor(injector.StreamInterceptor()),
		factory.WithUnaryInterceptor(authorizer.UnaryInterceptor()), factory.WithStreamInterceptor(authorizer.StreamInterceptor()),
	)

	inside := newDialer()
	owner.run(grpcServer, inside)
	owner.stops = append(owner.stops, cancel)

	return inside
}

// Register registers the services of machined.
func (m *machined) Register(grpcServer *grpc.Server) {
	machineapi.RegisterMachineServiceServer(grpcServer, m)
	clusterapi.RegisterClusterServiceServer(grpcServer, m)
	storageapi.RegisterStorageServiceServer(grpcServer, m)
	timeapi.RegisterTimeServiceServer(grpcServer, &timeService{node: m.node})
	registerResources(grpcServer, m.node)
}

// registerResources serves the machine's resources of this boot under Talos's access rules.
func registerResources(grpcServer *grpc.Server, node *machine.Node) {
	resources := node.Resources()
	filtered := state.WrapCore(state.Filter(resources, accessPolicy(resources)))
	cosiv1alpha1.RegisterStateServer(grpcServer, server.NewState(filtered))
}

// checkControlPlane rejects what only control plane machines can do.
func (m *machined) checkControlPlane(name string) error {
	if m.node.IsControlPlane() {
		return nil
	}

	return status.Errorf(codes.Unimplemented, "%s is only available on control plane nodes", name)
}
