package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"firstlight.dev/lab/machines/internal/labproc"
	"firstlight.dev/lab/machines/internal/labtools"
)

// realNodes are the machines of the test's cluster.
var realNodes = []NodeSpec{
	{Hostname: "infra-cp-1", Address: "127.25.98.11", Role: controlPlaneRole, KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
	{Hostname: "infra-cp-2", Address: "127.25.98.12", Role: controlPlaneRole, KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
	{Hostname: "infra-cp-3", Address: "127.25.98.13", Role: controlPlaneRole, KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
	{Hostname: "infra-worker-1", Address: "127.25.98.14", Role: "worker", KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
	{Hostname: "infra-worker-2", Address: "127.25.98.15", Role: "worker", KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
	{Hostname: "infra-worker-3", Address: "127.25.98.16", Role: "worker", KubernetesVersion: "v1.35.0", TalosVersion: "v1.12.0"},
}

// real is a control plane of real programs for one test.
type real struct {
	*ControlPlane
	*testing.T
	admin kubernetes.Interface
}

func startReal(t *testing.T) *real {
	t.Helper()

	return startAtPace(t, realPace)
}

func startAtPace(t *testing.T, pace pace) *real {
	t.Helper()

	tools := labtools.Need(t, "kwokctl", "kwok", "kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	state := t.TempDir()

	plane := New(Options{
		Cluster: "infra-test", StateDir: state, ToolsDir: tools, VIP: "127.25.98.10", Endpoint: "https://127.25.98.10:6443",
		ServiceCIDR: "10.43.0.0/16", PodCIDR: "10.42.0.0/16", KubernetesVersion: "v1.35.0",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})), pace: pace,
	})

	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}

		if left := labproc.Find(state, programs...); len(left) != 0 {
			t.Errorf("processes %v are left after Stop", left)
		}

		if t.Failed() && os.Getenv("FIRSTLIGHT_KEEP") != "" {
			t.Log("copied to", os.Getenv("FIRSTLIGHT_KEEP"), os.CopyFS(os.Getenv("FIRSTLIGHT_KEEP"), os.DirFS(state)))
		}
	})

	r := &real{ControlPlane: plane, T: t}
	r.timed("created and ready", func() { r.must(plane.Start(t.Context())) })
	r.admin = r.client("https://" + plane.Address())

	return r
}

// client reads the administrator's kubeconfig.
func (r *real) client(endpoint string) kubernetes.Interface {
	r.Helper()

	content, err := r.AdminKubeconfig("infra", endpoint)
	r.must(err)

	config, err := clientcmd.RESTConfigFromKubeConfig(content)
	r.must(err)

	client, err := kubernetes.NewForConfig(config)
	r.must(err)

	return client
}

func (r *real) must(err error) {
	r.Helper()

	if err != nil {
		r.Fatal(err)
	}
}

func (r *real) timed(what string, do func()) {
	r.Helper()

	began := time.Now()
	do()
	r.Logf("%-40s %6.2f s", what, time.Since(began).Seconds())
}

// await waits until a check of the cluster succeeds.
func (r *real) await(what string, limit time.Duration, look func() (bool, string)) {
	r.Helper()

	r.timed(what, func() {
		for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
			done, seen := look()
			if done {
				return
			}

			if time.Now().After(deadline) {
				r.Fatalf("%s: not within %s, last seen %s", what, limit, seen)
			}
		}
	})
}

// conditions returns the status of every node's Ready condition.
func (r *real) readyNodes() int {
	nodes, err := r.admin.CoreV1().Nodes().List(r.Context(), metav1.ListOptions{})
	r.must(err)

	ready := 0

	for _, node := range nodes.Items {
		if ok, err := r.NodeReady(r.Context(), node.Name); err == nil && ok {
			ready++
		}
	}

	return ready
}

func (r *real) pods(namespace, label string) []corev1.Pod {
	pods, err := r.admin.CoreV1().Pods(namespace).List(r.Context(), metav1.ListOptions{LabelSelector: label})
	r.must(err)

	return pods.Items
}

func podSpec(hostNetwork bool, tolerations ...corev1.Toleration) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		HostNetwork: hostNetwork, Tolerations: tolerations,
		InitContainers: []corev1.Container{{Name: "first", Image: "registry.example/first:v1"}},
		Containers:     []corev1.Container{{Name: "main", Image: "registry.example:5000/main:v1@sha256:0"}},
	}}
}

func (r *real) createCilium() {
	template := podSpec(true, corev1.Toleration{Operator: corev1.TolerationOpExists})
	template.Labels = map[string]string{"k8s-app": "cilium"}
	_, err := r.admin.AppsV1().DaemonSets("kube-system").Create(r.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "cilium"},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{})
	r.must(err)
}

func (r *real) createDaemonSet(name string) {
	template := podSpec(false, corev1.Toleration{Operator: corev1.TolerationOpExists})
	template.Labels = map[string]string{"app": name}
	_, err := r.admin.AppsV1().DaemonSets("kube-system").Create(r.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{})
	r.must(err)
}

func (r *real) createDeployment(name string) {
	replicas := int32(2)
	template := podSpec(false, corev1.Toleration{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists})
	template.Labels = map[string]string{"app": name}
	_, err := r.admin.AppsV1().Deployments("kube-system").Create(r.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}, metav1.CreateOptions{})
	r.must(err)
}

func (r *real) registerAll() {
	for _, spec := range realNodes {
		r.must(r.RegisterNode(r.Context(), spec))
		r.must(r.RegisterNode(r.Context(), spec)) // a kubelet that restarts registers again
	}
}

// running reports whether all pods with a label run and are ready.
func (r *real) running(label string, count int) func() (bool, string) {
	return func() (bool, string) {
		seen := []string{}
		good := 0

		for _, pod := range r.pods("kube-system", label) {
			seen = append(seen, pod.Name+" "+string(pod.Status.Phase))

			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.Status.Phase == corev1.PodRunning {
					good++
				}
			}
		}

		return good == count && len(seen) == count, strings.Join(seen, ", ")
	}
}

func TestNodesAreReadyOnlyWithCiliumAndPodsRunOnlyThen(t *testing.T) {
	r := startReal(t)
	r.timed("six nodes registered", r.registerAll)
	r.createDeployment("coredns")
	r.createDaemonSet("tolerates-everything")

	r.await("static pods run without CNI", 20*time.Second, r.running("tier=control-plane", 9))
	r.assertNothingRunsWithoutNetwork()

	r.createCilium()
	r.await("Cilium runs on every node", 30*time.Second, r.running("k8s-app=cilium", 6))
	r.await("every node is Ready", 30*time.Second, func() (bool, string) { return r.readyNodes() == 6, "" })
	r.await("CoreDNS runs", 30*time.Second, r.running("app=coredns", 2))
	r.await("pods that tolerate everything run", 30*time.Second, r.running("app=tolerates-everything", 6))
	r.assertSensibleAddresses()

	r.must(r.admin.AppsV1().DaemonSets("kube-system").Delete(t.Context(), "cilium", metav1.DeleteOptions{}))
	r.await("nodes are NotReady without Cilium", 30*time.Second, func() (bool, string) { return r.readyNodes() == 0, "" })
}

func (r *real) assertNothingRunsWithoutNetwork() {
	r.Helper()
	r.await("pods that tolerate everything are bound", 20*time.Second, func() (bool, string) {
		pods := r.pods("kube-system", "app=tolerates-everything")
		for _, pod := range pods {
			if len(pod.Status.ContainerStatuses) != 1 || pod.Status.ContainerStatuses[0].State.Waiting == nil {
				return false, string(pod.Status.Phase)
			}
		}

		return len(pods) == 6, ""
	})

	if ready := r.readyNodes(); ready != 0 {
		r.Errorf("%d nodes are Ready without Cilium", ready)
	}

	for _, pod := range r.pods("kube-system", "app=coredns") {
		if pod.Spec.NodeName != "" {
			r.Errorf("%s was bound to %s, which has the taint of a NotReady node", pod.Name, pod.Spec.NodeName)
		}
	}

	for _, spec := range realNodes {
		node, err := r.admin.CoreV1().Nodes().Get(r.Context(), spec.Hostname, metav1.GetOptions{})
		r.must(err)

		if !hasTaint(node, corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule) {
			r.Errorf("%s carries no taint %s: %v", node.Name, corev1.TaintNodeNotReady, node.Spec.Taints)
		}
	}
}

func hasTaint(node *corev1.Node, key string, effect corev1.TaintEffect) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == key && taint.Effect == effect {
			return true
		}
	}

	return false
}

func (r *real) assertSensibleAddresses() {
	r.Helper()

	seen := map[string]string{}

	for _, pod := range r.pods("kube-system", "app in (coredns,tolerates-everything)") {
		if !strings.HasPrefix(pod.Status.PodIP, "10.42.") || seen[pod.Status.PodIP] != "" {
			r.Errorf("%s has the address %q, taken before by %q", pod.Name, pod.Status.PodIP, seen[pod.Status.PodIP])
		}

		seen[pod.Status.PodIP] = pod.Name

		if status := pod.Status.ContainerStatuses[0]; !strings.HasPrefix(status.ContainerID, "containerd://") ||
			!strings.HasPrefix(status.ImageID, "registry.example:5000/main@sha256:") {
			r.Errorf("%s: container %q, image %q", pod.Name, status.ContainerID, status.ImageID)
		}
	}
}

func TestKilledProgramsComeBackWithTheirData(t *testing.T) {
	r := startReal(t)
	r.registerAll()

	kill := func(names ...string) {
		for _, pid := range labproc.Find(r.opts.StateDir, names...) {
			r.must(syscall.Kill(pid, syscall.SIGKILL))
		}
	}

	kill("etcd", "kube-apiserver")
	r.timed("started again by hand after kill -9", func() { r.must(r.Start(t.Context())) })

	if nodes, err := r.admin.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil || len(nodes.Items) != 6 {
		t.Fatalf("after kill -9 of etcd and API server: %v, %v", nodes, err)
	}

	victims := labproc.Find(r.opts.StateDir, "kube-scheduler", "kwok-controller")
	kill("kube-scheduler", "kwok-controller")
	r.await("started again by the supervision", 20*time.Second, func() (bool, string) {
		now := labproc.Find(r.opts.StateDir, "kube-scheduler", "kwok-controller")
		anew := len(now) == 2 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(victims, pid) })

		return anew && len(r.processes().missing()) == 0, fmt.Sprint(now)
	})

	r.timed("stopped", func() { r.must(r.Stop(t.Context())) })

	if left := labproc.Find(r.opts.StateDir, programs...); len(left) != 0 {
		t.Fatalf("processes %v are left after Stop", left)
	}

	// Simulate a restart of the process: a new object, the same folder, and pid files that belong
	// to other processes.
	again := New(r.opts)
	r.must(writeFile(again.processes().pidFile("etcd"), []byte("1"), 0o600))
	r.timed("started anew on its state", func() { r.must(again.Start(t.Context())) })
	t.Cleanup(func() { _ = again.Stop(context.Background()) })

	if ready, err := again.NodeReady(t.Context(), "infra-cp-1"); err != nil || ready {
		t.Fatalf("infra-cp-1: ready %v, %v", ready, err)
	}

	r.must(again.Stop(t.Context()))

	newer := New(r.opts)
	newer.opts.pace.graceMs += 1000
	r.timed("started by a newer simulator", func() { r.must(newer.Start(t.Context())) })
	t.Cleanup(func() { _ = newer.Stop(context.Background()) })

	if _, err := newer.NodeReady(t.Context(), "infra-cp-1"); err != nil {
		t.Fatalf("a new configuration lost the data: %v", err)
	}

	arguments, err := os.ReadFile(newer.paths.clusterDir() + "/kwok.yaml")
	r.must(err)

	if !bytes.Contains(arguments, []byte("--node-monitor-grace-period=51s")) {
		t.Error("the new configuration is not in force")
	}
}

func TestANodeWithoutPowerIsUnknownUntilItReturns(t *testing.T) {
	r := startAtPace(t, pace{leaseS: 8, periodMs: 500, graceMs: 6000})
	r.registerAll()
	r.createCilium()
	r.await("every node is Ready", 30*time.Second, func() (bool, string) { return r.readyNodes() == 6, "" })

	r.must(r.SetKubelet(t.Context(), "infra-worker-2", false))
	r.must(r.SetKubelet(t.Context(), "never-registered", false))
	r.await("the node is Unknown", 30*time.Second, func() (bool, string) {
		node, err := r.admin.CoreV1().Nodes().Get(t.Context(), "infra-worker-2", metav1.GetOptions{})
		r.must(err)

		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionUnknown && hasTaint(node, corev1.TaintNodeUnreachable, corev1.TaintEffectNoSchedule),
					condition.String()
			}
		}

		return false, "no condition"
	})

	if ready := r.readyNodes(); ready != 5 {
		t.Errorf("%d nodes are Ready, not the five with power", ready)
	}

	r.must(r.RegisterNode(t.Context(), realNodes[4]))
	r.await("the node is Ready again", 30*time.Second, func() (bool, string) { return r.readyNodes() == 6, "" })
	r.await("its agent is Ready again", 30*time.Second, r.running("k8s-app=cilium", 6))
}
