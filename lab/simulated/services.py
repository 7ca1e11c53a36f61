"""The lab's background services: start, restart when their inputs change, wait until ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstlight.clock import Clock
from firstlight.errors import TargetError
from lab.simulated import charts, ports, processes
from lab.simulated.addresses import GIT_PORT, Endpoints
from lab.simulated.machines import BINARY, digest_of
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener

READY_S = 30.0
"""The Git server is ready in 0.5 s, the machines in 2 s; ten times that under full load."""
STOP_S = 10.0
KILL_S = 5.0
_PAUSE_S = 0.02
_LOG_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Service:
    """A background service.

    Attributes:
        name: The name of the service and of its log.
        argv: Its command line.
        environment: Its whole environment, except for the mark.
        ready: The file that it writes when it listens; None if only its listeners show that.
        stamp: A digest of its inputs.
        listeners: Where it listens, sooner or later.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Path | None
    stamp: str
    listeners: tuple[Listener, ...]

    @property
    def essential(self) -> tuple[Listener, ...]:
        """The listeners that are open as soon as the service is ready."""
        return tuple(listener for listener in self.listeners if listener.essential)


def git_server(paths: LabPaths, lab: Endpoints) -> Service:
    """Return the Git server's service."""
    listener = Listener("the Git remote", str(lab.address), GIT_PORT)
    programs = [
        paths.checkout / "lab" / "simulated" / name for name in ("git_server.py", "faults.py")
    ]
    argv = (
        sys.executable,
        "-m",
        "lab.simulated.git_server",
        "--state",
        str(paths.state),
        "--address",
        listener.address,
        "--port",
        str(GIT_PORT),
    )
    stamp = digest_of([*programs, paths.git / "host_key.pub"], argv)
    return Service(
        "git-server",
        argv,
        process_environment(paths),
        paths.run / "git-server.ready",
        stamp,
        (listener,),
    )


def machines(paths: LabPaths, listeners: Sequence[Listener], configs: Sequence[Path]) -> Service:
    """Return the service of the simulated machines."""
    program = paths.tools / BINARY
    argv = (str(program), "--lab", str(paths.machines_config))
    stamp = digest_of(
        [program.resolve(), paths.machines_config, paths.charts / charts.MARK, *configs], argv
    )
    return Service(
        "machines",
        argv,
        process_environment(paths),
        paths.run / "machines.ready",
        stamp,
        tuple(listeners),
    )


def is_current(paths: LabPaths, service: Service) -> bool:
    """Report whether a service runs, is ready, and was started with the current inputs."""
    found = processes.running(paths, service.name)
    is_ready = service.ready.exists() if service.ready is not None else not _missing(service)
    return found is not None and found.stamp == service.stamp and is_ready


def begin(paths: LabPaths, service: Service, say: Callable[[str], None]) -> None:
    """Start a service. If it runs with other inputs, end it first.

    Raises:
        TargetError: Its address is taken, or the old process does not end.
    """
    found = processes.running(paths, service.name)
    old = {
        *processes.same_command(paths.state, service.argv),
        *([found.pid] if found is not None else []),
    }
    if old:
        say(f"{service.name}: restarting, because its inputs changed")
        left = processes.end(tuple(old), paths.state, terminate_s=STOP_S, kill_s=KILL_S)
        if left:
            raise TargetError(
                f"cannot restart {service.name}: process {left[0]} is still running after SIGKILL",
                next_step=f"./task simulated:down CLUSTER={paths.cluster}, then try again",
            )
    if service.ready is not None:
        service.ready.unlink(missing_ok=True)
    ports.require_free(paths, service.listeners)
    started = processes.start(
        paths, service.name, service.argv, service.environment, stamp=service.stamp
    )
    say(f"{service.name}: started, process {started.pid}")


def wait_until_ready(
    paths: LabPaths, service: Service, clock: Clock, *, budget_s: float = READY_S
) -> None:
    """Wait until a service reports that it is ready and its listeners answer.

    Raises:
        TargetError: It ended, or was not ready in time. The message holds the last observation.
    """
    deadline = clock.monotonic() + budget_s
    while True:
        last = _missing(service)
        if not last:
            return
        if processes.running(paths, service.name) is None:
            raise TargetError(
                f"cannot start {service.name}: it ended at once\n{_log_tail(paths, service.name)}",
                next_step=_logs(paths),
            )
        if clock.monotonic() > deadline:
            raise TargetError(
                f"cannot start {service.name}: not ready within {budget_s:.0f} s\n"
                f"  last seen {last}\n{_log_tail(paths, service.name)}",
                next_step=_logs(paths),
            )
        clock.sleep(_PAUSE_S)


def _missing(service: Service) -> str:
    if service.ready is not None and not service.ready.exists():
        return f"no {service.ready.name} yet"
    return next(
        (
            f"no answer on {listener} ({listener.name})"
            for listener in service.essential
            if not listener.answers()
        ),
        "",
    )


def _log_tail(paths: LabPaths, name: str) -> str:
    log = paths.logs / f"{name}.log"
    lines = (
        log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        if log.exists()
        else []
    )
    return "  log       " + "\n            ".join(lines or ["(empty)"])


def _logs(paths: LabPaths) -> str:
    return f"./task {paths.target}:logs CLUSTER={paths.cluster}"


def process_environment(paths: LabPaths) -> dict[str, str]:
    """Return the environment of a process of the lab."""
    outer = os.environ
    kept = {name: outer[name] for name in ("LANG", "LC_ALL", "TMPDIR", "TZ") if name in outer}
    return {
        **kept,
        "PATH": f"{paths.tools}:{outer.get('PATH', os.defpath)}",
        "HOME": str(paths.home),
        "PYTHONPATH": f"{paths.checkout}:{paths.checkout / 'src'}",
        "PYTHONUNBUFFERED": "1",
    }
