package ports_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"testing"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/machine"
	"firstlight.dev/lab/machines/internal/ports"
)

func TestPortsFollowWhatIsWanted(t *testing.T) {
	address := freeAddress(t)
	manager := newManager(t, func() string { return echo(t) })
	wanted := machine.Endpoint{Kind: machine.KubernetesAPI, Node: &machine.Node{Node: config.Node{Hostname: "cp-1"}}, Address: address, Life: "first"}

	if !manager.Reconcile(t.Context(), []machine.Endpoint{wanted}) {
		t.Fatal("the port did not open")
	}

	conn := dial(t, address)
	say(t, conn, "hello")

	wanted.Life = "second"
	if !manager.Reconcile(t.Context(), []machine.Endpoint{wanted}) {
		t.Fatal("the port did not open again")
	}

	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlived the machine it was to")
	}

	say(t, dial(t, address), "hello again")

	manager.Reconcile(t.Context(), nil)

	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close() //nolint:errcheck // it should not be there
		t.Error("the port is still open")
	}
}

func TestAForwarderWithoutTargetHangsUp(t *testing.T) {
	address := freeAddress(t)
	manager := newManager(t, func() string { return "" })

	manager.Reconcile(t.Context(), []machine.Endpoint{{Kind: machine.KubernetesAPI, Node: &machine.Node{}, Address: address}})

	if _, err := dial(t, address).Read(make([]byte, 1)); err == nil {
		t.Error("somebody answered")
	}
}

func TestATakenPortIsTriedAgain(t *testing.T) {
	taken, err := net.Listen("tcp", "127.25.204.11:0")
	if err != nil {
		t.Fatal(err)
	}

	manager := newManager(t, func() string { return echo(t) })
	wanted := []machine.Endpoint{{Kind: machine.KubernetesAPI, Node: &machine.Node{}, Address: taken.Addr().String()}}

	if manager.Reconcile(t.Context(), wanted) {
		t.Error("a taken port counts as open")
	}

	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}

	if !manager.Reconcile(t.Context(), wanted) {
		t.Error("the port did not open when it was free")
	}
}

func newManager(t *testing.T, target func() string) *ports.Manager {
	t.Helper()

	manager := ports.NewManager(func(machine.Endpoint) (ports.Server, error) { return &ports.Forwarder{Target: target}, nil }, slog.New(slog.DiscardHandler))
	t.Cleanup(manager.Close)

	return manager
}

// echo starts a server that says back what it hears.
func echo(t *testing.T) string {
	t.Helper()

	listener, err := net.Listen("tcp", "127.25.204.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { listener.Close() }) //nolint:errcheck // the test is over

	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			go io.Copy(conn, conn) //nolint:errcheck // ends with the connection
		}
	}()

	return listener.Addr().String()
}

func freeAddress(t *testing.T) string {
	t.Helper()

	listener, err := net.Listen("tcp", "127.25.204.10:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // only its address is wanted

	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test is over

	return conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()

	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}

	heard := make([]byte, len(text))
	if _, err := io.ReadFull(conn, heard); err != nil || !bytes.Equal(heard, []byte(text)) {
		t.Errorf("heard %q, %v", heard, err)
	}
}
