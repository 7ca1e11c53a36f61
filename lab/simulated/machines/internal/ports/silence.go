package ports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// silence is a port that lets connections time out, as when a firewall drops every packet.
//
// Its queue of connections has room for one, which is taken, and nobody ever accepts it: the kernel then ignores whoever knocks.
type silence struct {
	net.Listener

	taken net.Conn
}

// fallSilent opens a port and fills it.
func fallSilent(ctx context.Context, address string) (*silence, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}

	if err := shorten(listener); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot let %s fall silent: %w", address, err), listener.Close())
	}

	taken, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot let %s fall silent: %w", address, err), listener.Close())
	}

	return &silence{Listener: listener, taken: taken}, nil
}

// shorten leaves the queue of a listener room for one connection: a second call of listen(2) only changes the length.
func shorten(listener net.Listener) error {
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("it is no TCP port")
	}

	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}

	var listenErr error

	return errors.Join(raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), 0) }), listenErr)
}

// Serve implements Server: nothing is ever served.
func (s *silence) Serve(net.Listener) error { return nil }

// Stop implements Server.
func (s *silence) Stop() { s.taken.Close() } //nolint:errcheck // it is gone either way
