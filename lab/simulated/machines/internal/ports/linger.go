package ports

import (
	"io"
	"net"
	"time"
)

// lingerLimit bounds how long a closed connection is still read from.
const lingerLimit = 200 * time.Millisecond

// lingering makes connections close gracefully: the last data is delivered before the connection is
// torn down.
//
// A server that refuses a client's certificate closes at once. Over a real network the client has
// then read the refusal. On loopback its next write races with the close, and the refusal ("tls:
// certificate required") is lost to a reset.
type lingering struct{ net.Listener }

// Accept implements net.Listener.
func (l lingering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return lingeringConn{tcp}, nil
	}

	return conn, err
}

type lingeringConn struct{ *net.TCPConn }

// Close closes the sending side now, and the receiving side a little later.
func (c lingeringConn) Close() error {
	if err := c.CloseWrite(); err != nil {
		return c.TCPConn.Close()
	}

	go func() {
		if c.SetReadDeadline(time.Now().Add(lingerLimit)) == nil {
			io.Copy(io.Discard, c.TCPConn) //nolint:errcheck // ends with the other side or the deadline
		}

		c.TCPConn.Close() //nolint:errcheck // it is gone either way
	}()

	return nil
}
