package ports

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"firstlight.dev/lab/machines/internal/faults"
)

// breakOffAfter is how long a connection lasts through a port that breaks off: long enough for TLS
// and a first answer.
const breakOffAfter = 150 * time.Millisecond

// connectLimit bounds the connection to the API server behind a forwarder, which is on the same
// computer.
const connectLimit = 5 * time.Second

// Forwarder forwards connections to another address, because every control plane machine's port
// 6443 leads to the one API server.
type Forwarder struct {
	// Target returns the address to forward connections to. It may change between connections.
	Target func() string
	// Fault is the fault of the port.
	Fault faults.APIFault

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	stopped  bool
}

// Serve forwards connections until Stop.
func (f *Forwarder) Serve(listener net.Listener) error {
	f.mu.Lock()
	f.listener = listener
	stopped := f.stopped
	f.mu.Unlock()

	if stopped {
		return listener.Close()
	}

	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}

		go f.forward(conn)
	}
}

// Stop closes the port and cuts the connections through it.
func (f *Forwarder) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.stopped = true
	if f.listener != nil {
		f.listener.Close() //nolint:errcheck // it is gone either way
	}

	for conn := range f.conns {
		conn.Close() //nolint:errcheck // it is gone either way
	}
}

func (f *Forwarder) forward(client net.Conn) {
	defer client.Close() //nolint:errcheck // it is gone either way

	if !f.suffer(client) {
		return
	}

	server, err := net.DialTimeout("tcp", f.Target(), connectLimit)
	if err != nil {
		return // the client sees its connection closed, as by an API server that is shutting down
	}
	defer server.Close() //nolint:errcheck // it is gone either way

	if !f.track(client, server) {
		return
	}
	defer f.forget(client, server)

	done := make(chan error, 2)

	go copyHalf(done, server, client)
	go copyHalf(done, client, server)

	<-done
	<-done
}

// suffer applies the port's fault to a connection, and reports whether it is forwarded anyway.
func (f *Forwarder) suffer(client net.Conn) bool {
	switch f.Fault {
	case faults.APIHangs:
		if f.track(client) {
			io.Copy(io.Discard, client) //nolint:errcheck // ends with the connection
			f.forget(client)
		}

		return false
	case faults.APIResets:
		linger(client)

		return false
	case faults.APIBreaksOff:
		time.AfterFunc(breakOffAfter, func() { client.Close() }) //nolint:errcheck // it is gone either way
	}

	return true
}

// linger makes a connection end with a reset.
func linger(conn net.Conn) {
	if gentle, ok := conn.(lingeringConn); ok {
		gentle.SetLinger(0)    //nolint:errcheck // it is gone either way
		gentle.TCPConn.Close() //nolint:errcheck // it is gone either way
	}
}

// copyHalf copies one direction and signals the other end when it is over.
func copyHalf(done chan<- error, to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		err = errors.Join(err, half.CloseWrite())
	}

	done <- err
}

func (f *Forwarder) track(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.stopped {
		return false
	}

	if f.conns == nil {
		f.conns = map[net.Conn]bool{}
	}

	for _, conn := range conns {
		f.conns[conn] = true
	}

	return true
}

func (f *Forwarder) forget(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, conn := range conns {
		delete(f.conns, conn)
	}
}
