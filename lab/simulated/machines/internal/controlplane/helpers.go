package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"firstlight.dev/lab/machines/internal/controlplane/egress"
	"firstlight.dev/lab/machines/internal/controlplane/kubelet"
)

const (
	superviseEvery = time.Second
	superviseRest  = 5 * time.Second
)

// startHelpers starts what runs inside this process: the supervision, the parts of kubelets that
// KWOK cannot simulate, and the proxy from the API server to services. Later calls find them
// running.
func (c *ControlPlane) startHelpers() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.helpers != nil {
		return nil
	}

	security, err := c.trust.serverTLS()
	if err != nil {
		return err
	}

	listener, err := tls.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.ports.Egress)), security)
	if err != nil {
		return fmt.Errorf("cannot start the proxy from the API server to services: %w", err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.helpers, c.done = cancel, done
	client, kubeletPort := c.client, c.ports.Kwok

	tasks := []func(context.Context){
		func(ctx context.Context) {
			egress.Serve(ctx, listener, egress.Options{KubeletPort: kubeletPort, Client: client, Log: c.log})
		},
		func(ctx context.Context) {
			kubelet.Run(ctx, kubelet.Options{Client: client, Log: c.log, FaultsFile: c.opts.FaultsFile})
		},
		c.supervise,
	}

	go func() {
		defer close(done)

		var running sync.WaitGroup
		for _, task := range tasks {
			running.Go(func() { task(ctx) })
		}

		running.Wait()
	}()

	return nil
}

// stopHelpers ends the helpers and waits for them.
func (c *ControlPlane) stopHelpers() {
	c.mu.Lock()
	cancel, done := c.helpers, c.done
	c.helpers = nil
	c.mu.Unlock()

	if cancel != nil {
		cancel()
		<-done
	}
}

// supervise restarts programs that died, as the kubelet does with static pods.
func (c *ControlPlane) supervise(ctx context.Context) {
	for rest := superviseEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}

		rest = superviseEvery

		if !c.starting.TryLock() {
			continue
		}

		if missing := c.processes().missing(); len(missing) > 0 {
			c.log.Warn("control plane programs died and are started again", "programs", missing)

			if err := c.startPrograms(ctx); err != nil {
				c.log.Error("cannot start control plane programs again", "error", err)

				rest = superviseRest
			}
		}

		c.starting.Unlock()
	}
}
