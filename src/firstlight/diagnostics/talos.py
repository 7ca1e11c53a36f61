"""The machines concerned: their services, and the logs of those that are not well."""

from __future__ import annotations

from functools import partial

from firstlight.checklist import Capability
from firstlight.definition.model import Node, Role
from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Answer, Found, Piece, asking
from firstlight.process import CommandResult
from firstlight.tools.concurrency import together
from firstlight.tools.talosctl import parse_services

LOG_LINES = "200"

ALWAYS = ("machined", "kubelet")
"""Services whose logs say why others do not come; on the control plane etcd, too."""


def machines(failure: Failure, looking: Looking) -> Found:
    """Yield what each machine concerned says of itself; one that does not answer is asked once."""
    if not failure.has_talos:
        yield Absent("talos", failure.target.reasons[Capability.TALOS_API])
        return
    nodes = failure.nodes
    # One after another, machines that are silent would use up all the time.
    answers = together(partial(looking.ask, failure.talosctl(node, "services")) for node in nodes)
    for node, answer in zip(nodes, answers, strict=True):
        yield from _machine(failure, node, answer)
    for node in failure.cluster.nodes:
        if node not in nodes:
            yield Absent(
                f"talos/{node.hostname}", "the errors name other machines, or enough of them"
            )


def _machine(failure: Failure, node: Node, answer: CommandResult) -> Found:
    folder = f"talos/{node.hostname}"
    yield Piece(
        f"{folder}/services.txt",
        lambda _: Answer(
            f"$ {answer.command}", answer.stdout + answer.stderr, "" if answer.ok else "no answer"
        ),
    )
    if not answer.ok:
        yield Absent(
            folder,
            "the machine does not say which services it has, so nothing else was asked of it",
        )
        return
    yield asking(
        f"{folder}/machinestatus.yaml",
        *failure.talosctl(node, "get", "machinestatus", "--output", "yaml"),
    )
    services = list(parse_services(answer.stdout))
    unwell = [
        one.name
        for one in services
        if one.health == "Fail" or one.state not in ("Running", "Finished")
    ]
    wanted = [*unwell, *ALWAYS, *(["etcd"] if node.role is Role.CONTROL_PLANE else [])]
    for name in dict.fromkeys(name for name in wanted if any(one.name == name for one in services)):
        yield asking(
            f"{folder}/logs-{name}.txt", *failure.talosctl(node, "logs", name, "--tail", LOG_LINES)
        )
    yield asking(f"{folder}/dmesg.txt", *failure.talosctl(node, "dmesg"))
