// Package config reads the description of one simulated lab (machines.json).
//
// It starts nothing and rejects a lab that could reach outside the loopback network.
package config

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Role is what a machine is configured as.
type Role string

// The roles of a machine.
const (
	ControlPlane Role = "controlplane"
	Worker       Role = "worker"
)

// Lab is the simulated machines of one cluster and the services around them.
type Lab struct {
	Cluster           string   `json:"cluster"`
	StateDir          string   `json:"state_dir"`
	VIP               string   `json:"vip"`
	Endpoint          string   `json:"endpoint"`
	TalosVersion      string   `json:"talos_version"`
	KubernetesVersion string   `json:"kubernetes_version"`
	Nodes             []Node   `json:"nodes"`
	ToolsDir          string   `json:"tools_dir"`
	LabAddress        string   `json:"lab_address"`
	RegistryPort      int      `json:"registry_port"`
	ChartsPort        int      `json:"charts_port"`
	ChartsDir         string   `json:"charts_dir"`
	ServiceCIDR       string   `json:"service_cidr"`
	PodCIDR           string   `json:"pod_cidr"`
	FluxControllers   []string `json:"flux_controllers"`
	FaultsFile        string   `json:"faults_file"`
	Timings           Timings  `json:"timings"`
	// TalosPort and KubernetesPort are 50000 and 6443, as on real machines. Only tests change them.
	TalosPort      int `json:"talos_port,omitempty"`
	KubernetesPort int `json:"kubernetes_port,omitempty"`
}

// Node is one machine of the lab.
type Node struct {
	Hostname      string `json:"hostname"`
	Address       string `json:"address"`
	Role          Role   `json:"role"`
	MachineConfig string `json:"machine_config"`
}

// Timings are the durations of the slow parts of a machine's life, in seconds.
type Timings struct {
	BootS float64 `json:"boot_s"`
	EtcdS float64 `json:"etcd_s"`
	JoinS float64 `json:"join_s"`
}

// Boot is the time from power-on until containerd for Kubernetes (cri) runs.
func (t Timings) Boot() time.Duration { return seconds(t.BootS) }

// Etcd is the time from the start of an etcd member until it is healthy.
func (t Timings) Etcd() time.Duration { return seconds(t.EtcdS) }

// Join is the time that a control plane node takes to join the cluster, and again to be promoted
// from learner.
func (t Timings) Join() time.Duration { return seconds(t.JoinS) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Load reads and checks machines.json.
func Load(path string) (*Lab, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the lab's description: %w", err)
	}

	lab := &Lab{TalosPort: 50000, KubernetesPort: 6443}
	if err := json.Unmarshal(raw, lab); err != nil {
		return nil, fmt.Errorf("cannot read the lab's description %s: %w", path, err)
	}

	lab.resolvePaths(filepath.Dir(path))

	if err := lab.Check(); err != nil {
		return nil, fmt.Errorf("cannot use the lab's description %s: %w", path, err)
	}

	return lab, nil
}

// resolvePaths makes paths absolute that are relative to the description.
func (l *Lab) resolvePaths(base string) {
	for i := range l.Nodes {
		l.Nodes[i].MachineConfig = absolute(base, l.Nodes[i].MachineConfig)
	}

	l.StateDir = absolute(base, l.StateDir)
	if l.FaultsFile == "" {
		l.FaultsFile = filepath.Join(l.StateDir, "faults.json")
	}

	l.FaultsFile = absolute(base, l.FaultsFile)
}

func absolute(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}

	return filepath.Join(base, path)
}

// Check rejects a lab that is incomplete, inconsistent, or leaves the loopback network.
func (l *Lab) Check() error {
	if l.Cluster == "" || l.StateDir == "" {
		return fmt.Errorf("cluster and state_dir must be set")
	}

	if err := checkLoopback("vip", l.VIP); err != nil {
		return err
	}

	if l.Endpoint != "" {
		if err := CheckEndpoint("endpoint", l.Endpoint); err != nil {
			return err
		}
	}

	if l.LabAddress != "" {
		if err := checkLoopback("lab_address", l.LabAddress); err != nil {
			return err
		}
	}

	return l.checkNodes()
}

func (l *Lab) checkNodes() error {
	if len(l.ControlPlanes()) == 0 {
		return fmt.Errorf("nodes: at least one controlplane is needed")
	}

	addresses := map[string]string{l.VIP: "vip"}
	hostnames := map[string]bool{}

	for _, node := range l.Nodes {
		if node.Role != ControlPlane && node.Role != Worker {
			return fmt.Errorf("nodes: role %q of %s is neither controlplane nor worker", node.Role, node.Hostname)
		}

		if err := checkLoopback("nodes: address of "+node.Hostname, node.Address); err != nil {
			return err
		}

		if other, taken := addresses[node.Address]; taken {
			return fmt.Errorf("nodes: address %s is used by both %s and %s", node.Address, other, node.Hostname)
		}

		if hostnames[node.Hostname] {
			return fmt.Errorf("nodes: hostname %s is used twice", node.Hostname)
		}

		addresses[node.Address], hostnames[node.Hostname] = node.Hostname, true
	}

	return nil
}

// checkLoopback keeps every packet of the simulation on this computer.
func checkLoopback(field, value string) error {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return fmt.Errorf("%s: %q is not an IP address", field, value)
	}

	if !addr.Is4() || !addr.IsLoopback() {
		return fmt.Errorf("%s: %s is outside 127.0.0.0/8, the only network that simulated machines may use", field, value)
	}

	return nil
}

// CheckEndpoint refuses a URL, or a host with or without port, outside the loopback network.
func CheckEndpoint(field, endpoint string) error {
	host := strings.TrimPrefix(endpoint, "https://")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}

	return checkLoopback(field, host)
}

// ControlPlanes returns the control plane nodes in the order of the description.
func (l *Lab) ControlPlanes() []Node {
	var nodes []Node

	for _, node := range l.Nodes {
		if node.Role == ControlPlane {
			nodes = append(nodes, node)
		}
	}

	return nodes
}
