// Package faults injects faults into simulated machines.
//
// Fault model. What may break, one switch each, per machine ("*" means every machine), at any time and for any time:
// the power of a machine (down), its Talos port (apid_closed), its boot (not_booted), its clock (time_unsynced, time_skew_s),
// its configuration (maintenance), its links (link_mtu), its trust in the operator (wrong_ca), its etcd (etcd_stalls, etcd_join_stalls) and the
// answer to a bootstrap (bootstrap_hangs). A fault ends when its line is taken out of the file, and the machine then recovers
// as a real one would: power-on boots it anew, a closed port reopens, a stalled member goes on.
//
// What never breaks here: loopback connections lose no data, the call log and the saved state are never torn, and machines
// share one computer, so a machine that is down refuses connections at once instead of letting them time out.
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
