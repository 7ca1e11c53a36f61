package talosapi

import (
	"context"
	"strings"

	"github.com/siderolabs/grpc-proxy/proxy"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// streamed are the calls whose answers come in pieces. So does any call that ends in "Stream".
var streamed = map[string]bool{
	"/machine.MachineService/Copy":          true,
	"/machine.MachineService/DiskUsage":     true,
	"/machine.MachineService/Dmesg":         true,
	"/machine.MachineService/EtcdSnapshot":  true,
	"/machine.MachineService/Events":        true,
	"/machine.MachineService/ImageList":     true,
	"/machine.MachineService/Kubeconfig":    true,
	"/machine.MachineService/List":          true,
	"/machine.MachineService/Logs":          true,
	"/machine.MachineService/PacketCapture": true,
	"/machine.MachineService/Read":          true,
	"/os.OSService/Dmesg":                   true,
	"/cluster.ClusterService/HealthCheck":   true,
}

func isStreamed(method string) bool { return streamed[method] || strings.HasSuffix(method, "Stream") }

// director decides where apid sends a call: to its own machine, to one other (node) or to several
// (nodes).
type director struct {
	local proxy.Backend
	// remote finds the apid of another machine. Workers have none, because their certificate is
	// only for themselves.
	remote func(target string) proxy.Backend
	// isLocal reports whether a target is this machine itself.
	isLocal func(target string) bool
}

func (d *director) direct(ctx context.Context, method string) (proxy.Mode, []proxy.Backend, error) {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok || len(md["proxyfrom"]) > 0 {
		return d.toLocal()
	}

	nodes, toMany := md["nodes"]
	node, toOne := md["node"]

	if toOne && len(node) != 1 {
		return proxy.One2One, nil, status.Error(codes.InvalidArgument, "node metadata must be single-valued")
	}

	if d.remote == nil {
		toOne = toOne && !d.isLocal(node[0])
		toMany = toMany && (len(nodes) != 1 || !d.isLocal(nodes[0]))
	}

	switch {
	case toMany && strings.HasPrefix(method, "/cosi."):
		return proxy.One2One, nil, status.Error(codes.InvalidArgument, "one-2-many proxying is not supported for COSI methods")
	case (toMany || toOne) && d.remote == nil:
		return proxy.One2One, nil, status.Error(codes.PermissionDenied, "no request forwarding")
	case toMany:
		return d.toMany(nodes)
	case toOne:
		return d.toOne(node[0])
	default:
		return d.toLocal()
	}
}

func (d *director) toLocal() (proxy.Mode, []proxy.Backend, error) {
	return proxy.One2One, []proxy.Backend{d.local}, nil
}

func (d *director) toOne(target string) (proxy.Mode, []proxy.Backend, error) {
	if err := checkTarget(target); err != nil {
		return proxy.One2One, nil, err
	}

	return proxy.One2One, []proxy.Backend{d.remote(target)}, nil
}

func (d *director) toMany(targets []string) (proxy.Mode, []proxy.Backend, error) {
	backends := make([]proxy.Backend, 0, len(targets))

	for _, target := range targets {
		if err := checkTarget(target); err != nil {
			return proxy.One2Many, nil, err
		}

		backends = append(backends, d.remote(target))
	}

	return proxy.One2Many, backends, nil
}
