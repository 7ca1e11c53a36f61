"""Known failures of nodes, pods and the Kubernetes API."""

from firstlight.failures.row import FailureClass, Row

NODES = "kubectl get nodes --output wide"
EVENTS = "kubectl get events --all-namespaces --sort-by=.lastTimestamp"

ROWS = (
    Row(
        id="FL-021",
        title="the boot sequence waits for the node to be ready",
        failure_class=FailureClass.WAIT,
        where="the machine's console, the criterion's last observation",
        cause="Without a CNI no node can become Ready, and the boot sequence waits for that.",
        remedy=(
            "Install Cilium. The machine itself is fine, and Talos keeps waiting for 70 minutes."
        ),
        anchor="every-node-is-ready",
        commands=("./task bootstrap:releases CLUSTER=<cluster> TARGET=<target>", NODES),
        patterns=(r"retrying error: node not ready",),
    ),
    Row(
        id="FL-023",
        title="a kubelet's certificate request is not approved",
        failure_class=FailureClass.WAIT,
        where="talosctl health, the machine's diagnostics",
        cause=(
            "Kubelets request server certificates. The approver is a workload, "
            "so it runs only once the CNI does."
        ),
        remedy=(
            "Before Cilium runs this is expected. After that, "
            "check that an approver runs, or approve by hand."
        ),
        anchor="talosctl-health-passes",
        commands=("kubectl get certificatesigningrequests", "kubectl certificate approve <name>"),
        patterns=(r"CSR is not approved",),
    ),
    Row(
        id="FL-022",
        title="talosctl health gives up early",
        failure_class=FailureClass.RETRY,
        where="talosctl health",
        cause=(
            "Each check of `talosctl health` has its own limit, usually five minutes, "
            "whatever `--wait-timeout` says."
        ),
        remedy=(
            "The command is repeated within the criterion's budget. "
            "The last check that is not OK names what is not ready."
        ),
        anchor="talosctl-health-passes",
        commands=(
            (
                "talosctl --nodes <node> --endpoints <node> health"
                " --control-plane-nodes <nodes> --worker-nodes <nodes>"
            ),
            NODES,
        ),
        patterns=(r"healthcheck error: [^\n]*(DeadlineExceeded|deadline exceeded)",),
    ),
    Row(
        id="FL-223",
        title="a node stopped reporting",
        failure_class=FailureClass.WAIT,
        where="the node's Ready condition",
        cause="The machine is off, hangs, or lost its network.",
        remedy=(
            "Check the machine's console and its Talos services. "
            "The node becomes Ready soon after the machine is back."
        ),
        anchor="every-node-is-ready",
        commands=(
            "talosctl --nodes <node> --endpoints <node> services",
            "kubectl describe node <name>",
        ),
        patterns=(r"Kubelet stopped posting node status",),
    ),
    Row(
        id="FL-027",
        title="some nodes are Ready, others are not",
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=(
            "The other nodes have no running Cilium agent yet, "
            "usually because they are still pulling the image."
        ),
        remedy=(
            "Nodes are counted by name, so the wait ends as soon as the last one is Ready. "
            "If it does not end, describe the node that is named, and check its Cilium pod."
        ),
        anchor="every-node-is-ready",
        commands=(
            "kubectl describe node <name>",
            "kubectl --namespace kube-system get pods --selector k8s-app=cilium --output wide",
        ),
    ),
    Row(
        id="FL-213",
        title="an unknown node registered",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "A machine has another hostname than talconfig.yaml says, or belongs to another "
            "cluster."
        ),
        remedy=(
            "Correct `hostname` in talconfig.yaml and apply the configuration, "
            "then delete the node with the old name."
        ),
        anchor="every-node-is-registered-under-its-own-name",
        commands=(NODES, "kubectl delete node <name>"),
    ),
    Row(
        id="FL-252",
        title="a node is cordoned",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation, talosctl health, a pod's PodScheduled condition",
        cause=(
            "Somebody cordoned or drained it, or Talos did, which it undoes after its reboot. "
            "New pods are not scheduled there."
        ),
        remedy="Uncordon it, unless somebody still works on it.",
        anchor="every-node-is-ready",
        commands=("kubectl uncordon <node>", NODES),
        patterns=(r"some nodes are not schedulable: |node\(s\) were unschedulable",),
    ),
    Row(
        id="FL-254",
        title="a node is not registered",
        failure_class=FailureClass.WAIT,
        where="the criterion's last observation",
        cause=(
            "Its machine is still booting, or its kubelet does not reach the cluster endpoint. "
            "If somebody deleted the node: a kubelet registers only once, when it starts."
        ),
        remedy="Check the machine's services, and restart its kubelet if the node was deleted.",
        anchor="every-node-is-registered-under-its-own-name",
        commands=(
            "talosctl --nodes <node> --endpoints <node> services",
            "talosctl --nodes <node> --endpoints <node> service kubelet restart",
        ),
    ),
    Row(
        id="FL-228",
        title="no node can run a pod",
        failure_class=FailureClass.WAIT,
        where="the pod's PodScheduled condition",
        cause=(
            "A node stays tainted until its Cilium agent runs. "
            "Otherwise, no node has room for the pod."
        ),
        remedy=(
            "The message names the taint or the resource. "
            "For `agent-not-ready` or `not-ready`, check Cilium first."
        ),
        anchor="release-runs",
        commands=(
            "kubectl --namespace <namespace> describe pod <pod>",
            "kubectl --namespace kube-system get pods --selector k8s-app=cilium --output wide",
        ),
        patterns=(r"Unschedulable: |\d+/\d+ nodes are available: ",),
    ),
    Row(
        id="FL-030",
        title="a registry limits pulls",
        failure_class=FailureClass.FATAL,
        where="a pod's events, helm",
        cause="Docker Hub counts anonymous pulls per address, and all nodes share one address.",
        remedy=(
            "Pull through a mirror: the machine configs name mirror.gcr.io for docker.io. "
            "Then wait until the limit has passed."
        ),
        anchor="release-runs",
        commands=(
            "kubectl --namespace <namespace> describe pod <pod>",
            "talosctl --nodes <node> --endpoints <node> ls /etc/cri/conf.d/hosts",
        ),
        # The API server limits requests with the same status; the lookbehind keeps that out.
        patterns=(
            r"toomanyrequests|pull rate limit",
            r"(?<!the API server said )(?<!the API server returned )429 Too Many Requests",
        ),
        said_by={"helm": r"toomanyrequests|429 Too Many Requests"},
    ),
    Row(
        id="FL-031",
        title="an image cannot be pulled",
        failure_class=FailureClass.RETRY,
        where="a pod's state",
        cause=(
            "The registry is slow, is unreachable from the node, or does not have the image. "
            "Cilium's image has taken a quarter of an hour."
        ),
        remedy=(
            "The pod's events say which. Slow: run the same command again. "
            "Not found: correct the version. Unreachable: check the node's outgoing connections."
        ),
        anchor="release-runs",
        commands=(
            "kubectl --namespace <namespace> describe pod <pod>",
            "talosctl --nodes <node> --endpoints <node> image pull <image>",
        ),
        patterns=(
            r"ErrImagePull|ImagePullBackOff|Back-off pulling image",
            r"failed to pull (and unpack )?image",
        ),
    ),
    Row(
        id="FL-226",
        title="kube-proxy runs next to Cilium",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="`cluster.proxy.disabled` was not set when the control plane was bootstrapped.",
        remedy=(
            "Set it in the control plane's patch, apply the configuration, and delete the "
            "DaemonSet."
        ),
        anchor="cilium-replaces-kube-proxy",
        commands=("kubectl --namespace kube-system delete daemonset kube-proxy",),
    ),
    Row(
        id="FL-026",
        title="the API server or the requested resource does not exist yet",
        failure_class=FailureClass.WAIT,
        where="kubectl",
        cause="The API server is still starting, or the nodes have not registered.",
        remedy=(
            "The run waits for it. If this lasts, check that the kubeconfig belongs to this "
            "cluster, "
            "and that the cluster endpoint answers."
        ),
        anchor="the-cluster-endpoint-answers-on-6443",
        commands=("kubectl version", NODES),
        patterns=(
            r"couldn't get current server API group list|error: no matching resources found",
        ),
        said_by={
            "kubectl": r"couldn't get current server API group list|no matching resources found"
        },
    ),
    Row(
        id="FL-211",
        title="the kubeconfig belongs to another cluster",
        failure_class=FailureClass.FATAL,
        where="kubectl, helm, the criterion's error",
        cause=(
            "The certificate authority in the kubeconfig is not the cluster's: "
            "the cluster was recreated, or the file belongs to another one."
        ),
        remedy="Generate it again. The new one replaces the file and the copy in 1Password.",
        anchor="kubeconfig-is-generated",
        commands=("./task talos:kubeconfig CLUSTER=<cluster> TARGET=<target>",),
        patterns=(r"CERTIFICATE_VERIFY_FAILED|Unable to connect to the server: (tls|x509): ",),
        said_by={
            "helm": (
                r"cluster unreachable: [^\n]*"
                r"(x509: |provide credentials|context \"[^\"]*\" does not exist)"
            ),
            "kubectl": r"x509: |provide credentials|context \"[^\"]*\" does not exist",
        },
    ),
    Row(
        id="FL-222",
        title="Pod Security rejects a pod",
        failure_class=FailureClass.FATAL,
        where="the events of the ReplicaSet, DaemonSet or Job",
        cause="Talos enforces the `baseline` standard in every namespace except kube-system.",
        remedy="Label the namespace if the pod is meant to have these privileges.",
        anchor="no-pod-fails",
        commands=(
            "kubectl label namespace <namespace> pod-security.kubernetes.io/enforce=privileged",
        ),
        patterns=(r"violates PodSecurity",),
    ),
    Row(
        id="FL-227",
        title="a container keeps crashing",
        failure_class=FailureClass.RETRY,
        where="a pod's state",
        cause="The program in the container exits; its log says why.",
        remedy="Read the log of the previous container.",
        anchor="no-pod-fails",
        commands=("kubectl --namespace <namespace> logs <pod> --all-containers --previous", EVENTS),
        patterns=(r"CrashLoopBackOff",),
    ),
    Row(
        id="FL-105",
        title="the bootstrap took more than 30 minutes",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause="Slow image pulls, network latency, or too few resources.",
        remedy=(
            "The report's timeline shows where the time went. "
            "Check that Spegel runs, so that nodes share their images."
        ),
        anchor="all-was-verified-within-30-minutes",
        commands=(EVENTS,),
    ),
    Row(
        id="FL-235",
        title="something reverts a change",
        failure_class=FailureClass.FATAL,
        where="the criterion's last observation",
        cause=(
            "Something that this run changed is no longer as it was: "
            "a person or a controller changed it in the meantime."
        ),
        remedy=(
            "The last observation names the action and the difference. "
            "Find out who changes it, and check Flux first."
        ),
        anchor="a-second-run-would-act-on-nothing",
        commands=(
            "./task bootstrap CLUSTER=<cluster> TARGET=<target> -- --plan",
            "flux events --all-namespaces",
        ),
    ),
)
