package machine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/faults"
)

// Options are what a fleet needs from outside.
type Options struct {
	Lab    *config.Lab
	Store  Store
	Faults func(hostname string) faults.Set
	// Now is the time of day, used for changes by calls between two steps.
	Now func() time.Time
	Log *slog.Logger
}

// Fleet is all machines of one cluster.
type Fleet struct {
	lab    *config.Lab
	store  Store
	faults func(string) faults.Set
	now    func() time.Time
	logger *slog.Logger

	mu         sync.Mutex
	record     *Record
	nodes      []*Node
	byHostname map[string]*Node
	saveNeeded bool

	// kubernetesUp reports whether the API server behind all control plane machines answers.
	kubernetesUp bool
	joinReadyAt  time.Time
	// shownPeers is what the machines last showed of each other.
	shownPeers string
}

// New creates the machines, switched off, with the disks from the store.
func New(options Options) (*Fleet, error) {
	record, err := options.Store.Load()
	if err != nil {
		return nil, err
	}

	if record.Cluster != "" && record.Cluster != options.Lab.Cluster {
		return nil, fmt.Errorf("cannot use the machines' state: it belongs to cluster %s, not %s", record.Cluster, options.Lab.Cluster)
	}

	record.Cluster = options.Lab.Cluster
	if record.Disks == nil {
		record.Disks = map[string]*DiskRecord{}
	}

	f := &Fleet{
		lab: options.Lab, store: options.Store, faults: options.Faults, now: options.Now, logger: options.Log,
		record: record, byHostname: map[string]*Node{},
	}

	for _, spec := range options.Lab.Nodes {
		if err := f.addNode(spec); err != nil {
			return nil, err
		}
	}

	return f, nil
}

func (f *Fleet) addNode(spec config.Node) error {
	provider, err := loadConfig(spec.MachineConfig)
	if err != nil {
		return err
	}

	if isControlPlane := provider.Machine().Type().IsControlPlane(); isControlPlane != (spec.Role == config.ControlPlane) {
		return fmt.Errorf("cannot use the machine configuration of %s: its type is %s, but the lab expects %s", spec.Hostname, provider.Machine().Type(), spec.Role)
	}

	endpoint := provider.Cluster().Endpoint().String()
	if err := config.CheckEndpoint("cluster.controlPlane.endpoint", endpoint); err != nil {
		return fmt.Errorf("cannot use the machine configuration of %s: %w", spec.Hostname, err)
	}

	disk := f.record.Disks[spec.Hostname]
	if disk == nil {
		disk = &DiskRecord{}
		f.record.Disks[spec.Hostname] = disk
	}

	node := &Node{Node: spec, fleet: f, disk: disk, first: provider, console: &Console{}}
	node.powerOff()
	f.nodes = append(f.nodes, node)
	f.byHostname[spec.Hostname] = node

	return nil
}

// Step advances all machines to the given time.
func (f *Fleet) Step(now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, node := range f.nodes {
		node.faults = f.faults(node.Hostname)
		if err := node.stepPower(now); err != nil {
			return err
		}
	}

	for _, node := range f.nodes {
		node.stepBoot(now)
		node.stepEtcd(now)
	}

	f.stepJoin(now)

	for _, node := range f.nodes {
		node.stepKubernetes()
		node.stepStage(now)
	}

	if err := f.saveIfNeeded(); err != nil {
		return err
	}

	f.noticePeers()

	return f.publish(now)
}

// noticePeers republishes every machine when one of them came, went, changed its type, or took the
// virtual address, because each shows the others.
func (f *Fleet) noticePeers() {
	peers := ""
	if owner := f.vipOwner(); owner != nil {
		peers = owner.Hostname
	}

	for _, node := range f.nodes {
		peers += fmt.Sprint(" ", node.bootID, node.mode, node.isControlPlane())
	}

	if peers == f.shownPeers {
		return
	}

	f.shownPeers = peers

	for _, node := range f.nodes {
		node.dirty = true
	}
}

// changed marks the record for saving at the end of the step or call.
func (f *Fleet) changed() {
	f.saveNeeded = true

	for _, node := range f.nodes {
		node.dirty = true
	}
}

func (f *Fleet) saveIfNeeded() error {
	if !f.saveNeeded {
		return nil
	}

	if err := f.store.Save(f.record); err != nil {
		return err
	}

	f.saveNeeded = false

	return nil
}

// publish publishes what changed in the resources of each machine.
func (f *Fleet) publish(now time.Time) error {
	for _, node := range f.nodes {
		if node.mode == Off || !node.publishDue(now) {
			continue
		}

		if err := node.publishChanging(context.Background(), now); err != nil {
			return err
		}

		node.dirty = false
	}

	return nil
}

// trustdReachable reports whether a worker can get its API certificate from a control plane
// machine.
func (f *Fleet) trustdReachable(worker *Node) bool {
	discovery := worker.cfg != nil && worker.cfg.Cluster().Discovery().Enabled()
	if !discovery && f.vipOwner() == nil {
		return false
	}

	for _, node := range f.nodes {
		if node.isControlPlane() && node.services["trustd"].running() {
			return true
		}
	}

	return false
}

// vipOwner is the control plane machine that holds the virtual address. It is elected through etcd.
func (f *Fleet) vipOwner() *Node { return f.leader(f.mainCluster()) }

// Settled reports whether every machine with power has finished its boot, as far as its faults
// allow.
func (f *Fleet) Settled(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, node := range f.nodes {
		if node.mode == Configured && !node.faults.NotBooted && !startsEverything(node, now) {
			return false
		}
	}

	return true
}
