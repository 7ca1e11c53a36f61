package talosapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/faults"
)

func TestOneControlPlaneNodeAnswersForMany(t *testing.T) {
	s := newSite(t, 202)
	wanted := []string{s.ip("cp-1"), s.ip("cp-2"), s.ip("worker-1")}

	response, err := s.operator("cp-1").Version(client.WithNodes(s.limited(), wanted...))
	if err != nil {
		t.Fatal(err)
	}

	var from []string
	for _, message := range response.GetMessages() {
		from = append(from, message.GetMetadata().GetHostname())
	}

	slices.Sort(from)

	if !slices.Equal(from, wanted) {
		t.Errorf("answers are from %v, want %v", from, wanted)
	}
}

func TestAMachineThatIsDownIsOneErrorAmongTheAnswers(t *testing.T) {
	s := newSite(t, 202)
	s.faults["cp-2"] = faults.Set{Down: true}
	s.pass(1e9)

	response, err := s.operator("cp-1").Version(client.WithNodes(s.limited(), s.ip("cp-1"), s.ip("cp-2")))

	if response == nil || len(response.GetMessages()) != 1 || response.GetMessages()[0].GetMetadata().GetHostname() != s.ip("cp-1") {
		t.Errorf("answers: %v", response)
	}

	if err == nil || !strings.Contains(err.Error(), s.ip("cp-2")+": rpc error: code = Unavailable") || !strings.Contains(err.Error(), "connect: connection refused") {
		t.Errorf("error: %v", err)
	}
}

func TestAMachineJudgesTheOthersCertificatesByItsOwnClock(t *testing.T) {
	s := newSite(t, 202)
	s.faults["cp-1"] = faults.Set{TimeSkewS: 60 * 24 * 3600}
	s.pass(1e9)

	if _, err := s.operator("cp-1").Version(s.limited()); err != nil {
		t.Fatalf("the machine itself: %v", err)
	}

	_, err := s.operator("cp-1").Version(client.WithNode(s.limited(), s.ip("cp-2")))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "x509: certificate has expired or is not yet valid") {
		t.Errorf("another machine: %v", err)
	}
}

func TestTargetsThatAreNotMachines(t *testing.T) {
	s := newSite(t, 202)
	operator := s.operator("cp-1")

	for target, want := range map[string]string{
		"127.25.202.99": "connect: connection refused",
		"nonesuch":      "lookup nonesuch on 127.0.0.53:53: no such host",
		"cp-1:50000":    `invalid target "cp-1:50000"`,
	} {
		_, err := operator.Version(client.WithNode(s.limited(), target))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
}

func TestTheAddressOutsideLoopbackIsNeverDialled(t *testing.T) {
	s := newSite(t, 202)

	_, err := s.operator("cp-1").Version(client.WithNode(s.limited(), "10.25.11.11"))

	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "connect: no route to host") {
		t.Errorf("got %v", err)
	}
}

func TestWorkersForwardNothing(t *testing.T) {
	s := newSite(t, 202)
	s.faults["cp-2"] = faults.Set{AsWorker: true}
	s.pass(1e9)

	for _, hostname := range []string{"worker-1", "cp-2"} {
		worker := s.operator(hostname)

		_, err := worker.Version(client.WithNode(s.limited(), s.ip("cp-1")))
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "no request forwarding") {
			t.Errorf("from %s to another machine: %v", hostname, err)
		}

		if _, err := worker.Version(client.WithNode(s.limited(), s.ip(hostname))); err != nil {
			t.Errorf("from %s to itself: %v", hostname, err)
		}
	}
}

func TestResourcesAreOfOneMachineAtATime(t *testing.T) {
	s := newSite(t, 202)
	operator := s.operator("cp-1")

	link, err := safe.StateGetByID[*network.LinkStatus](client.WithNode(s.limited(), s.ip("cp-3")), operator.COSI, "bond0")
	if err != nil {
		t.Fatal(err)
	}

	if link.TypedSpec().MTU != 9000 || link.TypedSpec().Kind != network.LinkKindBond {
		t.Errorf("bond0: %+v", link.TypedSpec())
	}

	_, err = safe.StateListAll[*network.LinkStatus](client.WithNodes(s.limited(), s.ip("cp-1"), s.ip("cp-3")), operator.COSI)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("of two machines: %v", err)
	}
}

func TestCallsAreRecordedWhereTheyAreExecuted(t *testing.T) {
	s := newSite(t, 202)
	operator := s.operator("cp-1")

	if _, err := operator.Version(client.WithNodes(s.limited(), s.ip("cp-2"))); err != nil {
		t.Fatal(err)
	}

	if err := operator.Bootstrap(client.WithNode(s.limited(), s.ip("worker-1")), nil); err == nil {
		t.Fatal("a worker was bootstrapped")
	}

	calls := s.calls()
	if len(calls) != 2 {
		t.Fatalf("calls: %+v", calls)
	}

	version, bootstrap := calls[0], calls[1]
	if version.Node != "cp-2" || version.Endpoint != s.address("cp-1") || version.Mutating || version.Code != "OK" {
		t.Errorf("version: %+v", version)
	}

	if bootstrap.Node != "worker-1" || !bootstrap.Mutating || bootstrap.Code != "FailedPrecondition" ||
		bootstrap.Desc != "bootstrap can only be performed on a control plane node" {
		t.Errorf("bootstrap: %+v", bootstrap)
	}
}
