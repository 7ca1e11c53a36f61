"""Known failures of the Talos API."""

from firstlight.failures.row import FailureClass, Row

SERVICES = "talosctl --nodes <node> --endpoints <node> services"
STAGE = "talosctl --nodes <node> --endpoints <node> get machinestatus"

ROWS = (
    Row(
        id="FL-001",
        title="etcd's data directory is not empty",
        failure_class=FailureClass.SUCCESS,
        where="talosctl bootstrap",
        cause="This cluster was bootstrapped before, or the disk still holds an older etcd.",
        remedy=(
            "The bootstrap counts as done only once etcd lists this cluster's own members. "
            "If it lists other members, or never lists any, "
            "wipe the EPHEMERAL partition of that node and run again."
        ),
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> etcd members",),
        patterns=(r"etcd data directory is not empty",),
    ),
    Row(
        id="FL-002",
        title="bootstrap is not available yet",
        failure_class=FailureClass.RETRY,
        where="talosctl bootstrap, the criterion's last observation",
        cause="The machine is still booting, or waits in maintenance mode for its configuration.",
        remedy=(
            "The bootstrap is retried for ten minutes. "
            "After that, check the machine's stage: it has to leave `maintenance`."
        ),
        anchor="etcd-is-bootstrapped-once",
        commands=(STAGE, SERVICES),
        patterns=(r"bootstrap is not available yet",),
    ),
    Row(
        id="FL-003",
        title="the machine's time is not in sync yet",
        failure_class=FailureClass.RETRY,
        where="talosctl bootstrap",
        cause="Talos refuses to bootstrap before the machine has synchronized its clock with NTP.",
        remedy=(
            "The bootstrap is retried for ten minutes. "
            "After that, check that the machine reaches a time server on UDP port 123."
        ),
        anchor="the-clocks-agree",
        commands=(
            "talosctl --nodes <node> --endpoints <node> time",
            "talosctl --nodes <node> --endpoints <node> get timestatus",
        ),
        patterns=(r"time is not in sync yet",),
    ),
    Row(
        id="FL-004",
        title="the machine has another role",
        failure_class=FailureClass.FATAL,
        where="talosctl bootstrap, the criterion's last observation",
        cause=(
            "The definition and the machine disagree about its role. "
            "A worker cannot be bootstrapped: the address probably belongs to another machine."
        ),
        remedy=(
            "Compare `controlPlane` in talconfig.yaml with the machine's own type, "
            "and correct the address or the role."
        ),
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> get machinetype",),
        patterns=(r"bootstrap can only be performed on a control ?plane node",),
    ),
    Row(
        id="FL-005",
        title="a command was sent to several nodes",
        failure_class=FailureClass.FATAL,
        where="talosctl bootstrap, talosctl health",
        cause=(
            "More than one node was named, often by the default nodes in the talosconfig's context."
        ),
        remedy=(
            "Name exactly one node. For this reason, "
            "the talosconfig that `./task talos:gen-config CLUSTER=<cluster> TARGET=<target>` "
            "writes has no default nodes."
        ),
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> bootstrap",),
        patterns=(r"is not supported with multiple nodes",),
    ),
    Row(
        id="FL-008",
        title="the machine's certificate has an unknown authority",
        failure_class=FailureClass.FATAL,
        where="every talosctl command",
        cause=(
            "The talosconfig and the machine's configuration were generated from different "
            "secrets; "
            "or the machine is still in maintenance mode; "
            "or it was never installed because its installer image does not exist."
        ),
        remedy=(
            "Check the machine's stage without a certificate. "
            "If it is `maintenance`, apply its configuration. Otherwise, find the "
            "talsecret.sops.yaml that the machine was configured with, "
            "and generate the talosconfig from it."
        ),
        anchor="every-node-answers-on-its-talos-api",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get machinestatus --insecure",
            "./task talos:gen-config CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(
            (
                r"authentication handshake failed: tls: failed to verify certificate: "
                r"x509: certificate signed by unknown authority"
            ),
            r"remote error: tls: (bad certificate|unknown certificate authority)",
        ),
        said_by={"talosctl": r"certificate signed by unknown authority"},
    ),
    Row(
        id="FL-009",
        title="the machine requires a certificate",
        # The same words answer `apply-config --insecure` and `reset --insecure`
        # (tests/contract/real/configured.yaml). They prove that the machine has a configuration,
        # but not which one, and not that anything was done. So this never counts as success.
        failure_class=FailureClass.FATAL,
        where="talosctl apply-config --insecure",
        cause=(
            "The machine already has a configuration, "
            "so it no longer answers clients without a certificate."
        ),
        remedy=(
            "If the configuration is the right one, there is nothing to do. "
            "To change it, apply the new one with the talosconfig, without `--insecure`."
        ),
        anchor="every-machine-runs-its-configuration",
        commands=(
            (
                "talosctl --nodes <node> --endpoints <node> apply-config --dry-run"
                " --file <machine config>"
            ),
        ),
        patterns=(
            r"tls: certificate required",
            # The alert may arrive after the machine has closed the connection. Then only that is
            # reported, and the flag distinguishes it from a restart.
            r"--insecure\b[\s\S]*:50000: (read|write): (broken pipe|connection reset by peer)",
        ),
        said_by={"talosctl": r"certificate required"},
    ),
    Row(
        id="FL-010",
        title="the maintenance service answered",
        failure_class=FailureClass.RETRY,
        where="talosctl bootstrap, talosctl version",
        cause=(
            "The machine is in maintenance mode, "
            "which implements neither Bootstrap nor most of the other calls."
        ),
        remedy=(
            "Apply the machine's configuration, and wait until its stage is no longer "
            "`maintenance`."
        ),
        anchor="every-machine-runs-its-configuration",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get machinestatus --insecure",
            (
                "talosctl --nodes <node> --endpoints <node> apply-config --insecure"
                " --file <machine config>"
            ),
        ),
        patterns=(
            r"method \w+ not implemented|unknown (service|method) \S",
            r"not implemented in maintenance mode",
        ),
        said_by={
            "talosctl": (
                r"method \w+ not implemented|unknown (service|method)"
                r"|not implemented in maintenance mode"
            )
        },
    ),
    Row(
        id="FL-011",
        title="the machine does not know a key of its configuration",
        failure_class=FailureClass.FATAL,
        where="talosctl apply-config, talosctl validate",
        cause="The configuration is meant for a newer Talos than the machine has booted.",
        remedy=(
            "Boot the machine with the Talos version that talconfig.yaml names, "
            "or set `talosVersion` to the version that is running."
        ),
        anchor="every-machine-config-is-valid",
        commands=("talosctl --nodes <node> --endpoints <node> version --insecure",),
        patterns=(r"unknown keys found during decoding",),
    ),
    Row(
        id="FL-017",
        title="the certificate does not include the VIP",
        failure_class=FailureClass.FATAL,
        where="every command through the VIP",
        cause=(
            "The VIP is missing from the certificate's names. "
            "The API server and the Talos API have separate lists."
        ),
        remedy=(
            "Add the VIP to `additionalApiServerCertSans` (port 6443) and "
            "`additionalMachineCertSans` (port 50000) in talconfig.yaml, "
            "and apply the configurations to one control plane node at a time."
        ),
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            (
                "openssl s_client -connect <vip>:6443 </dev/null"
                " | openssl x509 -noout -ext subjectAltName"
            ),
        ),
        patterns=(
            r"x509: certificate is valid for [^\n]*, not \d+\.\d+\.\d+\.\d+",
            r"IP address mismatch, certificate is not valid for",
        ),
        rules=("vip-not-in-certificate",),
    ),
    Row(
        id="FL-018",
        title="a certificate is not valid yet",
        failure_class=FailureClass.FATAL,
        where="every command over TLS",
        cause=(
            "The clock of the computer that issued the certificate is ahead "
            "of the clock of the computer that verifies it."
        ),
        remedy=(
            "Synchronize both clocks with NTP. "
            "Certificates that were issued in the meantime become valid by themselves."
        ),
        anchor="the-clocks-agree",
        commands=("date --utc", "talosctl --nodes <node> --endpoints <node> time"),
        patterns=(
            r"not yet valid(?!: current time \S+ is after)",
            r"remote error: tls: expired certificate",
        ),
        # "tls: expired certificate" is not here: a machine that boots with its clock behind says so
        # for a moment, because its API does not wait for the time. FL-025 retries it.
        said_by={"talosctl": r"not yet valid|certificate has expired"},
    ),
    Row(
        id="FL-221",
        title="a certificate has expired",
        failure_class=FailureClass.FATAL,
        where="every command over TLS",
        cause="The client's certificate is older than one year, or a clock is far ahead.",
        remedy="Check the clocks first. Then generate the talosconfig or the kubeconfig again.",
        anchor="every-node-answers-on-its-talos-api",
        commands=(
            "./task talos:gen-config CLUSTER=<cluster> TARGET=<target>",
            "./task talos:kubeconfig CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(
            r"current time \S+ is after|certificate has expired(?! or is not yet valid)",
            r"remote error: tls: expired certificate",
        ),
        said_by={
            "talosctl": (
                r"not yet valid: current time \S+ is after"
                r"|certificate has expired(?! or is not yet valid)"
            )
        },
    ),
)
