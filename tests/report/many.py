"""The stream of a run on hundreds of machines, with commands and observations of each one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from firstlight.events import (
    CommandEnded,
    CommandStarted,
    CriterionEnded,
    CriterionStarted,
    Event,
    Observed,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
    WaitEnded,
    WaitStarted,
)
from tests.report.streams import RESUME, START, info

PER_MACHINE = 6
"""How many criteria check every machine: config, API, stage, link, clock and services."""

CRITERIA = tuple(
    info(
        f"criterion-{number}",
        "00-preflight" if number < 16 else "40-apps",
        ("AC1",),
        f"criterion {number} holds",
    )
    for number in range(70)
)


def run_on(machines: int, *, unwell: int | None = None) -> Iterator[Stamped]:
    """Yield a run; if a machine is unwell, it does not answer to the second criterion."""
    names = [f"infra-worker-{number}" for number in range(machines)]
    for number, event in enumerate(_events(names, unwell)):
        at_s = number * 0.01
        yield Stamped(
            (START + timedelta(seconds=at_s)).isoformat(timespec="milliseconds"), at_s, event
        )


def _events(names: list[str], unwell: int | None) -> Iterator[Event]:
    nodes = tuple((name, "worker", "10.25.8.10") for name in names)
    yield RunStarted(
        "0123456789ab",
        "infra",
        "nodes",
        "main@2ffc5d3",
        CRITERIA,
        (),
        (),
        1800.0,
        RESUME,
        nodes=nodes,
    )
    for place, one in enumerate(CRITERIA):
        yield CriterionStarted(one.id)
        asked = names if place < PER_MACHINE else names[:6]
        fails = unwell if place == 1 else None
        for number, name in enumerate(asked):
            yield from _asked(one.id, name, well=number != fails)
        if fails is not None:
            error = f"cannot confirm {names[fails]} to answer on port 50000: not so within 60 s"
            yield CriterionEnded(one.id, Verdict.NOT_READY, 0.0, 60.0, "no answer", error)
            break
        evidence = tuple(
            (f"{name} to answer on port 50000", f"{name} runs Talos v1.12.0") for name in asked
        )
        yield CriterionEnded(one.id, Verdict.MET, 0.0, 4.0, evidence[-1][1], evidence=evidence)
    yield RunEnded(0 if unwell is None else 1, interrupted=False)


def _asked(criterion: str, name: str, *, well: bool) -> Iterator[Event]:
    condition = f"{name} to answer on port 50000"
    talosconfig = "/home/operator/k8s-ops/clusters/infra/talos/clusterconfig/talosconfig"
    command = f"talosctl --talosconfig {talosconfig} --nodes {name} version --short"
    yield WaitStarted(criterion, condition, 60.0)
    yield CommandStarted(criterion, command, changes=False)
    said = (
        ("Client:", "Talos v1.12.0", "Server:", "    NODE: 10.25.8.10", "    Tag:  v1.12.0")
        if well
        else ("rpc error: connection refused",)
    )
    yield CommandEnded(criterion, command, 0 if well else 1, 0.1, said, changes=False)
    seen = f"{name} runs Talos v1.12.0" if well else "connection refused"
    yield Observed(criterion, condition, seen, 0.1)
    yield WaitEnded(criterion, condition, well, 0.1, seen, 1)
