package machine

import (
	"net/netip"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/nethelpers"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
)

// nodeNetworkBits is the prefix length with which a machine's address is published.
const nodeNetworkBits = 24

// speedMegabits is the speed of the made-up ports.
const speedMegabits = 25000

func (n *Node) linkResources() []resource.Resource {
	links := n.links()
	index := map[string]uint32{}

	for i, l := range links {
		index[l.name] = uint32(i + 2) // 1 is the loopback
	}

	shown := []resource.Resource{loopback()}
	for _, l := range links {
		shown = append(shown, n.linkResource(l, index))
	}

	return shown
}

func loopback() resource.Resource {
	r := network.NewLinkStatus(network.NamespaceName, "lo")
	spec := r.TypedSpec()
	spec.Index, spec.Type, spec.MTU = 1, nethelpers.LinkLoopbck, 65536
	spec.OperationalState, spec.LinkState = nethelpers.OperStateUnknown, true
	spec.Flags = nethelpers.LinkFlags(nethelpers.LinkUp | nethelpers.LinkLoopback)

	return r
}

func (n *Node) linkResource(l link, index map[string]uint32) resource.Resource {
	r := network.NewLinkStatus(network.NamespaceName, l.name)
	spec := r.TypedSpec()
	spec.Index, spec.Alias, spec.Type, spec.Kind, spec.MTU = index[l.name], l.alias, nethelpers.LinkEther, l.kind, l.mtu
	spec.HardwareAddr = mac(n.Hostname, l.name)
	spec.OperationalState, spec.LinkState = nethelpers.OperStateUp, true
	spec.Flags = nethelpers.LinkFlags(nethelpers.LinkUp | nethelpers.LinkRunning | nethelpers.LinkLowerUp)
	spec.SpeedMegabits, spec.Duplex = speedMegabits, nethelpers.Full

	if l.kind == "" {
		spec.PermanentAddr = spec.HardwareAddr
		spec.Driver = "simulated"
	}

	if l.master != "" {
		spec.SlaveKind, spec.MasterIndex = network.LinkKindBond, index[l.master]
		spec.HardwareAddr = mac(n.Hostname, l.master)
	}

	if l.kind == network.LinkKindBond {
		spec.BondMaster = l.bond
	}

	return r
}

func (n *Node) addressResources() []resource.Resource {
	var shown []resource.Resource

	for _, ip := range n.ips() {
		bits := nodeNetworkBits
		if ip != n.ip() {
			bits = ip.BitLen() // the virtual address is a host address
		}

		prefix := netip.PrefixFrom(ip, bits)

		for i, l := range n.links() {
			if !l.addressed {
				continue
			}

			r := network.NewAddressStatus(network.NamespaceName, network.AddressID(l.name, prefix))
			spec := r.TypedSpec()
			spec.Address, spec.Local, spec.LinkName, spec.LinkIndex = prefix, ip, l.name, uint32(i+2)
			spec.Family, spec.Scope = nethelpers.FamilyInet4, nethelpers.ScopeGlobal
			shown = append(shown, r)
		}
	}

	return shown
}

func (n *Node) nodeAddressResources() []resource.Resource {
	var shown []resource.Resource

	for _, id := range []string{network.NodeAddressDefaultID, network.NodeAddressCurrentID, network.NodeAddressAccumulativeID, network.NodeAddressRoutedID} {
		ips := n.ips()
		if id == network.NodeAddressDefaultID {
			ips = ips[:1]
		}

		names := []string{id}
		if id != network.NodeAddressDefaultID {
			names = append(names, network.FilteredNodeAddressID(id, k8s.NodeAddressFilterNoK8s))
		}

		for _, name := range names {
			r := network.NewNodeAddress(network.NamespaceName, name)
			for _, ip := range ips {
				r.TypedSpec().Addresses = append(r.TypedSpec().Addresses, netip.PrefixFrom(ip, nodeNetworkBits))
			}

			shown = append(shown, r)
		}
	}

	return shown
}
