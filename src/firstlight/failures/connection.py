"""Known failures of connections in general, which any of the other subjects can cause."""

from firstlight.failures.row import FailureClass, Row

ROWS = (
    Row(
        id="FL-256",
        title="the proxy does not answer",
        failure_class=FailureClass.RETRY,
        where="helm, helmfile, flux",
        cause=(
            "HTTPS_PROXY, HTTP_PROXY or their lower-case forms name a proxy that refuses "
            "connections, or whose name does not resolve."
        ),
        remedy=(
            "Correct the variable, unset it, or add the host that the message names to NO_PROXY. "
            "The cluster's own addresses never go through a proxy."
        ),
        anchor="every-chart-resolves",
        commands=("env | grep -i _proxy",),
        patterns=(r"proxyconnect tcp: ",),
    ),
    Row(
        id="FL-016",
        title="the VIP does not answer",
        failure_class=FailureClass.WAIT,
        where="kubectl, helm, the criterion's last observation",
        cause=(
            "The VIP is elected through etcd, so no node owns it before etcd has a quorum. "
            "Or the node that owns it runs no API server."
        ),
        remedy=(
            "Before etcd has a quorum, use the nodes' own addresses; never use the VIP "
            "as a Talos endpoint. After that, find out which node owns the VIP."
        ),
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get addresses",
            "talosctl --nodes <node> --endpoints <node> etcd status",
        ),
        patterns=(
            r":6443: (connect: )?(connection refused|no route to host|timed out|i/o timeout)",
            r"connection to the server \S+ was refused",
        ),
    ),
    Row(
        id="FL-006",
        title="a machine refuses connections on port 50000",
        failure_class=FailureClass.RETRY,
        where="every talosctl command",
        cause="The machine reboots after its installation, or the Talos API has not started yet.",
        remedy=(
            "The command is retried within the budget. If this lasts, check the machine's console."
        ),
        anchor="every-node-answers-on-its-talos-api",
        commands=("nc -vz <node> 50000",),
        patterns=(r":50000: connect: connection refused",),
        said_by={"talosctl": r"connection refused"},
    ),
    Row(
        id="FL-007",
        title="a machine does not answer on port 50000",
        # Talos answers the same while a machine reboots and while no node owns the VIP
        # (tests/contract/real/down.yaml and configured.yaml), and both pass. What lasts is reported
        # as not ready once the budget is spent, with this row as its hint.
        failure_class=FailureClass.RETRY,
        where="every talosctl command",
        cause=(
            "The address is wrong, a firewall drops the packets, the machine is off or reboots, "
            "or etcd has not elected an owner of the VIP yet."
        ),
        remedy=(
            "The command is retried within the budget. If this lasts, check that every endpoint "
            "is the address of a control plane node, and connect to the node by hand from here."
        ),
        anchor="every-node-answers-on-its-talos-api",
        commands=("nc -vz <node> 50000", "ping -c 3 <node>"),
        patterns=(
            (
                r":50000: (i/o timeout"
                r"|connect: (no route to host|network is unreachable|connection timed out))"
            ),
        ),
        said_by={
            "talosctl": r"i/o timeout|no route to host|DeadlineExceeded|context deadline exceeded"
        },
    ),
    Row(
        id="FL-025",
        title="connections break while the control plane forms",
        failure_class=FailureClass.RETRY,
        where="kubectl, helm, flux, talosctl",
        cause=(
            "API servers restart while control plane nodes join, or are too busy to answer in time."
        ),
        remedy=(
            "The command is retried. If this lasts for minutes, "
            "find out which control plane component restarts."
        ),
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            "talosctl --nodes <node> --endpoints <node> containers --kubernetes",
            "kubectl --namespace kube-system get pods",
        ),
        patterns=(
            r"unexpected EOF|(: |server: )EOF\b|connection reset by peer",
            r"http2: client connection lost|TLS handshake timeout|transport is closing",
            r"etcdserver: (leader changed|request timed out)|Read timed out",
            r"request did not complete within requested timeout",
            r"failed to download openapi: [^\n]*context deadline exceeded",
        ),
        said_by={
            "flux": (
                r"connection refused|connection reset by peer|client connection lost|\bEOF\b"
                r"|i/o timeout|TLS handshake timeout|etcdserver: "
            ),
            "helm": (
                r"cluster unreachable|connection refused|connection reset by peer"
                r"|client connection lost|\bEOF\b|TLS handshake timeout"
                r"|request did not complete within requested timeout"
                r"|failed to download openapi: [^\n]*context deadline exceeded"
            ),
            "kubectl": (
                r"connection refused|connection reset by peer|client connection lost"
                r"|unexpected EOF|\bEOF\b|i/o timeout|TLS handshake timeout"
                r"|etcdserver: (leader changed|request timed out)"
            ),
            # This includes "tls: expired certificate", which a machine says while it boots with its
            # clock behind.
            "talosctl": (
                r"error reading from server: EOF|unexpected EOF|connection reset"
                r"|transport is closing|Unavailable"
            ),
        },
    ),
)
