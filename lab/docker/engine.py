"""The container engine, by way of Docker's command line: the one place that knows its words."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.errors import TargetError, ToolMissing
from firstlight.masking import Masker
from firstlight.process import CommandResult, run

API_MIN = (1, 41)
"""Docker Engine 20.10: the first whose API can give a container a control group namespace of its own."""

CALL_S = 60.0
"""The engine answers in tenths of a second; removing a container whose processes do not end takes ten."""

_TOO_NEW = re.compile(
    r"client version (\S+) is too new\. Maximum supported API version is (\d+\.\d+)"
)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers.

    Attributes:
        environment: What its command line needs to reach it.
        version: The engine's own version.
        is_ours: Whether the lab started it for itself.
    """

    environment: Mapping[str, str]
    version: str
    is_ours: bool

    def call(
        self,
        *words: str,
        timeout_s: float = CALL_S,
        secret_environment: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run one command of Docker's; the caller judges the answer.

        Args:
            words: What follows `docker`.
            timeout_s: How long it may take.
            secret_environment: Variables that the command hands on by name, so that their values are in no argument list.
        """
        environment = {**self.environment, **(secret_environment or {})}
        return run(
            ["docker", *words],
            timeout_s=timeout_s,
            env=environment,
            mask=Masker((secret_environment or {}).values()),
        )

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the engine knows of these objects; what does not exist is left out."""
        if not names:
            return []
        result = self.call(kind, "inspect", *names)
        # It lists what it found, and fails for what it did not find.
        found: list[dict[str, Any]] = json.loads(result.stdout or "[]")
        return found

    def labelled(self, kind: str, label: str) -> list[str]:
        """Return the ids of all objects of a kind that carry a label."""
        words = [
            kind,
            "ls",
            "--quiet",
            "--filter",
            f"label={label}",
            *(["--all"] if kind == "container" else []),
        ]
        return self.call(*words).raise_on_failure(f"list the lab's {kind}s").stdout.split()

    def containers(self, label: str) -> list[dict[str, Any]]:
        """Return the inspection of each container that carries a label, running or not."""
        return self.inspect("container", self.labelled("container", label))


def find_engine(environ: Mapping[str, str] = os.environ) -> Engine | None:
    """Return the engine that Docker's command line reaches by itself, or none when nothing answers.

    Raises:
        ToolMissing: There is no command line.
        TargetError: An engine answers that cannot do what is needed; the message says what that is.
    """
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise ToolMissing(
            "docker",
            next_step="install Docker's command line, 20.10 or later (Debian: apt install docker.io)",
        )
    return ask(dict(environ), is_ours=False)


def ask(environment: Mapping[str, str], *, is_ours: bool) -> Engine | None:
    """Ask an engine who it is; none when nothing answers.

    Raises:
        TargetError: It is too old, or no Linux engine.
    """
    environment = dict(environment)
    words = ["docker", "version", "--format", "{{json .Server}}"]
    result = run(words, timeout_s=CALL_S, env=environment)
    if found := _TOO_NEW.search(result.stderr):
        # Clients of some versions do not step down by themselves.
        environment["DOCKER_API_VERSION"] = found.group(2)
        result = run(words, timeout_s=CALL_S, env=environment)
    try:
        server = json.loads(result.stdout)
        api = tuple(int(part) for part in str(server["ApiVersion"]).split("."))
    except (ValueError, KeyError, TypeError):
        return None
    version = str(server.get("Version", "?"))
    if api < API_MIN:
        raise TargetError(
            f"cannot use Docker Engine {version}: its API is {server['ApiVersion']}, containers with a control group namespace need "
            f"{'.'.join(map(str, API_MIN))}",
            next_step="install Docker Engine 20.10 or later",
        )
    if server.get("Os") != "linux":
        raise TargetError(
            f"cannot use Docker Engine {version}: it runs {server.get('Os')} containers, and Talos is Linux"
        )
    return Engine(environment, version, is_ours=is_ours)
