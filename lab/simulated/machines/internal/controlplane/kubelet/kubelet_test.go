package kubelet

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// cluster is an API without a control plane, and the kubelets that act on it.
type cluster struct {
	*testing.T
	client *fake.Clientset
}

func startCluster(t *testing.T, pods ...*corev1.Pod) cluster {
	t.Helper()

	return startFaulty(t, "", pods...)
}

func startFaulty(t *testing.T, faults string, pods ...*corev1.Pod) cluster {
	t.Helper()

	c := cluster{T: t, client: fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker", Labels: map[string]string{PoweredLabel: Powered}},
		Spec:       corev1.NodeSpec{PodCIDR: "10.42.7.0/24"},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.25.98.14"}}},
	})}

	for _, pod := range pods {
		c.create(pod)
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})

	go func() {
		defer close(done)
		Run(ctx, Options{Client: c.client, Log: slog.New(slog.DiscardHandler), FaultsFile: faults, NetworkGrace: 200 * time.Millisecond})
	}()

	t.Cleanup(func() {
		cancel()
		<-done
	})

	return c
}

func (c cluster) create(pod *corev1.Pod) {
	c.Helper()

	if _, err := c.client.CoreV1().Pods(pod.Namespace).Create(c.Context(), pod, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c cluster) pod(name string) *corev1.Pod {
	pod, err := c.client.CoreV1().Pods("kube-system").Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}

	return pod
}

func (c cluster) networkWorks() bool {
	node, err := c.client.CoreV1().Nodes().Get(c.Context(), "worker", metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}

	return networkWorks(node)
}

func (c cluster) await(what string, look func() bool) {
	c.Helper()

	for deadline := time.Now().Add(5 * time.Second); !look(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("%s: not within 5 s", what)
		}
	}
}

// never waits a moment for something that must not happen.
func (c cluster) never(what string, look func() bool) {
	c.Helper()

	for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if look() {
			c.Fatal(what)
		}
	}
}

// created is a pod on the node after KWOK's first stage.
func created(name string, hostNetwork bool) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system"},
		Spec:       corev1.PodSpec{NodeName: "worker", HostNetwork: hostNetwork},
		Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		}},
	}
}

func agent(ready corev1.ConditionStatus) *corev1.Pod {
	pod := created("cilium-abcde", true)
	pod.Labels = map[string]string{"k8s-app": "cilium"}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: ready})

	return pod
}

func TestAPodOnTheHostsNetworkStartsWithoutCNI(t *testing.T) {
	c := startCluster(t, created("host", true))
	c.await("sandbox", func() bool { return sandboxRuns(c.pod("host")) })

	if address := c.pod("host").Status.PodIP; address != "127.25.98.14" {
		t.Fatalf("its address is %q, not the node's", address)
	}
}

func TestAnotherPodWaitsForTheCiliumAgentOfItsNode(t *testing.T) {
	c := startCluster(t, created("plain", false), agent(corev1.ConditionFalse))
	c.await("an event that says why it waits", func() bool {
		events, err := c.client.CoreV1().Events("kube-system").List(t.Context(), metav1.ListOptions{})

		return err == nil && len(events.Items) == 1 && events.Items[0].Reason == "NetworkNotReady"
	})
	c.never("it started on a node without CNI", func() bool { return sandboxRuns(c.pod("plain")) || c.networkWorks() })

	ready := agent(corev1.ConditionTrue)
	if _, err := c.client.CoreV1().Pods("kube-system").UpdateStatus(t.Context(), ready, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	c.await("network", c.networkWorks)
	c.await("sandbox", func() bool { return sandboxRuns(c.pod("plain")) })

	if address := c.pod("plain").Status.PodIP; address != "10.42.7.2" {
		t.Fatalf("its address is %q", address)
	}
}

func TestTwoPodsNeverShareAnAddress(t *testing.T) {
	c := startCluster(t, agent(corev1.ConditionTrue))
	c.await("network", c.networkWorks)

	addresses := map[string]bool{}

	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c.create(created(name, false))
	}

	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c.await("sandbox of "+name, func() bool { return sandboxRuns(c.pod(name)) })
		addresses[c.pod(name).Status.PodIP] = true
	}

	if len(addresses) != 6 {
		t.Fatalf("six pods have the addresses %v", addresses)
	}
}

func TestARestartingAgentDoesNotTakeTheNetworkAway(t *testing.T) {
	c := startCluster(t, agent(corev1.ConditionTrue))
	c.await("network", c.networkWorks)

	if err := c.client.CoreV1().Pods("kube-system").Delete(t.Context(), "cilium-abcde", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	c.never("the network was gone at once", func() bool { return !c.networkWorks() })
	c.await("loss of the network", func() bool { return !c.networkWorks() })
}

func TestAPodWithoutKWOKsFirstStageGetsNoSandbox(t *testing.T) {
	pod := created("new", true)
	pod.Status.Conditions = nil
	c := startCluster(t, pod)
	c.never("two writers at the same time", func() bool { return sandboxRuns(c.pod("new")) })
}

func TestOnlyPodsThatStagesWouldMoveAreNudged(t *testing.T) {
	running := created("running", false)
	running.Status.Phase = corev1.PodRunning
	job := running.DeepCopy()
	job.OwnerReferences = []metav1.OwnerReference{{Kind: "Job"}}
	started := created("started", false)
	started.Status.Conditions = append(started.Status.Conditions,
		corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue})

	for name, check := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"waits for its node's network": {created("plain", false), false},
		"its sandbox runs":             {started, true},
		"runs for good":                {running, false},
		"a job's pod should end":       {job, true},
	} {
		if got := awaitsStage(check.pod); got != check.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAPodWhoseImageCannotBePulledStartsWhenTheFaultIsOver(t *testing.T) {
	faults := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`{"nodes": {"worker": {}}, "pods": {"kube-system/bro": "image_pull"}}`), 0o600); err != nil {
		t.Fatal(err)
	}

	broken := created("broken", true)
	broken.Spec.Containers = []corev1.Container{{Name: "main", Image: "registry.example/main:v1"}}
	c := startFaulty(t, faults, broken, created("sound", true))

	c.await("sandbox of the sound pod", func() bool { return sandboxRuns(c.pod("sound")) })
	c.await("the fault shows", func() bool { return alreadyShown(c.pod("broken")) })
	c.never("it started all the same", func() bool { return sandboxRuns(c.pod("broken")) })

	if err := os.Remove(faults); err != nil {
		t.Fatal(err)
	}

	c.await("sandbox after the fault", func() bool { return sandboxRuns(c.pod("broken")) })
}

func TestEachFaultOfAPodShowsAsAKubeletShowsIt(t *testing.T) {
	pod := created("cilium-abcde", true)
	pod.Spec.InitContainers = []corev1.Container{{Name: "clean"}}
	pod.Spec.Containers = []corev1.Container{
		{Name: "agent", Image: "registry.example/agent:v1", TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError},
		{Name: "silent"},
	}

	for content, want := range map[string]string{
		`{"fault": "image_pull", "message": "429 Too Many Requests"}`:                       `Back-off pulling image "registry.example/agent:v1": ErrImagePull: 429 Too Many Requests`,
		`{"fault": "crash", "message": "no way to :7445"}`:                                  "no way to :7445",
		`{"fault": "crash", "container": "silent", "message": "not to be seen"}`:            "",
		`{"fault": "start_error", "container": "clean", "message": "unable to apply caps"}`: "unable to apply caps",
	} {
		faults := filepath.Join(t.TempDir(), "faults.json")
		if err := os.WriteFile(faults, []byte(`{"pods": {"kube-system/": "no_sandbox", "kube-system/cilium-": `+content+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}

		c := startFaulty(t, faults, pod.DeepCopy())
		c.await(content, func() bool { return alreadyShown(c.pod("cilium-abcde")) })

		shown := c.pod("cilium-abcde").Status
		status := slices.Concat(shown.InitContainerStatuses, shown.ContainerStatuses)[0]

		said := status.State.Waiting.Message
		if ended := status.LastTerminationState.Terminated; ended != nil {
			said = ended.Message
		}

		if said != want {
			t.Errorf("%s: %q, not %q", content, said, want)
		}
	}
}

func TestAnInvalidFaultIsReported(t *testing.T) {
	for content, want := range map[string]string{
		`"explodes"`: `"explodes"`,
		`{"fault": "crash", "contianer": "agent"}`: `unknown field "contianer"`,
	} {
		faults := filepath.Join(t.TempDir(), "faults.json")
		if err := os.WriteFile(faults, []byte(`{"pods": {"kube-system/": `+content+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}

		if _, err := podFault(faults, created("any", true)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestAFaultOfAContainerDoesNotAffectPodsWithoutIt(t *testing.T) {
	faults := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`{"pods": {"kube-system/cilium-": {"fault": "crash", "container": "agent"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}

	agent, envoy := created("cilium-abcde", true), created("cilium-envoy-abcde", true)
	agent.Spec.Containers = []corev1.Container{{Name: "agent"}}
	envoy.Spec.Containers = []corev1.Container{{Name: "envoy"}}
	c := startFaulty(t, faults, agent, envoy)

	c.await("sandbox of the other pod", func() bool { return sandboxRuns(c.pod("cilium-envoy-abcde")) })
	c.await("the fault shows", func() bool { return alreadyShown(c.pod("cilium-abcde")) })
}
