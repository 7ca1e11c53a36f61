"""Conditions of cluster DNS: every CoreDNS pod resolves a Service, also for other nodes."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.tools.dns import ask, parse_getent
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import DAEMON_SETS, NODES, PODS, SERVICES, Object, is_ready, name_of

NAME = "kubernetes.default.svc.cluster.local"
"""The API server's own Service, which every cluster has."""

NO_NAMES = "FL-103"
"""The row of the failure catalogue for a CoreDNS that does not resolve names."""

LOOKUP_S = 60.0
"""One lookup from its own pod, which starts from an image on the node and takes seconds."""


def coredns_resolves(kubernetes: Kubernetes) -> Condition[tuple[str, ...]]:
    """Wait until every ready CoreDNS pod resolves the API's Service.

    The query goes over TCP through the API server, so no image is needed.
    """

    def probe() -> Observation[tuple[str, ...]]:
        ready = [name_of(pod) for pod in _servers(kubernetes)]
        if not ready:
            return not_yet("no CoreDNS pod is ready", rows=(NO_NAMES,))
        answers: dict[str, tuple[str, ...]] = {}
        for pod in ready:
            with kubernetes.port_forward("kube-system", pod, 53) as connection:
                answers[pod] = ask(connection, NAME)
        empty = sorted(pod for pod, addresses in answers.items() if not addresses)
        if empty:
            return not_yet(f"{empty[0]} does not know {NAME}", rows=(NO_NAMES,))
        if len(set(answers.values())) > 1:
            return not_yet(f"CoreDNS pods disagree about {NAME}: {answers}", rows=(NO_NAMES,))
        return holds(
            f"{len(ready)} CoreDNS pods resolve {NAME} to {', '.join(answers[ready[0]])}",
            answers[ready[0]],
        )

    return Condition(f"CoreDNS to resolve {NAME}", probe)


def coredns_answers_across_nodes(
    kubernetes: Kubernetes, kubectl: Kubectl
) -> Condition[Mapping[str, str]]:
    """Wait until every CoreDNS pod answers a pod on another node; the value is which node asked.

    The client pods are created for this from Cilium's image, which every node has.
    """

    def probe() -> Observation[Mapping[str, str]]:
        servers = _servers(kubernetes)
        api = kubernetes.get(SERVICES, "default", "kubernetes")
        cilium = kubernetes.get(DAEMON_SETS, "kube-system", "cilium")
        if not servers or api is None or cilium is None:
            if not servers:
                return not_yet("no CoreDNS pod is ready", rows=(NO_NAMES,))
            return not_yet("the API's Service or Cilium's DaemonSet does not exist")
        nodes, _ = kubernetes.list(NODES)
        image, expected = (
            cilium["spec"]["template"]["spec"]["containers"][0]["image"],
            api["spec"]["clusterIP"],
        )
        asked: dict[str, str] = {}
        for number, server in enumerate(servers):
            others = sorted(
                name_of(node) for node in nodes if name_of(node) != server["spec"]["nodeName"]
            )
            if not others:
                return never("the cluster has only one node, so no other node can ask")
            client = others[number % len(others)]
            how = f"{name_of(server)} on {server['spec']['nodeName']}, asked from {client}"
            result = kubectl.run_pod(
                _client(f"firstlight-dns-{number}", client, image, server["status"]["podIP"]),
                timeout_s=LOOKUP_S,
            )
            if not result.ok:
                return not_yet(f"{how}: {result.last_line}")
            answer = parse_getent(result.stdout)
            if answer != (expected,):
                found = ", ".join(answer) or "nothing"
                return not_yet(f"{how}: answers {found}, not {expected}")
            asked[name_of(server)] = client
        lines = ", ".join(f"{server} asked from {client}" for server, client in asked.items())
        return holds(f"{NAME} is {expected}, according to {lines}", asked)

    return Condition("CoreDNS to answer pods of other nodes", probe, passive=False)


def _servers(kubernetes: Kubernetes) -> list[Object]:
    pods, _ = kubernetes.list(PODS, namespace="kube-system", labels="k8s-app=kube-dns")
    return [pod for pod in pods if is_ready(pod)]


def _client(name: str, node: str, image: str, server: str) -> Object:
    """Return a pod that queries one server from a node, over the pod network.

    It uses the C library's resolver, as applications do.
    """
    container = {
        "name": "client",
        "image": image,
        "command": ["getent", "ahostsv4", NAME],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {
        # Set directly, because the node matters, and to bypass taints.
        "nodeName": node,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(LOOKUP_S),
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": [server]},
        "containers": [container],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
