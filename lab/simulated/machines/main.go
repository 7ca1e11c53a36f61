// Command simulated-machines is the simulated target of one cluster: its Talos machines, their control plane and its services.
//
//	simulated-machines --lab <state>/machines.json
//
// It runs in the foreground until SIGTERM, and can be started again on the same state after any end, kill -9 included.
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

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/simulation"
)

// stopLimit bounds a clean stop; the lab's `down` counts on less than ten seconds.
const stopLimit = 9 * time.Second

func main() {
	path := flag.String("lab", "", "the lab's description, machines.json")
	flag.Parse()

	if flag.NArg() == 1 && *path == "" {
		*path = flag.Arg(0)
	}

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log)

	if err := run(*path, log); err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
}

func run(path string, log *slog.Logger) error {
	if path == "" {
		return fmt.Errorf("cannot start: name the lab's description, as in `simulated-machines --lab machines.json`")
	}

	lab, err := config.Load(path)
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	return simulation.Run(ctx, lab, stopLimit, log)
}
