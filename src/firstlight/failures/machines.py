"""Known failures of the machines themselves, their links, clocks and configurations."""

from firstlight.failures.row import FailureClass, Row

ROWS = (
    Row(
        id="FL-019",
        title="the bond is up but carries no traffic",
        failure_class=FailureClass.FATAL,
        where="the kernel's log",
        cause=(
            "The switch does not negotiate: LACP is passive on both sides, "
            "or the switch has no LACP group on these ports."
        ),
        remedy=(
            'Set `adLACPActive: "on"`, miimon, updelay and downdelay in the BondConfig, '
            "and enable LACP on the ports of the switch."
        ),
        anchor="every-link-is-up-as-defined",
        commands=(
            "talosctl --nodes <node> --endpoints <node> dmesg",
            "talosctl --nodes <node> --endpoints <node> read /proc/net/bonding/bond0",
        ),
        patterns=(r"No 802\.3ad response from the link partner",),
        rules=("bond-unmonitored",),
    ),
    Row(
        id="FL-020",
        title="the kubelet is given two node addresses",
        failure_class=FailureClass.FATAL,
        where="the kubelet's log",
        cause=(
            "The VIP lies within the kubelet's `validSubnets`, "
            "so the machine that owns the VIP finds two addresses."
        ),
        remedy=(
            "Exclude the VIP in `machine.kubelet.nodeIP.validSubnets` (`!<vip>/32`), "
            "and apply the configuration."
        ),
        anchor="talos-services-are-healthy-on-every-node",
        commands=("talosctl --nodes <node> --endpoints <node> logs kubelet",),
        patterns=(r"bad --node-ip",),
    ),
    Row(
        id="FL-214",
        title="a link differs from the definition",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "The link is down, has another MTU or another bond mode, or does not exist. "
            "Check the cable, the switch port and the interface's name."
        ),
        remedy=(
            "Compare the machine's links with `networkInterfaces` in talconfig.yaml. "
            "The switch's MTU and LACP settings have to match too."
        ),
        anchor="every-link-is-up-as-defined",
        commands=("talosctl --nodes <node> --endpoints <node> get links",),
    ),
    Row(
        id="FL-215",
        title="the clocks disagree",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="A machine, or this computer, is not synchronized with NTP.",
        remedy=(
            "Find out which clock is wrong, "
            "and make sure that it reaches a time server on UDP port 123."
        ),
        anchor="the-clocks-agree",
        commands=(
            "date --utc",
            "talosctl --nodes <node> --endpoints <node> time",
            "talosctl --nodes <node> --endpoints <node> get timeserverstatus",
        ),
    ),
    Row(
        id="FL-216",
        title="a machine has no configuration",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="The machine was booted but never configured, or it was reset.",
        remedy="Apply its machine config. The bootstrap never does that by itself.",
        anchor="every-machine-runs-its-configuration",
        commands=(
            (
                "talosctl --nodes <node> --endpoints <node> apply-config --insecure"
                " --file clusters/<cluster>/talos/clusterconfig/<file>"
            ),
        ),
    ),
    Row(
        id="FL-217",
        title="a machine runs another Talos version",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="The machine was installed from another image than talconfig.yaml names.",
        remedy=(
            "Upgrade the machine to the defined version, or correct `talosVersion` in "
            "talconfig.yaml."
        ),
        anchor="every-machine-runs-its-configuration",
        commands=(
            (
                "talosctl --nodes <node> --endpoints <node> upgrade"
                " --image ghcr.io/siderolabs/installer:<version>"
            ),
        ),
    ),
    Row(
        id="FL-210",
        title="port 50000 of a machine stays closed",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "The machine is off, is not the machine that the inventory says, "
            "or a firewall rejects port 50000. A reboot would have finished within the budget."
        ),
        remedy=(
            "Check the machine's console, its address in talconfig.yaml, "
            "and the firewall between it and you."
        ),
        anchor="every-node-answers-on-its-talos-api",
        commands=("nc -vz <node> 50000",),
    ),
    Row(
        id="FL-068",
        title="Talos in containers requires hostDNS to forward",
        failure_class=FailureClass.FATAL,
        where="talosctl validate, talosctl cluster create",
        cause="In a container, Talos requires both hostDNS settings.",
        remedy="Set `machine.features.hostDNS.enabled` and `forwardKubeDNSToHost` to true.",
        anchor="every-machine-config-is-valid",
        commands=("talosctl validate --mode container --config <machine config>",),
        patterns=(r"HostDNS should forward kube-dns to host in container mode",),
    ),
    Row(
        id="FL-069",
        title="the host lacks br_netfilter",
        failure_class=FailureClass.FATAL,
        where="the kubelet's log, flannel's or Cilium's log",
        cause="Talos in containers uses the host's kernel, which has not loaded br_netfilter.",
        remedy="Load the module on the host, as root.",
        anchor="talos-services-are-healthy-on-every-node",
        commands=("modprobe br_netfilter",),
        patterns=(r"bridge-nf-call-iptables: no such file",),
    ),
    Row(
        id="FL-070",
        title="the QEMU provisioner cannot start machines",
        failure_class=FailureClass.FATAL,
        where="talosctl cluster create",
        cause=(
            "The QEMU provisioner needs root, a path of at most 107 characters for each Unix "
            "socket, "
            "and a separate bridge and CIDR for each cluster."
        ),
        remedy=(
            "Run it with `sudo -E`, a short cluster name, a short state folder, "
            "and one CIDR for each cluster."
        ),
        anchor="every-node-answers-on-its-talos-api",
        commands=("sudo -E talosctl cluster create qemu --name <short name> --cidr <cidr>",),
        patterns=(
            r"please run as root user \(CNI|bind: invalid argument",
            r"socket path \S* ?(is )?too long|overlaps with (existing|other) (bridge|network)",
        ),
    ),
)
