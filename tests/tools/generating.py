"""Generate machine configs from a copy of the definition with new secrets."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from pyrage import x25519

from firstlight.clock import SystemClock
from firstlight.definition import load
from firstlight.events import Bus
from firstlight.process import run
from firstlight.tools.machineconfig import GeneratedConfigs, generate_machine_configs
from firstlight.tools.runner import Runner
from tests.definitions import CHECKOUT
from tests.lab.support import search_path

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Place:
    """A copy of the definition, and a runner that records events; `programs` come first on PATH."""

    def __init__(self, root: Path, home: Path, *programs: Path) -> None:
        self.root = root
        self.told: list[str] = []
        bus = Bus(SystemClock())
        bus.add(lambda stamped: self.told.append(repr(stamped)))
        environment = {
            "PATH": os.pathsep.join([*map(str, programs), search_path()]),
            "HOME": str(home),
            "SOPS_AGE_KEY_FILE": str(home / "keys.txt"),
        }
        self.runner = Runner(environment=environment, root=root, bus=bus, criterion=lambda: "")

    def generate(self, now: datetime = NOW) -> GeneratedConfigs:
        return generate_machine_configs(load(self.root, "infra"), self.runner, now=now)


def seal(root: Path, home: Path, secrets: str) -> None:
    """Copy the definition to a folder, with these Talos secrets, encrypted to a new key."""
    identity = x25519.Identity.generate()
    (home / "keys.txt").write_text(f"{identity}\n", encoding="utf-8")
    for part in ("clusters", "bootstrap"):
        shutil.copytree(
            CHECKOUT / part, root / part, ignore=shutil.ignore_patterns("clusterconfig")
        )
    for file in (CHECKOUT / ".sops.yaml", *(CHECKOUT / "clusters").glob("*/*/*.sops.yaml")):
        text = file.read_text(encoding="utf-8").replace(
            load(CHECKOUT, "infra").age_recipient, str(identity.to_public())
        )
        (root / file.relative_to(CHECKOUT)).write_text(text, encoding="utf-8")
    secret = root / "clusters/infra/talos/talsecret.sops.yaml"
    secret.write_text(secrets, encoding="utf-8")
    run(
        ["sops", "encrypt", "--in-place", str(secret)],
        timeout_s=30,
        cwd=root,
        env={"PATH": search_path(), "HOME": str(home)},
    ).raise_on_failure("encrypt the test's secrets")
