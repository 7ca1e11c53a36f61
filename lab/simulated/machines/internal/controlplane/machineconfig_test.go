package controlplane

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// input is created once, because its keys take a second.
var input = sync.OnceValues(func() (*generate.Input, error) {
	return generate.NewInput("infra", "https://127.25.98.10:6443", "1.35.0",
		generate.WithVersionContract(config.TalosVersion1_12), generate.WithAdditionalSubjectAltNames([]string{"infra.example.invalid"}))
})

// generated writes a machine configuration like `talosctl gen config`.
func generated(t *testing.T, kind machinetype.Type) Options {
	t.Helper()

	made, err := input()
	if err != nil {
		t.Fatal(err)
	}

	provider, err := made.Config(kind)
	if err != nil {
		t.Fatal(err)
	}

	content, err := provider.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "machine.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}

	return Options{
		Cluster: "infra", StateDir: t.TempDir(), ToolsDir: "/tools", VIP: "127.25.98.10", Endpoint: "https://127.25.98.10:6443",
		NodeAddresses: []string{"127.25.98.11"}, ServiceCIDR: "10.43.0.0/16", PodCIDR: "10.42.0.0/16",
		KubernetesVersion: "v1.35.0", MachineConfig: path,
	}
}

func TestTheClustersAuthorityIsThatOfTheMachineConfiguration(t *testing.T) {
	opts := generated(t, machinetype.TypeControlPlane)
	plane := New(opts)

	content, err := plane.AdminKubeconfig("infra", opts.Endpoint)
	if err != nil {
		t.Fatalf("before the first start: %v", err)
	}

	machine, err := readMachine(opts)
	if err != nil {
		t.Fatal(err)
	}

	kubeconfig, err := clientcmd.Load(content)
	if err != nil {
		t.Fatal(err)
	}

	if kubeconfig.CurrentContext != "admin@infra" || kubeconfig.Clusters["infra"].Server != opts.Endpoint ||
		string(kubeconfig.Clusters["infra"].CertificateAuthorityData) != string(machine.caCert) {
		t.Errorf("context %q, clusters %v", kubeconfig.CurrentContext, kubeconfig.Clusters)
	}

	trust, err := seedPKI(plane.paths, opts, machine)
	if err != nil {
		t.Fatal(err)
	}

	if string(trust.authority.pair.cert) != string(machine.caCert) {
		t.Error("the control plane has another authority")
	}
}

func TestAnExistingPKIIsKept(t *testing.T) {
	opts := generated(t, machinetype.TypeControlPlane)
	opts.MachineConfig = ""
	plane := New(opts)

	first, err := seedPKI(plane.paths, opts, machine{})
	if err != nil {
		t.Fatal(err)
	}

	second, err := seedPKI(plane.paths, opts, machine{})
	if err != nil {
		t.Fatal(err)
	}

	if string(first.authority.pair.cert) != string(second.authority.pair.cert) || string(first.lab.cert) != string(second.lab.cert) {
		t.Error("a second start made new certificates")
	}
}

func TestTheCertificateNamesWhatTalosNames(t *testing.T) {
	opts := generated(t, machinetype.TypeControlPlane)

	from, err := readMachine(opts)
	if err != nil {
		t.Fatal(err)
	}

	names, err := serverNames(opts, from)
	if err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"127.25.98.10", "127.25.98.11", "127.0.0.1", "10.43.0.1", "kubernetes.default.svc", "infra.example.invalid"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %v", name, names)
		}
	}
}

func TestPodSecurityIsTalossOwnDefault(t *testing.T) {
	from, err := readMachine(generated(t, machinetype.TypeControlPlane))
	if err != nil {
		t.Fatal(err)
	}

	if len(from.admission) != 1 {
		t.Fatalf("plug-ins %v", from.admission)
	}

	// Compare them as YAML, because their types in memory may differ.
	for _, pair := range [][2]any{{from.admission[0].Name, defaultPodSecurity().Name}, {from.admission[0].Configuration, defaultPodSecurity().Configuration}} {
		got, gotErr := json.Marshal(pair[0])
		want, wantErr := json.Marshal(pair[1])

		if gotErr != nil || wantErr != nil || string(got) != string(want) {
			t.Errorf("the machine configuration says\n%s\nthe default is\n%s", got, want)
		}
	}
}

func TestAWorkersConfigurationIsRefused(t *testing.T) {
	_, err := readMachine(generated(t, machinetype.TypeWorker))
	if err == nil || !strings.Contains(err.Error(), "cluster.ca with its key") {
		t.Fatalf("error: %v", err)
	}
}

func TestNothingIsDownloadedAndEverythingListensOnLoopback(t *testing.T) {
	opts := generated(t, machinetype.TypeControlPlane)

	chosen, err := choosePorts("infra")
	if err != nil {
		t.Fatal(err)
	}

	options := kwokctlOptions(New(opts).paths, opts, chosen)
	if options["bindAddress"] != "127.0.0.1" {
		t.Errorf("programs listen on %v", options["bindAddress"])
	}

	for _, program := range []string{
		"etcdBinary", "kubectlBinary", "kwokControllerBinary", "kubeApiserverBinary", "kubeControllerManagerBinary", "kubeSchedulerBinary",
	} {
		if path, ok := options[program].(string); !ok || !strings.HasPrefix(path, "/tools/") {
			t.Errorf("%s is %v: kwokctl would download it", program, options[program])
		}
	}
}

func TestEveryStageIsACompleteYAMLDocument(t *testing.T) {
	opts := generated(t, machinetype.TypeControlPlane)

	content, err := kwokctlConfiguration(New(opts).paths, opts, ports{})
	if err != nil {
		t.Fatal(err)
	}

	stages := map[string]bool{}

	for _, text := range strings.Split(string(content), "\n---\n") {
		var document struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}

		if document.Kind == "Stage" {
			stages[document.Metadata.Name] = true
		}
	}

	for _, name := range []string{"node-ready", "node-not-ready", "pod-created", "pod-ready", "pod-completed", "pod-deleted"} {
		if !stages[name] {
			t.Errorf("stage %s is missing: KWOK would use its own, which makes nodes Ready at once", name)
		}
	}
}

func TestPortsAreKeptAndDoNotClash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports.json")

	first, err := loadOrChoosePorts(path)
	if err != nil {
		t.Fatal(err)
	}

	second, err := loadOrChoosePorts(path)
	if err != nil || first != second {
		t.Fatalf("%v, then %v, %v", first, second, err)
	}

	other, err := choosePorts("apps")
	if err != nil || other.APIServer == first.APIServer {
		t.Fatalf("infra %v, apps %v, %v", first, other, err)
	}
}
