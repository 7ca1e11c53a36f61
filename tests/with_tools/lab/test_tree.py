"""The lab's Talos secrets come from the real talosctl."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.simulated.paths import LabPaths
from tests.lab.support import ROOT
from tests.lab.test_tree import checkout, decrypted, refresh

__all__ = ["checkout"]


def test_talos_secrets_are_generated_by_talosctl(paths: LabPaths, checkout: Path):
    shutil.copy(
        ROOT / "clusters/infra/talos/talsecret.sops.yaml", checkout / "clusters/infra/talos"
    )

    refresh(paths, checkout)

    assert {"cluster", "secrets", "trustdinfo", "certs"} <= set(
        decrypted(paths, "clusters/infra/talos/talsecret.sops.yaml")
    )
