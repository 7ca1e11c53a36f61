"""A runc for hosts whose root lacks CAP_SYS_RESOURCE.

It removes from a container's bundle what such a host refuses, then becomes runc. Refused are that
capability, limits above the caller's own, and an oom score below the caller's. The lab's engine
runs it as a separate program, so it imports nothing from the project.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_REFUSED = "CAP_SYS_RESOURCE"


def permitted(process: dict[str, Any]) -> dict[str, Any]:
    """Return a bundle's process without what the host refuses."""
    allowed = {key: value for key, value in process.items() if key != "rlimits"}
    if int(allowed.get("oomScoreAdj") or 0) < 0:
        del allowed["oomScoreAdj"]
    capabilities = allowed.get("capabilities") or {}
    allowed["capabilities"] = {
        kind: [name for name in names if name != _REFUSED] for kind, names in capabilities.items()
    }
    return allowed


def edit(arguments: list[str]) -> None:
    """Edit the file that a runc command reads: a bundle's `config.json`, or an `exec`'s process."""
    if bundle := _value(arguments, "--bundle", "-b"):
        file = Path(bundle) / "config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        config["process"] = permitted(config["process"])
        file.write_text(json.dumps(config), encoding="utf-8")
    if process := _value(arguments, "--process", "-p"):
        file = Path(process)
        file.write_text(
            json.dumps(permitted(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8"
        )


def _value(arguments: list[str], *names: str) -> str:
    for index, word in enumerate(arguments):
        name, separator, value = word.partition("=")
        if name in names:
            return value if separator else arguments[index + 1]
    return ""


if __name__ == "__main__":
    edit(sys.argv[2:])
    os.execv(sys.argv[1], ["runc", *sys.argv[2:]])  # noqa: S606 - it becomes runc
