package fluxrun

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// The controllers' ports on the lab's own address; the others of that address are 2222, 5000 and
// 8080.
const (
	storagePort = 9790
	metricsPort = 9780
	healthPort  = 9440
)

// stopGrace is how long a controller may take to end before it is killed.
const stopGrace = 3 * time.Second

// arguments are the flags of one controller. Leader election would only delay the start: there is
// one process.
func arguments(name, address, data string, index int) []string {
	at := func(port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

	flags := []string{
		"--watch-all-namespaces=true",
		"--log-level=info",
		"--log-encoding=json",
		"--enable-leader-election=false",
		"--events-addr=",
		// Flux's default in a cluster is thirty seconds, its installation's five. A hand-off waits
		// for it once for every release that depends on another, which was a quarter of a
		// rehearsal. What is waited for stays the same.
		"--requeue-dependency=1s",
		"--metrics-addr=" + at(metricsPort+index),
		"--health-addr=" + at(healthPort+index),
	}

	switch name {
	case "source-controller":
		flags = append(flags, "--storage-path="+data, "--storage-addr="+at(storagePort), "--storage-adv-addr="+at(storagePort))
	case "helm-controller":
		// As in the HelmRelease of Flux itself, so that the hand-off from helmfile causes no
		// upgrade.
		flags = append(flags, "--feature-gates=DisableChartDigestTracking=true")
	}

	return flags
}

// run starts the process and waits for its end. The context's end stops it in bounded time.
func (c *controller) run(ctx context.Context) error {
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", c.name, err)
	}
	defer log.Close()

	command := exec.CommandContext(ctx, c.program, c.arguments...)
	command.Env, command.Dir = c.env, c.folder
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C at the terminal is for the simulator
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopGrace

	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", c.name, err)
	}

	slog.Info("the Flux controller runs", "controller", c.name, "pid", command.Process.Pid)

	return command.Wait()
}
