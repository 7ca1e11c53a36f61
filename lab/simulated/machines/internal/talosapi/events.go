package talosapi

import (
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// stages maps stages to their names in events.
var stages = map[runtime.MachineStage]machineapi.MachineStatusEvent_MachineStage{
	runtime.MachineStageBooting:     machineapi.MachineStatusEvent_BOOTING,
	runtime.MachineStageMaintenance: machineapi.MachineStatusEvent_MAINTENANCE,
	runtime.MachineStageRunning:     machineapi.MachineStatusEvent_RUNNING,
	runtime.MachineStageRebooting:   machineapi.MachineStatusEvent_REBOOTING,
	runtime.MachineStageResetting:   machineapi.MachineStatusEvent_RESETTING,
}

// Events answers `talosctl events` with the changes of the machine's status. Other events are not
// simulated.
func (m *machined) Events(request *machineapi.EventsRequest, stream machineapi.MachineService_EventsServer) error {
	// The first event is empty: it signals that the stream has begun.
	if err := stream.Send(&machineapi.Event{Data: &anypb.Any{}, Id: eventID(), ActorId: request.GetWithActorId()}); err != nil {
		return err
	}

	changes := make(chan state.Event)
	if err := m.node.Resources().Watch(stream.Context(), runtime.NewMachineStatus().Metadata(), changes); err != nil {
		return err
	}

	// The first change is the current state, which belongs to the past unless the caller asks for
	// that.
	past := request.GetTailEvents() == 0

	for {
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-m.stopped.Done():
			return nil
		case change := <-changes:
			if shown, ok := change.Resource.(*runtime.MachineStatus); ok && !past {
				if err := sendEvent(stream, statusEvent(shown.TypedSpec())); err != nil {
					return err
				}
			}

			past = false
		}
	}
}

func statusEvent(spec *runtime.MachineStatusSpec) *machineapi.MachineStatusEvent {
	event := &machineapi.MachineStatusEvent{Stage: stages[spec.Stage], Status: &machineapi.MachineStatusEvent_MachineStatus{Ready: spec.Status.Ready}}

	for _, unmet := range spec.Status.UnmetConditions {
		event.Status.UnmetConditions = append(event.Status.UnmetConditions,
			&machineapi.MachineStatusEvent_MachineStatus_UnmetCondition{Name: unmet.Name, Reason: unmet.Reason})
	}

	return event
}

func sendEvent(stream machineapi.MachineService_EventsServer, payload proto.Message) error {
	data, err := anypb.New(payload)
	if err != nil {
		return err
	}

	data.TypeUrl = "talos/runtime/" + string(payload.ProtoReflect().Descriptor().FullName())

	return stream.Send(&machineapi.Event{Data: data, Id: eventID()})
}

func eventID() string { return time.Now().UTC().Format(time.RFC3339Nano) }
