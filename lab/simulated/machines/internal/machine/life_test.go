package machine_test

import (
	"testing"
	"time"

	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/machine"
)

// all is long enough for everything that can happen by itself.
const all = 15 * time.Second

func TestControlPlaneNodesWaitForABootstrap(t *testing.T) {
	b := newBench(t)

	b.pass(all)

	equal(t, "etcd", b.service("cp-1", "etcd"), "Preparing healthy=false")
	equal(t, "stage", b.status("cp-1").Stage, "booting")
	equal(t, "unmet", b.status("cp-1").Status.UnmetConditions, `[{services etcd not running} {nodeReady node "cp-1" status is not available yet}]`)
	equal(t, "stage of a worker", b.status("worker-1").Stage, "running")
	equal(t, "readiness of a worker", b.status("worker-1").Status.Ready, false)
	equal(t, "starts of Kubernetes", b.kube.starts, 0)
	equal(t, "virtual address", b.isOpen(machine.TalosAPI, b.lab.VIP), false)
}

func TestOthersJoinOneAfterTheOtherOnceTheAPIIsUp(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")

	var seen []string

	for range 120 {
		b.pass(100 * time.Millisecond)

		if members := b.members("cp-1"); len(members) > 0 && (len(seen) == 0 || seen[len(seen)-1] != joinedNames(members)) {
			seen = append(seen, joinedNames(members))
		}
	}

	equal(t, "members over time", seen, []string{"cp-1", "cp-1 ()", "cp-1 (cp-2)", "cp-1 cp-2", "cp-1 cp-2 ()", "cp-1 cp-2 (cp-3)", "cp-1 cp-2 cp-3"})
	equal(t, "members as cp-3 knows them", b.members("cp-3"), "[cp-1 cp-2 cp-3]")
	equal(t, "registered", b.kube.registered, "[cp-1 cp-2 cp-3 worker-1]")
}

func TestNoMachineJoinsWithoutTheAPI(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")

	for range 100 {
		b.now = b.now.Add(100 * time.Millisecond)
		if err := b.fleet.Step(b.now); err != nil {
			t.Fatal(err)
		}
	}

	equal(t, "members", b.members("cp-1"), "[cp-1]")
	equal(t, "cp-2", b.service("cp-2", "etcd"), "Preparing healthy=false")
}

func TestMachinesAreReadyOnlyWhenTheirNodesAre(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	equal(t, "stage without CNI", b.status("cp-1").Stage, "running")
	equal(t, "unmet without CNI", b.status("cp-1").Status.UnmetConditions, `[{nodeReady node "cp-1" is not ready}]`)

	b.kube.ready["cp-1"] = true
	b.pass(time.Second)

	equal(t, "ready", b.status("cp-1").Status.Ready, true)
	equal(t, "another one", b.status("cp-2").Status.Ready, false)
}

func TestAVirtualAddressNeedsAQuorum(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	equal(t, "with three", []bool{b.isOpen(machine.TalosAPI, b.lab.VIP), b.isOpen(machine.KubernetesAPI, b.lab.VIP)}, "[true true]")

	b.faults["cp-1"] = faults.Set{Down: true}
	b.pass(time.Second)
	equal(t, "with two", []bool{b.isOpen(machine.TalosAPI, b.lab.VIP), b.isOpen(machine.KubernetesAPI, b.lab.VIP)}, "[true true]")

	b.faults["cp-2"] = faults.Set{Down: true}
	b.pass(time.Second)
	equal(t, "with one", []bool{b.isOpen(machine.TalosAPI, b.lab.VIP), b.isOpen(machine.KubernetesAPI, b.lab.VIP)}, "[false false]")
	equal(t, "API server of the last", b.isOpen(machine.KubernetesAPI, "127.25.201.13"), false)
	equal(t, "etcd of the last", b.service("cp-3", "etcd"), "Running healthy=false")

	delete(b.faults, "cp-1")
	delete(b.faults, "cp-2")
	b.pass(all)
	equal(t, "with three again", []bool{b.isOpen(machine.TalosAPI, b.lab.VIP), b.isOpen(machine.KubernetesAPI, b.lab.VIP)}, "[true true]")
}

func TestStateSurvivesTheProcess(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	before := b.members("cp-1")

	b.kube.registered = nil
	b.powerOn()
	b.pass(all)

	equal(t, "members", b.members("cp-2"), before)
	equal(t, "second bootstrap", b.node("cp-1").Bootstrap(t.Context()), "rpc error: code = AlreadyExists desc = etcd data directory is not empty")
	equal(t, "starts of Kubernetes", b.kube.starts, 2)
	equal(t, "registered again", b.kube.registered, "[cp-1 cp-2 cp-3 worker-1]")
}

func TestABootstrapIsOnDiskBeforeTheAnswer(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")

	b.powerOn()
	b.pass(2 * time.Second)

	equal(t, "members", b.members("cp-1"), "[cp-1]")
}

func TestASecondClusterIsSplitFromTheFirst(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.bootstrap("cp-2")
	b.pass(all)

	equal(t, "first", b.members("cp-1"), "[cp-1 cp-3]")
	equal(t, "second", b.members("cp-2"), "[cp-2]")
	equal(t, "API server of the second", b.isOpen(machine.KubernetesAPI, "127.25.201.12"), false)
}

func TestAPowerCutKeepsOnlyTheDisk(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)
	b.bootstrap("cp-1")
	b.pass(all)

	b.faults["cp-3"] = faults.Set{Down: true}
	b.pass(time.Second)
	equal(t, "open ports", len(b.open()), 3+2+2)
	equal(t, "kubelet", b.kube.running["cp-3"], false)

	delete(b.faults, "cp-3")
	b.pass(all)
	equal(t, "members", b.members("cp-3"), "[cp-1 cp-2 cp-3]")
	equal(t, "kubelet", b.kube.running["cp-3"], true)
}

func TestDiscoveryRemembersMachinesThatAreOff(t *testing.T) {
	b := newBench(t)
	b.faults["worker-1"] = faults.Set{Down: true}
	b.pass(2 * time.Second)
	equal(t, "before it ever ran", b.discovered("cp-1"), "[cp-1 cp-2 cp-3]")

	delete(b.faults, "worker-1")
	b.pass(2 * time.Second)
	equal(t, "while it runs", b.discovered("cp-1"), "[cp-1 cp-2 cp-3 worker-1]")

	b.faults["worker-1"] = faults.Set{Down: true}
	b.pass(2 * time.Second)
	equal(t, "when it is off", b.discovered("cp-1"), "[cp-1 cp-2 cp-3 worker-1]")

	b.faults["worker-1"] = faults.Set{Maintenance: true}
	b.pass(2 * time.Second)
	equal(t, "without its configuration", b.discovered("cp-1"), "[cp-1 cp-2 cp-3]")
}

func joinedNames(names []string) string {
	text := ""
	for i, name := range names {
		if i > 0 {
			text += " "
		}

		text += name
	}

	return text
}
