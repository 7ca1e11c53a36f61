"""An engine of the lab's own, where none answers: private in everything, so that nothing of the host changes, and gone with the lab."""

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
"""dockerd is there in two seconds; after a kill it first looks at every container again."""
_SOCKET_CHARS_MAX = 100
"""The kernel takes 107 characters for a socket's path; containerd adds some to ours."""
_PAUSE_S = 0.1


def engine_for(paths: LabPaths, host: Host, say: Callable[[str], None], clock: Clock) -> Engine:
    """Return an engine that answers: this computer's, else the lab's own, which is never left for another one.

    Raises:
        ToolMissing: There is no command line of Docker's.
        TargetError: There is none that can be used, and none can be started.
    """
    engine = None if folder(paths).exists() else find_engine()
    if engine is None:
        needed(paths, host, dict(os.environ))
        private_dir(paths.run)
        return start(paths, host, say, clock)
    if host.is_restricted:
        raise TargetError(
            f"cannot use Docker Engine {engine.version} on this computer: its root lacks CAP_SYS_RESOURCE, so privileged containers are refused",
            next_step="stop that engine; the lab then starts one of its own, whose runtime asks for no more than this computer grants",
        )
    return engine


def needed(paths: LabPaths, host: Host, environ: dict[str, str]) -> None:
    """Make sure that an engine of our own can be started here.

    Raises:
        TargetError: It cannot; the message says exactly what is missing.
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
            f"cannot find a container engine: none answers ({environ.get('DOCKER_HOST') or 'unix:///var/run/docker.sock'}), and {reason}",
            next_step="start Docker (20.10 or later) and let this user reach it; or as root install dockerd, containerd and runc (Debian: docker.io)",
        )
    if len(str(_socket(paths))) > _SOCKET_CHARS_MAX:
        raise TargetError(
            f"cannot start an engine below {paths.state}: the path is too long for a socket",
            next_step="set XDG_STATE_HOME to a shorter folder",
        )


def start(paths: LabPaths, host: Host, say: Callable[[str], None], clock: Clock) -> Engine:
    """Start the lab's engine, or find it running.

    Raises:
        TargetError: It does not come up; its log says why.
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
    """Describe the lab's engine: no bridge, no firewall rule, no forwarding of its own, and a containerd that nobody else has."""
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
    """Return the environment in which Docker's command line reaches the lab's engine, and no other one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    return {
        **kept,
        "DOCKER_HOST": f"unix://{_socket(paths)}",
        "DOCKER_CONFIG": str(folder(paths) / "client"),
    }


def folder(paths: LabPaths) -> Path:
    """Return where the lab's engine keeps everything."""
    return paths.state / "engine"


def cgroup(paths: LabPaths) -> str:
    """Return the control group that holds every container of the lab's engine."""
    return f"/firstlight-{paths.cluster}"


def remove_cgroups(paths: LabPaths, root: Path = Path("/sys/fs/cgroup")) -> None:
    """Remove the empty control groups that an engine leaves in every hierarchy."""
    name = cgroup(paths).lstrip("/")
    for top in [root / name, *root.glob(f"*/{name}")]:
        if top.is_dir():
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    group.rmdir()
            with suppress(OSError):
                top.rmdir()


def _clear_leftovers(paths: LabPaths) -> None:
    # After a kill the pid file names a process that may be anybody's by now, and dockerd would refuse to start.
    for name in ("dockerd.pid", "exec/containerd/containerd.pid"):
        (folder(paths) / name).unlink(missing_ok=True)


def _configuration(root: Path) -> Path:
    # An empty one: /etc/docker/daemon.json is another engine's.
    file = root / "daemon.json"
    if not file.exists():
        write_atomically(file, "{}\n", mode=0o644)
    return file


def _shim(root: Path) -> Path:
    program = Path(__file__).with_name("runc_shim.py")
    runc = shutil.which("runc", path=_path(os.environ)) or "runc"
    script = root / "restricted-runc"
    # Isolated: the engine's environment is no project's.
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(program))} {shlex.quote(runc)} "$@"\n'
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        write_atomically(script, text, mode=0o755)
    return script


def _socket(paths: LabPaths) -> Path:
    return folder(paths) / "docker.sock"


def _path(environ: dict[str, str] | os._Environ[str]) -> str:
    # runc and iptables are in places that an ordinary user's PATH leaves out.
    return f"{environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
