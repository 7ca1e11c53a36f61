package machine

import (
	"context"
)

// kubelet is what a machine's kubelet and Kubernetes know of each other.
//
// It survives a loss of the machine's power: Kubernetes remembers a node whose machine is off.
type kubelet struct {
	// told reports that Kubernetes knows the machine, toldRunning that it considers its kubelet
	// running.
	told        bool
	toldRunning bool
	// problem is the last problem that was logged.
	problem string
}

// stepKubelets makes the calls of kubelets, without holding the lock during them.
func (f *Fleet) stepKubelets(ctx context.Context, kubernetes Kubernetes) {
	for _, job := range f.kubeletJobs() {
		callCtx, cancel := context.WithTimeout(ctx, callLimit)
		err := job.do(callCtx, kubernetes)

		cancel()

		if ctx.Err() == nil {
			f.complain(job, err)
		}
	}
}

// complain logs a problem once, until it changes or is gone.
func (f *Fleet) complain(job kubeletJob, err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	if problem != "" && problem != job.node.kubelet.problem {
		f.logger.Warn("kubelet cannot reach Kubernetes", "node", job.registration.Hostname, "error", problem)
	}

	job.node.kubelet.problem = problem
}

// kubeletJob is one machine's pending call to Kubernetes.
type kubeletJob struct {
	node         *Node
	bootID       string
	registration Registration
	running      bool
	register     bool
	tell         bool
}

// kubeletJobs returns the machines with pending calls to Kubernetes, if that can be reached through
// the virtual address.
func (f *Fleet) kubeletJobs() []kubeletJob {
	f.mu.Lock()
	defer f.mu.Unlock()

	if owner := f.vipOwner(); owner == nil || !owner.apiServing {
		return nil
	}

	var jobs []kubeletJob

	for _, node := range f.nodes {
		running := node.services["kubelet"].up()
		if !running && !node.kubelet.toldRunning {
			continue
		}

		jobs = append(jobs, kubeletJob{
			node: node, bootID: node.bootID, running: running, register: running && !node.registered,
			tell:         node.kubelet.told && node.kubelet.toldRunning != running,
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

	if j.tell || j.register {
		if err := kubernetes.SetKubelet(ctx, j.registration.Hostname, j.running); err != nil {
			return err
		}

		j.recordKubelet()
	}

	if !j.running {
		return nil
	}

	ready, err := kubernetes.NodeReady(ctx, j.registration.Hostname)
	j.record(func(n *Node) { n.nodeKnown, n.nodeReady = err == nil, err == nil && ready })

	return err
}

func (j kubeletJob) recordKubelet() {
	f := j.node.fleet

	f.mu.Lock()
	defer f.mu.Unlock()

	j.node.kubelet.told, j.node.kubelet.toldRunning = true, j.running
}

// record records an outcome, unless the machine was switched off meanwhile.
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
