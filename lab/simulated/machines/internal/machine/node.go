package machine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	talosconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/faults"
)

// Mode is what a machine runs.
type Mode string

// The modes of a machine.
const (
	Off         Mode = "off"
	Maintenance Mode = "maintenance"
	Configured  Mode = "configured"
)

// Node is one machine. Its fields are guarded by the fleet's lock.
type Node struct {
	config.Node

	fleet *Fleet
	disk  *DiskRecord
	// first is the machine configuration that the machine was installed with.
	first talosconfig.Provider
	cfg   talosconfig.Provider

	mode     Mode
	bootID   string
	bootedAt time.Time
	// offFrom and offUntil are the period in which a rebooting machine is off.
	offFrom  time.Time
	offUntil time.Time
	// ending is the stage of a machine that is about to go off; unknown otherwise.
	ending    runtime.MachineStage
	faults    faults.Set
	services  map[string]*Service
	console   *Console
	resources state.State

	// booted reports that the boot sequence is finished. It stays so until the next boot.
	booted       bool
	etcdStarted  time.Time
	joinNaggedAt time.Time

	// apiServing reports that the machine's own API server answers.
	apiServing bool

	kubelet kubelet
	// registered, nodeKnown and nodeReady are what the machine knows of its own Node object.
	registered bool
	nodeKnown  bool
	nodeReady  bool

	// cuts counts how often the network cut all connections while the machine kept running.
	cuts int

	// announced is the configuration that the discovery service last received. It remembers
	// machines that are off.
	announced talosconfig.Provider

	// dirty reports that something published has changed; the other fields are what was last
	// published.
	dirty       bool
	shownSynced bool
	shownFaults faults.Set
}

func loadConfig(path string) (talosconfig.Provider, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a machine configuration: %w", err)
	}

	provider, err := configloader.NewFromBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot read the machine configuration %s: %w", path, err)
	}

	if provider.RawV1Alpha1() == nil {
		return nil, fmt.Errorf("cannot use the machine configuration %s: it has no v1alpha1 document", path)
	}

	return provider, nil
}

// wantedMode is what the machine should run according to its disk, its faults and a pending reboot.
func (n *Node) wantedMode(now time.Time) Mode {
	switch {
	case n.faults.Down, !now.Before(n.offFrom) && now.Before(n.offUntil):
		return Off
	case n.faults.Maintenance, n.disk.Wiped:
		return Maintenance
	default:
		return Configured
	}
}

// stepPower switches the machine to its wanted mode.
func (n *Node) stepPower(now time.Time) error {
	wanted := n.wantedMode(now)
	if n.mode == wanted {
		return nil
	}

	n.powerOff()

	if wanted == Off {
		return nil
	}

	return n.powerOn(now, wanted)
}

// powerOff forgets everything that is not on the disk.
func (n *Node) powerOff() {
	n.mode, n.booted, n.apiServing, n.dirty = Off, false, false, true
	n.ending = runtime.MachineStageUnknown
	n.services, n.resources = map[string]*Service{}, nil
	n.registered, n.nodeKnown, n.nodeReady = false, false, false
	n.etcdStarted, n.joinNaggedAt = time.Time{}, time.Time{}
}

func (n *Node) powerOn(now time.Time, mode Mode) error {
	resources, err := newResources(context.Background())
	if err != nil {
		return fmt.Errorf("cannot switch on %s: %w", n.Hostname, err)
	}

	n.mode, n.bootedAt, n.bootID = mode, now, newBootID()
	n.console, n.resources, n.dirty = &Console{}, resources, true
	n.cfg = nil

	n.console.printf(now, "Simulated Talos %s on %s, no Linux behind it", n.fleet.lab.TalosVersion, n.Hostname)

	n.announced = nil

	if mode == Configured {
		n.cfg = n.first
		if n.disk.Config != "" {
			if n.cfg, err = configloader.NewFromBytes([]byte(n.disk.Config)); err != nil {
				return fmt.Errorf("cannot switch on %s: its applied configuration is invalid: %w", n.Hostname, err)
			}
		}
	}

	if n.cfg != nil && n.cfg.Cluster().Discovery().Enabled() {
		n.announced = n.cfg
	}

	return n.publishFixed(context.Background())
}

// log writes a line to the machine's console.
func (n *Node) log(now time.Time, format string, args ...any) { n.console.printf(now, format, args...) }

// set changes the state of a service, and creates it if necessary.
func (n *Node) set(now time.Time, id string, state State, format string, args ...any) {
	service, ok := n.services[id]
	if !ok {
		service = &Service{ID: id, checked: hasHealthCheck(id)}
		n.services[id] = service
	}

	if service.set(now, state, format, args...) {
		n.log(now, "service[%s](%s): %s", id, service.state, service.message)
		n.dirty = true
	}
}

// check records a health check of a running service.
func (n *Node) check(now time.Time, id, problem string) {
	if n.services[id].check(now, problem) {
		last := n.services[id].events[len(n.services[id].events)-1]
		n.log(now, "service[%s](%s): %s", id, Running, last.message)
		n.dirty = true
	}
}

// isControlPlane reports whether the machine is configured as a control plane node.
func (n *Node) isControlPlane() bool {
	return n.cfg != nil && n.machineType().IsControlPlane()
}

// machineType is the type that the machine runs as; announcedType is the one that the discovery
// service last received.
func (n *Node) machineType() machine.Type   { return n.typeBy(n.cfg) }
func (n *Node) announcedType() machine.Type { return n.typeBy(n.announced) }

func (n *Node) typeBy(cfg talosconfig.Provider) machine.Type {
	if n.faults.AsWorker {
		return machine.TypeWorker
	}

	return cfg.Machine().Type()
}

// identity is the random-looking name that a machine keeps across reboots.
func (n *Node) identity() string {
	sum := sha256.Sum256([]byte(n.fleet.lab.Cluster + "/" + n.Hostname))

	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func newBootID() string {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		panic(err) // the computer has no randomness: nothing here can work
	}

	text := hex.EncodeToString(raw)

	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
