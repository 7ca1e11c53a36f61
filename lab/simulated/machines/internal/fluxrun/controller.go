package fluxrun

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/controlplane"
	"firstlight.dev/lab/machines/internal/labproc"
)

const (
	backoffFirst = time.Second
	backoffMost  = 30 * time.Second
	// stableAfter is how long a process must have lived for its next exit to count as the first.
	stableAfter = time.Minute
)

// controller is one Flux controller: its desired state, and how it runs.
type controller struct {
	name      string
	program   string
	arguments []string
	folder    string
	logFile   string
	env       []string

	mu      sync.Mutex
	wanted  bool
	changed chan struct{}
}

func newController(lab config.Lab, name string, index int) (*controller, error) {
	folder := filepath.Join(lab.StateDir, "flux", name)
	logs := filepath.Join(lab.StateDir, "logs")

	for _, needed := range []string{filepath.Join(folder, "tmp"), filepath.Join(folder, "data"), logs} {
		if err := os.MkdirAll(needed, 0o700); err != nil {
			return nil, fmt.Errorf("cannot create %s: %w", needed, err)
		}
	}

	return &controller{
		name:      name,
		program:   filepath.Join(lab.ToolsDir, name),
		arguments: arguments(name, lab.LabAddress, filepath.Join(folder, "data"), index),
		folder:    folder,
		logFile:   filepath.Join(logs, name+".log"),
		env: []string{
			"KUBECONFIG=" + controlplane.KubeconfigPath(lab.StateDir, name),
			"RUNTIME_NAMESPACE=" + Namespace,
			"HOME=" + folder,
			"TMPDIR=" + filepath.Join(folder, "tmp"),
			"PATH=" + lab.ToolsDir + ":/usr/bin:/bin",
			labproc.Mark(lab.StateDir),
		},
		changed: make(chan struct{}, 1),
	}, nil
}

// want sets whether the process should run.
func (c *controller) want(wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.wanted == wanted {
		return
	}

	c.wanted = wanted

	select {
	case c.changed <- struct{}{}:
	default: // an earlier change is still pending; it will find the newest state
	}
}

func (c *controller) isWanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.wanted
}

// supervise runs the process while it is wanted, until the context ends.
func (c *controller) supervise(ctx context.Context) {
	for backoff := backoffFirst; ctx.Err() == nil; {
		if !c.isWanted() {
			c.waitForChange(ctx, 0)

			backoff = backoffFirst

			continue
		}

		began := time.Now()
		err := c.runUntilUnwanted(ctx)

		if ctx.Err() != nil || !c.isWanted() {
			slog.Info("the Flux controller was stopped", "controller", c.name)

			continue
		}

		if time.Since(began) > stableAfter {
			backoff = backoffFirst
		}

		slog.Warn("the Flux controller died and is started again", "controller", c.name, "in", backoff.String(), "log", c.logFile, "error", err)
		c.waitForChange(ctx, backoff)

		backoff = min(2*backoff, backoffMost)
	}
}

// waitForChange waits for a changed state, the context's end, or, if it is not zero, the limit.
func (c *controller) waitForChange(ctx context.Context, limit time.Duration) {
	var over <-chan time.Time

	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()

		over = timer.C
	}

	select {
	case <-ctx.Done():
	case <-c.changed:
	case <-over:
	}
}

// runUntilUnwanted runs the process once: until it ends, is no longer wanted, or the context ends.
func (c *controller) runUntilUnwanted(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ended := make(chan error, 1)

	go func() { ended <- c.run(ctx) }()

	for {
		select {
		case err := <-ended:
			return err
		case <-c.changed:
			if !c.isWanted() {
				cancel()

				return <-ended
			}
		}
	}
}
