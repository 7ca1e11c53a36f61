"""A program exists completely or not at all, and setup does no more than necessary."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox import check
from firstlight.toolbox.charts import kept_by_helm
from firstlight.toolbox.fingerprint import digest_of
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.setup import set_up


def run_setup(workshop):
    set_up(load_pins(workshop.paths.versions), workshop.paths, workshop.environ, workshop.display)


def digest(workshop):
    pins = load_pins(workshop.paths.versions)
    return digest_of(pins.builds["small"], pins, workshop.paths)


def test_every_tool_is_built_and_linked_under_its_own_name(workshop):
    run_setup(workshop)

    said = [
        subprocess.run(
            [workshop.paths.bin / name], capture_output=True, text=True, check=True
        ).stdout
        for name in ("hammer", "chisel")
    ]
    assert said == ["hammer v1.2.3\n", "chisel-server v1.2.3\n"]
    assert sorted(path.name for path in workshop.paths.bin.iterdir()) == ["chisel", "hammer"]


def test_the_plan_is_shown_before_the_build(workshop):
    run_setup(workshop)

    lines = workshop.shown.getvalue().splitlines()
    building = next(
        number for number, line in enumerate(lines) if line.startswith("tools: building")
    )
    before = "\n".join(lines[:building])
    assert "hammer, chisel" in before
    assert str(workshop.paths.cache) in before
    assert "GB of disk" in before
    assert "to build from their Go modules: " in before
    assert "to download instead: put mise (https://mise.jdx.dev) on PATH" in before
    assert re.search(r"tools: about \d+ (s|m)", before)


SECOND = """
[builds.second]
module = "tools/small"
sources_s = 0
expected_s = 60
disk_mb = 1000
alone_s = 600
alone_mb = 5000
kept_mb = 1

[tools.plane]
version = "1.2.3"
build = "second"
package = "example.com/chisel/v2"
source = "example.com/hammer"
binary = "chisel-server"
"""


def announced(workshop):
    ((minutes, disk),) = re.findall(
        r"tools: about (?:(\d+) m )?\d+ s, and (\d+\.\d) GB of disk", workshop.shown.getvalue()
    )
    return int(minutes or 0), float(disk)


def test_the_plan_counts_shared_packages_only_once(workshop, monkeypatch):
    monkeypatch.setattr("firstlight.toolbox.setup.expected_here", lambda build: build.expected_s)
    versions = workshop.paths.versions
    versions.write_text(versions.read_text() + SECOND)
    run_setup(workshop)
    together = announced(workshop)
    (workshop.paths.bin / "plane").resolve().unlink()
    workshop.paths.stamp.unlink()
    workshop.shown.truncate(0)

    run_setup(workshop)

    # 120 s and 10 MB of the first build, 60 s and 1 GB of the second, 20 s of the charts.
    assert together == (3, 1.0)
    assert announced(workshop) == (10, 5.0)


def test_a_second_set_up_runs_nothing_and_prints_nothing(workshop):
    run_setup(workshop)
    calls, shown = len(workshop.go_calls), workshop.shown.getvalue()

    run_setup(workshop)

    assert len(workshop.go_calls) == calls
    assert workshop.shown.getvalue() == shown


def test_a_missing_link_is_restored_without_a_build(workshop):
    run_setup(workshop)
    (workshop.paths.bin / "hammer").unlink()
    workshop.between_halves("exit 1")

    run_setup(workshop)

    assert (workshop.paths.bin / "hammer").exists()


@pytest.mark.parametrize(
    "name",
    [
        "tools/small/go.sum",
        "tools/small/go.mod",
        "lab/machines/main.go",
        "lab/machines/new.go",
        "tools/versions.toml",
    ],
)
def test_a_change_of_any_input_changes_the_digest(workshop, name):
    before = digest(workshop)
    file = workshop.paths.root / name
    text = file.read_text() if file.exists() else ""
    file.write_text(
        text.replace("0.4.0", "0.4.1") if name.endswith(".toml") else f"{text}\n// changed\n"
    )

    assert digest(workshop) != before


def test_a_change_of_a_go_test_does_not_change_the_digest(workshop):
    before = digest(workshop)
    (workshop.paths.root / "lab/machines/main_test.go").write_text("package main\n")

    assert digest(workshop) == before


def test_a_failed_build_leaves_no_partial_program_and_can_be_repeated(workshop):
    workshop.between_halves('echo "x.go:3:1: undefined: y" >&2; exit 2\n')

    with pytest.raises(
        FirstlightError, match="cannot build hammer, chisel: go exited 2"
    ) as failure:
        run_setup(workshop)

    assert "x.go:3:1: undefined: y" in str(failure.value)
    assert "./task tools:setup" in str(failure.value)
    assert workshop.built() == []
    assert list(workshop.paths.bin.iterdir()) == []
    workshop.between_halves("")
    run_setup(workshop)
    assert workshop.built() == ["chisel", "hammer"]


def test_a_terminated_set_up_leaves_no_partial_program_and_no_process(workshop, tmp_path):
    started = tmp_path / "started"
    os.mkfifo(started)
    os.mkfifo(tmp_path / "never")
    workshop.between_halves(f"echo $$ >{started}; read nothing <{tmp_path / 'never'}\n")
    code = (
        "import sys; from pathlib import Path; from firstlight.toolbox.__main__ import main;"
        "from firstlight.toolbox.paths import ToolboxPaths;"
        "sys.exit(main(['setup'], ToolboxPaths(Path(sys.argv[1]), Path(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, workshop.paths.root, workshop.paths.cache]
    source = str(Path(__file__).parents[2] / "src")
    setup = subprocess.Popen(
        command, env=workshop.environ | {"PYTHONPATH": source}, stderr=subprocess.PIPE, text=True
    )
    go = int(started.read_text())  # opens when Go has written half a program

    setup.send_signal(signal.SIGTERM)
    _, shown = setup.communicate(timeout=60)

    assert setup.returncode == 143, shown
    assert workshop.built() == []
    with pytest.raises(ProcessLookupError):
        os.kill(go, 0)
    workshop.between_halves("")
    run_setup(workshop)
    assert workshop.built() == ["chisel", "hammer"]


def test_leftovers_of_a_killed_build_are_not_used_as_programs(workshop):
    partial = workshop.paths.built / "small.partial" / "bin"
    partial.mkdir(parents=True)
    (partial / "hammer").write_text("half")

    run_setup(workshop)

    assert "half" not in (workshop.paths.bin / "hammer").read_text()
    assert not partial.exists()


def test_only_the_missing_programs_are_built(workshop):
    run_setup(workshop)
    (workshop.paths.bin / "chisel").resolve().unlink()
    workshop.between_halves('case "$package" in */hammer) exit 9 ;; esac\n')

    run_setup(workshop)

    assert workshop.built() == ["chisel", "hammer"]


def test_a_chart_holds_upstreams_crds_with_one_more_annotation(workshop):
    run_setup(workshop)

    chart = workshop.paths.charts / "wood-crds"
    files = sorted(path.name for path in (chart / "files").iterdir())
    text = (chart / "files" / "planks.yaml").read_text()
    assert files == ["planks.yaml"]
    assert "version: 3.0.0" in (chart / "Chart.yaml").read_text()
    assert "    helm.sh/resource-policy: keep\n    made.by: upstream\n" in text
    assert "{{ .Values.x }}" in text


def test_a_crd_without_annotations_gets_some():
    text = kept_by_helm(
        "kind: X\nmetadata:\n  name: a\nspec:\n  annotations:\n    b: c\n", "a.yaml"
    )

    assert (
        text
        == "kind: X\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n  name: a\nspec:\n  annotations:\n    b: c\n"  # noqa: E501
    )


def test_a_whole_chart_is_copied_unchanged_and_writable(workshop):
    run_setup(workshop)

    chart = workshop.paths.charts / "shed"
    assert (chart / "Chart.yaml").read_text() == "name: shed\nversion: 2.0.0\n"
    assert (chart / "templates" / "roof.yaml").read_text() == "kind: Roof\n"
    assert all(path.stat().st_mode & 0o200 for path in (chart, *chart.rglob("*")))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ('whole = "charts/barn"', "has no chart at charts/barn"),
        ('version = "2.0.1"', "does not have version 2.0.1"),
    ],
)
def test_a_whole_chart_that_is_not_there_or_of_another_version_is_refused(workshop, change, seen):
    key = change.split()[0]
    text = workshop.paths.versions.read_text()
    head, _, shed = text.partition("[charts.shed]")
    workshop.paths.versions.write_text(
        head + "[charts.shed]" + re.sub(rf"^{key} = .*$", change, shed, flags=re.MULTILINE)
    )

    with pytest.raises(FirstlightError, match=seen):
        run_setup(workshop)


def test_a_module_that_go_sum_does_not_vouch_for_is_refused(workshop):
    go = workshop.go_home / "go" / "bin" / "go"
    sneaky = 'for word in "$@"; do case $word in -modfile=*) file=${word#-modfile=} ;; esac; done; echo "example.com/wood v3.0.0 h1:evil=" >>"${file%mod}sum";'  # noqa: E501
    go.write_text(go.read_text().replace("  mod) ", f"  mod) {sneaky} "))

    with pytest.raises(
        FirstlightError, match=r"has no hash for example\.com/wood v3\.0\.0 h1:evil="
    ):
        run_setup(workshop)

    assert "evil" not in (workshop.paths.root / "tools/small/go.sum").read_text()


@pytest.mark.parametrize("name", ["lab/machines/main.go", "lab/machines/new.go"])
def test_a_changed_or_added_source_is_built_by_the_next_set_up(workshop, name):
    run_setup(workshop)
    builds = workshop.go_calls.count("build")
    (workshop.paths.root / name).write_text("package main // changed\n")

    run_setup(workshop)

    assert workshop.go_calls.count("build") == builds + 1


def test_a_second_checkout_links_the_charts_that_the_first_has_assembled(workshop, tmp_path):
    run_setup(workshop)
    second = ToolboxPaths(tmp_path / "second", workshop.paths.cache)
    shutil.copytree(workshop.paths.root, second.root, ignore=shutil.ignore_patterns(".tools"))
    # As an earlier version left it.
    (second.charts / "shed").mkdir(parents=True)
    calls = len(workshop.go_calls)

    set_up(load_pins(second.versions), second, workshop.environ, workshop.display)

    assert "mod" not in workshop.go_calls[calls:]
    for name in ("shed", "wood-crds"):
        assert (second.charts / name).resolve() == (workshop.paths.charts / name).resolve()


def test_another_version_of_a_module_is_another_chart(workshop):
    run_setup(workshop)
    before = (workshop.paths.charts / "wood-crds").resolve()
    sums = workshop.paths.root / "tools/small/go.sum"
    sums.write_text(sums.read_text() + "example.com/wood v3.0.0 h1:other=\n")

    run_setup(workshop)

    assert (workshop.paths.charts / "wood-crds").resolve() != before


@pytest.mark.parametrize("elsewhere", ["XDG_CACHE_HOME", "HOME"])
def test_a_run_with_another_cache_folder_accepts_what_setup_has_built(
    workshop, tmp_path, monkeypatch, elsewhere
):
    # Fresh, as setup without an environment of its own would leave it.
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    run_setup(workshop)

    monkeypatch.setenv(elsewhere, str(tmp_path / "elsewhere"))

    assert {entry.tool: entry.problem for entry in check(workshop.paths.root)} == {
        "hammer": "",
        "chisel": "",
    }


def test_a_setup_that_makes_nothing_keeps_the_caches_of_go(workshop):
    run_setup(workshop)
    cache = workshop.paths.cache / "go-build"
    cache.mkdir()
    workshop.paths.stamp.unlink()

    run_setup(workshop)
    kept = cache.exists()
    (workshop.paths.bin / "chisel").resolve().unlink()
    workshop.paths.stamp.unlink()
    run_setup(workshop)

    assert kept
    assert not cache.exists()
