"""Hints: connections that are refused, lost or lead nowhere; general, so they come after every other subject."""

from firstlight.hints.row import Row
from firstlight.tools.classification import Class

ROWS = (
    Row(
        id="FL-016",
        title="the VIP does not answer",
        pattern=r"the VIP \S+ to accept connections on port \d+: not so|the cluster endpoint \S+ to answer on port 50000: not so"
        r"|:6443: (connect: )?(connection refused|no route to host|timed out|i/o timeout)|connection to the server \S+ was refused",
        cause="The VIP is elected through etcd, so nobody has it before etcd has a quorum; or no API server runs on its owner.",
        remedy="Before etcd has a quorum use the nodes' own addresses, and never the VIP as a Talos endpoint. After it, see who has the VIP.",
        klass=Class.WAIT,
        where="kubectl, helm, the criterion's last observation",
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get addresses",
            "talosctl --nodes <node> --endpoints <node> etcd status",
        ),
    ),
    Row(
        id="FL-006",
        title="a machine refuses connections on port 50000",
        pattern=r":50000: connect: connection refused",
        cause="The machine reboots after its installation, or the Talos API has not started yet.",
        remedy="It is asked again within the budget. If it lasts: the machine's console.",
        klass=Class.RETRY,
        where="every talosctl command",
        anchor="every-node-answers-on-its-talos-api",
        commands=("nc -vz <node> 50000",),
    ),
    Row(
        id="FL-007",
        title="a machine does not answer on port 50000",
        pattern=r":50000: (i/o timeout|connect: (no route to host|network is unreachable|connection timed out))",
        cause="A wrong address, a firewall, a machine that is off, or the VIP before etcd has elected its owner.",
        remedy="Endpoints have to be the addresses of control plane nodes. Reach the node by hand from here.",
        klass=Class.FATAL,
        where="every talosctl command",
        anchor="every-node-answers-on-its-talos-api",
        commands=("nc -vz <node> 50000", "ping -c 3 <node>"),
    ),
    Row(
        id="FL-025",
        title="connections break while the control plane forms",
        pattern=r"unexpected EOF|(: |server: )EOF\b|connection reset by peer|http2: client connection lost|TLS handshake timeout"
        r"|etcdserver: (leader changed|request timed out)|transport is closing"
        r"|Read timed out|request did not complete within requested timeout|failed to download openapi: [^\n]*context deadline exceeded",
        cause="API servers restart while control plane nodes join, or are too busy to answer in time.",
        remedy="It is asked again. If it lasts for minutes: see which control plane component restarts.",
        klass=Class.RETRY,
        where="kubectl, helm, talosctl",
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            "talosctl --nodes <node> --endpoints <node> containers --kubernetes",
            "kubectl --namespace kube-system get pods",
        ),
    ),
)
