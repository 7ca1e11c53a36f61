package machine

import (
	"context"
	"time"
)

// kubernetesInterval is how often the machines look at Kubernetes; startRetry is the pause after a failed start.
const (
	kubernetesInterval = 500 * time.Millisecond
	startRetry         = 2 * time.Second
	callLimit          = 10 * time.Second
)

// Registration is what a kubelet tells about its machine.
type Registration struct {
	Hostname     string
	Address      string
	ControlPlane bool
}

// Kubernetes is the control plane that the machines' etcd brings up.
type Kubernetes interface {
	Start(ctx context.Context) error
	// Register is called for every machine whose kubelet reaches the API, again after each boot.
	Register(ctx context.Context, node Registration) error
	NodeReady(ctx context.Context, hostname string) (bool, error)
	// SetKubelet is called when the kubelet of a registered machine stops, as with its power, and when it runs again.
	SetKubelet(ctx context.Context, hostname string, running bool) error
}

// RunKubernetes starts the control plane when etcd is there and lets kubelets register, until the context ends.
func (f *Fleet) RunKubernetes(ctx context.Context, kubernetes Kubernetes) {
	ticker := time.NewTicker(kubernetesInterval)
	defer ticker.Stop()

	for {
		if err := f.stepControlPlane(ctx, kubernetes); err != nil && ctx.Err() == nil {
			f.logger.Error("cannot start the control plane, trying again", "error", err)
			pause(ctx, startRetry)
		}

		f.stepKubelets(ctx, kubernetes)

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func pause(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()

	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (f *Fleet) stepControlPlane(ctx context.Context, kubernetes Kubernetes) error {
	if !f.controlPlaneWanted() {
		return nil
	}

	if err := kubernetes.Start(ctx); err != nil {
		return err
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.kubernetesUp = true
	f.changed()

	return nil
}

func (f *Fleet) controlPlaneWanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	return !f.kubernetesUp && f.vipOwner() != nil
}

// stepKubernetes opens the API server of a control plane machine when its own etcd member is healthy.
func (n *Node) stepKubernetes() {
	f := n.fleet
	serving := f.kubernetesUp && n.isControlPlane() && n.etcdHealthy() && f.clusterOf(n) == f.mainCluster() && f.vipOwner() != nil

	if serving != n.apiServing {
		n.apiServing, n.dirty = serving, true
	}
}
