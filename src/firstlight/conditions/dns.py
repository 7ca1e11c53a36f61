"""Condition of cluster DNS: a lookup inside the cluster answers."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import PODS, Kubernetes, condition_of, name_of

NAME = "kubernetes.default.svc.cluster.local"


def dns_resolves(kubernetes: Kubernetes, kubectl: Kubectl) -> Condition[str]:
    """Say when a Cilium agent pod on every node resolves the API's own Service through the cluster's DNS Service."""

    def probe() -> Observation[str]:
        service = kubectl.jsonpath("service", "kube-system", "kube-dns", "{.spec.clusterIP}")
        if not service:
            return not_yet("Service kube-system/kube-dns has no address")
        pods, _ = kubernetes.list(PODS, namespace="kube-system", labels="k8s-app=cilium")
        ready = [pod for pod in pods if condition_of(pod, "Ready").get("status") == "True"]
        if not ready:
            return not_yet("no Cilium agent is ready to ask from")
        for pod in ready:
            # The agent's own image has no nslookup; its Go resolver asks the server that it is told.
            answer = kubectl.exec("kube-system", name_of(pod), "cilium-agent", ["getent", "hosts", NAME])
            if not answer.ok:
                node = pod["spec"].get("nodeName", "?")
                return not_yet(f"{NAME} does not resolve on {node}: {answer.output_tail[-1] if answer.output_tail else 'no answer'}")
        return holds(f"{NAME} resolves on {len(ready)} nodes through {service}", service)

    return Condition(f"{NAME} to resolve", probe)
