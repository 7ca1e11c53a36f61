package talosapi

import (
	"context"

	"github.com/siderolabs/talos/pkg/grpc/factory"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"firstlight.dev/lab/machines/internal/machine"
)

// maintenanceService is what a machine without configuration offers: reading its resources, and
// applying a configuration.
type maintenanceService struct {
	machineapi.UnimplementedMachineServiceServer

	node *machine.Node
}

// maintenance creates the server of a machine in maintenance mode.
func (f *Factory) maintenance(endpoint machine.Endpoint) (*Server, error) {
	config, err := maintenanceTLS(endpoint.Node)
	if err != nil {
		return nil, err
	}

	record := recorder{node: endpoint.Node.Hostname, calls: f.Calls, log: f.Log}
	injector := &authz.Injector{Mode: authz.ReadOnly}

	server := factory.NewServer(&maintenanceService{node: endpoint.Node},
		factory.ServerOptions(grpc.Creds(credentials.NewTLS(config)), grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize)),
		factory.WithUnaryInterceptor(record.unary), factory.WithStreamInterceptor(record.stream),
		factory.WithUnaryInterceptor(injector.UnaryInterceptor()), factory.WithStreamInterceptor(injector.StreamInterceptor()),
	)

	return &Server{outside: server}, nil
}

// Register registers the services of maintenance mode. Every other call is Unimplemented.
func (s *maintenanceService) Register(grpcServer *grpc.Server) {
	machineapi.RegisterMachineServiceServer(grpcServer, s)
	registerResources(grpcServer, s.node)
}

// Version is refused to callers without a certificate, as by Talos.
func (s *maintenanceService) Version(context.Context, *emptypb.Empty) (*machineapi.VersionResponse, error) {
	return nil, status.Error(codes.Unimplemented, "API is not implemented in maintenance mode")
}

// Upgrade is refused to callers without a certificate, as by Talos.
func (s *maintenanceService) Upgrade(context.Context, *machineapi.UpgradeRequest) (*machineapi.UpgradeResponse, error) {
	return nil, status.Error(codes.Unimplemented, "API is not implemented in maintenance mode")
}

// Reset is refused to callers without a certificate, as by Talos.
func (s *maintenanceService) Reset(context.Context, *machineapi.ResetRequest) (*machineapi.ResetResponse, error) {
	return nil, status.Error(codes.Unimplemented, "API is not implemented in maintenance mode")
}
