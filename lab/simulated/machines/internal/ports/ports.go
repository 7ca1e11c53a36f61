// Package ports keeps exactly those ports open that the machines want open, and closes all others.
package ports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"google.golang.org/grpc"

	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/machine"
)

// Server serves one listener until it is stopped.
type Server interface {
	Serve(net.Listener) error
	Stop()
}

// Make creates the server of an endpoint.
type Make func(machine.Endpoint) (Server, error)

// Manager holds the open ports. It is used by one goroutine.
type Manager struct {
	make Make
	log  *slog.Logger
	open map[key]port
	// failed records which errors were logged, to log each once.
	failed map[key]bool
}

// port is an open port.
type port struct {
	listener net.Listener
	server   Server
}

// close also closes the listener itself, because a server that is stopped before it began to serve
// does so only later.
func (p port) close() {
	p.server.Stop()
	p.listener.Close() //nolint:errcheck // usually the server has closed it already
}

// key identifies an endpoint. A change in any part means that connections must be cut.
type key struct {
	kind    machine.EndpointKind
	node    string
	address string
	life    string
	wrongCA bool
	// nameless, silent and fault are further faults of the port.
	nameless, silent bool
	fault            faults.APIFault
}

func keyOf(e machine.Endpoint) key {
	return key{
		kind: e.Kind, node: e.Node.Hostname, address: e.Address, life: e.Life, wrongCA: e.WrongCA, nameless: e.Nameless, silent: e.Silent, fault: e.Fault,
	}
}

// NewManager opens nothing yet.
func NewManager(make Make, log *slog.Logger) *Manager {
	return &Manager{make: make, log: log, open: map[key]port{}, failed: map[key]bool{}}
}

// Reconcile closes and opens ports, and reports whether all wanted ones are open.
func (m *Manager) Reconcile(ctx context.Context, wanted []machine.Endpoint) bool {
	keep := map[key]bool{}
	for _, endpoint := range wanted {
		keep[keyOf(endpoint)] = true
	}

	for k, open := range m.open {
		if !keep[k] {
			m.log.Info("port closed", "node", k.node, "address", k.address, "kind", k.kind)
			open.close()
			delete(m.open, k)
		}
	}

	complete := true

	for _, endpoint := range wanted {
		if err := m.ensure(ctx, endpoint); err != nil {
			complete = false

			if !m.failed[keyOf(endpoint)] {
				m.failed[keyOf(endpoint)] = true
				m.log.Error("cannot open a port, trying on", "node", endpoint.Node.Hostname, "address", endpoint.Address, "error", err)
			}
		}
	}

	return complete
}

func (m *Manager) ensure(ctx context.Context, endpoint machine.Endpoint) error {
	k := keyOf(endpoint)
	if _, ok := m.open[k]; ok {
		return nil
	}

	if endpoint.Silent {
		return m.ensureSilent(ctx, endpoint)
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", endpoint.Address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}

	server, err := m.make(endpoint)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	m.open[k] = port{listener: listener, server: server}
	m.log.Info("port open", "node", k.node, "address", k.address, "kind", k.kind)

	go func() {
		if err := server.Serve(lingering{listener}); err != nil && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
			m.log.Error("a port stopped serving", "node", k.node, "address", k.address, "error", err)
		}
	}()

	return nil
}

// ensureSilent makes a port silent.
func (m *Manager) ensureSilent(ctx context.Context, endpoint machine.Endpoint) error {
	silence, err := fallSilent(ctx, endpoint.Address)
	if err != nil {
		return err
	}

	k := keyOf(endpoint)
	m.open[k] = port{listener: silence, server: silence}
	m.log.Info("port silent", "node", k.node, "address", k.address, "kind", k.kind)

	return nil
}

// Close closes all ports.
func (m *Manager) Close() {
	for k, open := range m.open {
		open.close()
		delete(m.open, k)
	}
}
