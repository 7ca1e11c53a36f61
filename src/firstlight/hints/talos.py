"""Hints: the Talos API."""

from firstlight.hints.row import Row
from firstlight.tools.classification import Class

SERVICES = "talosctl --nodes <node> --endpoints <node> services"
STAGE = "talosctl --nodes <node> --endpoints <node> get machinestatus"

ROWS = (
    Row(
        id="FL-001",
        title="etcd's data directory is not empty",
        pattern=r"etcd('s)? data directory is not empty",
        cause="This cluster was bootstrapped before, or the disk still holds the etcd of an earlier one.",
        remedy="It counts as done only once etcd lists this cluster's own members. If it lists others, or none ever, "
        "wipe the EPHEMERAL partition of that node and run again.",
        klass=Class.SUCCESS,
        where="talosctl bootstrap",
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> etcd members",),
    ),
    Row(
        id="FL-002",
        title="bootstrap is not available yet",
        pattern=r"bootstrap is not available yet|the machine has not started its services yet",
        cause="The machine is still booting, or waits in maintenance mode for its configuration.",
        remedy="It is asked again for ten minutes. After that, look at the machine's stage: it has to leave `maintenance`.",
        klass=Class.RETRY,
        where="talosctl bootstrap, the criterion's last observation",
        anchor="etcd-is-bootstrapped-once",
        commands=(STAGE, SERVICES),
    ),
    Row(
        id="FL-003",
        title="time is not in sync yet",
        pattern=r"time is not in sync yet",
        cause="Talos refuses to bootstrap before the machine has set its clock by NTP.",
        remedy="It is asked again for ten minutes. After that, see whether the machine reaches a time server on UDP port 123.",
        klass=Class.RETRY,
        where="talosctl bootstrap",
        anchor="the-clocks-agree",
        commands=(
            "talosctl --nodes <node> --endpoints <node> time",
            "talosctl --nodes <node> --endpoints <node> get timestatus",
        ),
    ),
    Row(
        id="FL-004",
        title="bootstrap was sent to a worker",
        pattern=r"bootstrap can only be performed on a control ?plane node|\S+ runs as a \w+, the definition says \w+",
        cause="The address belongs to a worker: the inventory and the machine do not agree on its role.",
        remedy="Compare `controlPlane` in talconfig.yaml with the machine's own type; one of the two has another machine's address.",
        klass=Class.FATAL,
        where="talosctl bootstrap",
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> get machinetype",),
    ),
    Row(
        id="FL-005",
        title="a command was sent to several nodes",
        pattern=r"is not supported with multiple nodes",
        cause="More than one node was named, often by default nodes in the context of the talosconfig.",
        remedy="Name exactly one node. The talosconfig that `./task talos:gen-config` writes has no default nodes, for this reason.",
        klass=Class.FATAL,
        where="talosctl bootstrap, talosctl health",
        anchor="etcd-is-bootstrapped-once",
        commands=("talosctl --nodes <node> --endpoints <node> bootstrap",),
    ),
    Row(
        id="FL-008",
        title="the machine's certificate is of another authority",
        pattern=r"authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"
        r"|remote error: tls: (bad certificate|unknown certificate authority)",
        cause="The talosconfig was made from other secrets than the machine's configuration; or the machine is still in maintenance mode; "
        "or its installer image does not exist, so that it was never installed.",
        remedy="Look at the machine's stage without a certificate. In `maintenance`: apply its configuration. Else find the "
        "talsecret.sops.yaml that the machine was made with, and make the talosconfig anew from it.",
        klass=Class.FATAL,
        where="every talosctl command",
        anchor="every-node-answers-on-its-talos-api",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get machinestatus --insecure",
            "./task talos:gen-config CLUSTER=<cluster> TARGET=<target>",
        ),
    ),
    Row(
        id="FL-009",
        title="the machine wants a certificate",
        # The alert may come after the machine has closed the connection: then only that is told, and the flag tells it from a restart.
        pattern=r"tls: certificate required|--insecure\b[\s\S]*:50000: (read|write): (broken pipe|connection reset by peer)",
        cause="The machine has its configuration already, so it no longer answers without a certificate.",
        remedy="Nothing has to be applied. To change the configuration, apply it with the talosconfig, without `--insecure`.",
        klass=Class.SUCCESS,
        where="talosctl apply-config --insecure",
        anchor="every-machine-runs-its-configuration",
        commands=(
            "talosctl --nodes <node> --endpoints <node> apply-config --dry-run --file <machine config>",
        ),
    ),
    Row(
        id="FL-010",
        title="the maintenance service answered",
        pattern=r"method \w+ not implemented|unknown (service|method) \S|not implemented in maintenance mode",
        cause="The machine is in maintenance mode, whose small API knows neither Bootstrap nor most other calls.",
        remedy="Apply the machine's configuration and wait until its stage is no longer `maintenance`.",
        klass=Class.RETRY,
        where="talosctl bootstrap, talosctl version",
        anchor="every-machine-runs-its-configuration",
        commands=(
            "talosctl --nodes <node> --endpoints <node> get machinestatus --insecure",
            "talosctl --nodes <node> --endpoints <node> apply-config --insecure --file <machine config>",
        ),
    ),
    Row(
        id="FL-011",
        title="the machine does not know a key of its configuration",
        pattern=r"unknown keys found during decoding",
        cause="The configuration is written for a newer Talos than the one that the machine was booted with.",
        remedy="Boot the machine with the Talos version that talconfig.yaml names, or set `talosVersion` to the one that runs.",
        klass=Class.FATAL,
        where="talosctl apply-config, talosctl validate",
        anchor="every-machine-config-is-valid",
        commands=("talosctl --nodes <node> --endpoints <node> version --insecure",),
    ),
    Row(
        id="FL-017",
        title="the certificate does not name the VIP",
        pattern=r"x509: certificate is valid for [^\n]*, not \d+\.\d+\.\d+\.\d+|IP address mismatch, certificate is not valid for|\[vip-not-in-certificate\]",
        cause="The VIP is missing among the names in the certificate. The API server and the Talos API keep separate lists.",
        remedy="Put the VIP into `additionalApiServerCertSans` (port 6443) and `additionalMachineCertSans` (port 50000) of talconfig.yaml, and "
        "apply the configurations one control plane node at a time.",
        klass=Class.FATAL,
        where="every command through the VIP",
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=(
            "openssl s_client -connect <vip>:6443 </dev/null | openssl x509 -noout -ext subjectAltName",
        ),
    ),
    Row(
        id="FL-018",
        title="a certificate is not yet valid",
        pattern=r"not yet valid(?!: current time \S+ is after)|remote error: tls: expired certificate",
        cause="The clock of the computer that made the certificate is ahead of the one that reads it.",
        remedy="Set both clocks by NTP. Certificates that were made meanwhile become valid when their time has come.",
        klass=Class.FATAL,
        where="every command over TLS",
        anchor="the-clocks-agree",
        commands=("date --utc", "talosctl --nodes <node> --endpoints <node> time"),
    ),
    Row(
        id="FL-221",
        title="a certificate has expired",
        pattern=r"current time \S+ is after|certificate has expired(?! or is not yet valid)|remote error: tls: expired certificate",
        cause="The client's certificate is older than a year, or a clock is far ahead.",
        remedy="Check the clocks first. Then make the talosconfig or the kubeconfig anew.",
        klass=Class.FATAL,
        where="every command over TLS",
        anchor="every-node-answers-on-its-talos-api",
        commands=(
            "./task talos:gen-config CLUSTER=<cluster> TARGET=<target>",
            "./task talos:kubeconfig CLUSTER=<cluster> TARGET=<target>",
        ),
    ),
)
