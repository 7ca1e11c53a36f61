// Package controlplane runs the real Kubernetes control plane of a simulated cluster.
//
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK are started, adopted and
// stopped through kwokctl's binary runtime. Everything listens on 127.0.0.1, keeps its files in the
// lab's state folder, and carries the lab's mark in its environment, so that it is found again
// after anything was killed.
//
// Visible differences from a real cluster: three control plane nodes share one set of programs and
// one etcd; the service `kubernetes`, and services whose pods use the host's network, have no
// endpoints (endpoints must not be loopback addresses); the controller manager, the scheduler and
// the Flux controllers are masters instead of being bound to roles; extra arguments in the machine
// configuration are not passed on; nodes carry one label of the lab; pods run no program, so probes
// always succeed, and exec and port-forward do not work; webhooks and aggregated APIs that are pods
// do not answer.
package controlplane

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
)

// readyTimeout bounds the wait for /readyz after kwokctl has started the programs.
const readyTimeout = 90 * time.Second

// ControlPlane is one cluster's control plane.
type ControlPlane struct {
	opts  Options
	paths paths
	log   *slog.Logger

	starting sync.Mutex // held while the control plane is being started or stopped

	mu      sync.Mutex // guards the fields below
	ports   ports
	trust   *trust
	client  kubernetes.Interface
	helpers context.CancelFunc
	done    chan struct{}
}

// New returns a control plane without starting anything.
func New(opts Options) *ControlPlane {
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}

	if opts.pace == (pace{}) {
		opts.pace = realPace
	}

	return &ControlPlane{opts: opts, paths: paths{state: opts.StateDir, cluster: opts.Cluster}, log: opts.Log}
}

// Start creates the control plane, or starts or adopts the existing one, and returns when its API
// is ready.
func (c *ControlPlane) Start(ctx context.Context) error {
	c.starting.Lock()
	defer c.starting.Unlock()

	began := time.Now()

	if err := c.prepare(); err != nil {
		return err
	}

	if err := c.startHelpers(); err != nil {
		return err
	}

	if err := c.startPrograms(ctx); err != nil {
		return err
	}

	if err := c.waitReady(ctx); err != nil {
		return err
	}

	c.log.Info("control plane is ready", "address", c.Address(), "seconds", time.Since(began).Seconds())

	return nil
}

// Stop ends every program of the control plane and keeps its data.
func (c *ControlPlane) Stop(ctx context.Context) error {
	// Stop the helpers before taking the lock, because the supervision may hold it while it
	// restarts programs.
	c.stopHelpers()

	c.starting.Lock()
	defer c.starting.Unlock()

	c.stopHelpers()

	return c.stopPrograms(ctx)
}

// Wipe stops the control plane and deletes its data, as a reset of the last etcd member does.
// Certificates and ports stay, because the machines' configuration has not changed.
func (c *ControlPlane) Wipe(ctx context.Context) error {
	if err := c.Stop(ctx); err != nil {
		return err
	}

	if err := os.RemoveAll(filepath.Join(c.paths.clusterDir(), "etcd")); err != nil {
		return fmt.Errorf("cannot wipe etcd of %s: %w", c.opts.Cluster, err)
	}

	return nil
}

// Running reports whether the API server's process is alive.
func (c *ControlPlane) Running() bool {
	return c.processes().alive("kube-apiserver")
}

// Address is the host and port of the API server; empty before the first Start.
func (c *ControlPlane) Address() string {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.ports.APIServer == 0 {
		return ""
	}

	return c.ports.apiServer()
}

// prepare creates the files that the programs read, and keeps existing ones.
func (c *ControlPlane) prepare() error {
	if err := c.discardHalfMade(); err != nil {
		return err
	}

	chosen, err := loadOrChoosePorts(c.paths.ports())
	if err != nil {
		return err
	}

	machine, err := readMachine(c.opts)
	if err != nil {
		return err
	}

	authority, err := seedPKI(c.paths, c.opts, machine)
	if err != nil {
		return err
	}

	client, err := authority.client(chosen.apiServer())
	if err != nil {
		return err
	}

	c.mu.Lock()
	c.ports, c.trust, c.client = chosen, authority, client
	c.mu.Unlock()

	if err := c.writeKubeconfigs(); err != nil {
		return err
	}

	return writeConfiguration(c.paths, c.opts, chosen, machine)
}

// discardHalfMade removes a kwokctl cluster whose creation was interrupted. Its API never answered,
// so nothing is lost.
func (c *ControlPlane) discardHalfMade() error {
	if _, err := os.Stat(c.paths.created()); err == nil {
		return nil
	}

	if _, err := os.Stat(c.paths.work()); os.IsNotExist(err) {
		return nil
	}

	c.log.Warn("the creation of the control plane was interrupted; it begins anew")

	if err := c.processes().endAll(5 * time.Second); err != nil {
		return err
	}

	if err := os.RemoveAll(c.paths.work()); err != nil {
		return fmt.Errorf("cannot remove the incomplete control plane of %s: %w", c.opts.Cluster, err)
	}

	return nil
}

// waitReady waits until the API server reports that it is ready.
func (c *ControlPlane) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()

	for {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(5 * time.Second).DoRaw(ctx)
		if err == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot start the control plane of %s: the API server is not ready: %w", c.opts.Cluster, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
