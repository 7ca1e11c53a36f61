package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// recordVersion is the format of the state file. Another format is rejected.
const recordVersion = 1

// Record is everything that survives a power cut: the content of all machines' disks.
type Record struct {
	Version int                    `json:"version"`
	Cluster string                 `json:"cluster"`
	Etcd    []*EtcdCluster         `json:"etcd_clusters"`
	Disks   map[string]*DiskRecord `json:"disks"`
	// WipeKubernetes requests that the etcd data behind the API server is deleted before it starts
	// again.
	WipeKubernetes bool `json:"wipe_kubernetes,omitempty"`
}

// EtcdCluster is one etcd cluster. A second one appears only if a second machine was bootstrapped.
type EtcdCluster struct {
	ID             string       `json:"id"`
	BootstrappedBy string       `json:"bootstrapped_by"`
	BootstrappedAt time.Time    `json:"bootstrapped_at"`
	Members        []EtcdMember `json:"members"`
}

// EtcdMember is one member of an etcd cluster.
type EtcdMember struct {
	Hostname string `json:"hostname"`
	ID       uint64 `json:"id,string"`
	Learner  bool   `json:"learner"`
}

// DiskRecord is the content of one machine's disk.
type DiskRecord struct {
	// EtcdCluster is the cluster whose data the machine holds; empty if the etcd data directory is
	// empty.
	EtcdCluster string `json:"etcd_cluster"`
	// Wiped reports that the machine lost its configuration in a reset.
	Wiped bool `json:"wiped"`
	// Config is a machine configuration that was applied through the API and replaces the first
	// one.
	Config string `json:"config,omitempty"`
}

// Store saves the record.
type Store interface {
	Load() (*Record, error)
	Save(*Record) error
}

// FileStore saves the record in a file that is replaced as a whole.
type FileStore struct{ Path string }

// Load reads the record. A missing file means machines that were never switched on.
func (s FileStore) Load() (*Record, error) {
	raw, err := os.ReadFile(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Record{Version: recordVersion}, nil
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read the machines' state: %w", err)
	}

	record := &Record{}
	if err := json.Unmarshal(raw, record); err != nil {
		return nil, fmt.Errorf("cannot read the machines' state in %s: %w", s.Path, err)
	}

	if record.Version != recordVersion {
		return nil, fmt.Errorf("cannot use the machines' state in %s: its format is %d, but this program needs %d", s.Path, record.Version, recordVersion)
	}

	return record, nil
}

// Save writes a temporary file, syncs it to disk and renames it, so that a kill leaves the old or
// the new state.
func (s FileStore) Save(record *Record) error {
	raw, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the machines' state: %w", err)
	}

	if err := replaceFile(s.Path, append(raw, '\n')); err != nil {
		return fmt.Errorf("cannot save the machines' state: %w", err)
	}

	return nil
}

func replaceFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // already gone after the rename

	if err := writeAndSync(temporary, content); err != nil {
		return err
	}

	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}

	return syncDirectory(filepath.Dir(path))
}

func writeAndSync(file *os.File, content []byte) error {
	_, writeErr := file.Write(content)
	syncErr := file.Sync()

	return errors.Join(writeErr, syncErr, file.Close())
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}

	return errors.Join(directory.Sync(), directory.Close())
}
