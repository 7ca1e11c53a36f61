"""The state of Cilium's agents, where the target has a datapath."""

from __future__ import annotations

from firstlight.checklist import Capability
from firstlight.diagnostics.archive import Entries, Omitted, output_of
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure

AGENT_STATUS = (
    *("--namespace", "kube-system", "exec", "daemonset/cilium", "--container", "cilium-agent"),
    *("--", "cilium-dbg", "status", "--verbose"),
)


def status(failure: Failure, _deadline: Deadline) -> Entries:
    """Yield the status of Cilium and of one agent."""
    if Capability.DATAPATH not in failure.target.capabilities:
        yield Omitted("cilium", failure.target.reasons[Capability.DATAPATH])
        return
    yield output_of("cilium/status.txt", *failure.cilium("status"))
    yield output_of("cilium/agent-status.txt", *failure.kubectl(*AGENT_STATUS))
