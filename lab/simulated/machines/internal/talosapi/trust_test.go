package talosapi_test

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/role"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"

	"firstlight.dev/lab/machines/internal/faults"
)

func TestAMachineWithOtherSecretsIsNotTrusted(t *testing.T) {
	s := newSite(t, 203)
	s.faults["cp-1"] = faults.Set{WrongCA: true}
	s.pass(time.Second)

	_, err := s.operator("cp-1").Version(s.limited())

	if !strings.Contains(err.Error(), "x509: certificate signed by unknown authority") {
		t.Errorf("got %v", err)
	}
}

func TestAMachineWhoseClockIsBehindFindsTheClientsCertificateNotYetValid(t *testing.T) {
	s := newSite(t, 203)
	s.faults["cp-1"] = faults.Set{TimeSkewS: -90 * 24 * 3600}
	s.pass(time.Second)

	_, err := s.operator("cp-1").Version(s.limited())

	if err == nil || !strings.Contains(err.Error(), "remote error: tls: expired certificate") {
		t.Errorf("got %v", err)
	}
}

func TestAClientWithoutCertificateIsRefused(t *testing.T) {
	s := newSite(t, 203)

	_, err := s.insecure("cp-1").ApplyConfiguration(s.limited(), &machineapi.ApplyConfigurationRequest{})

	if err == nil || !strings.Contains(err.Error(), "tls: certificate required") {
		t.Errorf("got %v", err)
	}
}

func TestReadersMayOnlyRead(t *testing.T) {
	s := newSite(t, 203)
	reader := s.client(s.withRole(role.Reader), "cp-1")

	if _, err := reader.Version(s.limited()); err != nil {
		t.Errorf("version: %v", err)
	}

	if err := reader.Bootstrap(s.limited(), &machineapi.BootstrapRequest{}); status.Code(err) != codes.PermissionDenied || status.Convert(err).Message() != "not authorized" {
		t.Errorf("bootstrap: %v", err)
	}

	// The role must survive forwarding by another machine, whose own certificate may act for
	// anybody.
	if err := reader.Bootstrap(client.WithNode(s.limited(), s.ip("cp-2")), &machineapi.BootstrapRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("bootstrap of another machine: %v", err)
	}
}

func TestMaintenanceOffersAConfigurationAndLittleElse(t *testing.T) {
	s := newSite(t, 203)
	s.faults["cp-1"] = faults.Set{Maintenance: true}
	s.pass(time.Second)

	insecure := s.insecure("cp-1")

	if err := insecure.Bootstrap(s.limited(), &machineapi.BootstrapRequest{}); status.Code(err) != codes.Unimplemented || status.Convert(err).Message() != "method Bootstrap not implemented" {
		t.Errorf("bootstrap: %v", err)
	}

	if _, err := insecure.Version(s.limited()); status.Code(err) != codes.Unimplemented || status.Convert(err).Message() != "API is not implemented in maintenance mode" {
		t.Errorf("version: %v", err)
	}

	machineStatus, err := safe.StateGetByID[*runtime.MachineStatus](s.limited(), insecure.COSI, runtime.MachineStatusID)
	if err != nil || machineStatus.TypedSpec().Stage != runtime.MachineStageMaintenance {
		t.Errorf("status: %v, %v", machineStatus, err)
	}

	if _, err := insecure.ApplyConfiguration(s.limited(), &machineapi.ApplyConfigurationRequest{Data: []byte("kind: nonsense")}); err == nil {
		t.Error("nonsense was accepted as a configuration")
	}

	if _, err := s.operator("cp-1").Version(s.limited()); err == nil || !strings.Contains(err.Error(), "x509: certificate signed by unknown authority") {
		t.Errorf("secure client: %v", err)
	}
}

func TestKubeconfigIsForControlPlaneNodes(t *testing.T) {
	s := newSite(t, 203)

	content, err := s.operator("cp-1").Kubeconfig(s.limited())
	if err != nil || string(content) != "demo at "+s.lab.Endpoint {
		t.Errorf("got %q, %v", content, err)
	}

	_, err = s.operator("worker-1").Kubeconfig(s.limited())
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "kubeconfig is only available on control plane nodes") {
		t.Errorf("of a worker: %v", err)
	}
}

func TestBootstrapThroughTheAPIIsAcceptedOnce(t *testing.T) {
	s := newSite(t, 203)
	operator := s.operator("cp-1")

	if err := operator.Bootstrap(s.limited(), &machineapi.BootstrapRequest{}); err != nil {
		t.Fatal(err)
	}

	err := operator.Bootstrap(s.limited(), &machineapi.BootstrapRequest{})
	if status.Code(err) != codes.AlreadyExists || status.Convert(err).Message() != "etcd data directory is not empty" {
		t.Errorf("second: %v", err)
	}

	s.pass(2 * time.Second)

	members, err := operator.EtcdMemberList(s.limited(), &machineapi.EtcdMemberListRequest{QueryLocal: true})
	if err != nil || len(members.GetMessages()[0].GetMembers()) != 1 {
		t.Errorf("members: %v, %v", members, err)
	}
}

func TestTheClockIsTheComputersWithTheFaultsSkew(t *testing.T) {
	s := newSite(t, 203)
	s.faults["cp-1"] = faults.Set{TimeSkewS: 300}
	s.pass(time.Second)

	response, err := s.operator("cp-1").TimeClient.Time(s.limited(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}

	answer := response.GetMessages()[0]
	if skew := answer.GetLocaltime().AsTime().Sub(answer.GetRemotetime().AsTime()) - s.offset; skew.Round(10*time.Second) != 300*time.Second {
		t.Errorf("skew: %v", skew)
	}
}

// insecure returns a client like that of `talosctl --insecure`.
func (s *site) insecure(hostname string) *client.Client {
	s.t.Helper()

	c, err := client.New(s.t.Context(), client.WithTLSConfig(&tls.Config{InsecureSkipVerify: true}), client.WithEndpoints(s.address(hostname))) //nolint:gosec // as talosctl
	if err != nil {
		s.t.Fatal(err)
	}

	s.t.Cleanup(func() { c.Close() }) //nolint:errcheck // the test is over

	return c
}

// withRole returns a talosconfig of the lab's authority for another role.
func (s *site) withRole(r role.Role) *clientconfig.Config {
	s.t.Helper()

	provider, err := configloader.NewFromFile(s.lab.Nodes[0].MachineConfig)
	if err != nil {
		s.t.Fatal(err)
	}

	pair, err := secrets.NewAdminCertificateAndKey(time.Now(), provider.Machine().Security().IssuingCA(), role.MakeSet(r), time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}

	config := clientconfig.Config{Context: "demo", Contexts: map[string]*clientconfig.Context{"demo": {}}}
	*config.Contexts["demo"] = *s.lab.Talosconfig.Contexts[s.lab.Talosconfig.Context]
	config.Contexts["demo"].Crt = base64.StdEncoding.EncodeToString(pair.Crt)
	config.Contexts["demo"].Key = base64.StdEncoding.EncodeToString(pair.Key)

	return &config
}
