"""Observe a lab from outside: processes, listeners, bootstrap state and logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from firstlight.errors import TargetError
from lab.simulated import description, machines, processes
from lab.simulated.addresses import GIT_PORT
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener

SERVICES = ("git-server", "machines")
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Status:
    """The observed state of a lab.

    Attributes:
        is_up: Whether all services run and all essential listeners answer.
        lines: The same as a table for people.
    """

    is_up: bool
    lines: tuple[str, ...]


def observe(paths: LabPaths) -> Status:
    """Observe a lab without changing anything."""
    found = {name: processes.running(paths, name) for name in SERVICES}
    listeners = _listeners(paths)
    with ThreadPoolExecutor(max_workers=len(listeners) or 1) as pool:
        answers = dict(zip(listeners, pool.map(Listener.answers, listeners), strict=True))
    essential = [answer for listener, answer in answers.items() if listener.essential]
    is_up = all(found.values()) and bool(essential) and all(essential)
    others = len(list(processes.marked(paths.state))) - sum(
        1 for service in found.values() if service is not None
    )
    lines = [
        f"lab of {paths.cluster}: {'up' if is_up else 'down'}",
        f"  state      {paths.state}{'' if paths.state.exists() else ' (does not exist)'}",
        f"  owner      {description.owner_line(paths)}",
    ]
    for name, service in found.items():
        lines.append(
            f"  process    {name:<12} "
            f"{f'{service.pid} since {service.since}' if service else 'not running'}"
        )
    lines.append(f"  process    {'others':<12} {others}")
    lines += [
        f"  listener   {listener!s:<20} {_answer(listener, answer):<12} {listener.name}"
        for listener, answer in answers.items()
    ]
    if paths.state.exists():
        lines.append(f"  bootstrap  {'done' if is_bootstrapped(paths) else 'not yet'}")
    return Status(is_up, tuple(lines))


def is_bootstrapped(paths: LabPaths) -> bool:
    """Report whether the machines have recorded a bootstrap."""
    try:
        return bool(json.loads(paths.machines_state.read_text(encoding="utf-8"))["etcd_clusters"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def tails(paths: LabPaths, name: str = "", lines: int = _TAIL_LINES) -> Iterator[str]:
    """Yield each log's path and its last lines.

    Raises:
        TargetError: The log does not exist.
    """
    logs = [log for log in _logs(paths) if log.stem == name or not name]
    if not logs:
        known = ", ".join(log.stem for log in _logs(paths)) or "none"
        raise TargetError(
            f"cannot show logs of {paths.cluster}: "
            f"{f'no log is called {name}' if name else 'no logs yet'}\n  known     {known}"
        )
    for log in logs:
        yield f"==> {log}"
        yield from _last_lines(log, lines)


def _listeners(paths: LabPaths) -> tuple[Listener, ...]:
    try:
        data = json.loads(paths.machines_config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return (
        Listener("the Git remote", str(data["lab_address"]), GIT_PORT),
        *machines.listeners(data),
    )


def _answer(listener: Listener, answers: bool) -> str:
    if answers:
        return "answers"
    return "MISSING" if listener.essential else "silent"


def _logs(paths: LabPaths) -> list[Path]:
    folders = (paths.logs, paths.state / "kwok")
    found = [log for folder in folders for log in folder.rglob("*.log")]
    return sorted(
        [
            *found,
            *(
                paths.state / name
                for name in ("audit.log", "talos-calls.jsonl")
                if (paths.state / name).exists()
            ),
        ]
    )


def _last_lines(log: Path, lines: int) -> list[str]:
    with log.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return stream.read().decode(errors="replace").splitlines()[-lines:] if lines else []
