"""Package the lab's charts with the real helm, and cache the result by content for the user."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.process import run
from lab.simulated.paths import LabPaths

_HELM_S = 60.0
MARK = ".digest"
"""The file beside the charts that holds their digest."""

FLUX_CHART = "flux2"
FLUX_CRDS = "flux-crds"


def stand_ins(checkout: Path) -> list[Path]:
    """Return the folders of the stand-in charts.

    Raises:
        TargetError: The folder holds no charts.
    """
    folders = sorted(
        file.parent for file in (checkout / "lab" / "simulated" / "charts").glob("*/Chart.yaml")
    )
    if not folders:
        raise TargetError("cannot package the stand-in charts: lab/simulated/charts holds none")
    return folders


def package(paths: LabPaths, folders: list[Path], environment: Mapping[str, str]) -> bool:
    """Package the charts and their index into the lab; report whether anything changed.

    Raises:
        TargetError: The CRDs that setup assembles are missing.
        ToolFailed: helm refused a chart.
    """
    crds = sorted((paths.tool_charts / FLUX_CRDS / "files").glob("*.yaml"))
    if not crds:
        raise TargetError(
            f"cannot package {FLUX_CHART}: {paths.tool_charts / FLUX_CRDS} holds no CRDs",
            next_step="./task tools:setup",
        )
    digest = _digest([*folders, *crds])
    mark = paths.charts / MARK
    if mark.exists() and mark.read_text(encoding="ascii") == digest:
        return False
    cached = _cache(os.environ) / digest
    if not (cached / "index.yaml").exists():
        _build(cached, folders, crds, environment)
    shutil.rmtree(paths.charts, ignore_errors=True)
    shutil.copytree(cached, paths.charts)
    write_atomically(mark, digest, mode=0o644)
    return True


def _build(
    target: Path, folders: list[Path], crds: list[Path], environment: Mapping[str, str]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as temporary:
        work, packaged = Path(temporary) / "charts", Path(temporary) / "packaged"
        packaged.mkdir()
        for folder in folders:
            shutil.copytree(folder, work / folder.name)
        for crd in crds:
            (work / FLUX_CHART / "files").mkdir(parents=True, exist_ok=True)
            shutil.copy(crd, work / FLUX_CHART / "files")

        def one(name: str) -> None:
            words = ["helm", "package", str(work / name), "--destination", str(packaged)]
            run(words, timeout_s=_HELM_S, env=environment).raise_on_failure(
                f"package the chart {name}"
            )

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
            list(pool.map(one, [folder.name for folder in folders]))
        index = run(["helm", "repo", "index", str(packaged)], timeout_s=_HELM_S, env=environment)
        index.raise_on_failure("index the charts")
        # Another lab may have built the same content meanwhile. Either result will do.
        if not (target / "index.yaml").exists():
            shutil.rmtree(target, ignore_errors=True)
            packaged.rename(target)


def _digest(roots: list[Path]) -> str:
    total = hashlib.sha256()
    for root in roots:
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if file.is_file():
                content = file.read_bytes()
                total.update(f"\0{root.name}/{file.relative_to(root)}\0{len(content)}\0".encode())
                total.update(content)
    return total.hexdigest()


def _cache(outer: Mapping[str, str]) -> Path:
    # The cache belongs to the user, not to the lab, so a fresh lab reuses what the last one
    # packaged.
    home = outer.get("XDG_CACHE_HOME") or str(Path(outer.get("HOME", "~")).expanduser() / ".cache")
    return Path(home) / "firstlight" / "lab-charts"
