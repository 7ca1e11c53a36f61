"""Condition of cluster DNS: every CoreDNS pod answers a question about a Service of the cluster."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.tools.dns import ask
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import PODS, condition_of, name_of

NAME = "kubernetes.default.svc.cluster.local"
"""The API server's own Service: there is no cluster without it."""


def dns_resolves(kubernetes: Kubernetes) -> Condition[tuple[str, ...]]:
    """Say when every ready CoreDNS pod resolves the API's Service; asked over TCP through the API server, so no image is needed."""

    def probe() -> Observation[tuple[str, ...]]:
        pods, _ = kubernetes.list(PODS, namespace="kube-system", labels="k8s-app=kube-dns")
        ready = [name_of(pod) for pod in pods if condition_of(pod, "Ready").get("status") == "True"]
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
        return holds(f"{len(ready)} CoreDNS pods resolve {NAME} to {', '.join(answers[ready[0]])}", answers[ready[0]])

    return Condition(f"CoreDNS to resolve {NAME}", probe)
