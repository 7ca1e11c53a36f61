package machine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"firstlight.dev/lab/machines/internal/faults"
)

func TestBootstrapIsRefusedAsTalosRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		node   string
		faults faults.Set
		twice  bool
		want   string
		after  time.Duration
	}{
		"a worker": {node: "worker-1", want: "rpc error: code = FailedPrecondition desc = bootstrap can only be performed on a control plane node"},
		"before booted": {
			node: "cp-1", faults: faults.Set{NotBooted: true}, after: time.Second,
			want: "rpc error: code = FailedPrecondition desc = bootstrap is not available yet",
		},
		"a worker before booted": {
			node: "worker-1", faults: faults.Set{NotBooted: true}, after: time.Second,
			want: "rpc error: code = FailedPrecondition desc = bootstrap is not available yet",
		},
		"before time sync": {
			node: "cp-1", faults: faults.Set{TimeUnsynced: true}, after: 5 * time.Second,
			want: "rpc error: code = FailedPrecondition desc = time is not in sync yet",
		},
		"twice": {node: "cp-1", twice: true, want: "rpc error: code = AlreadyExists desc = etcd data directory is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.faults[row.node] = row.faults
			b.pass(2 * time.Second)

			if row.twice {
				b.bootstrap(row.node)
			}

			// The waits inside are real. In the bubble they take no time.
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()

				err := b.node(row.node).Bootstrap(t.Context())

				equal(t, "refusal", err, row.want)
				equal(t, "after", time.Since(began), row.after)
			})
		})
	}
}

func TestAHangingBootstrapDoesNothing(t *testing.T) {
	b := newBench(t)
	b.faults["cp-1"] = faults.Set{BootstrapHangs: true}
	b.pass(2 * time.Second)

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		err := b.node("cp-1").Bootstrap(ctx)

		equal(t, "answer", err, "rpc error: code = DeadlineExceeded desc = context deadline exceeded")
	})

	delete(b.faults, "cp-1")
	b.pass(time.Second)
	b.bootstrap("cp-1")
}

func TestMembersAreUnavailableBeforeABootstrap(t *testing.T) {
	b := newBench(t)
	b.pass(2 * time.Second)

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()

		began := time.Now()
		_, local := b.node("cp-1").EtcdMembers(ctx, true)
		_, remote := b.node("cp-1").EtcdMembers(ctx, false)
		_, member := b.node("cp-1").EtcdStatus(ctx)

		equal(t, "after", time.Since(began), time.Hour)

		for what, err := range map[string]error{"local": local, "through the discovery service": remote, "status": member} {
			equal(t, what, err, "rpc error: code = DeadlineExceeded desc = context deadline exceeded")
		}
	})
}
