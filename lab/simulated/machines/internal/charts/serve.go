// Package charts serves the lab's packaged Helm charts as an OCI registry and as a Helm repository,
// both read-only over plain HTTP on loopback.
package charts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"firstlight.dev/lab/machines/internal/config"
)

// Ports holds the ports on which charts are served.
type Ports struct {
	Address    string
	Registry   int
	Repository int
}

// Serve fills the registry and serves both until the context ends.
func Serve(ctx context.Context, lab config.Lab) error {
	return serve(ctx, lab.ChartsDir, Ports{Address: lab.LabAddress, Registry: lab.RegistryPort, Repository: lab.ChartsPort}, func() error { return nil })
}

// ServeFolder serves a folder of packaged charts for a lab without simulated machines. The ready
// file exists while it serves.
func ServeFolder(ctx context.Context, dir string, ports Ports, ready string) error {
	defer os.Remove(ready) //nolint:errcheck // the process ends, nothing waits for it

	return serve(ctx, dir, ports, func() error { return os.WriteFile(ready, []byte(ports.Address+"\n"), 0o644) })
}

func serve(ctx context.Context, dir string, ports Ports, listening func() error) error {
	registry, err := newRegistry(dir)
	if err != nil {
		return err
	}

	failed := make(chan error, 2)

	for port, handler := range map[int]http.Handler{ports.Registry: registry, ports.Repository: newRepository(dir)} {
		address := net.JoinHostPort(ports.Address, strconv.Itoa(port))

		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("cannot serve charts on %s: %w", address, err)
		}
		defer listener.Close()

		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()

		go func() { failed <- server.Serve(listener) }()
	}

	if err := listening(); err != nil {
		return fmt.Errorf("cannot write the ready file of the charts: %w", err)
	}

	slog.Info("charts are served", "folder", dir, "address", ports.Address, "registry", ports.Registry, "repository", ports.Repository)

	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return errors.Join(errors.New("cannot serve charts any longer"), err)
	}
}

// newRepository serves index.yaml and the packages below /charts, as an HTTP Helm repository does.
func newRepository(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /charts/", http.StripPrefix("/charts/", http.FileServerFS(packages(dir))))

	return mux
}
