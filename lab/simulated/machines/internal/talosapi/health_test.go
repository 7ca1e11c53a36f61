package talosapi_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// health runs the server's health check and returns its messages and its result.
func (s *site) health(cluster *clusterapi.ClusterInfo) ([]string, error) {
	s.t.Helper()

	stream, err := s.operator("cp-1").ClusterHealthCheck(client.WithNodes(s.limited(), s.ip("cp-1")), 2*time.Second, cluster)
	if err != nil {
		s.t.Fatal(err)
	}

	var said []string

	for {
		progress, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return said, nil
		}

		if err != nil {
			return said, err
		}

		if problem := progress.GetMetadata().GetError(); problem != "" {
			return said, status.ErrorProto(progress.GetMetadata().GetStatus())
		}

		said = append(said, progress.GetMessage())
	}
}

func TestHealthWaitsForEtcdBeforeABootstrap(t *testing.T) {
	s := newSite(t, 205)

	said, err := s.health(&clusterapi.ClusterInfo{})

	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("end: %v", err)
	}

	last := said[len(said)-1]
	if !strings.HasPrefix(said[0], "discovered nodes: [") || !strings.HasPrefix(last, "waiting for etcd to be healthy: 3 errors occurred:") ||
		!strings.Contains(last, s.ip("cp-1")+`: service "etcd" not in expected state "Running": current state [Preparing] Running pre state`) {
		t.Errorf("said: %q", said)
	}
}

func TestHealthContinuesWithKubernetesAfterABootstrap(t *testing.T) {
	s := newSite(t, 205)

	if err := s.operator("cp-1").Bootstrap(s.limited(), &machineapi.BootstrapRequest{}); err != nil {
		t.Fatal(err)
	}

	s.pass(3 * time.Second)

	// Only the bootstrapped machine is checked, because the others wait for a Kubernetes that this
	// test does not have.
	said, err := s.health(&clusterapi.ClusterInfo{ControlPlaneNodes: []string{s.ip("cp-1")}})

	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("end: %v", err)
	}

	text := strings.Join(said, "\n")
	for _, want := range []string{"waiting for etcd to be healthy: OK", "waiting for etcd members to be consistent across nodes: OK"} {
		if !strings.Contains(text, want) {
			t.Errorf("not said: %s\n%s", want, text)
		}
	}
}

func TestHealthNeverLeavesTheLoopbackNetwork(t *testing.T) {
	s := newSite(t, 205)

	_, err := s.health(&clusterapi.ClusterInfo{ForceEndpoint: "https://10.25.11.10:6443"})

	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "10.25.11.10 is outside 127.0.0.0/8") {
		t.Errorf("got %v", err)
	}
}
