// Package faults injects faults into simulated machines.
//
// Fault model. What may break, one switch each, per machine ("*" means every machine), at any time
// and for any length of time: the power of a machine, its network, its Talos port, its
// certificates, its clock, its boot, its configuration, its links, its kubelet, its etcd, the
// answer to a bootstrap, its announcement of the virtual address, and its port of the Kubernetes
// API. The fields of Set document each. A fault ends when its line is removed from the file, and
// the machine then recovers like a real one: power-on boots it again, a closed port reopens, a
// stalled member continues. Pods have faults of their own (package kubelet).
// lab/simulated/faults.py is the only writer of the file, and has the faults of everything that is
// not a machine.
//
// What never breaks here: loopback connections lose no data, and the call log and the saved state
// are never torn. Machines share one computer, so one that is down refuses connections at once,
// silent or not. A silent machine lets them time out, yet is a healthy etcd member and a ready
// node: only talosctl and kubectl use the ports, etcd and the kubelets here do not.
package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Everyone is the key of faults that apply to every machine.
const Everyone = "*"

// Set is the faults of one machine.
type Set struct {
	// Down cuts the power: every port is closed, and its etcd member and API server are gone.
	Down bool `json:"down"`
	// ApidClosed closes port 50000 while the machine keeps running.
	ApidClosed bool `json:"apid_closed"`
	// NotBooted keeps the boot sequence from starting containerd for Kubernetes, so a bootstrap "is
	// not available yet".
	NotBooted bool `json:"not_booted"`
	// TimeUnsynced keeps the clock from being in sync.
	TimeUnsynced bool `json:"time_unsynced"`
	// TimeSkewS moves the machine's clock by that many seconds.
	TimeSkewS float64 `json:"time_skew_s"`
	// Maintenance makes the machine boot without its configuration.
	Maintenance bool `json:"maintenance"`
	// WrongCA makes the machine use a certificate authority that is unknown to the operator's
	// talosconfig.
	WrongCA bool `json:"wrong_ca"`
	// EtcdStalls keeps a starting etcd member from becoming healthy.
	EtcdStalls bool `json:"etcd_stalls"`
	// EtcdJoinStalls keeps a control plane machine waiting to join etcd.
	EtcdJoinStalls bool `json:"etcd_join_stalls"`
	// LinkMTU replaces the configured MTU on every link of the machine.
	LinkMTU uint32 `json:"link_mtu"`
	// BootstrapHangs accepts the bootstrap call but neither acts nor answers.
	BootstrapHangs bool `json:"bootstrap_hangs"`
	// BootstrapAnswerLost acts on the bootstrap call, but loses the connection before the answer.
	BootstrapAnswerLost bool `json:"bootstrap_answer_lost"`
	// Silent drops every packet to the machine's open ports: connections are neither accepted nor
	// refused.
	Silent bool `json:"silent"`
	// AsWorker makes a control plane machine run a worker's configuration. `get machineconfig`
	// still shows the original, and a node that Kubernetes already knows keeps its role.
	AsWorker bool `json:"as_worker"`
	// NoVIP keeps the machine from announcing the virtual address when it is its turn.
	NoVIP bool `json:"no_vip"`
	// CertificateWithoutVIP leaves the virtual address out of the Talos API's certificate.
	CertificateWithoutVIP bool `json:"certificate_without_vip"`
	// EtcdJoinTimesOut is a member that gave up after half an hour; here that passes at once. Even
	// without the fault it stays failed until the machine reboots. Talos does that by itself 40
	// minutes later, but a machine here waits without end.
	EtcdJoinTimesOut bool `json:"etcd_join_times_out"`
	// EtcdNoSpec leaves etcd without an address to announce, because none is in
	// cluster.etcd.advertisedSubnets.
	EtcdNoSpec bool `json:"etcd_no_spec"`
	// EtcdLeftovers leaves foreign files in etcd's data directory, so etcd exits again and again.
	EtcdLeftovers bool `json:"etcd_leftovers"`
	// KubeletFails makes the kubelet exit again and again.
	KubeletFails bool `json:"kubelet_fails"`
	// CSRUnapproved shows the diagnostic of a kubelet whose server certificate is not approved.
	CSRUnapproved bool `json:"csr_unapproved"`
	// KubernetesAPI is what port 6443 of the machine does to connections.
	KubernetesAPI APIFault `json:"kubernetes_api"`
}

// APIFault is a way in which a port fails.
type APIFault string

// The ways in which port 6443 fails.
const (
	// APIRefuses closes the port.
	APIRefuses APIFault = "refuses"
	// APIHangs accepts connections and sends nothing.
	APIHangs APIFault = "hangs"
	// APIResets accepts connections and resets them.
	APIResets APIFault = "resets"
	// APIBreaksOff answers, but ends every connection soon after it began, like an API server that
	// restarts.
	APIBreaksOff APIFault = "breaks_off"
)

// UnmarshalText rejects an unknown value.
func (f *APIFault) UnmarshalText(text []byte) error {
	switch fault := APIFault(text); fault {
	case "", APIRefuses, APIHangs, APIResets, APIBreaksOff:
		*f = fault

		return nil
	default:
		return fmt.Errorf("unknown fault of the Kubernetes API: %q", text)
	}
}

// Skew is the offset of the machine's clock.
func (s Set) Skew() time.Duration { return time.Duration(s.TimeSkewS * float64(time.Second)) }

// file is the format of faults.json.
type file struct {
	Nodes map[string]json.RawMessage `json:"nodes"`
}

// Source returns the current faults of each machine, from a file that is read again when it
// changes.
type Source struct {
	path    string
	onError func(error)

	mu       sync.Mutex
	modified time.Time
	size     int64
	sets     map[string]json.RawMessage
}

// NewSource reads faults from path. A missing file means no faults; an invalid one is reported to
// onError and ignored.
func NewSource(path string, onError func(error)) *Source {
	return &Source{path: path, onError: onError}
}

// For returns the current faults of one machine.
func (s *Source) For(hostname string) Set {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.refresh()

	var set Set

	for _, key := range []string{Everyone, hostname} {
		if raw, ok := s.sets[key]; ok {
			// Checked when the file was read. The machine's own line overrides the one for all.
			if err := json.Unmarshal(raw, &set); err != nil {
				s.onError(fmt.Errorf("cannot use the faults of %s: %w", key, err))
			}
		}
	}

	return set
}

// refresh reads the file only if its time or size changed, which takes one stat call.
func (s *Source) refresh() {
	info, err := os.Stat(s.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.onError(fmt.Errorf("cannot check the faults file: %w", err))
		}

		s.sets, s.modified, s.size = nil, time.Time{}, 0

		return
	}

	if info.ModTime().Equal(s.modified) && info.Size() == s.size {
		return
	}

	s.modified, s.size = info.ModTime(), info.Size()

	if sets, err := read(s.path); err != nil {
		// The previous faults stay in force, because half a file must not change them.
		s.onError(err)
	} else {
		s.sets = sets
	}
}

func read(path string) (map[string]json.RawMessage, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the faults: %w", err)
	}

	var parsed file
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, fmt.Errorf("cannot read the faults in %s: %w", path, err)
	}

	for name, set := range parsed.Nodes {
		if err := checkKeys(set); err != nil {
			return nil, fmt.Errorf("cannot read the faults of %s in %s: %w", name, path, err)
		}
	}

	return parsed.Nodes, nil
}
