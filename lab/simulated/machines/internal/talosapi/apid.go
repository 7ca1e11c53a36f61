package talosapi

import (
	"log/slog"
	"net"
	"slices"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/grpc/factory"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"firstlight.dev/lab/machines/internal/calllog"
	"firstlight.dev/lab/machines/internal/machine"
)

// KubeconfigFunc creates the admin kubeconfig of the cluster.
type KubeconfigFunc func(clusterName, endpoint string) ([]byte, error)

// Factory creates the servers behind the Talos port of each machine.
type Factory struct {
	Fleet      *machine.Fleet
	Calls      *calllog.Log
	Kubeconfig KubeconfigFunc
	Log        *slog.Logger

	trusted, strange *Authority
}

// NewFactory prepares the certificate authorities.
func NewFactory(fleet *machine.Fleet, calls *calllog.Log, kubeconfig KubeconfigFunc, log *slog.Logger) (*Factory, error) {
	trusted, err := ClusterAuthority(fleet)
	if err != nil {
		return nil, err
	}

	strange, err := StrangeAuthority()
	if err != nil {
		return nil, err
	}

	return &Factory{Fleet: fleet, Calls: calls, Kubeconfig: kubeconfig, Log: log, trusted: trusted, strange: strange}, nil
}

// Server serves one port.
type Server struct {
	outside *grpc.Server
	stops   []func()
}

// Serve serves until Stop.
func (s *Server) Serve(listener net.Listener) error { return s.outside.Serve(listener) }

// Stop cuts all connections, as a power cut would.
func (s *Server) Stop() {
	s.outside.Stop()

	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}

// For creates the server of a Talos endpoint.
func (f *Factory) For(endpoint machine.Endpoint) (*Server, error) {
	if endpoint.Kind == machine.MaintenanceAPI {
		return f.maintenance(endpoint)
	}

	return f.apid(endpoint)
}

// apid creates the two servers of a machine that runs its configuration, and the socket for its own
// health check.
func (f *Factory) apid(endpoint machine.Endpoint) (*Server, error) {
	authority := f.trusted
	if endpoint.WrongCA {
		authority = f.strange
	}

	host, _, err := net.SplitHostPort(endpoint.Address)
	if err != nil {
		return nil, err
	}

	addresses := []string{endpoint.Node.Address, "127.0.0.1"}
	if !endpoint.Nameless {
		addresses = append(addresses, host)
	}

	serverTLS, err := authority.serverTLS(endpoint.Node, addresses)
	if err != nil {
		return nil, err
	}

	server := &Server{}
	socket := newDialer()

	router, err := f.router(server, endpoint, authority, f.startMachined(server, endpoint.Node, socket))
	if err != nil {
		server.stopAll()

		return nil, err
	}

	server.outside = router.server(authz.Enabled, grpc.Creds(credentials.NewTLS(serverTLS)))
	server.run(router.server(authz.MetadataOnly), socket)

	return server, nil
}

func (s *Server) stopAll() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}

// run serves a connection inside the process until the server stops.
func (s *Server) run(server *grpc.Server, socket dialer) {
	go server.Serve(socket.listener) //nolint:errcheck // ends with Stop

	s.stops = append(s.stops, server.Stop)
}

// router creates the director of an apid.
func (f *Factory) router(server *Server, endpoint machine.Endpoint, authority *Authority, machined dialer) (*director, error) {
	local, err := newLocalBackend(machined, endpoint.Address)
	if err != nil {
		return nil, err
	}

	server.stops = append(server.stops, func() { local.conn.Close() }) //nolint:errcheck // nothing can be done about it

	router := &director{local: local, isLocal: func(target string) bool {
		return target == endpoint.Node.Address || target == endpoint.Node.Hostname
	}}

	if endpoint.Node.IsControlPlane() {
		if err := f.forward(server, router, endpoint, authority); err != nil {
			return nil, err
		}
	}

	return router, nil
}

// forward lets an apid call the other machines. Only control plane machines have the certificate
// for it.
func (f *Factory) forward(server *Server, router *director, endpoint machine.Endpoint, authority *Authority) error {
	clientTLS, err := authority.clientTLS(endpoint.Node)
	if err != nil {
		return err
	}

	others := &remotes{
		tls: clientTLS, port: f.Fleet.Lab().TalosPort, via: endpoint.Address, dial: dialMachine(f.Fleet), backends: map[string]*remoteBackend{},
	}
	router.remote = others.get
	server.stops = append(server.stops, others.close)

	return nil
}

// server creates a gRPC server without services of its own, which passes every call to the
// director.
func (d *director) server(mode authz.InjectorMode, options ...grpc.ServerOption) *grpc.Server {
	injector := &authz.Injector{Mode: mode}

	return factory.NewServer(unregistered{},
		factory.ServerOptions(append(options,
			grpc.ForceServerCodecV2(proxy.Codec()),
			grpc.UnknownServiceHandler(proxy.TransparentHandler(d.direct, proxy.WithStreamedDetector(isStreamed))),
			grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize),
		)...),
		factory.WithUnaryInterceptor(injector.UnaryInterceptor()),
		factory.WithStreamInterceptor(injector.StreamInterceptor()),
	)
}

// unregistered registers nothing.
type unregistered struct{}

func (unregistered) Register(*grpc.Server) {}
