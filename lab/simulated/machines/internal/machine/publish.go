package machine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// put publishes a resource unless it is unchanged, so that versions and watches advance only on
// changes.
func (n *Node) put(ctx context.Context, wanted resource.Resource) error {
	present, err := n.resources.Get(ctx, wanted.Metadata())

	switch {
	case state.IsNotFoundError(err):
		err = n.resources.Create(ctx, wanted, state.WithCreateOwner(ownerOf(wanted)))
	case err == nil && !same(present, wanted):
		wanted.Metadata().SetVersion(present.Metadata().Version())

		if err = wanted.Metadata().SetOwner(ownerOf(wanted)); err != nil {
			break
		}

		err = n.resources.Update(ctx, wanted, state.WithUpdateOwner(ownerOf(wanted)))
	}

	if err != nil {
		return fmt.Errorf("cannot publish %s of %s: %w", wanted.Metadata(), n.Hostname, err)
	}

	return nil
}

// putAll publishes several resources.
func (n *Node) putAll(ctx context.Context, wanted []resource.Resource) error {
	for _, r := range wanted {
		if err := n.put(ctx, r); err != nil {
			return err
		}
	}

	return nil
}

// putList publishes exactly these resources of one type, and removes the others.
func (n *Node) putList(ctx context.Context, kind resource.Kind, wanted []resource.Resource) error {
	present, err := n.resources.List(ctx, kind)
	if err != nil {
		return fmt.Errorf("cannot list %s of %s: %w", kind.Type(), n.Hostname, err)
	}

	keep := map[string]bool{}
	for _, r := range wanted {
		keep[r.Metadata().ID()] = true
	}

	for _, r := range present.Items {
		if keep[r.Metadata().ID()] {
			continue
		}

		if err := n.resources.Destroy(ctx, r.Metadata(), state.WithDestroyOwner(ownerOf(r))); err != nil && !state.IsNotFoundError(err) {
			return fmt.Errorf("cannot remove %s of %s: %w", r.Metadata(), n.Hostname, err)
		}
	}

	return n.putAll(ctx, wanted)
}

// ownerOf is the controller that owns a resource in Talos. Only the long forms of `talosctl get`
// show it, so not all are distinguished here.
func ownerOf(r resource.Resource) string {
	if r.Metadata().Type() == runtime.MachineStatusType {
		return "runtime.MachineStatusController"
	}

	return ""
}

func same(a, b resource.Resource) bool {
	return reflect.DeepEqual(a.Spec(), b.Spec())
}
