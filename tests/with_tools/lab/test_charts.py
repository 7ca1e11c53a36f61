"""The lab's charts: real ones where available; stand-ins are never more lenient."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.definition import load
from firstlight.definition.model import Release
from firstlight.definition.parity import unknown_keys
from firstlight.process import run
from lab.docker.mirror import chart_folders
from lab.simulated.charts import stand_ins
from tests.lab.support import ROOT, search_path

REAL = ROOT / ".tools" / "charts"
RELEASES = {release.chart: release for release in load(ROOT, "infra").releases}
HELM_S = 60.0


def charts() -> list[Path]:
    return chart_folders(ROOT, REAL)


def rendered(
    chart: Path, release: Release, tmp_path: Path, changes: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({**release.values, **(changes or {})}))
    words = [
        "helm",
        "template",
        release.name,
        chart,
        "--namespace",
        release.namespace,
        "--values",
        values,
        "--kube-version",
        "1.35.0",
    ]
    result = run(
        words, timeout_s=HELM_S, env={**os.environ, "PATH": search_path()}
    ).raise_on_failure(f"render {chart.name}")
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def test_every_release_has_a_chart_of_its_version():
    found = {
        chart.name: yaml.safe_load((chart / "Chart.yaml").read_text())["version"]
        for chart in charts()
    }

    assert found == {name: release.version for name, release in RELEASES.items()}


def test_the_docker_target_uses_the_real_cilium_chart():
    (cilium,) = (chart for chart in charts() if chart.name == "cilium")

    assert cilium == REAL / "cilium"
    assert yaml.safe_load((cilium / "Chart.yaml").read_text())["home"] == "https://cilium.io/"


@pytest.mark.parametrize("name", RELEASES)
def test_a_chart_accepts_the_values_of_its_release(name: str, tmp_path: Path):
    (chart,) = (chart for chart in charts() if chart.name == name)

    assert rendered(chart, RELEASES[name], tmp_path)


def test_the_real_cilium_chart_knows_every_value_of_the_definition():
    (cilium,) = (chart for chart in charts() if chart.name == "cilium")

    assert unknown_keys(RELEASES["cilium"].values, (cilium / "values.yaml").read_text()) == ()


def test_the_cilium_stand_in_knows_only_values_of_the_real_chart():
    (real,) = (chart for chart in charts() if chart.name == "cilium")
    (ours,) = (chart for chart in stand_ins(ROOT) if chart.name == "cilium")

    assert (
        unknown_keys(
            yaml.safe_load((ours / "values.yaml").read_text()), (real / "values.yaml").read_text()
        )
        == ()
    )


def test_the_cilium_stand_in_renders_the_config_map_of_the_real_chart(tmp_path: Path):
    release = RELEASES["cilium"]
    (real,) = (chart for chart in charts() if chart.name == "cilium")
    (ours,) = (chart for chart in stand_ins(ROOT) if chart.name == "cilium")

    ours_says, really = (config_of(rendered(chart, release, tmp_path)) for chart in (ours, real))

    assert ours_says == {key: really.get(key) for key in ours_says}


def config_of(documents: list[dict[str, Any]]) -> dict[str, str]:
    (found,) = (
        one
        for one in documents
        if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "cilium-config")
    )
    data: dict[str, str] = found["data"]
    return data
