package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"firstlight.dev/lab/machines/internal/labproc"
	"firstlight.dev/lab/machines/internal/labtools"
)

// What a real Talos cluster refuses is refused here, and the audit log tells users apart. One
// control plane serves all of these, because creating one takes seconds.
func TestTheControlPlaneIsAsStrictAsReality(t *testing.T) {
	r := startReal(t)
	r.registerAll()

	t.Run("pod security baseline holds but for kube-system", r.podSecurity)
	t.Run("the certificate is valid for the lab's addresses only", r.certificate)
	t.Run("nobody is let in without a certificate", r.anonymous)
	t.Run("logs say that a pod is simulated", r.logs)
	t.Run("jobs complete and pods can be deleted", r.jobs)
	t.Run("the audit log tells who acted", r.audit)
	t.Run("nothing leaves loopback", func(t *testing.T) { assertLoopbackOnly(t, r.opts.StateDir) })
}

func (r *real) podSecurity(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "privileged"},
		Spec:       corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "main", Image: "registry.example/main:v1"}}},
	}

	_, err := r.admin.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `violates PodSecurity "baseline:latest": host namespaces`) {
		t.Errorf("a privileged pod in default: %v", err)
	}

	if _, err = r.admin.CoreV1().Pods("kube-system").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Errorf("a privileged pod in kube-system: %v", err)
	}
}

func (r *real) certificate(t *testing.T) {
	roots := x509.NewCertPool()
	roots.AddCert(r.trust.authority.parsed)

	connection, err := tls.Dial("tcp", r.Address(), &tls.Config{RootCAs: roots, ServerName: r.opts.VIP})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()

	certificate := connection.ConnectionState().PeerCertificates[0]
	for _, address := range certificate.IPAddresses {
		if !address.IsLoopback() && address.String() != "10.43.0.1" {
			t.Errorf("the certificate names %s, which is neither loopback nor the service kubernetes", address)
		}
	}
}

func (r *real) anonymous(t *testing.T) {
	config := r.trust.restConfig(r.Address())
	config.CertData, config.KeyData = nil, nil

	client, err := kubernetes.NewForConfig(config)
	r.must(err)

	if _, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("without a certificate: %v", err)
	}
}

// Logs go from the API server through the lab's proxy to KWOK.
func (r *real) logs(t *testing.T) {
	r.await("static pods run", 20*time.Second, r.running("tier=control-plane", 9))

	content, err := r.admin.CoreV1().Pods("kube-system").GetLogs("kube-apiserver-infra-cp-2", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil || !strings.Contains(string(content), "this pod is simulated") {
		t.Errorf("logs %q, %v", content, err)
	}
}

func (r *real) jobs(t *testing.T) {
	r.createCilium()

	job, err := r.admin.BatchV1().Jobs("kube-system").Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "registry.example/once:v1"}},
		}}},
	}, metav1.CreateOptions{})
	r.must(err)

	r.await("a job is complete", 30*time.Second, func() (bool, string) {
		seen, err := r.admin.BatchV1().Jobs("kube-system").Get(t.Context(), job.Name, metav1.GetOptions{})
		r.must(err)

		return seen.Status.Succeeded == 1, seen.Status.String()
	})

	before := len(r.pods("kube-system", "k8s-app=cilium"))
	victim := r.pods("kube-system", "k8s-app=cilium")[0]
	r.must(r.admin.CoreV1().Pods("kube-system").Delete(t.Context(), victim.Name, metav1.DeleteOptions{}))
	r.await("a deleted pod is replaced", 30*time.Second, func() (bool, string) {
		pods := r.pods("kube-system", "k8s-app=cilium")
		for _, pod := range pods {
			if pod.UID == victim.UID {
				return false, "it is still there"
			}
		}

		return len(pods) == before, ""
	})
}

func (r *real) audit(t *testing.T) {
	content, err := os.ReadFile(r.paths.audit())
	r.must(err)

	who := map[string]bool{}

	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		var event struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource, Namespace string }
			Level     string
		}

		r.must(json.Unmarshal(lines.Bytes(), &event))

		if event.Level != "Metadata" {
			t.Fatalf("level %q: bodies do not belong into the log", event.Level)
		}

		who[event.User.Username+" "+event.Verb+" "+event.ObjectRef.Resource] = true
	}

	for _, expected := range []string{"admin create jobs", "firstlight:lab create nodes", "system:kube-controller-manager create pods"} {
		if !who[expected] {
			t.Errorf("the audit log does not say: %s", expected)
		}
	}
}

// assertLoopbackOnly checks every socket of the lab's programs.
func assertLoopbackOnly(t *testing.T, stateDir string) {
	t.Helper()

	sockets := 0

	for _, pid := range labproc.Find(stateDir, programs...) {
		for _, socket := range labproc.Sockets(pid) {
			sockets++

			if !socket.Local.Addr().IsLoopback() || (!socket.Remote.Addr().IsLoopback() && !socket.Remote.Addr().IsUnspecified()) {
				t.Errorf("process %d: %s to %s", pid, socket.Local, socket.Remote)
			}
		}
	}

	if sockets < 10 {
		t.Fatalf("only %d sockets were found: the check looks at nothing", sockets)
	}
}

func TestACancelledStartEndsAtOnceAndLeavesNothing(t *testing.T) {
	tools := labtools.Need(t, "kwokctl", "kwok", "kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	plane := New(Options{
		Cluster: "cancelled", StateDir: t.TempDir(), ToolsDir: tools, VIP: "127.25.98.10", Endpoint: "https://127.25.98.10:6443",
		ServiceCIDR: "10.43.0.0/16", PodCIDR: "10.42.0.0/16", KubernetesVersion: "v1.35.0", Log: slog.New(slog.DiscardHandler),
	})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	started := make(chan error, 1)

	go func() { started <- plane.Start(ctx) }()

	for deadline := time.Now().Add(30 * time.Second); len(labproc.Find(plane.opts.StateDir, "kube-apiserver")) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the API server was never started")
		}
	}

	cancel()

	began := time.Now()
	if err := <-started; err == nil {
		t.Error("a cancelled start reports success")
	}

	if err := plane.Stop(context.Background()); err != nil {
		t.Error(err)
	}

	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to give up", took)
	}

	if left := labproc.Find(plane.opts.StateDir, programs...); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
}
