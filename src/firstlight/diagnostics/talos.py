"""The machines concerned: their services, and the logs of the unhealthy ones."""

from __future__ import annotations

from functools import partial

from firstlight.checklist import Capability
from firstlight.definition.model import Node, Role
from firstlight.diagnostics.archive import Answer, Entries, Entry, Omitted, output_of
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure
from firstlight.process import CommandResult
from firstlight.tools.concurrency import concurrently
from firstlight.tools.talosctl import parse_services

LOG_LINES = "200"

ALWAYS = ("machined", "kubelet")
"""Services whose logs explain why others do not start; on the control plane, etcd too."""


def machines(failure: Failure, deadline: Deadline) -> Entries:
    """Yield the state of each machine concerned; one that does not answer is asked only once."""
    if not failure.has_talos:
        yield Omitted("talos", failure.target.reasons[Capability.TALOS_API])
        return
    nodes = failure.nodes
    # Asked one after another, unreachable machines would use up all the time.
    answers = concurrently(
        partial(deadline.run, failure.talosctl(node, "services")) for node in nodes
    )
    for node, answer in zip(nodes, answers, strict=True):
        yield from _machine(failure, node, answer)
    for node in failure.cluster.nodes:
        if node not in nodes:
            yield Omitted(
                f"talos/{node.hostname}", "the errors name other machines, or enough of them"
            )


def _machine(failure: Failure, node: Node, answer: CommandResult) -> Entries:
    folder = f"talos/{node.hostname}"
    yield Entry(
        f"{folder}/services.txt",
        lambda _: Answer(
            f"$ {answer.command}", answer.stdout + answer.stderr, "" if answer.ok else "no answer"
        ),
    )
    if not answer.ok:
        yield Omitted(folder, "the machine did not list its services, so nothing else was asked")
        return
    yield output_of(
        f"{folder}/machinestatus.yaml",
        *failure.talosctl(node, "get", "machinestatus", "--output", "yaml"),
    )
    services = list(parse_services(answer.stdout))
    unhealthy = [
        one.name
        for one in services
        if one.health == "Fail" or one.state not in ("Running", "Finished")
    ]
    wanted = [*unhealthy, *ALWAYS, *(["etcd"] if node.role is Role.CONTROL_PLANE else [])]
    for name in dict.fromkeys(name for name in wanted if any(one.name == name for one in services)):
        yield output_of(
            f"{folder}/logs-{name}.txt", *failure.talosctl(node, "logs", name, "--tail", LOG_LINES)
        )
    yield output_of(f"{folder}/dmesg.txt", *failure.talosctl(node, "dmesg"))
