package machine

import (
	"strings"
	"time"
)

// definition defines when a service starts and what it waits for.
type definition struct {
	id string
	// starts reports whether the boot sequence has reached the service.
	starts func(n *Node, now time.Time) bool
	// needs returns everything that the service waits for before it runs, in Talos's words; empty
	// if nothing.
	needs string
	// waits returns what of that is still missing.
	waits func(n *Node, now time.Time) []string
	// started is the message of the service when it runs.
	started string
}

// goroutineMessage is how Talos announces a service without its own process. The process ids below
// are made up.
const goroutineMessage = "Service started as goroutine"

// What services wait for, in the words of Talos 1.12.
const (
	needsOfAPID      = `service "containerd" to be "up", api certificates`
	needsOfCRI       = "volumes /var/lib, /var/lib/cni, /var/lib/containerd, /var/run, /var/run/lock, /etc/cni, /etc/kubernetes, /usr/libexec/kubernetes, /opt to be mounted, network"
	needsOfDashboard = `service "machined" to be "up", file "/system/run/machined/machine.sock" to exist`
	needsOfEtcd      = `volumes /var/lib, ETCD to be mounted, service "cri" to be "up", time sync, network, etcd spec`
	needsOfKubelet   = "volumes /var/lib, /var/lib/kubelet, /var/log, /var/log/audit, /var/log/containers, /var/log/pods, /var/lib/kubelet/seccomp, " +
		`/var/lib/kubelet/seccomp/profiles, /var/log/audit/kube, /var/mnt to be mounted, service "cri" to be "up", time sync, network`
	needsOfSyslogd = `service "machined" to be "up"`
	needsOfTrustd  = `service "containerd" to be "up", time sync, network`
)

// waitInterval is how often Talos repeats what a service still waits for.
const waitInterval = time.Second

var definitions = []definition{
	{id: "machined", starts: always, waits: nothing, started: goroutineMessage},
	{id: "containerd", starts: always, waits: nothing, started: `Process Process(["/bin/containerd"]) started with PID 801`},
	{id: "udevd", starts: always, waits: nothing, started: `Process Process(["/sbin/systemd-udevd"]) started with PID 803`},
	{id: "syslogd", starts: always, needs: needsOfSyslogd, waits: nothing, started: goroutineMessage},
	{id: "auditd", starts: always, waits: nothing, started: goroutineMessage},
	{id: "dashboard", starts: always, needs: needsOfDashboard, waits: nothing, started: `Process Process(["/sbin/dashboard"]) started with PID 811`},
	{id: "apid", starts: always, needs: needsOfAPID, waits: waitsForCertificates, started: "Started task apid (PID 1201) for container apid"},
	{
		id: "cri", starts: startsEverything, needs: needsOfCRI, waits: nothing,
		started: `Process Process(["/bin/containerd" "--address" "/run/containerd/containerd.sock" "--config" "/etc/cri/containerd.toml"]) started with PID 1303`,
	},
	{id: "trustd", starts: onControlPlane, needs: needsOfTrustd, waits: waitsForTime, started: "Started task trustd (PID 1404) for container trustd"},
	{id: "kubelet", starts: startsEverything, needs: needsOfKubelet, waits: waitsForTimeAndCRI, started: "Started task kubelet (PID 1505) for container kubelet"},
}

// hasHealthCheck reports whether Talos checks the health of the service.
func hasHealthCheck(id string) bool { return id != "dashboard" }

// stepBoot starts each service as soon as nothing holds it back.
func (n *Node) stepBoot(now time.Time) {
	if n.mode != Configured || n.isEnding() {
		return
	}

	for _, d := range definitions {
		if d.starts(n, now) {
			n.stepService(now, d)
		}
	}
}

func (n *Node) stepService(now time.Time, d definition) {
	if d.id == "kubelet" && n.faults.KubeletFails {
		n.set(now, d.id, Waiting, `Error running Containerd(kubelet), going to restart forever: task "kubelet" failed: exit code 1`)

		return
	}

	service := n.services[d.id]
	if service.running() || service != nil && service.state == Finished {
		return
	}

	if service == nil {
		n.begin(now, d.id, d.needs)
	}

	if n.waiting(now, d.id, d.waits(n, now)) {
		return
	}

	n.set(now, d.id, Preparing, "Running pre state")
	n.set(now, d.id, Preparing, "Creating service runner")
	n.set(now, d.id, Running, "%s", d.started)

	if hasHealthCheck(d.id) {
		n.check(now, d.id, "")
	}
}

// begin starts a service. It first reports everything that it needs, whether present or not.
func (n *Node) begin(now time.Time, id, needs string) {
	n.set(now, id, Starting, "Starting service")

	if needs != "" {
		n.set(now, id, Waiting, "Waiting for %s", needs)
	}
}

// waiting reports whether something blocks the service, and has the service report it in Talos's
// rhythm.
func (n *Node) waiting(now time.Time, id string, missing []string) bool {
	if len(missing) == 0 {
		return false
	}

	if now.Sub(n.services[id].changed()) >= waitInterval {
		n.set(now, id, Waiting, "Waiting for %s", strings.Join(missing, ", "))
	}

	return true
}

func always(*Node, time.Time) bool      { return true }
func nothing(*Node, time.Time) []string { return nil }
func onControlPlane(n *Node, now time.Time) bool {
	return n.isControlPlane() && startsEverything(n, now)
}

// startsEverything is the last phase of the boot sequence.
func startsEverything(n *Node, now time.Time) bool {
	return !n.faults.NotBooted && now.Sub(n.bootedAt) >= n.fleet.lab.Timings.Boot()
}

// waitsForCertificates blocks the Talos API. A control plane machine signs its own certificate. A
// worker asks trustd on a control plane machine, which it finds through the discovery service or,
// without that, only through the Kubernetes API.
func waitsForCertificates(n *Node, _ time.Time) []string {
	if n.isControlPlane() || n.fleet.trustdReachable(n) {
		return nil
	}

	return []string{"api certificates"}
}

func waitsForTime(n *Node, now time.Time) []string {
	if n.timeSynced(now) {
		return nil
	}

	return []string{"time sync"}
}

func waitsForTimeAndCRI(n *Node, now time.Time) []string {
	var waits []string
	if !n.services["cri"].up() {
		waits = append(waits, `service "cri" to be "up"`)
	}

	return append(waits, waitsForTime(n, now)...)
}

// timeSynced reports whether the clock is in sync. That takes half of the boot, and is always true
// if time synchronisation is turned off.
func (n *Node) timeSynced(now time.Time) bool {
	if n.timeSyncDisabled() {
		return true
	}

	return !n.faults.TimeUnsynced && now.Sub(n.bootedAt) >= n.fleet.lab.Timings.Boot()/2
}

func (n *Node) timeSyncDisabled() bool {
	if n.cfg == nil {
		return false
	}

	timeSync := n.cfg.NetworkTimeSyncConfig()

	return timeSync != nil && timeSync.Disabled()
}
