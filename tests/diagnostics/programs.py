"""Programs on PATH in place of the real tools, which misbehave as a test says."""

from __future__ import annotations

import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.checklist import Capability, Stage
from firstlight.clock import SystemClock
from firstlight.diagnostics import Collected, FailedCriterion, Failure, collect
from firstlight.masking import Masker
from firstlight.target import Target
from tests.definitions import CHECKOUT, infra

PODS = {
    "items": [
        {
            "metadata": {"namespace": "kube-system", "name": "well"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
        {
            "metadata": {"namespace": "kube-system", "name": "../ill"},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"restartCount": 3}],
            },
        },
    ]
}

SERVICES = """\
NODE          SERVICE    STATE       HEALTH   LAST CHANGE   LAST EVENT
{node}   apid       Running     OK       3m0s ago      Health check successful
{node}   etcd       Failed      Fail     1m0s ago      Health check failed
{node}   kubelet    Running     OK       2m0s ago      Health check successful
{node}   machined   Running     OK       3m5s ago      Service started as goroutine
"""


@dataclass
class Workstation:
    """A folder of programs, which is all of PATH, and a target that uses them."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.programs, self.state, self.home / ".kube", self.reports):
            folder.mkdir(parents=True)
        (self.home / ".kube" / "k8s-ops-infra").write_text("a kubeconfig")
        for name in ("kubectl", "helm", "flux", "talosctl", "cilium"):
            self.program(name, "")

    @property
    def programs(self) -> Path:
        return self.root / "bin"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def program(self, name: str, body: str) -> None:
        """Put a program on PATH that records its calls."""
        path = self.programs / name
        path.write_text(
            # -IS starts Python without its packages, in half the time.
            f"#!{sys.executable} -IS\nimport json, sys, time\nwords = sys.argv[1:]\nopen({str(self.root / 'calls')!r}, 'a').write("  # noqa: E501
            f"json.dumps([{name!r}, *words]) + chr(10))\n{body}\n"
        )
        path.chmod(0o755)

    def kubectl(self, pods: Any = PODS, *, otherwise: str = "") -> None:
        """Put a kubectl on PATH that lists pods and no other objects."""
        listing = json.dumps(pods)
        body = f"if 'json' in words:\n    print({listing!r} if 'pods' in words else '{{\"items\": []}}')\nelse:\n    print(' '.join(words[5:]))\n"  # noqa: E501
        self.program("kubectl", body + otherwise)

    @property
    def calls(self) -> list[list[str]]:
        path = self.root / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def failure(
        self,
        stage: str,
        said: str = "",
        *,
        needs: tuple[str, ...] = (),
        lacks: tuple[Capability, ...] = (),
    ) -> Failure:
        target = Target(
            name="nodes",
            cluster="infra",
            root=CHECKOUT,
            home=self.home,
            state=self.state,
            environment={},
            capabilities=frozenset(Capability) - set(lacks),
            stand_ins=(),
        )
        return Failure(
            "0123456789ab",
            Stage(stage),
            (FailedCriterion("a-criterion", "a criterion", needs, said),),
            infra(),
            target,
        )

    def collect(
        self, failure: Failure, *, mask: Masker | None = None, longest_s: float = 60.0
    ) -> Collected:
        return collect(
            failure,
            self.reports,
            environment={"PATH": str(self.programs)},
            mask=mask or Masker(),
            clock=SystemClock(),
            longest_s=longest_s,
        )


def unpacked(collected: Collected) -> dict[str, str]:
    """Return each file of an archive, by its name in the archive's folder."""
    assert collected.path is not None, collected.trouble
    with tarfile.open(collected.path) as archive:
        files = {
            entry.name.partition("/")[2]: archive.extractfile(entry)
            for entry in archive.getmembers()
        }
        return {name: file.read().decode() for name, file in files.items() if file is not None}
