package talosapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/cosi-project/runtime/pkg/safe"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/machine"
)

// Reset answers `talosctl reset`. Before anything is wiped it refuses what Talos refuses, in its
// order and words.
func (m *machined) Reset(ctx context.Context, request *machineapi.ResetRequest) (*machineapi.ResetResponse, error) {
	if err := checkUserDisks(request); err != nil {
		return nil, err
	}

	if err := m.checkPartitions(ctx, request); err != nil {
		return nil, err
	}

	if !request.GetReboot() {
		return nil, status.Error(codes.Unimplemented, "reset without --reboot is not simulated: nobody could switch the machine on again")
	}

	if err := m.node.Reset(wiped(request)); err != nil {
		return nil, err
	}

	return &machineapi.ResetResponse{Messages: []*machineapi.Reset{{ActorId: rand.Text()}}}, nil
}

// wiped returns what a request wipes of the machine.
func wiped(request *machineapi.ResetRequest) machine.Reset {
	reset := machine.Reset{Graceful: request.GetGraceful(), Ephemeral: true, Config: true}

	if request.GetMode() == machineapi.ResetRequest_USER_DISKS {
		reset.Ephemeral, reset.Config = false, false
	} else if partitions := request.GetSystemPartitionsToWipe(); len(partitions) > 0 {
		named := func(label string) bool {
			return slices.ContainsFunc(partitions, func(p *machineapi.ResetPartitionSpec) bool { return p.GetLabel() == label })
		}
		reset.Ephemeral, reset.Config = named(constants.EphemeralPartitionLabel), named(constants.StatePartitionLabel)
	}

	return reset
}

// checkUserDisks finds none of the disks: the machines here have no disks, not even the system
// disk, which a real one would refuse as such.
func checkUserDisks(request *machineapi.ResetRequest) error {
	wanted := request.GetUserDisksToWipe()
	if len(wanted) == 0 {
		return nil
	}

	if request.GetMode() == machineapi.ResetRequest_SYSTEM_DISK {
		return errors.New("reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter")
	}

	return fmt.Errorf("reset user disk failed: device %s wasn't found", wanted[0])
}

func (m *machined) checkPartitions(ctx context.Context, request *machineapi.ResetRequest) error {
	wanted := request.GetSystemPartitionsToWipe()
	if len(wanted) == 0 {
		return nil
	}

	if request.GetMode() == machineapi.ResetRequest_USER_DISKS {
		return errors.New("reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter")
	}

	for _, partition := range wanted {
		volume, err := safe.ReaderGetByID[*block.VolumeStatus](ctx, m.node.Resources(), partition.GetLabel())
		if err != nil {
			return fmt.Errorf("failed to get volume status with label %q: %w", partition.GetLabel(), err)
		}

		if volume.TypedSpec().Location == "" {
			return fmt.Errorf("failed to reset: volume %q is not located", partition.GetLabel())
		}
	}

	return nil
}
