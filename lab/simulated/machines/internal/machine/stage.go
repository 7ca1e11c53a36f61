package machine

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// stepStage ends the boot sequence when every service that it started is up.
func (n *Node) stepStage(now time.Time) {
	if n.mode != Configured || n.booted || !startsEverything(n, now) {
		return
	}

	for _, service := range n.services {
		if !service.up() {
			return
		}
	}

	n.booted, n.dirty = true, true
	n.log(now, "boot sequence: done: %s", now.Sub(n.bootedAt))
}

// stage is the stage in the machine's status.
func (n *Node) stage() runtime.MachineStage {
	switch {
	case n.isEnding():
		return n.ending
	case n.mode == Maintenance:
		return runtime.MachineStageMaintenance
	case n.booted:
		return runtime.MachineStageRunning
	default:
		return runtime.MachineStageBooting
	}
}

// isEnding reports whether the machine has been told to restart but is not off yet.
func (n *Node) isEnding() bool { return n.ending != runtime.MachineStageUnknown }

// unmet returns what keeps the machine from being ready, in the order and words of Talos.
func (n *Node) unmet(now time.Time) []runtime.UnmetCondition {
	if n.mode != Configured {
		return nil
	}

	var conditions []runtime.UnmetCondition

	add := func(name, reason string) {
		if reason != "" {
			conditions = append(conditions, runtime.UnmetCondition{Name: name, Reason: reason})
		}
	}

	if !n.timeSynced(now) {
		add("time", "time is not synced")
	}

	add("services", n.unmetServices())
	add("nodeReady", n.unmetNode())

	return conditions
}

func (n *Node) unmetServices() string {
	var problems []string

	for _, id := range n.serviceIDs() {
		if service := n.services[id]; service.running() && service.health.known && !service.health.healthy {
			problems = append(problems, id+" not healthy")
		}
	}

	required := []string{"apid", "machined", "kubelet"}
	if n.isControlPlane() {
		required = append(required, "etcd", "trustd")
	}

	for _, id := range required {
		if !n.services[id].running() {
			problems = append(problems, id+" not running")
		}
	}

	return strings.Join(problems, ", ")
}

func (n *Node) unmetNode() string {
	switch {
	case !n.nodeKnown:
		return fmt.Sprintf("node %q status is not available yet", n.Hostname)
	case !n.nodeReady:
		return fmt.Sprintf("node %q is not ready", n.Hostname)
	default:
		return ""
	}
}

func (n *Node) serviceIDs() []string {
	ids := make([]string, 0, len(n.services))
	for id := range n.services {
		ids = append(ids, id)
	}

	sort.Strings(ids)

	return ids
}
