package machine_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/labtest"
	"firstlight.dev/lab/machines/internal/machine"
)

// bench is a fleet with a clock and faults that the test controls.
type bench struct {
	t      *testing.T
	lab    labtest.Lab
	fleet  *machine.Fleet
	now    time.Time
	faults map[string]faults.Set
	kube   *fakeKubernetes
	cancel context.CancelFunc
}

func newBench(t *testing.T) *bench {
	t.Helper()

	b := &bench{t: t, lab: labtest.New(t, 201), now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), faults: map[string]faults.Set{}, kube: newFakeKubernetes()}
	b.powerOn()

	return b
}

// powerOn creates the fleet again from disk, as after a restart of the process.
func (b *bench) powerOn() {
	b.t.Helper()

	fleet, err := machine.New(machine.Options{
		Lab: b.lab.Lab, Store: machine.FileStore{Path: filepath.Join(b.lab.StateDir, "machines-state.json")},
		Faults: func(hostname string) faults.Set { return b.faults[hostname] },
		Now:    func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}

	b.fleet = fleet
}

// pass lets time pass in steps, and lets kubelets work after each.
func (b *bench) pass(duration time.Duration) {
	b.t.Helper()

	for end := b.now.Add(duration); b.now.Before(end); b.now = b.now.Add(100 * time.Millisecond) {
		if err := b.fleet.Step(b.now); err != nil {
			b.t.Fatal(err)
		}

		if err := b.fleet.StepKubernetes(b.t.Context(), b.kube); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) node(hostname string) *machine.Node { return b.fleet.ByName(hostname) }

func (b *bench) bootstrap(hostname string) {
	b.t.Helper()

	if err := b.node(hostname).Bootstrap(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// members returns the names of the etcd members that a machine knows, with learners in brackets.
func (b *bench) members(hostname string) []string {
	// Without a listening etcd, the answer never comes.
	ctx, cancel := context.WithTimeout(b.t.Context(), 100*time.Millisecond)
	defer cancel()

	members, err := b.node(hostname).EtcdMembers(ctx, true)
	if err != nil {
		return nil
	}

	var names []string

	for _, member := range members {
		name := member.GetHostname()
		if member.GetIsLearner() {
			name = "(" + name + ")"
		}

		names = append(names, name)
	}

	return names
}

func (b *bench) status(hostname string) *runtime.MachineStatusSpec {
	b.t.Helper()

	status, err := safe.StateGetByID[*runtime.MachineStatus](b.t.Context(), b.node(hostname).Resources(), runtime.MachineStatusID)
	if err != nil {
		b.t.Fatal(err)
	}

	return status.TypedSpec()
}

// service returns the state and the health of a service, as "Running OK".
func (b *bench) service(hostname, id string) string {
	for _, service := range b.node(hostname).Services() {
		if service.GetId() == id {
			return fmt.Sprintf("%s healthy=%t", service.GetState(), service.GetHealth().GetHealthy())
		}
	}

	return "absent"
}

// discovered returns the machines that a machine knows.
func (b *bench) discovered(hostname string) []string {
	b.t.Helper()

	members, err := safe.StateListAll[*cluster.Member](b.t.Context(), b.node(hostname).Resources())
	if err != nil {
		b.t.Fatal(err)
	}

	return safe.ToSlice(members, func(member *cluster.Member) string { return member.TypedSpec().Hostname })
}

// open returns the open ports as "cp-1 talos 127.25.201.10".
func (b *bench) open() []string {
	var open []string

	for _, endpoint := range b.fleet.Endpoints() {
		open = append(open, fmt.Sprintf("%s %s %s", endpoint.Node.Hostname, endpoint.Kind, endpoint.Address))
	}

	return open
}

func (b *bench) isOpen(kind machine.EndpointKind, address string) bool {
	return slices.ContainsFunc(b.fleet.Endpoints(), func(e machine.Endpoint) bool {
		return e.Kind == kind && e.Address[:len(address)+1] == address+":"
	})
}

// fakeKubernetes records what kubelets reported.
type fakeKubernetes struct {
	starts     int
	wipes      int
	registered []string
	// controlPlane are those that reported to be control plane nodes.
	controlPlane []string
	running      map[string]bool
	ready        map[string]bool
}

func newFakeKubernetes() *fakeKubernetes {
	return &fakeKubernetes{running: map[string]bool{}, ready: map[string]bool{}}
}

func (k *fakeKubernetes) Start(context.Context) error {
	k.starts++

	return nil
}

func (k *fakeKubernetes) Register(_ context.Context, node machine.Registration) error {
	k.registered = append(k.registered, node.Hostname)
	if node.ControlPlane {
		k.controlPlane = append(k.controlPlane, node.Hostname)
	}

	return nil
}

func (k *fakeKubernetes) NodeReady(_ context.Context, hostname string) (bool, error) {
	return k.ready[hostname], nil
}

func (k *fakeKubernetes) SetKubelet(_ context.Context, hostname string, running bool) error {
	k.running[hostname] = running

	return nil
}

func (k *fakeKubernetes) Wipe(context.Context) error {
	k.wipes++

	return nil
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()

	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
