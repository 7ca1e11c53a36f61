package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// The range is below the one for outgoing connections, so that a stopped control plane finds its
// ports free again.
const (
	firstPort = 20000
	lastPort  = 32000
)

// ports are where the programs listen on 127.0.0.1. They are saved, because they are part of the
// programs' arguments.
type ports struct {
	APIServer         int `json:"kube_apiserver"`
	Etcd              int `json:"etcd"`
	EtcdPeer          int `json:"etcd_peer"`
	ControllerManager int `json:"kube_controller_manager"`
	Scheduler         int `json:"kube_scheduler"`
	Kwok              int `json:"kwok"`
	Egress            int `json:"egress"`
}

func (p ports) apiServer() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.APIServer)) }

// loadOrChoosePorts returns the ports of this cluster, chosen at its first start.
func loadOrChoosePorts(path string) (ports, error) {
	var chosen ports

	raw, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(raw, &chosen); err != nil {
			return chosen, fmt.Errorf("cannot read the ports of the control plane in %s: %w", path, err)
		}

		return chosen, nil
	}

	if !errors.Is(err, fs.ErrNotExist) {
		return chosen, fmt.Errorf("cannot read the ports of the control plane: %w", err)
	}

	if chosen, err = choosePorts(path); err != nil {
		return chosen, err
	}

	if raw, err = json.MarshalIndent(chosen, "", "  "); err != nil {
		return chosen, err
	}

	return chosen, writeFile(path, raw, 0o600)
}

// choosePorts searches for free ports from an offset that depends on the seed, the path of the lab,
// so that labs started at the same time do not try the same ones.
func choosePorts(seed string) (ports, error) {
	var chosen ports

	hash := fnv.New32a()
	hash.Write([]byte(seed))
	next := firstPort + int(hash.Sum32()%uint32(lastPort-firstPort))

	for _, port := range []*int{
		&chosen.APIServer, &chosen.Etcd, &chosen.EtcdPeer, &chosen.ControllerManager, &chosen.Scheduler, &chosen.Kwok, &chosen.Egress,
	} {
		free, err := freePort(next)
		if err != nil {
			return chosen, err
		}

		*port, next = free, free+1
	}

	return chosen, nil
}

func freePort(from int) (int, error) {
	for tried := 0; tried < lastPort-firstPort; tried++ {
		port := from + tried
		if port > lastPort {
			port = firstPort + (port - lastPort - 1)
		}

		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}

		return port, listener.Close()
	}

	return 0, fmt.Errorf("cannot find a free port on 127.0.0.1 from %d to %d", firstPort, lastPort)
}

// writeFile writes a file atomically.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}

	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}

	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}

	return nil
}
