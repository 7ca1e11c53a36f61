package machine

import (
	"fmt"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// State is the state of a service, in Talos's own words.
type State string

// The states that simulated services go through.
const (
	Starting  State = "Starting"
	Waiting   State = "Waiting"
	Preparing State = "Preparing"
	Running   State = "Running"
	Stopping  State = "Stopping"
	Finished  State = "Finished"
	Failed    State = "Failed"
)

// eventsKept is how many events Talos keeps for each service.
const eventsKept = 64

// Service is one service of a machine.
type Service struct {
	ID string

	state   State
	message string
	events  []event
	health  health
	// checked reports whether the service has a health check.
	checked bool
	// since is when the current state began.
	since time.Time
}

type event struct {
	at      time.Time
	state   State
	message string
}

type health struct {
	known   bool
	healthy bool
	message string
	at      time.Time
}

// set records a change of state. The same state with the same message is no change.
func (s *Service) set(now time.Time, state State, format string, args ...any) bool {
	message := fmt.Sprintf(format, args...)
	if s.state == state && s.message == message {
		return false
	}

	if s.state != state {
		s.since = now
	}

	// Only a running service can stop: before that, nothing is known about its health.
	if s.state == Running && state != Running {
		s.health = health{known: s.health.known, at: now, message: "service not running"}
	}

	s.state, s.message = state, message
	s.push(now, message)

	return true
}

// check records the outcome of a health check. An empty problem means healthy.
func (s *Service) check(now time.Time, problem string) bool {
	healthy := problem == ""
	if s.health.known && s.health.healthy == healthy && s.health.message == problem {
		return false
	}

	s.health = health{known: true, healthy: healthy, message: problem, at: now}

	if healthy {
		s.push(now, "Health check successful")
	} else {
		s.push(now, "Health check failed: "+problem)
	}

	return true
}

func (s *Service) push(now time.Time, message string) {
	s.events = append(s.events, event{at: now, state: s.state, message: message})
	if len(s.events) > eventsKept {
		s.events = s.events[len(s.events)-eventsKept:]
	}
}

// changed is when the service last had an event.
func (s *Service) changed() time.Time { return s.events[len(s.events)-1].at }

// up reports what Talos calls up: running and, if it has a health check, healthy.
func (s *Service) up() bool {
	if s == nil {
		return false
	}

	return s.state == Finished || s.state == Running && (!s.checked || s.health.known && s.health.healthy)
}

// running reports whether the service runs, healthy or not.
func (s *Service) running() bool { return s != nil && s.state == Running }

// proto returns the service in the form of `talosctl service`.
func (s *Service) proto() *machineapi.ServiceInfo {
	info := &machineapi.ServiceInfo{
		Id:     s.ID,
		State:  string(s.state),
		Events: &machineapi.ServiceEvents{},
		Health: &machineapi.ServiceHealth{
			Unknown:     !s.health.known,
			Healthy:     s.health.healthy,
			LastMessage: s.health.message,
			LastChange:  timestamppb.New(s.health.at),
		},
	}

	for _, e := range s.events {
		info.Events.Events = append(info.Events.Events,
			&machineapi.ServiceEvent{Msg: e.message, State: string(e.state), Ts: timestamppb.New(e.at)})
	}

	return info
}
