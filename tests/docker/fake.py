"""A `docker` command with scripted answers that records its calls: a real process."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.docker.engine import Engine
from lab.docker.machines import CONFIG_LABEL, Machine
from lab.docker.network import LABEL

_SCRIPT = """#!/bin/sh
here={here}
printf '%s\\n' "$*" >> "$here/calls"
for n in 2 1; do
  key=$(printf '%s' "$*" | cut -d' ' -f1-$n | tr ' ' '-')
  [ -f "$here/answers/$key" ] && break
done
if [ -f "$here/answers/$key.after" ] &&
  grep -q "^$(cat "$here/answers/$key.after") " "$here/calls"; then key=$key.later; fi
[ -f "$here/answers/$key" ] || {{ echo "no answer for $*" >&2; exit 99; }}
cat "$here/answers/$key"
[ -f "$here/answers/$key.err" ] && cat "$here/answers/$key.err" >&2
exit $(cat "$here/answers/$key.code" 2>/dev/null || echo 0)
"""


class FakeEngine:
    """The command, and an engine that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "answers").mkdir()
        command = folder / "docker"
        command.write_text(_SCRIPT.format(here=folder))
        command.chmod(0o755)
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
        self.engine = Engine(self.environment, "20.10", is_ours=False)

    def answers(
        self, command: str, text: str, *, exit_code: int = 0, stderr: str = "", after: str = ""
    ) -> None:
        """Set the answer of a command; with `after`, only once that command was called."""
        key = command.replace(" ", "-")
        if after:
            (self.folder / "answers" / f"{key}.after").write_text(after)
            key += ".later"
        (self.folder / "answers" / key).write_text(text)
        (self.folder / "answers" / f"{key}.code").write_text(str(exit_code))
        (self.folder / "answers" / f"{key}.err").write_text(stderr)

    def calls(self) -> str:
        """Every call, one per line."""
        file = self.folder / "calls"
        return "\n" + file.read_text() if file.exists() else ""

    @staticmethod
    def container(
        machine: Machine,
        *,
        running: bool = True,
        mode: str = "private",
        pid: int = 0,
        label: str = "here",
    ) -> str:
        """Return a machine's `docker container inspect`, reduced to the fields in use."""
        return json.dumps(
            [
                {
                    "Name": f"/{machine.container}",
                    "State": {"Running": running, "Pid": pid},
                    "HostConfig": {"CgroupnsMode": mode},
                    "Config": {"Labels": {LABEL: label, CONFIG_LABEL: machine.digest}},
                }
            ]
        )
