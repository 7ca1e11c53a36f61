// Package faults injects faults into simulated machines.
//
// Fault model. What may break, one switch each, per machine ("*" means every machine), at any time and for any time: the power
// of a machine, its network, its Talos port, its certificates, its clock, its boot, its configuration, its links, its kubelet, its
// etcd, the answer to a bootstrap, its announcement of the virtual address, and its port of the Kubernetes API. Each field of Set
// says what it does. A fault ends when its line is taken out of the file, and the machine then recovers as a real one would: power-on
// boots it anew, a closed port reopens, a stalled member goes on. Pods have faults of their own (package kubelet); lab/simulated/faults.py
// is the one place that writes the file, and knows the faults of everything that is no machine.
//
// What never breaks here: loopback connections lose no data, the call log and the saved state are never torn. Machines share one
// computer, so one that is down refuses connections at once, silent or not. One that is silent lets them time out, and is a healthy etcd
// member and a ready node all the same: only talosctl and kubectl use the ports, etcd and the kubelets here do not.
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

// Everyone is the key of the faults that apply to every machine.
const Everyone = "*"

// Set is the faults of one machine.
type Set struct {
	// Down cuts the power: every port closed, etcd member and API server on it gone.
	Down bool `json:"down"`
	// ApidClosed closes port 50000 and leaves the machine running.
	ApidClosed bool `json:"apid_closed"`
	// NotBooted keeps the boot sequence from starting containerd for Kubernetes, so a bootstrap "is not available yet".
	NotBooted bool `json:"not_booted"`
	// TimeUnsynced keeps the clock from being in sync.
	TimeUnsynced bool `json:"time_unsynced"`
	// TimeSkewS moves the machine's clock by that many seconds.
	TimeSkewS float64 `json:"time_skew_s"`
	// Maintenance makes the machine boot without its configuration.
	Maintenance bool `json:"maintenance"`
	// WrongCA makes the machine use a certificate authority that the operator's talosconfig does not know.
	WrongCA bool `json:"wrong_ca"`
	// EtcdStalls keeps a starting etcd member from ever being healthy.
	EtcdStalls bool `json:"etcd_stalls"`
	// EtcdJoinStalls keeps a control plane machine waiting to join etcd.
	EtcdJoinStalls bool `json:"etcd_join_stalls"`
	// LinkMTU makes every link of the machine have this MTU instead of the configured one.
	LinkMTU uint32 `json:"link_mtu"`
	// BootstrapHangs accepts the bootstrap call and neither acts nor answers.
	BootstrapHangs bool `json:"bootstrap_hangs"`
	// BootstrapAnswerLost acts on the bootstrap call, and loses the connection before the answer.
	BootstrapAnswerLost bool `json:"bootstrap_answer_lost"`
	// Silent loses every packet to the machine's open ports: connections are neither accepted nor refused.
	Silent bool `json:"silent"`
	// AsWorker makes a control plane machine run a worker's configuration. What it does not change: `get machineconfig` shows the one that the
	// machine was given, and a node that Kubernetes knows already keeps its role.
	AsWorker bool `json:"as_worker"`
	// NoVIP keeps the machine from announcing the virtual address when it is its turn.
	NoVIP bool `json:"no_vip"`
	// CertificateWithoutVIP leaves the virtual address out of the Talos API's certificate.
	CertificateWithoutVIP bool `json:"certificate_without_vip"`
	// EtcdJoinTimesOut is a member that has waited its half hour in vain; here the half hour takes no time. It stays failed without the fault
	// too, until the machine reboots: Talos does that by itself 40 minutes later. A machine without the fault waits for ever here.
	EtcdJoinTimesOut bool `json:"etcd_join_times_out"`
	// EtcdNoSpec leaves etcd without an address to announce: none lies in cluster.etcd.advertisedSubnets.
	EtcdNoSpec bool `json:"etcd_no_spec"`
	// EtcdLeftovers leaves files in etcd's data directory that are no member, so that etcd ends again and again.
	EtcdLeftovers bool `json:"etcd_leftovers"`
	// KubeletFails makes the kubelet end again and again.
	KubeletFails bool `json:"kubelet_fails"`
	// CSRUnapproved shows the diagnostic of a kubelet whose server certificate nobody approves.
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
	// APIHangs accepts connections and says nothing.
	APIHangs APIFault = "hangs"
	// APIResets accepts connections and resets them.
	APIResets APIFault = "resets"
	// APIBreaksOff answers, and ends every connection soon after it began, as an API server that restarts.
	APIBreaksOff APIFault = "breaks_off"
)

// UnmarshalText refuses a way that there is not.
func (f *APIFault) UnmarshalText(text []byte) error {
	switch fault := APIFault(text); fault {
	case "", APIRefuses, APIHangs, APIResets, APIBreaksOff:
		*f = fault

		return nil
	default:
		return fmt.Errorf("no such fault of the Kubernetes API: %q", text)
	}
}

// Skew is how far the machine's clock is off.
func (s Set) Skew() time.Duration { return time.Duration(s.TimeSkewS * float64(time.Second)) }

// file is the form of faults.json.
type file struct {
	Nodes map[string]json.RawMessage `json:"nodes"`
}

// Source gives the current faults of each machine, from a file that is read again whenever it changed.
type Source struct {
	path    string
	onError func(error)

	mu       sync.Mutex
	modified time.Time
	size     int64
	sets     map[string]json.RawMessage
}

// NewSource reads faults from path; a file that is not there means no faults, a broken one is told to onError and ignored.
func NewSource(path string, onError func(error)) *Source {
	return &Source{path: path, onError: onError}
}

// For gives the faults of one machine now.
func (s *Source) For(hostname string) Set {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.refresh()

	var set Set

	for _, key := range []string{Everyone, hostname} {
		if raw, ok := s.sets[key]; ok {
			// Checked when the file was read: the machine's own line overrides the one for all.
			if err := json.Unmarshal(raw, &set); err != nil {
				s.onError(fmt.Errorf("cannot use the faults of %s: %w", key, err))
			}
		}
	}

	return set
}

// refresh reads the file only if its time or size changed; the look costs one stat call.
func (s *Source) refresh() {
	info, err := os.Stat(s.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.onError(fmt.Errorf("cannot look at the faults: %w", err))
		}

		s.sets, s.modified, s.size = nil, time.Time{}, 0

		return
	}

	if info.ModTime().Equal(s.modified) && info.Size() == s.size {
		return
	}

	s.modified, s.size = info.ModTime(), info.Size()

	if sets, err := read(s.path); err != nil {
		// The earlier faults stay in force: half a file is no statement about what shall break.
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
