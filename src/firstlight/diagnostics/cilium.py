"""Cilium's own view of its datapath, where there is one."""

from __future__ import annotations

from firstlight.checklist import Capability
from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Found, asking


def status(failure: Failure, _looking: Looking) -> Found:
    """Yield what the agents say of themselves."""
    if Capability.DATAPATH not in failure.target.capabilities:
        yield Absent("cilium", failure.target.reasons[Capability.DATAPATH])
        return
    yield asking("cilium/status.txt", *failure.cilium("status"))
    words = (
        "--namespace",
        "kube-system",
        "exec",
        "daemonset/cilium",
        "--container",
        "cilium-agent",
        "--",
        "cilium-dbg",
        "status",
        "--verbose",
    )
    yield asking("cilium/agent-status.txt", *failure.kubectl(*words))
