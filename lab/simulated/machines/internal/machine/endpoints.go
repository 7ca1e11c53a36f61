package machine

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"firstlight.dev/lab/machines/internal/faults"
)

// EndpointKind is what a port serves.
type EndpointKind string

// The ports of simulated machines.
const (
	// TalosAPI is port 50000 of a machine that runs its configuration.
	TalosAPI EndpointKind = "talos"
	// MaintenanceAPI is port 50000 of a machine without configuration.
	MaintenanceAPI EndpointKind = "maintenance"
	// KubernetesAPI is port 6443 of a control plane machine.
	KubernetesAPI EndpointKind = "kubernetes"
)

// Endpoint is one port that must be open now.
type Endpoint struct {
	Kind    EndpointKind
	Node    *Node
	Address string
	// Life changes when all connections must be cut, as by a reboot or by a change of the machine's
	// type, which needs one.
	Life string
	// WrongCA makes the port present another certificate authority.
	WrongCA bool
	// Nameless omits the port's own address from its certificate.
	Nameless bool
	// Silent makes the port neither accept nor refuse connections.
	Silent bool
	// Fault is what a port of the Kubernetes API does to connections.
	Fault faults.APIFault
}

// Endpoints returns the ports that must be open now. Every other port must be closed.
func (f *Fleet) Endpoints() []Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()

	var endpoints []Endpoint

	for _, node := range f.nodes {
		endpoints = append(endpoints, node.endpoints(node.Address)...)
	}

	if owner := f.vipOwner(); owner != nil && owner.mode == Configured && !owner.faults.NoVIP {
		endpoints = append(endpoints, owner.endpoints(f.lab.VIP)...)
	}

	return endpoints
}

// endpoints returns the machine's open ports on one of its addresses.
func (n *Node) endpoints(address string) []Endpoint {
	var endpoints []Endpoint

	add := func(kind EndpointKind, port int) {
		endpoint := Endpoint{
			Kind: kind, Node: n, Address: net.JoinHostPort(address, strconv.Itoa(port)), Silent: n.faults.Silent,
			Life: fmt.Sprint(n.bootID, n.cuts, n.isControlPlane()),
		}

		switch kind {
		case TalosAPI:
			endpoint.WrongCA = n.faults.WrongCA
			endpoint.Nameless = n.faults.CertificateWithoutVIP && address == n.fleet.lab.VIP
		case KubernetesAPI:
			endpoint.Fault = n.faults.KubernetesAPI
		case MaintenanceAPI:
		}

		endpoints = append(endpoints, endpoint)
	}

	if !n.faults.ApidClosed {
		switch {
		case n.mode == Maintenance:
			add(MaintenanceAPI, n.fleet.lab.TalosPort)
		case n.mode == Configured && n.services["apid"].running():
			add(TalosAPI, n.fleet.lab.TalosPort)
		}
	}

	if n.apiServing && n.faults.KubernetesAPI != faults.APIRefuses {
		add(KubernetesAPI, n.fleet.lab.KubernetesPort)
	}

	return endpoints
}

// Skew is the offset of the machine's clock.
func (n *Node) Skew() time.Duration {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.faults.Skew()
}
