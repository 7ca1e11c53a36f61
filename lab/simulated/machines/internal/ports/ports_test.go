package ports_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/machine"
	"firstlight.dev/lab/machines/internal/ports"
)

func TestPortsFollowTheWantedState(t *testing.T) {
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
		conn.Close() //nolint:errcheck // it should not exist
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

func TestATakenPortIsRetried(t *testing.T) {
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

func TestASilentPortNeitherAcceptsNorRefuses(t *testing.T) {
	address := freeAddress(t)
	manager := newManager(t, func() string { return echo(t) })
	wanted := machine.Endpoint{Kind: machine.KubernetesAPI, Node: &machine.Node{}, Address: address, Silent: true}

	if !manager.Reconcile(t.Context(), []machine.Endpoint{wanted}) {
		t.Fatal("the port did not fall silent")
	}

	_, err := net.DialTimeout("tcp", address, 300*time.Millisecond)

	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("somebody answered: %v", err)
	}

	wanted.Silent = false
	manager.Reconcile(t.Context(), []machine.Endpoint{wanted})
	say(t, dial(t, address), "hello")
}

func TestAPortFailsAccordingToItsFault(t *testing.T) {
	for fault, want := range map[faults.APIFault]string{
		faults.APIResets:    "connection reset by peer",
		faults.APIHangs:     "i/o timeout",
		faults.APIBreaksOff: "EOF",
	} {
		address := freeAddress(t)
		manager := ports.NewManager(func(e machine.Endpoint) (ports.Server, error) {
			return &ports.Forwarder{Target: func() string { return echo(t) }, Fault: e.Fault}, nil
		}, slog.New(slog.DiscardHandler))
		t.Cleanup(manager.Close)
		manager.Reconcile(t.Context(), []machine.Endpoint{{Kind: machine.KubernetesAPI, Node: &machine.Node{}, Address: address, Fault: fault}})

		conn, err := net.Dial("tcp", address)
		if err != nil {
			// So soon that the caller already sees it.
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, not %s", fault, err, want)
			}

			continue
		}

		if fault == faults.APIBreaksOff {
			say(t, conn, "hello")
		}

		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}

		if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", fault, err, want)
		}
	}
}

func newManager(t *testing.T, target func() string) *ports.Manager {
	t.Helper()

	manager := ports.NewManager(func(machine.Endpoint) (ports.Server, error) { return &ports.Forwarder{Target: target}, nil }, slog.New(slog.DiscardHandler))
	t.Cleanup(manager.Close)

	return manager
}

// echo starts a server that sends back what it receives.
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
	defer listener.Close() //nolint:errcheck // only its address is needed

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
