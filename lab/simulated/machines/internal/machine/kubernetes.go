package machine

import (
	"context"
	"time"
)

// kubernetesInterval is how often the machines check Kubernetes; startRetry is the pause after a
// failed start.
const (
	kubernetesInterval = 500 * time.Millisecond
	startRetry         = 2 * time.Second
	callLimit          = 10 * time.Second
)

// Registration is what a kubelet reports about its machine.
type Registration struct {
	Hostname     string
	Address      string
	ControlPlane bool
}

// Kubernetes is the control plane that runs on the machines' etcd.
type Kubernetes interface {
	Start(ctx context.Context) error
	// Register is called for every machine whose kubelet reaches the API, again after each boot.
	Register(ctx context.Context, node Registration) error
	NodeReady(ctx context.Context, hostname string) (bool, error)
	// SetKubelet is called when the kubelet of a registered machine stops, for example with its
	// power, and when it runs again.
	SetKubelet(ctx context.Context, hostname string, running bool) error
	// Wipe is called when the last etcd member was wiped: all data of Kubernetes is lost.
	Wipe(ctx context.Context) error
}

// RunKubernetes starts the control plane when etcd is up and lets kubelets register, until the
// context ends.
func (f *Fleet) RunKubernetes(ctx context.Context, kubernetes Kubernetes) {
	ticker := time.NewTicker(kubernetesInterval)
	defer ticker.Stop()

	for {
		if err := f.StepKubernetes(ctx, kubernetes); err != nil && ctx.Err() == nil {
			f.logger.Error("cannot start the control plane, trying again", "error", err)
			pause(ctx, startRetry)
		}

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// StepKubernetes does one round of RunKubernetes.
func (f *Fleet) StepKubernetes(ctx context.Context, kubernetes Kubernetes) error {
	if err := f.stepWipe(ctx, kubernetes); err != nil {
		return err
	}

	if err := f.stepControlPlane(ctx, kubernetes); err != nil {
		return err
	}

	f.stepKubelets(ctx, kubernetes)

	return nil
}

func pause(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()

	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// stepWipe deletes the data of Kubernetes if that was requested, and clears the request only when
// it is done.
func (f *Fleet) stepWipe(ctx context.Context, kubernetes Kubernetes) error {
	f.mu.Lock()
	ordered := f.record.WipeKubernetes
	f.mu.Unlock()

	if !ordered {
		return nil
	}

	if err := kubernetes.Wipe(ctx); err != nil {
		return err
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.record.WipeKubernetes = false
	f.changed()

	return f.saveIfNeeded()
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

// stepKubernetes opens the API server of a control plane machine when its own etcd member is
// healthy.
func (n *Node) stepKubernetes() {
	f := n.fleet
	serving := f.kubernetesUp && n.isControlPlane() && n.etcdHealthy() && f.clusterOf(n) == f.mainCluster() && f.vipOwner() != nil

	if serving != n.apiServing {
		n.apiServing, n.dirty = serving, true
	}
}
