// Package labtest creates small labs with real machine configurations for the tests of the other
// packages.
package labtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	talosconfig "github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"

	"firstlight.dev/lab/machines/internal/config"
)

// bond is the bond of the story's machines.
const bond = `---
apiVersion: v1alpha1
kind: BondConfig
name: bond0
links: [eno1, eno2]
bondMode: 802.3ad
miimon: 100
updelay: 200
downdelay: 200
mtu: 9000
`

// Lab is a lab and the operator's access to it.
type Lab struct {
	*config.Lab

	// Talosconfig is the administrator's.
	Talosconfig *clientconfig.Config
}

// New creates a lab of three control plane machines and one worker on addresses 127.25.<network>.x,
// all on one free port.
func New(t *testing.T, network int) Lab {
	t.Helper()

	dir := t.TempDir()
	vip := fmt.Sprintf("127.25.%d.10", network)
	input := newInput(t, vip)

	lab := &config.Lab{
		Cluster: "demo", StateDir: dir, VIP: vip, Endpoint: "https://" + vip + ":6443", TalosVersion: "v1.12.0", KubernetesVersion: "v1.35.0",
		FaultsFile: filepath.Join(dir, "faults.json"), Timings: config.Timings{BootS: 1, EtcdS: 1, JoinS: 1},
		TalosPort: freePort(t, vip), KubernetesPort: freePort(t, vip),
	}

	for i, name := range []string{"cp-1", "cp-2", "cp-3", "worker-1"} {
		role, machineType := config.ControlPlane, machine.TypeControlPlane
		if strings.HasPrefix(name, "worker") {
			role, machineType = config.Worker, machine.TypeWorker
		}

		path := filepath.Join(dir, name+".yaml")
		writeConfig(t, input, machineType, path)

		lab.Nodes = append(lab.Nodes, config.Node{Hostname: name, Address: fmt.Sprintf("127.25.%d.%d", network, 11+i), Role: role, MachineConfig: path})
	}

	talosconfig, err := input.Talosconfig()
	if err != nil {
		t.Fatal(err)
	}

	return Lab{Lab: lab, Talosconfig: talosconfig}
}

// sharedSecrets are created once for all tests of a package, because the long RSA key among them
// takes seconds.
var sharedSecrets = sync.OnceValues(func() (*secrets.Bundle, error) {
	return secrets.NewBundle(secrets.NewClock(), talosconfig.TalosVersion1_12)
})

func newInput(t *testing.T, vip string) *generate.Input {
	t.Helper()

	bundle, err := sharedSecrets()
	if err != nil {
		t.Fatal(err)
	}

	input, err := generate.NewInput("demo", "https://"+vip+":6443", "1.35.0",
		generate.WithSecretsBundle(bundle), generate.WithVersionContract(talosconfig.TalosVersion1_12))
	if err != nil {
		t.Fatal(err)
	}

	return input
}

func writeConfig(t *testing.T, input *generate.Input, machineType machine.Type, path string) {
	t.Helper()

	provider, err := input.Config(machineType)
	if err != nil {
		t.Fatal(err)
	}

	raw, err := provider.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path, append(raw, bond...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort finds an unused port. Every machine of the lab then uses it on its own address.
func freePort(t *testing.T, address string) int {
	t.Helper()

	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // only its number is needed

	return listener.Addr().(*net.TCPAddr).Port
}
