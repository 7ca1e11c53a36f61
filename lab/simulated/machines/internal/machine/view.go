package machine

import (
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	talosconfig "github.com/siderolabs/talos/pkg/machinery/config"

	"firstlight.dev/lab/machines/internal/config"
)

// Lab is the description of the machines' lab.
func (f *Fleet) Lab() *config.Lab { return f.lab }

// Nodes returns all machines.
func (f *Fleet) Nodes() []*Node { return append([]*Node(nil), f.nodes...) }

// ByName finds a machine by its address or hostname.
func (f *Fleet) ByName(name string) *Node {
	for _, node := range f.nodes {
		if node.Hostname == name || node.Address == name {
			return node
		}
	}

	return nil
}

// InstalledConfig is the configuration that the machine was installed with, whatever it runs now.
func (n *Node) InstalledConfig() talosconfig.Provider { return n.first }

// Fleet is the fleet of this machine.
func (n *Node) Fleet() *Fleet { return n.fleet }

// Config is the configuration that the machine runs; nil if it has none.
func (n *Node) Config() talosconfig.Provider {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.cfg
}

// Resources is the machine's resource store of this boot.
func (n *Node) Resources() state.State {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.resources
}

// Services returns the machine's services sorted by name.
func (n *Node) Services() []*machineapi.ServiceInfo {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	var services []*machineapi.ServiceInfo
	for _, id := range n.serviceIDs() {
		services = append(services, n.services[id].proto())
	}

	return services
}

// Console returns the console's lines after the first n ever written, and how many were ever
// written.
func (n *Node) Console(after int) ([]ConsoleLine, int) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.console.since(after)
}

// BootID is unique to each boot.
func (n *Node) BootID() string {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.bootID
}

// Clock is the machine's time, and the server that it comes from.
func (n *Node) Clock() (local time.Time, server string) {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	return n.fleet.now().Add(n.faults.Skew()), n.timeServer()
}
