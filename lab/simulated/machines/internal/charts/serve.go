// Package charts serves the lab's packaged Helm charts as an OCI registry and as a Helm repository, both over plain HTTP in
// loopback. Both are read-only: what a run finds there is what the lab was given.
package charts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"firstlight.dev/lab/machines/internal/config"
)

// Serve fills the registry and serves both until the context ends.
func Serve(ctx context.Context, lab config.Lab) error {
	registry, err := newRegistry(lab.ChartsDir)
	if err != nil {
		return err
	}

	failed := make(chan error, 2)

	for port, handler := range map[int]http.Handler{lab.RegistryPort: registry, lab.ChartsPort: newRepository(lab.ChartsDir)} {
		address := net.JoinHostPort(lab.LabAddress, strconv.Itoa(port))

		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("cannot serve charts on %s: %w", address, err)
		}
		defer listener.Close()

		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()

		go func() { failed <- server.Serve(listener) }()
	}

	slog.Info("charts are served", "folder", lab.ChartsDir, "address", lab.LabAddress, "registry", lab.RegistryPort, "repository", lab.ChartsPort)

	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return errors.Join(errors.New("cannot go on serving charts"), err)
	}
}

// newRepository serves index.yaml and the packages below /charts, as an HTTP Helm repository does.
func newRepository(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /charts/", http.StripPrefix("/charts/", http.FileServerFS(packages(dir))))

	return mux
}
