// Command simulated-machines is the simulated target of one cluster: its Talos machines, their
// control plane and its services.
//
//	simulated-machines --lab <state>/machines.json
//
// It runs in the foreground until SIGTERM, and can be started again on the same state however it
// ended, even by kill -9.
//
// With --charts it simulates no machines and only serves charts, for a lab whose machines are real:
//
//	simulated-machines --charts <folder> --address 10.5.0.1 --registry-port 5001 \
//	    --repository-port 8080 --ready <file>
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"firstlight.dev/lab/machines/internal/charts"
	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/simulation"
)

// stopLimit bounds a clean stop. The lab's `down` relies on less than ten seconds.
const stopLimit = 9 * time.Second

func main() {
	path := flag.String("lab", "", "the lab's description, machines.json")
	folder := flag.String("charts", "", "serve this folder of packaged charts and nothing else")
	address := flag.String("address", "", "with --charts: where to listen")
	registryPort := flag.Int("registry-port", 0, "with --charts: the port of the OCI registry")
	repositoryPort := flag.Int("repository-port", 0, "with --charts: the port of the Helm repository")
	ready := flag.String("ready", "", "with --charts: the file that is written once both listen")

	flag.Parse()

	if flag.NArg() == 1 && *path == "" {
		*path = flag.Arg(0)
	}

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	var err error

	if *folder != "" {
		err = charts.ServeFolder(ctx, *folder, charts.Ports{Address: *address, Registry: *registryPort, Repository: *repositoryPort}, *ready)
	} else {
		err = run(ctx, *path, log)
	}

	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, path string, log *slog.Logger) error {
	if path == "" {
		return fmt.Errorf("cannot start: the lab's description is missing, as in `simulated-machines --lab machines.json`")
	}

	lab, err := config.Load(path)
	if err != nil {
		return err
	}

	return simulation.Run(ctx, lab, stopLimit, log)
}
