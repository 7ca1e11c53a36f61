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

// stages gives the stage's name in events.
var stages = map[runtime.MachineStage]machineapi.MachineStatusEvent_MachineStage{
	runtime.MachineStageBooting:     machineapi.MachineStatusEvent_BOOTING,
	runtime.MachineStageMaintenance: machineapi.MachineStatusEvent_MAINTENANCE,
	runtime.MachineStageRunning:     machineapi.MachineStatusEvent_RUNNING,
}

// Events answers `talosctl events` with the changes of the machine's status; other events are not simulated.
func (m *machined) Events(request *machineapi.EventsRequest, stream machineapi.MachineService_EventsServer) error {
	if err := sendEvent(stream, &machineapi.ServiceStateEvent{}, request.GetWithActorId()); err != nil {
		return err
	}

	changes := make(chan state.Event)
	if err := m.node.Resources().Watch(stream.Context(), runtime.NewMachineStatus().Metadata(), changes); err != nil {
		return err
	}

	for {
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-m.stopped.Done():
			return nil
		case change := <-changes:
			if shown, ok := change.Resource.(*runtime.MachineStatus); ok {
				if err := sendEvent(stream, statusEvent(shown.TypedSpec()), ""); err != nil {
					return err
				}
			}
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

func sendEvent(stream machineapi.MachineService_EventsServer, payload proto.Message, actor string) error {
	data, err := anypb.New(payload)
	if err != nil {
		return err
	}

	data.TypeUrl = "talos/runtime/" + string(payload.ProtoReflect().Descriptor().FullName())

	return stream.Send(&machineapi.Event{Data: data, Id: time.Now().UTC().Format(time.RFC3339Nano), ActorId: actor})
}
