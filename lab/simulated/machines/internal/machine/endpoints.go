package machine

import (
	"net"
	"strconv"
)

// EndpointKind says what a port serves.
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
	// Life changes when everyone connected must be cut off, as by a reboot.
	Life string
	// WrongCA makes the port present another certificate authority.
	WrongCA bool
}

// Endpoints lists the ports that must be open now; every other port must be closed.
func (f *Fleet) Endpoints() []Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()

	var endpoints []Endpoint

	for _, node := range f.nodes {
		endpoints = append(endpoints, node.endpoints(node.Address)...)
	}

	if owner := f.vipOwner(); owner != nil && owner.mode == Configured {
		endpoints = append(endpoints, owner.endpoints(f.lab.VIP)...)
	}

	return endpoints
}

// endpoints lists the machine's open ports as seen on one of its addresses.
func (n *Node) endpoints(address string) []Endpoint {
	var endpoints []Endpoint

	add := func(kind EndpointKind, port int) {
		endpoints = append(endpoints, Endpoint{
			Kind: kind, Node: n, Address: net.JoinHostPort(address, strconv.Itoa(port)), Life: n.bootID, WrongCA: n.faults.WrongCA && kind == TalosAPI,
		})
	}

	if !n.faults.ApidClosed {
		switch {
		case n.mode == Maintenance:
			add(MaintenanceAPI, n.fleet.lab.TalosPort)
		case n.mode == Configured && n.services["apid"].running():
			add(TalosAPI, n.fleet.lab.TalosPort)
		}
	}

	if n.apiServing {
		add(KubernetesAPI, n.fleet.lab.KubernetesPort)
	}

	return endpoints
}
