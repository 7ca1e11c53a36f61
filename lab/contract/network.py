"""A CNI for the machines of the contract: what Kubernetes sees of one. What lies behind it is each target's own."""

from __future__ import annotations

from pathlib import Path

import yaml

from firstlight.tools.process import run

_LABELS = {"k8s-app": "cilium"}
_APPLY_S = 60.0

# Simulated nodes take an agent of Cilium for their network. On real ones these pods are nothing but pods.
DAEMON_SET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "cilium", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": _LABELS},
        "template": {
            "metadata": {"labels": _LABELS},
            "spec": {
                "hostNetwork": True,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "agent", "image": "registry.k8s.io/pause:3.10.1"}],
            },
        },
    },
}


def apply_cni(kubectl: Path, kubeconfig: Path) -> None:
    """Have an agent on every node."""
    words: list[str | Path] = [kubectl, "--kubeconfig", kubeconfig, "apply", "--filename", "-"]
    run(words, timeout_s=_APPLY_S, input=yaml.safe_dump(DAEMON_SET)).raise_on_failure("give the machines of the contract a network")
