package talosapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"

	"github.com/siderolabs/talos/pkg/machinery/client"

	"firstlight.dev/lab/machines/internal/calllog"
	"firstlight.dev/lab/machines/internal/faults"
	"firstlight.dev/lab/machines/internal/labtest"
	"firstlight.dev/lab/machines/internal/machine"
	"firstlight.dev/lab/machines/internal/ports"
	"firstlight.dev/lab/machines/internal/talosapi"
)

// callLimit bounds each call of a test.
const callLimit = 20 * time.Second

// site is a lab with open ports and a clock that the test controls.
type site struct {
	t       *testing.T
	lab     labtest.Lab
	fleet   *machine.Fleet
	ports   *ports.Manager
	offset  time.Duration
	faults  map[string]faults.Set
	logPath string
}

func newSite(t *testing.T, network int) *site {
	t.Helper()

	s := &site{t: t, lab: labtest.New(t, network), faults: map[string]faults.Set{}}
	s.logPath = filepath.Join(s.lab.StateDir, "talos-calls.jsonl")

	fleet, err := machine.New(machine.Options{
		Lab: s.lab.Lab, Store: machine.FileStore{Path: filepath.Join(s.lab.StateDir, "machines-state.json")},
		Faults: func(hostname string) faults.Set { return s.faults[hostname] }, Now: s.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}

	calls, err := calllog.Open(s.logPath)
	if err != nil {
		t.Fatal(err)
	}

	kubeconfig := func(name, endpoint string) ([]byte, error) { return []byte(name + " at " + endpoint), nil }

	factory, err := talosapi.NewFactory(fleet, calls, kubeconfig, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	s.fleet = fleet
	s.ports = ports.NewManager(func(e machine.Endpoint) (ports.Server, error) { return factory.For(e) }, slog.New(slog.DiscardHandler))

	t.Cleanup(s.ports.Close)
	s.pass(2 * time.Second)

	return s
}

func (s *site) now() time.Time { return time.Now().Add(s.offset) }

// pass advances the machines' clock, and opens and closes their ports.
func (s *site) pass(duration time.Duration) {
	s.t.Helper()

	for range duration / (500 * time.Millisecond) {
		s.offset += 500 * time.Millisecond
		if err := s.fleet.Step(s.now()); err != nil {
			s.t.Fatal(err)
		}
	}

	if !s.ports.Reconcile(s.t.Context(), s.fleet.Endpoints()) {
		s.t.Fatal("cannot open all ports")
	}
}

// operator returns a client with the administrator's certificate that speaks to these machines.
func (s *site) operator(endpoints ...string) *client.Client {
	s.t.Helper()

	return s.client(s.lab.Talosconfig, endpoints...)
}

func (s *site) client(config *clientconfig.Config, endpoints ...string) *client.Client {
	s.t.Helper()

	addresses := make([]string, 0, len(endpoints))
	for _, endpoint := range endpoints {
		addresses = append(addresses, s.address(endpoint))
	}

	c, err := client.New(s.t.Context(), client.WithConfig(config), client.WithEndpoints(addresses...))
	if err != nil {
		s.t.Fatal(err)
	}

	s.t.Cleanup(func() { c.Close() }) //nolint:errcheck // the test is over

	return c
}

// address is the address of a machine with the lab's own port.
func (s *site) address(hostname string) string {
	for _, endpoint := range s.fleet.Endpoints() {
		if endpoint.Node.Hostname == hostname && endpoint.Kind != machine.KubernetesAPI {
			return endpoint.Address
		}
	}

	s.t.Fatalf("the Talos port of %s is closed", hostname)

	return ""
}

func (s *site) ip(hostname string) string { return s.fleet.ByName(hostname).Address }

func (s *site) limited() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), callLimit)
	s.t.Cleanup(cancel)

	return ctx
}

// calls reads the call log.
func (s *site) calls() []calllog.Call {
	s.t.Helper()

	raw, err := os.ReadFile(s.logPath)
	if err != nil {
		s.t.Fatal(err)
	}

	var calls []calllog.Call

	for _, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		var call calllog.Call
		if err := json.Unmarshal(line, &call); err != nil {
			s.t.Fatal(err)
		}

		calls = append(calls, call)
	}

	return calls
}
