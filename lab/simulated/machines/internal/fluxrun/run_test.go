package fluxrun

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"firstlight.dev/lab/machines/internal/charts"
	"firstlight.dev/lab/machines/internal/config"
	"firstlight.dev/lab/machines/internal/controlplane"
	"firstlight.dev/lab/machines/internal/labproc"
	"firstlight.dev/lab/machines/internal/labtools"
)

var fluxPrograms = []string{"source-controller", "kustomize-controller", "helm-controller"}

// flux is a whole small lab with the real controllers.
type flux struct {
	*testing.T
	lab  config.Lab
	git  *gitServer
	stop func()
}

func startFlux(t *testing.T) *flux {
	t.Helper()

	tools := labtools.Need(t, append([]string{"kwokctl", "kubectl", "helm"}, fluxPrograms...)...)
	f := &flux{T: t, git: startGitServer(t, map[string]string{
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [vars.yaml]\n",
		"vars.yaml":          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster-vars, namespace: default}\ndata: {from: git}\n",
	})}
	f.lab = config.Lab{
		Cluster: "flux-test", StateDir: t.TempDir(), ToolsDir: tools, LabAddress: "127.25.97.1", ChartsDir: packagedChart(t, tools),
		RegistryPort: freePort(t), ChartsPort: freePort(t), FluxControllers: fluxPrograms,
	}

	plane := controlplane.New(controlplane.Options{
		Cluster: f.lab.Cluster, StateDir: f.lab.StateDir, ToolsDir: tools, VIP: "127.25.97.10", Endpoint: "https://127.25.97.10:6443",
		ServiceCIDR: "10.43.0.0/16", PodCIDR: "10.42.0.0/16", KubernetesVersion: "v1.35.0", Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})

	f.runServices()

	if err := plane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := plane.RegisterNode(t.Context(), controlplane.NodeSpec{Hostname: "worker", Address: "127.25.97.14", KubernetesVersion: "v1.35.0"}); err != nil {
		t.Fatal(err)
	}

	f.kubectl("", "apply", "--server-side", "--filename", filepath.Join(tools, "..", "charts", "flux-crds", "files"))

	return f
}

// runServices runs the chart server and the controllers until the test ends, or stop is called.
func (f *flux) runServices() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)

	go func() { ended <- charts.Serve(ctx, f.lab) }()
	go func() { ended <- Run(ctx, f.lab) }()

	f.stop = func() {
		cancel()

		for range 2 {
			if err := <-ended; err != nil {
				f.Error(err)
			}
		}

		if left := labproc.Find(f.lab.StateDir, fluxPrograms...); len(left) != 0 {
			f.Errorf("controllers %v are left", left)
		}

		f.stop = func() {}
	}

	f.Cleanup(func() { f.stop() })
}

// kubectl runs the real kubectl, with the input if there is any.
func (f *flux) kubectl(input string, arguments ...string) string {
	f.Helper()

	output, err := f.tryKubectl(input, arguments...)
	if err != nil {
		f.Fatalf("kubectl %v: %v\n%s", arguments, err, output)
	}

	return output
}

func (f *flux) tryKubectl(input string, arguments ...string) (string, error) {
	command := exec.Command(filepath.Join(f.lab.ToolsDir, "kubectl"), arguments...)
	command.Env = []string{"KUBECONFIG=" + controlplane.KubeconfigPath(f.lab.StateDir, "lab"), "HOME=" + f.lab.StateDir}
	command.Stdin = strings.NewReader(input)

	output, err := command.CombinedOutput()

	return string(output), err
}

// ready waits until a Flux object is Ready.
func (f *flux) ready(object string) {
	f.Helper()

	began := time.Now()

	output, err := f.tryKubectl("", "--namespace", Namespace, "wait", "--for=condition=Ready", "--timeout=40s", object)
	if err != nil {
		state, _ := f.tryKubectl("", "--namespace", Namespace, "get", object, "--output=yaml")
		f.Fatalf("%s: %s\n%s\n%s", object, output, state, f.logs())
	}

	f.Logf("%-40s Ready after %.2f s", object, time.Since(began).Seconds())
}

func (f *flux) logs() string {
	var logs bytes.Buffer

	for _, name := range fluxPrograms {
		content, _ := os.ReadFile(filepath.Join(f.lab.StateDir, "logs", name+".log"))
		if lines := strings.Split(string(content), "\n"); len(lines) > 15 {
			content = []byte(strings.Join(lines[len(lines)-15:], "\n"))
		}

		fmt.Fprintf(&logs, "== %s\n%s\n", name, content)
	}

	return logs.String()
}

func TestRealFluxControllersRunWhileTheirPodsDo(t *testing.T) {
	f := startFlux(t)

	f.kubectl("", "create", "namespace", Namespace)
	// The test's pods use the host's network, which the cluster's default PodSecurity forbids.
	f.kubectl("", "label", "namespace", Namespace, "pod-security.kubernetes.io/enforce=privileged")

	if found := labproc.Find(f.lab.StateDir, fluxPrograms...); len(found) != 0 {
		t.Fatalf("controllers %v run before they were installed", found)
	}

	f.kubectl(deployments(), "apply", "--filename", "-")
	f.kubectl("", "--namespace", Namespace, "create", "secret", "generic", "deploy-key",
		"--from-literal=identity="+string(f.git.identity), "--from-literal=identity.pub="+string(f.git.identityPub),
		"--from-literal=known_hosts="+string(f.git.knownHosts))
	f.kubectl(f.sources(), "apply", "--filename", "-")

	f.ready("gitrepository/k8s-ops")
	f.ready("ocirepository/demo")
	f.ready("helmrepository/lab")
	f.ready("kustomization/k8s-ops")
	f.ready("helmrelease/demo")
	f.ready("helmrelease/demo-http")

	if from := f.kubectl("", "--namespace", "default", "get", "configmap", "cluster-vars", "--output=jsonpath={.data.from}"); from != "git" {
		t.Errorf("the ConfigMap says %q, not what Git says", from)
	}

	f.assertLoopbackOnly()
	f.assertKilledComesBack()
	f.assertStopsWithItsPods()
	f.stop()
}

func (f *flux) assertLoopbackOnly() {
	f.Helper()

	found := labproc.Find(f.lab.StateDir, fluxPrograms...)
	if len(found) != 3 {
		f.Fatalf("%d controllers run, not three", len(found))
	}

	for _, pid := range found {
		for _, socket := range labproc.Sockets(pid) {
			if !socket.Local.Addr().IsLoopback() || (!socket.Remote.Addr().IsLoopback() && !socket.Remote.Addr().IsUnspecified()) {
				f.Errorf("process %d: %s to %s", pid, socket.Local, socket.Remote)
			}
		}
	}
}

func (f *flux) assertKilledComesBack() {
	f.Helper()

	before := labproc.Find(f.lab.StateDir, "source-controller")
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		f.Fatal(err)
	}

	await(f.T, "source-controller is back", 15*time.Second, func() bool {
		now := labproc.Find(f.lab.StateDir, "source-controller")

		return len(now) == 1 && now[0] != before[0]
	})
}

func (f *flux) assertStopsWithItsPods() {
	f.Helper()
	f.kubectl("", "--namespace", Namespace, "scale", "deployment/kustomize-controller", "--replicas=0")
	await(f.T, "kustomize-controller stops", 15*time.Second, func() bool {
		return len(labproc.Find(f.lab.StateDir, "kustomize-controller")) == 0
	})
}

// deployments are pods that stand for the controllers. They use the host's network, so Cilium is
// not needed.
func deployments() string {
	var all strings.Builder

	for _, name := range fluxPrograms {
		fmt.Fprintf(&all, `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: kube-system, labels: {app: %[1]s}}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      tolerations: [{operator: Exists}]
      hostNetwork: true
      containers: [{name: manager, image: "ghcr.io/fluxcd/%[1]s:v1"}]
`, name)
	}

	return strings.ReplaceAll(all.String(), "kube-system", Namespace)
}

func (f *flux) sources() string {
	return fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: k8s-ops, namespace: flux-system}
spec: {interval: 1m, url: "ssh://git@%[1]s/k8s-ops.git", ref: {branch: main}, secretRef: {name: deploy-key}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: k8s-ops, namespace: flux-system}
spec: {interval: 1m, path: ./, prune: true, sourceRef: {kind: GitRepository, name: k8s-ops}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: demo, namespace: flux-system}
spec:
  interval: 1m
  insecure: true
  url: oci://127.25.97.1:%[2]d/charts/demo
  ref: {tag: 1.0.0}
  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: lab, namespace: flux-system}
spec: {interval: 1m, url: "http://127.25.97.1:%[3]d/charts"}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: demo, namespace: flux-system}
spec: {interval: 1m, chartRef: {kind: OCIRepository, name: demo}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: demo-http, namespace: flux-system}
spec:
  interval: 1m
  chart: {spec: {chart: demo, version: 1.0.0, sourceRef: {kind: HelmRepository, name: lab}}}
`, f.git.address, f.lab.RegistryPort, f.lab.ChartsPort)
}

// packagedChart creates a Helm repository with one chart, using the real helm.
func packagedChart(t *testing.T, tools string) string {
	t.Helper()

	source, packaged := t.TempDir(), t.TempDir()
	files := map[string]string{
		"Chart.yaml":             "apiVersion: v2\nname: demo\nversion: 1.0.0\n",
		"templates/example.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n",
	}

	for name, content := range files {
		path := filepath.Join(source, "demo", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	for _, arguments := range [][]string{{"package", filepath.Join(source, "demo"), "--destination", packaged}, {"repo", "index", packaged}} {
		command := exec.Command(filepath.Join(tools, "helm"), arguments...)
		command.Env = []string{"HOME=" + source}

		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("helm %v: %v\n%s", arguments, err, output)
		}
	}

	return packaged
}

func freePort(t *testing.T) int {
	t.Helper()

	listener, err := net.Listen("tcp", "127.25.97.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port
}
