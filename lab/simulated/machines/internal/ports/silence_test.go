package ports

import (
	"net"
	"testing"
	"time"
)

func TestAPortWithAFullBacklogIsAlreadySilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.25.204.12:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over

	if err := shorten(listener); err != nil {
		t.Fatal(err)
	}

	quicker, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer quicker.Close() //nolint:errcheck // the test is over

	began := time.Now()
	taken, err := takeRoom(t.Context(), listener.Addr().String())

	if taken != nil || err != nil || time.Since(began) > 10*knockLimit {
		t.Errorf("%v, %v after %v", taken, err, time.Since(began))
	}

	(&silence{Listener: listener, taken: taken}).Stop()
}
