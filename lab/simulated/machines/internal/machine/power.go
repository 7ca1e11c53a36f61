package machine

import (
	"time"

	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// answerTime is how long a machine runs on after it accepted a reboot, so that its answer still
// arrives. wipeTime is the additional time of a reset, so that all machines can be reset one after
// the other before the first is back.
const (
	answerTime = 200 * time.Millisecond
	wipeTime   = 4 * time.Second
)

// Reboot switches the machine off and on again. Only its disk survives.
func (n *Node) Reboot() {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	n.log(n.fleet.now(), "reboot via API received")
	n.restart(runtime.MachineStageRebooting, 0)
}

// restart stops the machine's etcd and switches the machine off for a little longer than a boot
// takes. The caller holds the lock.
func (n *Node) restart(stage runtime.MachineStage, longer time.Duration) {
	now := n.fleet.now()
	n.ending, n.dirty = stage, true
	n.offFrom = now.Add(answerTime)
	n.offUntil = n.offFrom.Add(n.fleet.lab.Timings.Boot() + longer)

	if n.services["etcd"] != nil {
		n.set(now, "etcd", Finished, "Service finished successfully")
	}
}

// Apply gives the machine another configuration, and reboots it unless the change is only staged.
func (n *Node) Apply(config []byte, reboot bool) error {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	n.disk.Config, n.disk.Wiped = string(config), false
	n.fleet.changed()

	if reboot {
		n.restart(runtime.MachineStageRebooting, 0)
	}

	return n.fleet.saveIfNeeded()
}
