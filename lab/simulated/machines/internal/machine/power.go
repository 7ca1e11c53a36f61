package machine

import (
	"time"
)

// answerTime is how long a machine goes on after it accepted a reboot, so that its answer still arrives.
const answerTime = 200 * time.Millisecond

// Reboot switches the machine off and on again; only its disk survives.
func (n *Node) Reboot() {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	n.reboot()
}

// reboot is called with the lock held.
func (n *Node) reboot() {
	now := n.fleet.now()
	n.log(now, "reboot via API received")
	n.offFrom = now.Add(answerTime)
	n.offUntil = n.offFrom.Add(n.fleet.lab.Timings.Boot())
}

// Apply gives the machine another configuration, and reboots it into that unless the change is only staged.
func (n *Node) Apply(config []byte, reboot bool) error {
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()

	n.disk.Config, n.disk.Wiped = string(config), false
	n.fleet.changed()

	if reboot {
		n.reboot()
	}

	return n.fleet.saveIfNeeded()
}
