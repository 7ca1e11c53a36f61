"""What a run's events, the reference script's times and an audit log say about time."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

READS = ("get", "list", "watch")
SUITE = "OpenAPI-Generator/"
"""How the user agent of the suite's Kubernetes client starts."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time: a stage, a command, or a wait.

    Attributes:
        name: The stage, the program, or the condition.
        begin_s: Its begin, in seconds since the epoch.
        end_s: Its end.
    """

    name: str
    begin_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class Figures:
    """One measured run of either contestant; all durations in seconds.

    Attributes:
        wall_s: The whole command, with the lab.
        lab_s: Bringing up the lab.
        bootstrap_s: From the first action until everything was verified.
        stages: Per stage of the checklist.
        processes: The number of commands that were run.
        tools: Per program, the sum of its commands; concurrent ones count each.
        tools_s: How long at least one command was running.
        cluster_s: How long there was only a wait for the cluster.
        own_s: The rest of the wall clock, without the lab.
        cpu_s: Processor time of the command and everything that it waited for.
        own_cpu_s: Processor time of the suite's own process, 0 for the script.
        memory_mib: The largest resident size of the suite's own process, 0 for the script.
        delays_ms: Per wait, how long after the API server knew it a condition was seen.
    """

    wall_s: float
    lab_s: float
    bootstrap_s: float
    stages: Mapping[str, float]
    processes: int
    tools: Mapping[str, float]
    tools_s: float
    cluster_s: float
    own_s: float
    cpu_s: float
    own_cpu_s: float = 0.0
    memory_mib: int = 0
    delays_ms: Sequence[float] = field(default_factory=tuple)


def figures_of_run(
    lines: Sequence[Mapping[str, Any]],
    audit: Iterable[Mapping[str, Any]],
    *,
    wall_s: float,
    lab_s: float,
    cpu_s: float,
) -> Figures:
    """Return the figures of a run from its recorded events."""
    commands = [_span(line, line["command"].split()[0]) for line in _of(lines, "CommandEnded")]
    waits = [_span(line, line["condition"]) for line in _of(lines, "WaitEnded")]
    begun = {line["id"]: line["at_s"] for line in _of(lines, "CriterionStarted")}
    stage_of = next(iter(_of(lines, "RunStarted")))["stages"]
    stages: dict[str, float] = defaultdict(float)
    for line in _of(lines, "CriterionEnded"):
        stages[stage_of[line["id"]]] += line["at_s"] - begun[line["id"]]
    ended = next(iter(_of(lines, "RunEnded")), {})
    used = next(iter(_of(lines, "Used")), {})
    waited = [
        _span(line, line["condition"])
        for line in _of(lines, "WaitEnded")
        if line["ok"] and line["attempts"] > 1
    ]
    return _figures(
        commands,
        waits,
        wall_s=wall_s,
        lab_s=lab_s,
        cpu_s=cpu_s,
        stages=dict(stages),
        bootstrap_s=float(ended.get("verified_after_s") or 0.0),
        own_cpu_s=float(used.get("cpu_s", 0.0)),
        memory_mib=int(used.get("memory_mib", 0)),
        delays_ms=delays_ms(waited, audit),
    )


def figures_of_reference(
    lines: Iterable[str], *, wall_s: float, lab_s: float, cpu_s: float
) -> Figures:
    """Return the figures of the reference script from its own times; `wall_s` includes the lab."""
    spans: dict[str, list[Span]] = defaultdict(list)
    for kind, name, begin, took in (line.split() for line in lines):
        spans[kind].append(Span(name, float(begin), float(begin) + float(took)))
    stages = {span.name: span.seconds for span in spans["stage"]}
    return _figures(
        spans["command"],
        spans["asleep"],
        wall_s=wall_s,
        lab_s=lab_s,
        cpu_s=cpu_s,
        stages=stages,
        bootstrap_s=sum(stages.values()),
    )


def delays_ms(waits: Iterable[Span], audit: Iterable[Mapping[str, Any]]) -> tuple[float, ...]:
    """Return how long after the API server knew it each condition was seen, in milliseconds.

    A wait that was watching ended because of the last write to a kind that it watched. Waits that
    only run tools have no such write, and are left out.
    """
    events = list(audit)
    watches = [event for event in events if _by_suite(event) and event["verb"] == "watch"]
    writes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        reference = event.get("objectRef") or {}
        if event["verb"] not in READS and event["responseStatus"].get("code", 500) < 300:  # noqa: PLR2004
            namespace = reference.get("namespace", "")
            for place in {namespace, ""}:
                writes[reference.get("resource", ""), place].append(_seconds(event))
    found = []
    for wait in waits:
        kinds = {
            (event["objectRef"]["resource"], event["objectRef"].get("namespace", ""))
            for event in watches
            if wait.begin_s <= _seconds(event) <= wait.end_s
        }
        known = [at for kind in kinds for at in writes[kind] if wait.begin_s <= at <= wait.end_s]
        if known:
            found.append((wait.end_s - max(known)) * 1000)
    return tuple(found)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def covered_s(spans: Iterable[Span]) -> float:
    """Return how long at least one of these spans lasted, in seconds."""
    total, until = 0.0, -math.inf
    for span in sorted(spans, key=lambda span: span.begin_s):
        total += max(0.0, span.end_s - max(span.begin_s, until))
        until = max(until, span.end_s)
    return total


def read_audit(text: Iterable[str]) -> list[Mapping[str, Any]]:
    """Read the lines of an audit log that a figure is made of: writes, and the suite's requests."""
    events: list[Mapping[str, Any]] = []
    for line in text:
        event = json.loads(line)
        if event["stage"] == "ResponseComplete" and (
            event["verb"] not in READS or _by_suite(event)
        ):
            events.append(event)
    return events


def _figures(commands: Sequence[Span], waits: Sequence[Span], **known: Any) -> Figures:
    tools: dict[str, float] = defaultdict(float)
    for command in commands:
        tools[command.name] += command.seconds
    tools_s = covered_s(commands)
    busy_s = covered_s((*commands, *waits))
    return Figures(
        processes=len(commands),
        tools=dict(sorted(tools.items(), key=lambda item: -item[1])),
        tools_s=tools_s,
        cluster_s=busy_s - tools_s,
        own_s=known["wall_s"] - known["lab_s"] - busy_s,
        **known,
    )


def _span(line: Mapping[str, Any], name: str) -> Span:
    return Span(name, line["at_s"] - line["elapsed_s"], line["at_s"])


def _of(lines: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def _by_suite(event: Mapping[str, Any]) -> bool:
    return str(event.get("userAgent", "")).startswith(SUITE)


def _seconds(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()
