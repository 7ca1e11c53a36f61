"""Known failures of Cilium."""

from firstlight.failures.row import FailureClass, Row

AGENT_LOGS = "kubectl --namespace kube-system logs daemonset/cilium --container cilium-agent"
STATUS = "cilium status --wait"

ROWS = (
    Row(
        id="FL-255",
        title="Cilium's ConfigMap is not what was installed",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="Somebody changed it by hand, or the HelmRelease says something else.",
        remedy=(
            "Have Flux restore what the HelmRelease says. Before the hand-off to Flux, "
            "correct the HelmRelease and install Cilium again."
        ),
        anchor="cilium-has-the-clusters-id-and-name",
        commands=(
            "flux reconcile helmrelease cilium --namespace kube-system",
            "kubectl --namespace kube-system get configmap cilium-config --output yaml",
        ),
    ),
    Row(
        id="FL-032",
        title="Cilium's containers request a forbidden capability",
        failure_class=FailureClass.FATAL,
        where="a pod's state (StartError, exit code 128)",
        cause="The chart's default capabilities include SYS_MODULE, which Talos grants to no pod.",
        remedy=(
            "Set `securityContext.capabilities.ciliumAgent` and `cleanCiliumState` "
            "to explicit lists without it."
        ),
        anchor="release-runs",
        commands=("kubectl --namespace kube-system describe pod --selector k8s-app=cilium",),
        patterns=(r"unable to apply caps: operation not permitted",),
        rules=("cilium-capabilities",),
    ),
    Row(
        id="FL-033",
        title="Cilium's agent does not reach the API server",
        failure_class=FailureClass.FATAL,
        where="the agent's log",
        cause="The agent is configured for KubePrism, which is off or listens on another port.",
        remedy=(
            "Enable `machine.features.kubePrism` on the same port, "
            "or set `k8sServiceHost` and `k8sServicePort` to the VIP and 6443."
        ),
        anchor="cilium-routes-natively",
        commands=("talosctl --nodes <node> --endpoints <node> get kubeprismstatuses", AGENT_LOGS),
        patterns=(r":7445(/\S*)?\"?: [^\n]*(connection refused|i/o timeout)",),
    ),
    Row(
        id="FL-034",
        title="CoreDNS gets no answer from the node's resolver",
        failure_class=FailureClass.FATAL,
        where="CoreDNS's log",
        cause=(
            "Talos's hostDNS listens on a link-local address, "
            "and its answers are lost when Cilium routes in eBPF (bpf.masquerade)."
        ),
        remedy=(
            "Set `bpf.hostLegacyRouting: true` in Cilium's values, "
            "or `forwardKubeDNSToHost: false` in the machine configs."
        ),
        anchor="coredns-resolves-cluster-names",
        commands=("kubectl --namespace kube-system logs deployment/coredns",),
        patterns=(r"read udp \S+->169\.254\.116\.108:53: i/o timeout",),
        rules=("dns-answers-lost",),
    ),
    Row(
        id="FL-035",
        title="Cilium's operator started before the Gateway API's CRDs existed",
        failure_class=FailureClass.FATAL,
        where="the operator's log",
        cause="The operator checks for the CRDs only once, when it starts.",
        remedy="Install the CRDs, then restart the operator.",
        anchor="crd-is-established",
        commands=(
            "./task bootstrap:crds CLUSTER=<cluster> TARGET=<target>",
            "kubectl --namespace kube-system rollout restart deployment/cilium-operator",
        ),
        patterns=(r"Required GatewayAPI resources are not found",),
    ),
    Row(
        id="FL-036",
        title="the TLSRoute CRD is missing",
        failure_class=FailureClass.FATAL,
        where="the operator's log",
        cause=(
            "TLSRoute is in the Gateway API's experimental channel, "
            "and only the standard channel is installed."
        ),
        remedy=(
            "Install the experimental TLSRoute CRD too. The chart gateway-api-crds contains it."
        ),
        anchor="crd-is-established",
        commands=(
            "kubectl get crd tlsroutes.gateway.networking.k8s.io",
            "./task bootstrap:crds CLUSTER=<cluster> TARGET=<target>",
        ),
        patterns=(r"no kind is registered for the type v1alpha2\.TLSRoute",),
    ),
    Row(
        id="FL-037",
        title="a Cilium resource is applied before its CRD exists",
        failure_class=FailureClass.RETRY,
        where="kubectl apply, Flux",
        cause="Cilium's operator creates some of the CRDs at run time.",
        remedy="Wait until the CRD is established, then apply again.",
        anchor="crd-is-established",
        commands=("kubectl wait --for condition=established --timeout 60s crd/<name>",),
        patterns=(r"no matches for kind \"?Cilium",),
    ),
    Row(
        id="FL-038",
        title="a LoadBalancer address does not answer ARP",
        failure_class=FailureClass.FATAL,
        where="arping",
        cause=(
            "Cilium's `devices` matches no device of the node, "
            "or the pool lies outside the node network."
        ),
        remedy="Set `devices: bond0`, and choose the pool's addresses from the node network.",
        anchor="cilium-status-is-well",
        commands=("arping -c 3 <address>", "cilium config view"),
        patterns=(r"Received 0 response\(s\)",),
    ),
    Row(
        id="FL-039",
        title="large packets are lost",
        failure_class=FailureClass.FATAL,
        where="ping -M do, the connectivity test",
        cause=(
            "Cilium detected an MTU that the path does not carry, usually with encryption enabled."
        ),
        remedy=(
            "Set `MTU` in Cilium's values to what the path carries, "
            "and compare it with the nodes and switches."
        ),
        anchor="cilium-connectivity-test-passes",
        commands=("ping -M do -s 8972 -c 3 <node>",),
        patterns=(r"message too long, mtu|Frag needed and DF set",),
        rules=("cilium-mtu-differs",),
    ),
    Row(
        id="FL-040",
        title="pods on different nodes do not reach each other through KubeSpan",
        failure_class=FailureClass.FATAL,
        where="talosctl get kubespanpeerstatuses",
        cause="Cilium's native routing bypasses the WireGuard link that KubeSpan set up.",
        remedy=(
            "Set `bpf.hostLegacyRouting: true` and exclude the pod network in KubeSpan's filters, "
            "or disable KubeSpan."
        ),
        anchor="cilium-connectivity-test-passes",
        commands=("talosctl --nodes <node> --endpoints <node> get kubespanpeerstatuses",),
        patterns=(r"KubeSpanPeerStatus\S*\s[^\n]*\b(down|unknown)\b",),
    ),
    Row(
        id="FL-041",
        title="a Deployment is declared failed within seconds",
        failure_class=FailureClass.RETRY,
        where="helm, a Deployment's condition",
        cause=(
            "No node could take its pods when it was created, "
            "and Kubernetes counted that as missing progress."
        ),
        remedy="Make sure that every node is registered, then install again.",
        anchor="every-node-is-registered-under-its-own-name",
        commands=("kubectl get nodes", "kubectl get pods --all-namespaces --output wide"),
        patterns=(r"Progress ?deadline ?exceeded",),
    ),
    Row(
        id="FL-042",
        title="Flux uninstalls the CNI between attempts",
        failure_class=FailureClass.FATAL,
        where="helm-controller's events",
        cause=(
            "By default, Flux uninstalls a release whose installation failed. "
            "A CNI that disappears takes the cluster with it."
        ),
        remedy=(
            "Set `install.strategy.name` and `upgrade.strategy.name` "
            "of the HelmRelease to RetryOnFailure."
        ),
        anchor="flux-has-taken-over-every-release",
        commands=("kubectl --namespace kube-system describe helmrelease cilium",),
        patterns=(r"RemediateOnFailure|uninstall remediation for release",),
        rules=("cni-uninstalled-on-failure",),
    ),
    Row(
        id="FL-043",
        title="Pod Security rejects the connectivity test's pods",
        failure_class=FailureClass.FATAL,
        where="cilium connectivity test",
        cause="Talos enforces the `baseline` standard, and the test's clients need NET_RAW.",
        remedy="Label the test's namespace. By hand, pass the labels to the command.",
        anchor="cilium-connectivity-test-passes",
        commands=(
            (
                "cilium connectivity test"
                " --namespace-labels pod-security.kubernetes.io/enforce=privileged"
            ),
        ),
        patterns=(r"violates PodSecurity[^\n]*NET_RAW",),
    ),
    Row(
        id="FL-044",
        title="the connectivity test does not reach the internet",
        failure_class=FailureClass.FATAL,
        where="cilium connectivity test",
        cause="By default, the test connects to 1.1.1.1, which many networks block.",
        remedy="Name a target that this network allows, or run only the tests within the cluster.",
        anchor="cilium-connectivity-test-passes",
        commands=("cilium connectivity test --external-target google.com",),
        patterns=(
            r"curl: \(28\)",
            r"(one\.one\.one\.one|\b1\.1\.1\.1\b)[^\n]*(timed out|timeout)",
        ),
    ),
    Row(
        id="FL-045",
        title="the connectivity test sees no flows",
        failure_class=FailureClass.FATAL,
        where="cilium connectivity test",
        cause="Hubble Relay is off or unreachable.",
        remedy="Fix Hubble Relay, or disable the validation of flows.",
        anchor="hubble-relay-answers",
        commands=(
            "kubectl --namespace kube-system rollout status deployment/hubble-relay",
            "cilium connectivity test --flow-validation disabled",
        ),
        patterns=(r"Timeout waiting for flow listener to become ready",),
    ),
    Row(
        id="FL-046",
        title="an earlier connectivity test is in the way",
        failure_class=FailureClass.RETRY,
        where="cilium connectivity test",
        cause="The namespace of an earlier run still exists, or is being deleted.",
        remedy="Delete the namespace, wait until it is gone, then run the test again.",
        anchor="cilium-connectivity-test-passes",
        commands=("kubectl delete namespace cilium-test-1 --wait",),
        patterns=(r"cilium-test-\d+\W* (already exists|because it is being terminated)",),
    ),
    Row(
        id="FL-102",
        title="Cilium's pods stay in ContainerCreating",
        failure_class=FailureClass.RETRY,
        where="a pod's state, the criterion's last observation",
        cause="CRDs are missing, or the image has not been pulled.",
        remedy=(
            "Verify that the CRDs are established, and check the pod's events for the image. "
            "Once Spegel is installed, check that it runs, so that nodes share their images."
        ),
        anchor="release-runs",
        commands=(
            "kubectl describe pod --namespace kube-system --selector app.kubernetes.io/name=cilium",
            STATUS,
        ),
        patterns=(r"\bcilium\S*[^\n]*(ContainerCreating|PodInitializing)",),
    ),
    Row(
        id="FL-103",
        title="CoreDNS does not resolve names",
        failure_class=FailureClass.RETRY,
        where="the criterion's last observation",
        cause="Cilium is not ready, so pods have no network.",
        remedy="Wait until Cilium is healthy, then read CoreDNS's log.",
        anchor="coredns-resolves-cluster-names",
        commands=(STATUS, "kubectl --namespace kube-system logs deployment/coredns"),
        patterns=(r"on 10\.\d+\.0\.10:53: (no such host|server misbehaving|read udp)",),
    ),
)
