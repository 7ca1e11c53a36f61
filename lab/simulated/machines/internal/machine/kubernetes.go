package machine

import (
	"context"
	"errors"
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
	Stop(ctx context.Context) error
	// Register is called for every machine whose kubelet reaches the API, again after each boot.
	Register(ctx context.Context, node Registration) error
	NodeReady(ctx context.Context, hostname string) (bool, error)
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

// stepKubelets does the calls that kubelets make, without holding the lock while they last.
func (f *Fleet) stepKubelets(ctx context.Context, kubernetes Kubernetes) {
	for _, work := range f.kubeletWork() {
		callCtx, cancel := context.WithTimeout(ctx, callLimit)
		err := work.do(callCtx, kubernetes)

		cancel()

		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			f.logger.Warn("kubelet cannot reach Kubernetes", "node", work.registration.Hostname, "error", err)
		}
	}
}

// kubeletJob is one machine's turn with Kubernetes.
type kubeletJob struct {
	node         *Node
	bootID       string
	registration Registration
	register     bool
}

// kubeletWork lists the machines whose kubelet can reach the API through the virtual address.
func (f *Fleet) kubeletWork() []kubeletJob {
	f.mu.Lock()
	defer f.mu.Unlock()

	if owner := f.vipOwner(); owner == nil || !owner.apiServing {
		return nil
	}

	var jobs []kubeletJob

	for _, node := range f.nodes {
		if !node.services["kubelet"].up() {
			continue
		}

		jobs = append(jobs, kubeletJob{
			node: node, bootID: node.bootID, register: !node.registered,
			registration: Registration{Hostname: node.Hostname, Address: node.Address, ControlPlane: node.isControlPlane()},
		})
	}

	return jobs
}

func (j kubeletJob) do(ctx context.Context, kubernetes Kubernetes) error {
	if j.register {
		if err := kubernetes.Register(ctx, j.registration); err != nil {
			return err
		}

		j.record(func(n *Node) { n.registered = true })
	}

	ready, err := kubernetes.NodeReady(ctx, j.registration.Hostname)
	j.record(func(n *Node) { n.nodeKnown, n.nodeReady = err == nil, err == nil && ready })

	return err
}

// record notes an outcome, unless the machine was switched off meanwhile.
func (j kubeletJob) record(change func(*Node)) {
	f := j.node.fleet

	f.mu.Lock()
	defer f.mu.Unlock()

	if j.node.bootID != j.bootID || j.node.mode != Configured {
		return
	}

	before := [3]bool{j.node.registered, j.node.nodeKnown, j.node.nodeReady}
	change(j.node)

	if after := [3]bool{j.node.registered, j.node.nodeKnown, j.node.nodeReady}; after != before {
		j.node.dirty = true
	}
}
