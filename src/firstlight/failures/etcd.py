"""Known failures of etcd."""

from firstlight.failures.row import FailureClass, Row

LOGS = "talosctl --nodes <node> --endpoints <node> logs etcd"
MEMBERS = "talosctl --nodes <node> --endpoints <node> etcd members"

ROWS = (
    Row(
        id="FL-015",
        title="two etcd clusters run on these machines",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation, the bootstrap action",
        cause=(
            "`talosctl bootstrap` was sent to a second control plane node, "
            "usually when somebody repeated it by hand."
        ),
        remedy=(
            "Decide which cluster is the right one. Wipe EPHEMERAL on every control plane node "
            "of the other one, and let these nodes join."
        ),
        anchor="no-other-etcd-cluster-exists",
        commands=(
            MEMBERS,
            (
                "talosctl --nodes <node> --endpoints <node> reset --graceful=false --reboot"
                " --system-labels-to-wipe EPHEMERAL"
            ),
        ),
    ),
    Row(
        id="FL-224",
        title="etcd has unknown members",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation, the bootstrap action",
        cause=(
            "The machines run another cluster, were renamed, "
            "or a removed control plane node is still a member."
        ),
        remedy=(
            "Find out whose cluster it is before you change anything. "
            "Remove a node that is gone for good by its member id."
        ),
        anchor="no-other-etcd-cluster-exists",
        commands=(
            MEMBERS,
            "talosctl --nodes <node> --endpoints <node> etcd remove-member <member id>",
        ),
    ),
    Row(
        id="FL-013",
        title="etcd cannot join",
        failure_class=FailureClass.FATAL,
        where="etcd's service on the node",
        cause=(
            "This control plane node reached no etcd member for half an hour, so its etcd failed. "
            "Before the bootstrap there is nothing to join yet; this is harmless. "
            "Talos starts etcd again only at the next boot, "
            "which happens by itself 70 minutes after the last one."
        ),
        remedy=(
            "Check that control plane nodes reach each other on ports 2379, 2380 and 50000, "
            "and that all of them list the same members. "
            "Then reboot the node: Talos cannot restart etcd alone."
        ),
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(
            LOGS,
            "talosctl --nodes <node> --endpoints <node> get members",
            "talosctl --nodes <node> --endpoints <node> get affiliates",
            "talosctl --nodes <node> --endpoints <node> reboot",
        ),
        patterns=(r"failed to build (initial etcd cluster|cluster arguments)",),
    ),
    Row(
        id="FL-012",
        title="etcd waits to join",
        failure_class=FailureClass.WAIT,
        where="etcd's service on the node, the criterion's last observation",
        cause=(
            "Before the bootstrap this is expected. After it, "
            "the node reaches neither the API server nor another member."
        ),
        remedy=(
            "After the bootstrap, check port 2380 between the control plane nodes, discovery, "
            "and the clocks."
        ),
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(LOGS, "talosctl --nodes <node> --endpoints <node> get members"),
        patterns=(r"etcd is waiting to join the cluster|rpc not supported for learner",),
        said_by={
            "talosctl": (
                r"rpc not supported for learner"
                r"|etcdserver: (no leader|leader changed|request timed out)"
            )
        },
    ),
    Row(
        id="FL-242",
        title="etcd has not started yet",
        failure_class=FailureClass.WAIT,
        where="talosctl etcd",
        cause="The machine answers, but its own etcd refuses connections: it is still starting.",
        remedy="Wait for etcd. If it does not start, read its log.",
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(LOGS, "talosctl --nodes <node> --endpoints <node> service etcd"),
        patterns=(r"127\.0\.0\.1:2379: connect: connection refused",),
    ),
    Row(
        id="FL-014",
        title="etcd has no address to advertise",
        failure_class=FailureClass.FATAL,
        where="etcd's service on the node",
        cause="The node has no address within `cluster.etcd.advertisedSubnets`.",
        remedy=(
            "Compare the node's addresses with the subnets in the machine config. "
            "The VIP does not count."
        ),
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get addresses",
            "talosctl --nodes <node> --endpoints <node> get etcdspec",
        ),
        patterns=(r"Waiting for etcd spec",),
        rules=("advertisedSubnets/subnet-not-node-network",),
    ),
    Row(
        id="FL-024",
        title="talosctl health knows too few control plane nodes",
        failure_class=FailureClass.FATAL,
        where="talosctl health",
        cause="`talosctl health` was given fewer control plane nodes than etcd has members.",
        remedy=(
            "Name all of them with `--control-plane-nodes`, and the workers with `--worker-nodes`."
        ),
        anchor="talosctl-health-passes",
        commands=(
            (
                "talosctl --nodes <node> --endpoints <node> health"
                " --control-plane-nodes <nodes> --worker-nodes <nodes>"
            ),
        ),
        patterns=(r"etcd member ips .* are not subset of control plane node ips",),
    ),
    Row(
        id="FL-101",
        title="etcd is unavailable",
        failure_class=FailureClass.RETRY,
        where="etcd's service on the node, the criterion's last observation",
        cause=(
            "The control plane nodes cannot form a quorum, "
            "usually because of the network between them."
        ),
        remedy=(
            "Check that the MTU is the same everywhere, including the switch (9000), "
            "and the state of the LACP bonds. Then read etcd's log."
        ),
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(LOGS, "talosctl --nodes <node> --endpoints <node> get links"),
        patterns=(r"etcd unavailable|etcdserver: no leader|failed to query etcd status",),
    ),
)
