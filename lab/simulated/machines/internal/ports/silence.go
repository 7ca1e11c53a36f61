package ports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// knockLimit is much longer than a connection takes on this computer.
const knockLimit = 500 * time.Millisecond

// silence is a port that lets connections time out, like a firewall that drops every packet.
//
// Its backlog has room for one connection, which is taken, and nothing ever accepts it. The kernel
// then ignores further connections.
type silence struct {
	net.Listener

	// taken is nil if another connection was faster.
	taken net.Conn
}

// fallSilent opens a port and fills its backlog.
func fallSilent(ctx context.Context, address string) (*silence, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}

	if err := shorten(listener); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot silence %s: %w", address, err), listener.Close())
	}

	taken, err := takeRoom(ctx, address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot silence %s: %w", address, err), listener.Close())
	}

	return &silence{Listener: listener, taken: taken}, nil
}

// takeRoom takes the one place in the backlog. If it is already taken, the port is silent anyway.
func takeRoom(ctx context.Context, address string) (net.Conn, error) {
	taken, err := (&net.Dialer{Timeout: knockLimit}).DialContext(ctx, "tcp", address)

	var late net.Error
	if errors.As(err, &late) && late.Timeout() && ctx.Err() == nil {
		return nil, nil //nolint:nilnil // no connection, and none needed
	}

	return taken, err
}

// shorten leaves room for one connection in a listener's backlog. A second call of listen(2) only
// changes the length.
func shorten(listener net.Listener) error {
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("not a TCP port")
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
func (s *silence) Stop() {
	if s.taken != nil {
		s.taken.Close() //nolint:errcheck // it is gone either way
	}
}
