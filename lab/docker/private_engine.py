"""A container engine of the lab's own, for a host where none answers.

It shares nothing with the host, so it changes nothing there, and it is removed with the lab.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from firstlight.clock import Clock
from firstlight.errors import TargetError
from firstlight.files import write_atomically
from lab.docker.engine import Engine, ask, find_engine
from lab.docker.host import Host
from lab.simulated import processes, services
from lab.simulated.machines import digest_of
from lab.simulated.paths import LabPaths, private_dir
from lab.simulated.services import Service

NAME = "engine"
START_S = 60.0
"""dockerd starts in two seconds; after a kill it first restores every container."""
_SOCKET_CHARS_MAX = 100
"""The kernel limits a socket's path to 107 characters, and containerd appends to ours."""
_PAUSE_S = 0.1


def engine_for(paths: LabPaths, host: Host, say: Callable[[str], None], clock: Clock) -> Engine:
    """Return an engine that answers: this host's, else the lab's own.

    A lab that has its own engine keeps it.

    Raises:
        ToolMissing: Docker's command line is missing.
        TargetError: No engine is usable, and none can be started.
    """
    engine = None if folder(paths).exists() else find_engine()
    if engine is None:
        require_startable(paths, host, dict(os.environ))
        private_dir(paths.run)
        return start(paths, host, say, clock)
    if host.is_restricted:
        raise TargetError(
            f"cannot use Docker Engine {engine.version} on this computer: its root lacks "
            "CAP_SYS_RESOURCE, so privileged containers are refused",
            next_step="stop that engine; the lab then starts its own, whose runtime asks for no "
            "more than this computer grants",
        )
    return engine


def require_startable(paths: LabPaths, host: Host, environ: dict[str, str]) -> None:
    """Make sure that the lab's own engine can be started here.

    Raises:
        TargetError: It cannot; the message says what is missing.
    """
    missing = [
        name
        for name in ("dockerd", "containerd", "runc")
        if shutil.which(name, path=_path(environ)) is None
    ]
    if not host.is_root or missing:
        reason = (
            f"{', '.join(missing)} not installed"
            if missing
            else "only root can start one for the lab"
        )
        raise TargetError(
            "cannot find a container engine: none answers "
            f"({environ.get('DOCKER_HOST') or 'unix:///var/run/docker.sock'}), and {reason}",
            next_step="start Docker (20.10 or later) and give this user access; or, as root, "
            "install dockerd, containerd and runc (Debian: docker.io)",
        )
    if len(str(_socket(paths))) > _SOCKET_CHARS_MAX:
        raise TargetError(
            f"cannot start an engine below {paths.state}: the path is too long for a socket",
            next_step="set XDG_STATE_HOME to a shorter folder",
        )


def start(paths: LabPaths, host: Host, say: Callable[[str], None], clock: Clock) -> Engine:
    """Start the lab's engine unless it is running.

    Raises:
        TargetError: It does not start; the message holds the end of its log.
    """
    service = describe(paths, host)
    if processes.running(paths, NAME) is None:
        _clear_leftovers(paths)
        services.begin(paths, service, say)
    deadline = clock.monotonic() + START_S
    while (engine := ask(client_environment(paths), is_ours=True)) is None:
        if processes.running(paths, NAME) is None or clock.monotonic() > deadline:
            log = paths.logs / f"{NAME}.log"
            tail = (
                log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
                if log.exists()
                else []
            )
            raise TargetError(
                "cannot start the lab's engine: dockerd does not answer\n  log       "
                + "\n            ".join(tail),
                next_step=f"see {log}",
            )
        clock.sleep(_PAUSE_S)
    return engine


def describe(paths: LabPaths, host: Host) -> Service:
    """Return the lab's engine: no bridge, no firewall rules, no forwarding, its own containerd."""
    root = private_dir(folder(paths))
    argv = [
        "dockerd",
        "--host",
        f"unix://{_socket(paths)}",
        "--data-root",
        str(root / "data"),
        "--exec-root",
        str(root / "exec"),
        "--pidfile",
        str(root / "dockerd.pid"),
        "--config-file",
        str(_configuration(root)),
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--userland-proxy=false",
        "--cgroup-parent",
        cgroup(paths),
    ]
    if host.is_restricted:
        argv += ["--add-runtime", f"restricted={_shim(root)}", "--default-runtime", "restricted"]
    environment = {
        "PATH": _path(os.environ),
        "HOME": str(paths.home),
        "TMPDIR": str(private_dir(root / "tmp")),
    }
    return Service(NAME, tuple(argv), environment, root / "dockerd.pid", digest_of([], argv), ())


def client_environment(paths: LabPaths) -> dict[str, str]:
    """Return the environment in which Docker's command line reaches only the lab's engine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    return {
        **kept,
        "DOCKER_HOST": f"unix://{_socket(paths)}",
        "DOCKER_CONFIG": str(folder(paths) / "client"),
    }


def folder(paths: LabPaths) -> Path:
    """Return the folder that holds everything of the lab's engine."""
    return paths.state / "engine"


def cgroup(paths: LabPaths) -> str:
    """Return the control group of all containers of the lab's engine."""
    return f"/firstlight-{paths.cluster}"


def remove_cgroups(paths: LabPaths, root: Path = Path("/sys/fs/cgroup")) -> None:
    """Remove the empty control groups that an engine leaves behind in every hierarchy."""
    name = cgroup(paths).lstrip("/")
    for top in [root / name, *root.glob(f"*/{name}")]:
        if top.is_dir():
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    group.rmdir()
            with suppress(OSError):
                top.rmdir()


def _clear_leftovers(paths: LabPaths) -> None:
    # After a kill, the pid may belong to any process by now, and dockerd would refuse to start.
    for name in ("dockerd.pid", "exec/containerd/containerd.pid"):
        (folder(paths) / name).unlink(missing_ok=True)


def _configuration(root: Path) -> Path:
    # An empty configuration: /etc/docker/daemon.json belongs to another engine.
    file = root / "daemon.json"
    if not file.exists():
        write_atomically(file, "{}\n", mode=0o644)
    return file


def _shim(root: Path) -> Path:
    program = Path(__file__).with_name("runc_shim.py")
    runc = shutil.which("runc", path=_path(os.environ)) or "runc"
    script = root / "restricted-runc"
    # Isolated (-I), because the engine's environment is not the project's.
    words = shlex.join([sys.executable, "-I", str(program), runc])
    text = f'#!/bin/sh\nexec {words} "$@"\n'
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        write_atomically(script, text, mode=0o755)
    return script


def _socket(paths: LabPaths) -> Path:
    return folder(paths) / "docker.sock"


def _path(environ: dict[str, str] | os._Environ[str]) -> str:
    # runc and iptables are in folders that an ordinary user's PATH lacks.
    return f"{environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
