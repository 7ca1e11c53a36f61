package controlplane

import (
	"log/slog"
	"os"
	"path/filepath"
)

// Options describe one cluster's control plane.
type Options struct {
	// Cluster is the name of the cluster and of the kwokctl cluster.
	Cluster string
	// StateDir is the lab's state folder. Everything is written below it.
	StateDir string
	// ToolsDir holds kwokctl, kwok, etcd, kubectl and the kube-* programs.
	ToolsDir string
	// Endpoint is the cluster's endpoint, https://<VIP>:6443, and therefore the issuer of service
	// account tokens.
	Endpoint string
	// VIP is the address of that endpoint.
	VIP string
	// ServiceCIDR and PodCIDR are the cluster's networks.
	ServiceCIDR string
	PodCIDR     string
	// KubernetesVersion is the version of the kubelets, v1.35.0.
	KubernetesVersion string
	// MachineConfig is the configuration file of a control plane machine. As in Talos, the
	// certificate authority, the service account key, the certificate's names and the admission
	// plug-ins come from it. Without it, an authority is created and Talos's defaults apply.
	MachineConfig string
	// NodeAddresses are the addresses at which the API server is reached, besides VIP and loopback.
	NodeAddresses []string
	// FaultsFile may contain faults of pods (see package kubelet).
	FaultsFile string
	// Log receives events; nil discards them.
	Log *slog.Logger

	// pace is Kubernetes's own, except in tests that are in a hurry.
	pace pace
}

// pace is how soon Kubernetes notices that a kubelet is silent.
type pace struct{ leaseS, periodMs, graceMs int }

// realPace are Kubernetes's defaults.
var realPace = pace{leaseS: 40, periodMs: 5000, graceMs: 50000}

// NodeSpec is what a kubelet reports about its node when it registers.
type NodeSpec struct {
	Hostname          string
	Address           string
	Role              string
	KubernetesVersion string
	TalosVersion      string
}

// paths are the files of one control plane.
type paths struct{ state, cluster string }

func (p paths) work() string       { return filepath.Join(p.state, "kwok") }
func (p paths) clusterDir() string { return filepath.Join(p.work(), "clusters", p.cluster) }
func (p paths) pki(name string) string {
	return filepath.Join(p.clusterDir(), "pki", name)
}
func (p paths) config(name string) string { return filepath.Join(p.work(), "config", name) }
func (p paths) ports() string             { return filepath.Join(p.work(), "ports.json") }
func (p paths) created() string           { return filepath.Join(p.work(), "created") }
func (p paths) audit() string             { return filepath.Join(p.state, "audit.log") }

// KubeconfigPath is where Start writes the kubeconfig of one of the lab's own users: "lab", or a
// Flux controller.
func KubeconfigPath(stateDir, user string) string {
	return filepath.Join(stateDir, "kwok", "kubeconfig", user+".yaml")
}

// IsCreated reports whether a control plane was created in that state folder, so that its
// kubeconfigs are final.
func IsCreated(stateDir string) bool {
	_, err := os.Stat(paths{state: stateDir}.created())

	return err == nil
}
