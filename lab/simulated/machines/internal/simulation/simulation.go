// Package simulation connects the machines, their ports, their control plane and the services of
// one lab.
//
// It has no rules of its own: what machines do is in package machine, what they answer in package
// talosapi.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"firstlight.dev/lab/machines/internal/calllog"
	"firstlight.dev/lab/machines/internal/charts"
	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/controlplane"
	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/fluxrun"
	"firstlight.dev/lab/machines/internal/machine"
	"firstlight.dev/lab/machines/internal/ports"
	"firstlight.dev/lab/machines/internal/talosapi"
)

// stepInterval is how often the machines advance. It bounds how late a change shows.
const stepInterval = 50 * time.Millisecond

// simulation is one running lab.
type simulation struct {
	lab   *config.Lab
	log   *slog.Logger
	fleet *machine.Fleet
	plane *controlplane.ControlPlane
	ports *ports.Manager
	calls *calllog.Log
}

// Run runs the lab until the context ends, then stops what it started within the limit.
func Run(ctx context.Context, lab *config.Lab, stopLimit time.Duration, log *slog.Logger) error {
	lock, err := lockState(lab.StateDir)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // the end of the process releases the lock too

	s, err := assemble(lab, log)
	if err != nil {
		return err
	}
	defer s.calls.Close() //nolint:errcheck // every line was written at once

	runErr := s.run(ctx)

	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()

	return errors.Join(runErr, s.plane.Stop(stopCtx))
}

func assemble(lab *config.Lab, log *slog.Logger) (*simulation, error) {
	if err := os.Remove(readyFile(lab)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove the old ready file: %w", err)
	}

	calls, err := calllog.Open(filepath.Join(lab.StateDir, "talos-calls.jsonl"))
	if err != nil {
		return nil, err
	}

	source := faults.NewSource(lab.FaultsFile, func(err error) { log.Error("faults are ignored", "error", err) })

	fleet, err := machine.New(machine.Options{
		Lab: lab, Store: machine.FileStore{Path: filepath.Join(lab.StateDir, "machines-state.json")}, Faults: source.For, Now: time.Now, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, calls.Close())
	}

	s := &simulation{lab: lab, log: log, fleet: fleet, plane: newControlPlane(lab, log), calls: calls}

	factory, err := talosapi.NewFactory(fleet, calls, s.plane.AdminKubeconfig, log)
	if err != nil {
		return nil, errors.Join(err, calls.Close())
	}

	s.ports = ports.NewManager(s.serverMaker(factory), log)

	return s, nil
}

// serverMaker creates the server of an endpoint: the Talos API, or the forwarder to the API server.
func (s *simulation) serverMaker(factory *talosapi.Factory) ports.Make {
	return func(endpoint machine.Endpoint) (ports.Server, error) {
		if endpoint.Kind == machine.KubernetesAPI {
			return &ports.Forwarder{Target: s.plane.Address, Fault: endpoint.Fault}, nil
		}

		return factory.For(endpoint)
	}
}

// run advances the machines, and with them everything else, until the context ends or a part fails.
func (s *simulation) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var background sync.WaitGroup

	s.inBackground(&background, cancel, "chart server", func() error { return charts.Serve(ctx, *s.lab) })
	s.inBackground(&background, cancel, "flux controllers", func() error { return fluxrun.Run(ctx, *s.lab) })
	s.inBackground(&background, cancel, "kubelets", func() error {
		s.fleet.RunKubernetes(ctx, kubernetes{plane: s.plane, lab: s.lab})

		return nil
	})

	stepErr := s.stepUntilDone(ctx)

	cancel(stepErr)
	s.ports.Close()
	background.Wait()

	if cause := context.Cause(ctx); stepErr == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}

	return stepErr
}

// inBackground runs a part of the lab. If it ends by itself, the whole lab ends with its error.
func (s *simulation) inBackground(group *sync.WaitGroup, cancel context.CancelCauseFunc, name string, part func() error) {
	group.Go(func() {
		if err := part(); err != nil && !errors.Is(err, context.Canceled) {
			cancel(fmt.Errorf("the %s failed: %w", name, err))
		}
	})
}

func (s *simulation) stepUntilDone(ctx context.Context) error {
	ticker := time.NewTicker(stepInterval)
	defer ticker.Stop()

	ready := false

	for {
		if err := s.fleet.Step(time.Now()); err != nil {
			return err
		}

		if complete := s.ports.Reconcile(ctx, s.fleet.Endpoints()); complete && !ready && s.fleet.Settled(time.Now()) {
			if err := s.announce(); err != nil {
				return err
			}

			ready = true
		}

		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func readyFile(lab *config.Lab) string { return filepath.Join(lab.StateDir, "run", "machines.ready") }

// announce tells the lab's `up` that the machines' ports are open.
func (s *simulation) announce() error {
	if err := os.WriteFile(readyFile(s.lab), fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}

	s.log.Info("machines are ready", "cluster", s.lab.Cluster, "nodes", len(s.lab.Nodes))

	return nil
}
