package simulation

import (
	"context"
	"log/slog"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/controlplane"
	"firstlight.dev/lab/machines/internal/machine"
)

// newControlPlane returns the one control plane behind all control plane machines.
func newControlPlane(lab *config.Lab, log *slog.Logger) *controlplane.ControlPlane {
	var addresses []string
	for _, node := range lab.ControlPlanes() {
		addresses = append(addresses, node.Address)
	}

	return controlplane.New(controlplane.Options{
		Cluster: lab.Cluster, StateDir: lab.StateDir, ToolsDir: lab.ToolsDir, Endpoint: lab.Endpoint, VIP: lab.VIP,
		ServiceCIDR: lab.ServiceCIDR, PodCIDR: lab.PodCIDR, KubernetesVersion: lab.KubernetesVersion,
		MachineConfig: lab.ControlPlanes()[0].MachineConfig, NodeAddresses: addresses, FaultsFile: lab.FaultsFile, Log: log,
	})
}

// kubernetes connects the machines' kubelets to the control plane.
type kubernetes struct {
	plane *controlplane.ControlPlane
	lab   *config.Lab
}

var _ machine.Kubernetes = kubernetes{}

// Start implements machine.Kubernetes.
func (k kubernetes) Start(ctx context.Context) error { return k.plane.Start(ctx) }

// Register implements machine.Kubernetes.
func (k kubernetes) Register(ctx context.Context, node machine.Registration) error {
	role := config.Worker
	if node.ControlPlane {
		role = config.ControlPlane
	}

	return k.plane.RegisterNode(ctx, controlplane.NodeSpec{
		Hostname: node.Hostname, Address: node.Address, Role: string(role),
		KubernetesVersion: k.lab.KubernetesVersion, TalosVersion: k.lab.TalosVersion,
	})
}

// NodeReady implements machine.Kubernetes.
func (k kubernetes) NodeReady(ctx context.Context, hostname string) (bool, error) {
	return k.plane.NodeReady(ctx, hostname)
}

// SetKubelet implements machine.Kubernetes.
func (k kubernetes) SetKubelet(ctx context.Context, hostname string, running bool) error {
	return k.plane.SetKubelet(ctx, hostname, running)
}

// Wipe implements machine.Kubernetes.
func (k kubernetes) Wipe(ctx context.Context) error { return k.plane.Wipe(ctx) }
