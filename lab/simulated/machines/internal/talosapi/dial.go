package talosapi

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"

	"google.golang.org/grpc/test/bufconn"

	"firstlight.dev/lab/machines/internal/machine"
)

// pipeBytes is the buffer of connections inside the process.
const pipeBytes = 1 << 20

// dialer is a listener inside the process, in place of Talos's unix sockets.
type dialer struct{ listener *bufconn.Listener }

func newDialer() dialer { return dialer{listener: bufconn.Listen(pipeBytes)} }

func (d dialer) dial(ctx context.Context, _ string) (net.Conn, error) {
	return d.listener.DialContext(ctx)
}

// dialMachine connects to another machine, by address or by hostname, and to nothing outside the
// loopback network.
//
// For refused addresses it returns the error of a network without a route, so that a real address
// in a command fails as it would on a wrong network.
func dialMachine(fleet *machine.Fleet) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}

		if node := fleet.ByName(host); node != nil {
			host = node.Address
		}

		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, Server: "127.0.0.53:53", IsNotFound: true}}
		}

		target := net.JoinHostPort(ip.String(), port)

		if !ip.IsLoopback() {
			return nil, &net.OpError{
				Op: "dial", Net: "tcp", Addr: addr(target), Err: &os.SyscallError{Syscall: "connect", Err: syscall.EHOSTUNREACH},
			}
		}

		return (&net.Dialer{}).DialContext(ctx, "tcp", target)
	}
}

// addr is a network address for display only.
type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }
