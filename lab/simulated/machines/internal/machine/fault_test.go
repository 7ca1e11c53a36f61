package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/machine"
)

func TestFaultsAppearAndPass(t *testing.T) {
	for name, row := range map[string]struct {
		fault  faults.Set
		broken func(*bench) any
		want   any
		mended any
	}{
		"closed port": {
			fault: faults.Set{ApidClosed: true}, want: false, mended: true,
			broken: func(b *bench) any { return b.isOpen(machine.TalosAPI, "127.25.201.12") },
		},
		"maintenance": {
			fault: faults.Set{Maintenance: true}, want: "[true maintenance]", mended: "[false running]",
			broken: func(b *bench) any {
				return []any{b.isOpen(machine.MaintenanceAPI, "127.25.201.12"), b.status("cp-2").Stage}
			},
		},
		"clock not in sync": {
			fault: faults.Set{TimeUnsynced: true}, want: "[{time time is not synced} {nodeReady node \"cp-2\" is not ready}]", mended: "[{nodeReady node \"cp-2\" is not ready}]",
			broken: func(b *bench) any { return b.status("cp-2").Status.UnmetConditions },
		},
		"skewed clock": {
			fault: faults.Set{TimeSkewS: 90}, want: 90 * time.Second, mended: time.Duration(0),
			broken: func(b *bench) any {
				local, _ := b.node("cp-2").Clock()

				return local.Sub(b.now)
			},
		},
		"a kubelet that ends": {
			fault: faults.Set{KubeletFails: true}, want: "Waiting healthy=false", mended: "Running healthy=true",
			broken: func(b *bench) any { return b.service("cp-2", "kubelet") },
		},
		"MTU":         {fault: faults.Set{LinkMTU: 1500}, want: 1500, mended: 9000, broken: mtuOfBond},
		"etcd stalls": {fault: faults.Set{EtcdStalls: true}, want: "Running healthy=false", mended: "Running healthy=true", broken: etcdOfSecond},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.pass(2 * time.Second)
			b.bootstrap("cp-1")
			b.pass(all)

			b.faults["cp-2"] = row.fault
			b.pass(3 * time.Second)
			equal(t, "broken", row.broken(b), row.want)

			delete(b.faults, "cp-2")
			b.pass(3 * time.Second)
			equal(t, "mended", row.broken(b), row.mended)
		})
	}
}

func TestAnEtcdThatCannotStartReportsWhyAndRecovers(t *testing.T) {
	for fault, want := range map[faults.Set]string{
		{EtcdNoSpec: true}:    "Waiting healthy=false",
		{EtcdLeftovers: true}: "Waiting healthy=false",
	} {
		b := newBench(t)
		b.faults["cp-2"] = fault
		b.pass(2 * time.Second)
		b.bootstrap("cp-1")

		b.pass(all)
		equal(t, "broken", etcdOfSecond(b), want)
		equal(t, "members", b.members("cp-1"), "[cp-1 cp-3]")

		delete(b.faults, "cp-2")
		b.pass(all)
		equal(t, "mended", etcdOfSecond(b), "Running healthy=true")
	}
}

func TestAnEtcdThatGaveUpJoiningStaysFailedUntilTheNextBoot(t *testing.T) {
	for name, reboot := range map[string]func(b *bench){
		"by hand":   func(b *bench) { b.node("cp-2").Reboot() },
		"by itself": func(b *bench) { b.now = b.now.Add(constants.BootTimeout - constants.EtcdJoinTimeout) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.faults["cp-2"] = faults.Set{EtcdJoinTimesOut: true}
			b.pass(2 * time.Second)
			b.bootstrap("cp-1")
			b.pass(all)
			equal(t, "broken", etcdOfSecond(b), "Failed healthy=false")
			equal(t, "members", b.members("cp-1"), "[cp-1 cp-3]")

			delete(b.faults, "cp-2")
			b.pass(all)
			equal(t, "mended, but not rebooted", etcdOfSecond(b), "Failed healthy=false")

			first := b.node("cp-2").BootID()
			reboot(b)
			b.pass(all)
			equal(t, "rebooted", b.node("cp-2").BootID() != first, true)
			equal(t, "etcd after the reboot", etcdOfSecond(b), "Running healthy=true")
		})
	}
}

func TestAnEtcdThatGaveUpJoiningCanBeBootstrapped(t *testing.T) {
	b := newBench(t)
	b.faults["cp-2"] = faults.Set{EtcdJoinTimesOut: true}
	b.pass(2 * time.Second)
	equal(t, "broken", etcdOfSecond(b), "Failed healthy=false")

	b.bootstrap("cp-2")
	b.pass(all)
	equal(t, "bootstrapped", etcdOfSecond(b), "Running healthy=true")
}

func TestTheOwnerOfTheVIPMayFailToAnnounceIt(t *testing.T) {
	b := newBench(t)
	b.faults["cp-1"] = faults.Set{NoVIP: true}
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")

	b.pass(all)
	equal(t, "VIP while it is not announced", b.isOpen(machine.KubernetesAPI, b.lab.VIP), false)
	equal(t, "the owner's own port", b.isOpen(machine.KubernetesAPI, "127.25.201.11"), true)

	delete(b.faults, "cp-1")
	b.pass(all)
	equal(t, "VIP", b.isOpen(machine.KubernetesAPI, b.lab.VIP), true)
}

func TestAMachineThatRunsAsAWorkerIsNotAControlPlaneNode(t *testing.T) {
	b := newBench(t)
	b.faults["cp-1"], b.faults["cp-3"] = faults.Set{AsWorker: true}, faults.Set{AsWorker: true}
	b.pass(2 * time.Second)

	err := b.node("cp-1").Bootstrap(t.Context())
	equal(t, "bootstrap", status.Convert(err).Message(), "bootstrap can only be performed on a control plane node")

	delete(b.faults, "cp-1")
	b.pass(time.Second)
	equal(t, "types as the others see them", typesSeenBy(b, "cp-2"), "[cp-1 controlplane true cp-2 controlplane true cp-3 worker false worker-1 worker false]")

	b.bootstrap("cp-1")
	b.pass(all)
	equal(t, "members", b.members("cp-1"), "[cp-1 cp-2]")
	equal(t, "registered", b.kube.registered, "[cp-1 cp-2 cp-3 worker-1]")
	equal(t, "control plane nodes of Kubernetes", b.kube.controlPlane, "[cp-1 cp-2]")
}

// typesSeenBy returns the members that a machine knows, their types, and whether they are said to
// have an API server.
func typesSeenBy(b *bench, hostname string) []any {
	members, err := safe.StateListAll[*cluster.Member](b.t.Context(), b.node(hostname).Resources())
	if err != nil {
		b.t.Fatal(err)
	}

	affiliates, err := safe.StateListAll[*cluster.Affiliate](b.t.Context(), b.node(hostname).Resources())
	if err != nil {
		b.t.Fatal(err)
	}

	types := map[string]any{}
	for affiliate := range affiliates.All() {
		types[affiliate.TypedSpec().Hostname] = fmt.Sprint(affiliate.TypedSpec().MachineType, affiliate.TypedSpec().ControlPlane != nil)
	}

	var seen []any

	for member := range members.All() {
		spec := member.TypedSpec()
		seen = append(seen, spec.Hostname, spec.MachineType, spec.ControlPlane != nil)
		equal(b.t, "affiliate of "+spec.Hostname, types[spec.Hostname], fmt.Sprint(spec.MachineType, spec.ControlPlane != nil))
	}

	return seen
}

func TestABootstrapIsRefusedWhenEtcdsFolderIsNotEmpty(t *testing.T) {
	b := newBench(t)
	b.faults["cp-1"] = faults.Set{EtcdLeftovers: true}
	b.pass(2 * time.Second)

	err := b.node("cp-1").Bootstrap(t.Context())
	equal(t, "bootstrap", status.Convert(err).Message(), "etcd data directory is not empty")
}

func TestAStalledJoinLetsTheOthersJoin(t *testing.T) {
	b := newBench(t)
	b.faults["cp-2"] = faults.Set{EtcdJoinStalls: true}
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")

	b.pass(all)
	equal(t, "members", b.members("cp-1"), "[cp-1 cp-3]")

	delete(b.faults, "cp-2")
	b.pass(all)
	equal(t, "members", b.members("cp-1"), "[cp-1 cp-3 cp-2]")
}

func TestResetAndRebootKeepTheRightData(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	first := b.node("cp-3").BootID()
	b.node("cp-3").Reboot()
	b.pass(all)
	equal(t, "rebooted", b.node("cp-3").BootID() != first, true)
	equal(t, "members after a reboot", b.members("cp-3"), "[cp-1 cp-2 cp-3]")

	if err := b.node("cp-3").Reset(machine.Reset{Graceful: true, Ephemeral: true, Config: true}); err != nil {
		t.Fatal(err)
	}

	b.pass(all)
	equal(t, "members after a reset", b.members("cp-1"), "[cp-1 cp-2]")
	equal(t, "stage after a reset", b.status("cp-3").Stage, "maintenance")

	b.powerOn()
	b.pass(all)
	equal(t, "stage after a restart of the simulation", b.status("cp-3").Stage, "maintenance")
}

func TestAResetOfTheLastMemberWipesKubernetes(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	for _, hostname := range []string{"cp-1", "cp-2", "cp-3"} {
		equal(t, "wiped before the last reset", b.kube.wipes, 0)

		if err := b.node(hostname).Reset(machine.Reset{Ephemeral: true}); err != nil {
			t.Fatal(err)
		}

		// The machine runs on for a moment, in which it must not join again.
		b.pass(100 * time.Millisecond)
	}

	b.pass(all)
	equal(t, "wipes", b.kube.wipes, 1)
	equal(t, "API", b.isOpen(machine.KubernetesAPI, b.lab.VIP), false)

	b.kube.registered = nil
	b.bootstrap("cp-2")
	b.pass(all)
	equal(t, "members of the new cluster", b.members("cp-2"), "[cp-2 cp-1 cp-3]")
	equal(t, "registered anew", b.kube.registered, "[cp-1 cp-2 cp-3 worker-1]")
}

func mtuOfBond(b *bench) any {
	link, err := safe.StateGetByID[*network.LinkStatus](b.t.Context(), b.node("cp-2").Resources(), "bond0")
	if err != nil {
		b.t.Fatal(err)
	}

	return link.TypedSpec().MTU
}

func etcdOfSecond(b *bench) any { return b.service("cp-2", "etcd") }
