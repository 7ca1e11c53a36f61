"""The container engine, through Docker's command line: the only module that knows its syntax."""

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
"""Docker Engine 20.10: the first API that gives a container its own control group namespace."""

CALL_S = 60.0
"""The engine answers within a second; removing a container that does not stop takes ten."""

_TOO_NEW = re.compile(
    r"client version (\S+) is too new\. Maximum supported API version is (\d+\.\d+)"
)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers.

    Attributes:
        environment: The variables with which its command line reaches it.
        version: The engine's version.
        is_ours: Whether the lab started it, for itself only.
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
        """Run one Docker command; the caller checks the result.

        Args:
            words: The arguments after `docker`.
            timeout_s: The time limit in seconds.
            secret_environment: Variables that the command passes on by name, so that their values
                appear in no argument list.
        """
        environment = {**self.environment, **(secret_environment or {})}
        return run(
            ["docker", *words],
            timeout_s=timeout_s,
            env=environment,
            mask=Masker((secret_environment or {}).values()),
        )

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the inspection of these objects, without those that do not exist."""
        if not names:
            return []
        result = self.call(kind, "inspect", *names)
        # Docker prints the objects that it found and fails for the others.
        found: list[dict[str, Any]] = json.loads(result.stdout or "[]")
        return found

    def labelled(self, kind: str, label: str) -> list[str]:
        """Return the ids of all objects of a kind that have a label."""
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
        """Return the inspection of each container that has a label, running or not."""
        return self.inspect("container", self.labelled("container", label))


def find_engine(environ: Mapping[str, str] = os.environ) -> Engine | None:
    """Return the engine that Docker's command line reaches by default, or None if nothing answers.

    Raises:
        ToolMissing: Docker's command line is missing.
        TargetError: The engine lacks something that the lab needs; the message says what.
    """
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise ToolMissing(
            "docker",
            next_step="install Docker's command line, 20.10 or later "
            "(Debian: apt install docker.io)",
        )
    return ask(dict(environ), is_ours=False)


def ask(environment: Mapping[str, str], *, is_ours: bool) -> Engine | None:
    """Query an engine; return None if nothing answers.

    Raises:
        TargetError: It is too old, or runs containers of another operating system.
    """
    environment = dict(environment)
    words = ["docker", "version", "--format", "{{json .Server}}"]
    result = run(words, timeout_s=CALL_S, env=environment)
    if found := _TOO_NEW.search(result.stderr):
        # Some versions of the client do not negotiate the API version.
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
            f"cannot use Docker Engine {version}: its API is {server['ApiVersion']}, but "
            f"containers with a control group namespace need {'.'.join(map(str, API_MIN))}",
            next_step="install Docker Engine 20.10 or later",
        )
    if server.get("Os") != "linux":
        raise TargetError(
            f"cannot use Docker Engine {version}: it runs {server.get('Os')} containers, but Talos "
            "needs Linux",
            next_step="switch the engine to Linux containers, or set DOCKER_HOST to another engine",
        )
    return Engine(environment, version, is_ours=is_ours)
