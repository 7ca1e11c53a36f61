package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// echo answers every connection with its name.
func echo(t *testing.T, name string) net.Listener {
	t.Helper()

	listener := listen(t)

	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}

			_, _ = io.WriteString(connection, name)
			_ = connection.Close()
		}
	}()

	return listener
}

func listen(t *testing.T) net.Listener {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = listener.Close() })

	return listener
}

func port(listener net.Listener) int { return listener.Addr().(*net.TCPAddr).Port }

func webhook() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert-manager", Name: "webhook"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.43.7.7", Ports: []corev1.ServicePort{{Port: 443}}},
	}
}

// ask connects through the proxy and returns the status line and what follows it.
func ask(t *testing.T, target string, opts Options, objects ...runtime.Object) (string, string) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	opts.Client, opts.Log = fake.NewClientset(objects...), slog.New(slog.DiscardHandler)
	listener := listen(t)

	go Serve(ctx, listener, opts)

	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()

	if _, err := fmt.Fprintf(connection, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target); err != nil {
		t.Fatal(err)
	}

	reader := bufio.NewReader(connection)

	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}

	if response.StatusCode != http.StatusOK {
		return response.Status, ""
	}

	rest, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}

	return response.Status, string(rest)
}

func TestAKubeletIsReachedAtEveryNodesAddress(t *testing.T) {
	kwok := echo(t, "kwok")

	_, answer := ask(t, fmt.Sprintf("127.25.98.11:%d", port(kwok)), Options{KubeletPort: port(kwok)})
	if answer != "kwok" {
		t.Fatalf("answer %q", answer)
	}
}

func TestEverythingElseIsRefusedWithItsReason(t *testing.T) {
	other := echo(t, "other")

	for target, reason := range map[string]string{
		"10.42.1.2:8080":               "no service has the address 10.42.1.2",
		"10.43.7.7:443":                "the pods of service cert-manager/webhook are simulated",
		"webhook.cert-manager.svc:443": "the pods of service cert-manager/webhook are simulated",
		"192.0.2.1:443":                "no service has the address 192.0.2.1",
		other.Addr().String():          "no kubelet listens",
	} {
		if status, _ := ask(t, target, Options{KubeletPort: 1}, webhook()); !strings.Contains(status, reason) {
			t.Errorf("%s: %s", target, status)
		}
	}
}
