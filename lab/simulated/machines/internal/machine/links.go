package machine

import (
	"crypto/sha256"
	"fmt"
	"net"

	talosconfig "github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/nethelpers"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
)

// defaultMTU is the MTU of a link without configuration.
const defaultMTU = 1500

// link is one network link of a machine, according to its configuration.
type link struct {
	name   string
	alias  string
	mtu    uint32
	kind   string
	master string
	bond   network.BondMasterSpec
	// addressed reports whether the machine's address is on this link.
	addressed bool
}

// links derives the machine's links from its configuration: a bond over two ports, or else one
// plain port.
func (n *Node) links() []link {
	if n.cfg == nil {
		return []link{{name: "eno1", mtu: defaultMTU, addressed: true}, {name: "eno2", mtu: defaultMTU}}
	}

	if links := bondOfDocuments(n.cfg.NetworkCommonLinkConfigs()); links != nil {
		return n.faultyLinks(links)
	}

	if links := bondOfDevices(n.cfg.Machine().Network().Devices()); links != nil {
		return n.faultyLinks(links)
	}

	return n.faultyLinks([]link{{name: "eno1", mtu: plainMTU(n.cfg.Machine().Network().Devices()), addressed: true}})
}

// faultyLinks applies a fault of the MTU.
func (n *Node) faultyLinks(links []link) []link {
	if n.faults.LinkMTU != 0 {
		for i := range links {
			links[i].mtu = n.faults.LinkMTU
		}
	}

	return links
}

// bondOfDocuments reads a BondConfig document.
func bondOfDocuments(configs []talosconfig.NetworkCommonLinkConfig) []link {
	for _, common := range configs {
		bond, ok := common.(talosconfig.NetworkBondConfig)
		if !ok {
			continue
		}

		spec := network.BondMasterSpec{
			Mode: bond.Mode(), HashPolicy: bond.XmitHashPolicy().ValueOrZero(), LACPRate: bond.LACPRate().ValueOrZero(),
			MIIMon: bond.MIIMon().ValueOrZero(), UpDelay: bond.UpDelay().ValueOrZero(), DownDelay: bond.DownDelay().ValueOrZero(),
			UseCarrier: true, ADLACPActive: bond.ADLACPActive().ValueOr(nethelpers.ADLACPActiveOn),
		}

		return bondLinks(bond.Name(), bond.MTU().ValueOr(defaultMTU), bond.Links(), spec)
	}

	return nil
}

// bondOfDevices reads a bond in the older machine.network.
func bondOfDevices(devices []talosconfig.Device) []link {
	for _, device := range devices {
		if device.Bond() == nil {
			continue
		}

		ports := device.Bond().Interfaces()
		if len(ports) == 0 {
			ports = make([]string, max(len(device.Bond().Selectors()), 1))
		}

		return bondLinks(device.Interface(), mtuOr(device.MTU()), ports, legacyBond(device.Bond()))
	}

	return nil
}

func legacyBond(bond talosconfig.Bond) network.BondMasterSpec {
	spec := network.BondMasterSpec{
		MIIMon: bond.MIIMon(), UpDelay: bond.UpDelay(), DownDelay: bond.DownDelay(), UseCarrier: true,
		ADLACPActive: nethelpers.ADLACPActiveOn,
	}

	// The configuration was validated when it was generated, so only an empty name can be invalid
	// here.
	if mode, err := nethelpers.BondModeByName(bond.Mode()); err == nil {
		spec.Mode = mode
	}

	if policy, err := nethelpers.BondXmitHashPolicyByName(bond.HashPolicy()); err == nil {
		spec.HashPolicy = policy
	}

	if rate, err := nethelpers.LACPRateByName(bond.LACPRate()); err == nil {
		spec.LACPRate = rate
	}

	return spec
}

// bondLinks creates the bond and its ports. A port with an alias in the configuration also keeps a
// hardware name.
func bondLinks(name string, mtu uint32, ports []string, spec network.BondMasterSpec) []link {
	links := []link{{name: name, mtu: mtu, kind: network.LinkKindBond, bond: spec, addressed: true}}

	for i, port := range ports {
		hardware := fmt.Sprintf("eno%d", i+1)
		if port == hardware {
			port = ""
		}

		links = append(links, link{name: hardware, alias: port, mtu: mtu, master: name})
	}

	return links
}

func plainMTU(devices []talosconfig.Device) uint32 {
	for _, device := range devices {
		return mtuOr(device.MTU())
	}

	return defaultMTU
}

func mtuOr(mtu int) uint32 {
	if mtu <= 0 {
		return defaultMTU
	}

	return uint32(mtu)
}

// mac is a locally administered address that a port keeps across boots.
func mac(hostname, port string) nethelpers.HardwareAddr {
	sum := sha256.Sum256([]byte(hostname + "/" + port))

	return nethelpers.HardwareAddr(net.HardwareAddr(append([]byte{0x52, 0x54, 0x00}, sum[:3]...)))
}
