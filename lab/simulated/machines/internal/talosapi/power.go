package talosapi

import (
	"context"
	"crypto/rand"
	"strings"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configdiff"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metal is the platform of the machines. The validation of a configuration needs it.
type metal struct{}

func (metal) String() string        { return "metal" }
func (metal) RequiresInstall() bool { return false }
func (metal) InContainer() bool     { return false }

// Reboot answers `talosctl reboot`.
func (m *machined) Reboot(context.Context, *machineapi.RebootRequest) (*machineapi.RebootResponse, error) {
	m.node.Reboot()

	return &machineapi.RebootResponse{Messages: []*machineapi.Reboot{{ActorId: rand.Text()}}}, nil
}

// ApplyConfiguration answers `talosctl apply-config`. Every change reboots the machine here, while
// Talos avoids that for some.
func (m *machined) ApplyConfiguration(_ context.Context, request *machineapi.ApplyConfigurationRequest) (*machineapi.ApplyConfigurationResponse, error) {
	provider, err := configloader.NewFromBytes(request.GetData())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	if provider.RawV1Alpha1() == nil {
		return nil, status.Error(codes.InvalidArgument,
			"the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?")
	}

	warnings, err := provider.Validate(metal{})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	applied := &machineapi.ApplyConfiguration{Mode: machineapi.ApplyConfigurationRequest_REBOOT, Warnings: warnings, ModeDetails: "Applied configuration with a reboot"}
	reply := &machineapi.ApplyConfigurationResponse{Messages: []*machineapi.ApplyConfiguration{applied}}

	diff, err := configdiff.DiffToString(m.node.Config(), provider)
	if err != nil {
		return nil, err
	}

	switch request.GetMode() {
	case machineapi.ApplyConfigurationRequest_AUTO:
		// What changes nothing needs no reboot.
		if diff == "" {
			applied.Mode, applied.ModeDetails = machineapi.ApplyConfigurationRequest_NO_REBOOT, "Applied configuration without a reboot"
		}
	case machineapi.ApplyConfigurationRequest_STAGED:
		applied.Mode, applied.ModeDetails = request.GetMode(), "Staged configuration to be applied after the next reboot"
	case machineapi.ApplyConfigurationRequest_REBOOT:
	default:
		return nil, status.Errorf(codes.Unimplemented, "apply configuration --mode='%s' is not simulated", modeName(request.GetMode()))
	}

	if request.GetDryRun() {
		dryRun(applied, diff)

		return reply, nil
	}

	return reply, m.node.Apply(request.GetData(), applied.GetMode() == machineapi.ApplyConfigurationRequest_REBOOT)
}

func dryRun(applied *machineapi.ApplyConfiguration, diff string) {
	if diff == "" {
		diff = "No changes."
	}

	applied.ModeDetails = "Dry run summary:\n" + applied.GetModeDetails() + " (skipped in dry-run).\nConfig diff:\n\n" + diff
}

func modeName(mode machineapi.ApplyConfigurationRequest_Mode) string {
	return strings.ReplaceAll(strings.ToLower(mode.String()), "_", "-")
}

// ApplyConfiguration answers `talosctl apply-config --insecure`: the machine installs itself and
// boots into its configuration.
func (s *maintenanceService) ApplyConfiguration(_ context.Context, request *machineapi.ApplyConfigurationRequest) (*machineapi.ApplyConfigurationResponse, error) {
	switch request.GetMode() {
	case machineapi.ApplyConfigurationRequest_TRY, machineapi.ApplyConfigurationRequest_REBOOT, machineapi.ApplyConfigurationRequest_AUTO:
	default:
		return nil, status.Errorf(codes.Unimplemented, "apply configuration --mode='%s' is not supported in maintenance mode", modeName(request.GetMode()))
	}

	provider, err := configloader.NewFromBytes(request.GetData())
	if err != nil {
		return nil, status.Errorf(codes.Unknown, "failed to parse config: %s", err)
	}

	warnings, err := provider.Validate(metal{})
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "configuration validation failed: %s", err)
	}

	applied := &machineapi.ApplyConfiguration{Warnings: warnings}
	reply := &machineapi.ApplyConfigurationResponse{Messages: []*machineapi.ApplyConfiguration{applied}}

	if request.GetDryRun() {
		applied.ModeDetails = "Dry run summary:\nNode is running in maintenance mode and does not have a config yet."

		return reply, nil
	}

	if provider.RawV1Alpha1() == nil {
		return nil, status.Error(codes.Unimplemented, "a machine configuration without a v1alpha1 document is not simulated")
	}

	return reply, s.node.Apply(request.GetData(), true)
}
