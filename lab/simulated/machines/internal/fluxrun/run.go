// Package fluxrun runs the real Flux controllers as processes.
//
// In a simulated cluster pods run nothing. A controller's Deployment in flux-system, with an
// available replica, stands for the process: it starts when the replica is available, stops when it
// is gone, and restarts with a growing delay if it dies.
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
	"firstlight.dev/lab/machines/internal/labproc"
)

// Namespace is the namespace of Flux.
const Namespace = "flux-system"

// Run runs the lab's controllers until the context ends.
func Run(ctx context.Context, lab config.Lab) error {
	controllers, err := available(lab)
	if err != nil {
		return err
	}

	// Controllers of a killed simulator are ended, not adopted, because nothing supervises them.
	if err := labproc.End(lab.StateDir, 5*time.Second, lab.FluxControllers...); err != nil {
		return err
	}

	client, err := waitForClient(ctx, lab.StateDir)
	if err != nil || client == nil {
		return err
	}

	var running sync.WaitGroup

	for _, controller := range controllers {
		running.Go(func() { controller.supervise(ctx) })
	}

	err = watchDeployments(ctx, client, controllers)

	running.Wait()

	return err
}

// available returns the controllers whose programs are installed.
func available(lab config.Lab) ([]*controller, error) {
	var controllers []*controller

	for index, name := range lab.FluxControllers {
		program := filepath.Join(lab.ToolsDir, name)
		if _, err := os.Stat(program); err != nil {
			slog.Warn("a Flux controller has no program here: its pod runs nothing", "controller", name, "looked for", program)

			continue
		}

		made, err := newController(lab, name, index)
		if err != nil {
			return nil, fmt.Errorf("cannot prepare %s: %w", name, err)
		}

		controllers = append(controllers, made)
	}

	return controllers, nil
}
