package talosapi

import (
	"context"
	"runtime"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	timeapi "github.com/siderolabs/talos/pkg/machinery/api/time"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firstlight.dev/lab/machines/internal/machine"
)

// The memory of a made-up machine.
const (
	shownMemoryKiB     = 32 << 20
	shownMemoryFreeKiB = 24 << 20
)

// Version answers `talosctl version`.
func (m *machined) Version(context.Context, *emptypb.Empty) (*machineapi.VersionResponse, error) {
	return &machineapi.VersionResponse{Messages: []*machineapi.Version{{
		Version: &machineapi.VersionInfo{
			Tag: m.node.Fleet().Lab().TalosVersion, Sha: "simulated", GoVersion: runtime.Version(), Os: "linux", Arch: runtime.GOARCH,
		},
		Platform: &machineapi.PlatformInfo{Name: "metal", Mode: "metal"},
		Features: &machineapi.FeaturesInfo{Rbac: true},
	}}}, nil
}

// Bootstrap answers `talosctl bootstrap`.
func (m *machined) Bootstrap(ctx context.Context, request *machineapi.BootstrapRequest) (*machineapi.BootstrapResponse, error) {
	if request.GetRecoverEtcd() {
		return nil, status.Error(codes.Unimplemented, "recovery of etcd from a snapshot is not simulated")
	}

	if err := m.node.Bootstrap(ctx); err != nil {
		return nil, err
	}

	return &machineapi.BootstrapResponse{Messages: []*machineapi.Bootstrap{{}}}, nil
}

// ServiceList answers `talosctl services`.
func (m *machined) ServiceList(context.Context, *emptypb.Empty) (*machineapi.ServiceListResponse, error) {
	return &machineapi.ServiceListResponse{Messages: []*machineapi.ServiceList{{Services: m.node.Services()}}}, nil
}

// Hostname returns the machine's name.
func (m *machined) Hostname(context.Context, *emptypb.Empty) (*machineapi.HostnameResponse, error) {
	return &machineapi.HostnameResponse{Messages: []*machineapi.Hostname{{Hostname: m.node.Hostname}}}, nil
}

// Memory answers `talosctl memory`, and the health check that requires enough of it.
func (m *machined) Memory(context.Context, *emptypb.Empty) (*machineapi.MemoryResponse, error) {
	return &machineapi.MemoryResponse{Messages: []*machineapi.Memory{{
		Meminfo: &machineapi.MemInfo{Memtotal: shownMemoryKiB, Memfree: shownMemoryFreeKiB, Memavailable: shownMemoryFreeKiB},
	}}}, nil
}

// EtcdMemberList answers `talosctl etcd members`.
func (m *machined) EtcdMemberList(ctx context.Context, request *machineapi.EtcdMemberListRequest) (*machineapi.EtcdMemberListResponse, error) {
	if err := m.checkControlPlane("member list"); err != nil {
		return nil, err
	}

	members, err := m.node.EtcdMembers(ctx, request.GetQueryLocal())
	if err != nil {
		return nil, err
	}

	reply := &machineapi.EtcdMembers{Members: members}
	for _, member := range members {
		reply.LegacyMembers = append(reply.LegacyMembers, member.GetHostname())
	}

	return &machineapi.EtcdMemberListResponse{Messages: []*machineapi.EtcdMembers{reply}}, nil
}

// EtcdStatus answers `talosctl etcd status`.
func (m *machined) EtcdStatus(ctx context.Context, _ *emptypb.Empty) (*machineapi.EtcdStatusResponse, error) {
	if err := m.checkControlPlane("etcd status"); err != nil {
		return nil, err
	}

	member, err := m.node.EtcdStatus(ctx)
	if err != nil {
		return nil, err
	}

	return &machineapi.EtcdStatusResponse{Messages: []*machineapi.EtcdStatus{{MemberStatus: member}}}, nil
}

// EtcdAlarmList answers `talosctl etcd alarm list`: there are none.
func (m *machined) EtcdAlarmList(ctx context.Context, _ *emptypb.Empty) (*machineapi.EtcdAlarmListResponse, error) {
	if err := m.checkControlPlane("etcd alarm list"); err != nil {
		return nil, err
	}

	if _, err := m.node.EtcdStatus(ctx); err != nil {
		return nil, err
	}

	return &machineapi.EtcdAlarmListResponse{Messages: []*machineapi.EtcdAlarm{{}}}, nil
}

// timeService answers `talosctl time`.
//
// No time server is contacted, because nothing here may reach one: the "server" is the clock of the
// computer.
type timeService struct {
	timeapi.UnimplementedTimeServiceServer

	node *machine.Node
}

// Time compares the machine's clock with its configured server.
func (s *timeService) Time(ctx context.Context, _ *emptypb.Empty) (*timeapi.TimeResponse, error) {
	_, server := s.node.Clock()

	return s.TimeCheck(ctx, &timeapi.TimeRequest{Server: server})
}

// TimeCheck compares the machine's clock with the given server.
func (s *timeService) TimeCheck(_ context.Context, request *timeapi.TimeRequest) (*timeapi.TimeResponse, error) {
	local, _ := s.node.Clock()

	return &timeapi.TimeResponse{Messages: []*timeapi.Time{{
		Server: request.GetServer(), Localtime: timestamppb.New(local), Remotetime: timestamppb.Now(),
	}}}, nil
}
