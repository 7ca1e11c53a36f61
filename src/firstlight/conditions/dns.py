"""Conditions of cluster DNS: every CoreDNS pod answers a question about a Service of the cluster, also one from another node."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.tools.dns import ask, parse_getent
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import DAEMON_SETS, NODES, PODS, SERVICES, Object, is_ready, name_of

NAME = "kubernetes.default.svc.cluster.local"
"""The API server's own Service: there is no cluster without it."""

LOOKUP_S = 60.0
"""One lookup from a pod of its own: made, started from an image that its node has, and gone in a few seconds."""


def dns_resolves(kubernetes: Kubernetes) -> Condition[tuple[str, ...]]:
    """Say when every ready CoreDNS pod resolves the API's Service; asked over TCP through the API server, so no image is needed."""

    def probe() -> Observation[tuple[str, ...]]:
        ready = [name_of(pod) for pod in _servers(kubernetes)]
        if not ready:
            return not_yet("no CoreDNS pod is ready")
        answers: dict[str, tuple[str, ...]] = {}
        for pod in ready:
            with kubernetes.port_forward("kube-system", pod, 53) as connection:
                answers[pod] = ask(connection, NAME)
        empty = sorted(pod for pod, addresses in answers.items() if not addresses)
        if empty:
            return not_yet(f"{empty[0]} does not know {NAME}")
        if len(set(answers.values())) > 1:
            return not_yet(f"CoreDNS pods disagree about {NAME}: {answers}")
        return holds(
            f"{len(ready)} CoreDNS pods resolve {NAME} to {', '.join(answers[ready[0]])}",
            answers[ready[0]],
        )

    return Condition(f"CoreDNS to resolve {NAME}", probe)


def dns_resolves_across_nodes(
    kubernetes: Kubernetes, kubectl: Kubectl
) -> Condition[Mapping[str, str]]:
    """Say when every CoreDNS pod answers a pod on another node; its value is which node asked each pod.

    The pods that ask are made for it, from the image that every node has already: Cilium's own.
    """

    def probe() -> Observation[Mapping[str, str]]:
        servers = _servers(kubernetes)
        api = kubernetes.get(SERVICES, "default", "kubernetes")
        cilium = kubernetes.get(DAEMON_SETS, "kube-system", "cilium")
        if not servers or api is None or cilium is None:
            return not_yet(
                "no CoreDNS pod is ready"
                if not servers
                else "the API's Service or Cilium's DaemonSet is not there"
            )
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
                return never("there is only one node: no other could ask")
            client = others[number % len(others)]
            how = f"{name_of(server)} on {server['spec']['nodeName']}, asked from {client}"
            result = kubectl.run_once(
                _client(f"firstlight-dns-{number}", client, image, server["status"]["podIP"]),
                timeout_s=LOOKUP_S,
            )
            if not result.ok:
                return not_yet(f"{how}: {result.said}")
            answer = parse_getent(result.stdout)
            if answer != (expected,):
                return not_yet(f"{how}: says {', '.join(answer) or 'nothing'}, not {expected}")
            asked[name_of(server)] = client
        lines = ", ".join(f"{server} from {client}" for server, client in asked.items())
        return holds(f"{NAME} is {expected}, asked of {lines}", asked)

    return Condition("CoreDNS to answer pods of other nodes", probe, passive=False)


def _servers(kubernetes: Kubernetes) -> list[Object]:
    pods, _ = kubernetes.list(PODS, namespace="kube-system", labels="k8s-app=kube-dns")
    return [pod for pod in pods if is_ready(pod)]


def _client(name: str, node: str, image: str, server: str) -> Object:
    """Return a pod on a node that asks one server a question, over the pod network and by the C library's own resolver."""
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
        # Named directly: which node asks is the point, and no taint is in the way.
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
