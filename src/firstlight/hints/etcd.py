"""Hints: etcd."""

from firstlight.hints.row import Row
from firstlight.tools.classification import Class

LOGS = "talosctl --nodes <node> --endpoints <node> logs etcd"
MEMBERS = "talosctl --nodes <node> --endpoints <node> etcd members"

ROWS = (
    Row(
        id="FL-015",
        title="two etcd clusters on these machines",
        pattern=r"more than one etcd cluster",
        cause="`talosctl bootstrap` was sent to a second control plane node, mostly when an attempt was repeated by hand.",
        remedy="Decide which cluster is the right one. Wipe EPHEMERAL on every control plane node of the other, and let them join.",
        klass=Class.FATAL,
        where="the criterion's last observation",
        anchor="no-other-etcd-cluster-exists",
        commands=(
            MEMBERS,
            "talosctl --nodes <node> --endpoints <node> reset --graceful=false --reboot --system-labels-to-wipe EPHEMERAL",
        ),
    ),
    Row(
        id="FL-224",
        title="etcd has members that nobody defined",
        pattern=r"members that the definition does not know",
        cause="The machines run another cluster, were renamed since, or a removed control plane node is still a member.",
        remedy="Find out whose cluster it is before anything else. A node that is gone for good is removed by its member id.",
        klass=Class.FATAL,
        where="the criterion's last observation, the bootstrap action",
        anchor="no-other-etcd-cluster-exists",
        commands=(
            MEMBERS,
            "talosctl --nodes <node> --endpoints <node> etcd remove-member <member id>",
        ),
    ),
    Row(
        id="FL-013",
        title="etcd cannot join",
        pattern=r"failed to build (initial etcd cluster|cluster arguments)",
        cause="For half an hour this control plane node reached no etcd member, and its etcd failed; before the bootstrap there is none to reach, which hinders no bootstrap. "
        "Talos starts it again only at the next boot, which comes by itself 70 minutes after the last one.",
        remedy="Check that control plane nodes reach each other on ports 2379, 2380 and 50000, and that all of them list the same members. "
        "Then reboot the node: Talos refuses to restart etcd alone.",
        klass=Class.FATAL,
        where="etcd's service on the node",
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(
            LOGS,
            "talosctl --nodes <node> --endpoints <node> get members",
            "talosctl --nodes <node> --endpoints <node> get affiliates",
            "talosctl --nodes <node> --endpoints <node> reboot",
        ),
    ),
    Row(
        id="FL-012",
        title="etcd waits to join",
        pattern=r"etcd is waiting to join the cluster|rpc not supported for learner|\d of \d members \([^\n]* not in agreement",
        cause="Before the bootstrap this is how it should be. After it, the node reaches neither the API server nor another member.",
        remedy="After the bootstrap: check port 2380 between control plane nodes, discovery, and the clocks.",
        klass=Class.WAIT,
        where="etcd's service on the node",
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(LOGS, "talosctl --nodes <node> --endpoints <node> get members"),
    ),
    Row(
        id="FL-014",
        title="etcd has no address to announce",
        pattern=r"Waiting for etcd spec|advertisedSubnets: [^\n]*\[subnet-not-node-network\]",
        cause="No address of the node lies in `cluster.etcd.advertisedSubnets`.",
        remedy="Compare the node's addresses with the subnets in the machine config; the VIP does not count.",
        klass=Class.FATAL,
        where="etcd's service on the node",
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get addresses",
            "talosctl --nodes <node> --endpoints <node> get etcdspec",
        ),
    ),
    Row(
        id="FL-024",
        title="talosctl health knows too few control plane nodes",
        pattern=r"etcd member ips .* are not subset of control plane node ips",
        cause="`talosctl health` was told of one control plane node, and etcd has more.",
        remedy="Name all of them with `--control-plane-nodes`, and the workers with `--worker-nodes`.",
        klass=Class.FATAL,
        where="talosctl health",
        anchor="talosctl-health-passes",
        commands=(
            "talosctl --nodes <node> --endpoints <node> health --control-plane-nodes <nodes> --worker-nodes <nodes>",
        ),
    ),
    Row(
        id="FL-101",
        title="etcd is unavailable",
        pattern=r"etcd unavailable|etcdserver: no leader|\betcd on \S+ is (Preparing|Failed|Starting|Waiting|Stopping)|failed to query etcd status",
        cause="Network trouble between the control plane nodes: they cannot form a quorum.",
        remedy="Check that the MTU is the same everywhere, the switch included (9000), and the state of the LACP bonds; then etcd's log.",
        klass=Class.RETRY,
        where="etcd's service on the node",
        anchor="etcd-runs-on-every-control-plane-node",
        commands=(LOGS, "talosctl --nodes <node> --endpoints <node> get links"),
    ),
)
