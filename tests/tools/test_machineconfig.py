"""Machine configs are generated only if something changed, and only their owner can read them.

A stand-in takes the place of talosctl; tests/with_tools has tests with the real one.
"""

from __future__ import annotations

import json
import shutil
import stat
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pyrage import x25519

from firstlight.definition import load
from firstlight.errors import ToolMissing
from firstlight.process import ToolFailed
from firstlight.tools.machineconfig import why_stale
from tests.tools.generating import NOW, Place, seal

TALOSCTL = """\
import json, sys
words = sys.argv[1:]
assert words[:2] == ["gen", "config"] and sys.stdin.read().startswith("cluster:"), words
if words[words.index("--output-types") + 1] == "talosconfig":
    print("context: infra\\ncontexts:\\n    infra:\\n        endpoints: []\\n        ca: made up")
else:
    print(json.dumps([open(word[1:]).read() if word[0] == "@" else word for word in words]))
"""
"""Prints what it was asked for, in one document; the real one prints a config made of that."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Return a copy of the definition with new secrets, the home of its key, and the stand-in."""
    names = ("home", "sealed", "programs")
    home, root, programs = (tmp_path_factory.mktemp(name) for name in names)
    talosctl = programs / "talosctl"
    talosctl.write_text(f"#!{sys.executable} -IS\n{TALOSCTL}", encoding="utf-8")
    talosctl.chmod(0o755)
    seal(root, home, "cluster:\n  id: made-up\nsecrets:\n  bootstraptoken: made-up-token\n")
    return root, home, programs


@pytest.fixture(scope="module")
def generated(sealed, tmp_path_factory) -> Place:
    """Generate once; tests must not change this one."""
    root, home, programs = sealed
    place = Place(
        Path(shutil.copytree(root, tmp_path_factory.mktemp("generated") / "tree")), home, programs
    )
    assert not place.generate().reused
    return place


@pytest.fixture
def place(generated: Place, sealed, tmp_path) -> Place:
    """Return a copy of the generated files."""
    _, home, programs = sealed
    return Place(Path(shutil.copytree(generated.root, tmp_path / "tree")), home, programs)


def test_the_generated_files_are_private(generated: Place):
    configs = generated.generate()

    written = sorted(configs.talosconfig.parent.iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in written] == [0o600] * 8
    assert {file.name for file in written} == {
        *(file.name for file in configs.files),
        "talosconfig",
        ".generated.json",
    }


def test_nothing_runs_if_nothing_changed(place: Place):
    again = place.generate(NOW + timedelta(days=1))

    assert again.reused
    assert place.told == []
    assert why_stale(load(place.root, "infra"), now=NOW + timedelta(days=1)) is None


def test_only_a_changed_machine_gets_another_config(place: Place):
    before = {file.name: file.read_text(encoding="utf-8") for file in place.generate().files}
    _replace(
        place.root / "clusters/infra/talos/talconfig.yaml",
        "installDisk: /dev/nvme0n1",
        "installDisk: /dev/sda",
    )

    configs = place.generate()

    assert not configs.reused
    assert [
        file.name for file in configs.files if file.read_text(encoding="utf-8") != before[file.name]
    ] == ["infra-infra-cp-1.yaml"]
    assert why_stale(load(place.root, "infra")) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda talos: _append(talos / "talconfig.yaml"),
            "the inventory, a patch or the secrets changed",
        ),
        (
            lambda talos: _append(talos / "patches/global/kubelet.yaml"),
            "the inventory, a patch or the secrets changed",
        ),
        (
            lambda talos: _append(talos / "clusterconfig/infra-infra-cp-2.yaml"),
            "infra-infra-cp-2.yaml is missing or was changed",
        ),
        (
            lambda talos: (talos / "clusterconfig/talosconfig").unlink(),
            "talosconfig is missing or was changed",
        ),
        (
            lambda talos: (talos / "clusterconfig/.generated.json").write_text(
                "{", encoding="utf-8"
            ),
            "the record of how they were generated cannot be read",
        ),
        (
            lambda talos: (talos / "clusterconfig/.generated.json").unlink(),
            "they were never generated",
        ),
        (
            lambda talos: _restamp(talos, form="0"),
            "they were generated in another way (talosctl gen config, form 0)",
        ),
    ],
    ids=[
        "inventory",
        "patch",
        "config edited",
        "talosconfig gone",
        "stamp damaged",
        "stamp gone",
        "older form",
    ],
)
def test_a_change_makes_them_stale(place: Place, change, reason: str):
    change(place.root / "clusters/infra/talos")

    assert why_stale(load(place.root, "infra")) == reason


def test_the_client_certificate_is_renewed_in_time(place: Place):
    reason = why_stale(load(place.root, "infra"), now=NOW + timedelta(days=301))

    assert reason == "the talosconfig is from 2026-11-23, and its client certificate lasts a year"


def test_a_wrong_age_key_leaves_the_old_configs(place: Place, tmp_path):
    before = place.generate()
    _append(place.root / "clusters/infra/talos/talconfig.yaml")
    (tmp_path / "keys.txt").write_text(f"{x25519.Identity.generate()}\n", encoding="utf-8")

    with pytest.raises(ToolFailed, match=r"cannot decrypt talsecret\.sops\.yaml"):
        Place(place.root, tmp_path).generate()

    assert all(file.exists() for file in (*before.files, before.talosconfig))


def test_settings_that_talosctl_cannot_generate_are_refused_by_name(place: Place):
    _replace(
        place.root / "clusters/infra/talos/talconfig.yaml",
        "patches:\n",
        "imageFactory: {registryURL: factory.example.org}\npatches:\n",
    )

    with pytest.raises(
        ToolMissing, match=r"cannot find talhelper: .* cannot generate: imageFactory"
    ):
        place.generate()


def test_an_installed_talhelper_does_not_change_how_configs_are_made(sealed, tmp_path):
    root, home, programs = sealed
    tree = Path(shutil.copytree(root, tmp_path / "tree"))
    _stand_in_for_talhelper(tmp_path / "bin")

    configs = Place(tree, home, tmp_path / "bin", programs).generate()

    assert configs.made_by == "talosctl gen config"
    assert "made: " not in configs.files[0].read_text(encoding="utf-8")


def test_talhelper_is_used_if_the_definition_needs_it(sealed, tmp_path):
    root, home, programs = sealed
    tree = Path(shutil.copytree(root, tmp_path / "tree"))
    _replace(
        tree / "clusters/infra/talos/talconfig.yaml",
        "patches:\n",
        "imageFactory: {registryURL: factory.example.org}\npatches:\n",
    )
    _stand_in_for_talhelper(tmp_path / "bin")
    place = Place(tree, home, tmp_path / "bin", programs)

    configs = place.generate()

    assert configs.made_by == "talhelper"
    assert configs.files[0].read_text(encoding="utf-8") == "made: infra-infra-cp-1.yaml\n"
    # The stand-in adds the VIP and a default node, as talhelper does; neither may stay.
    context = yaml.safe_load(configs.talosconfig.read_text(encoding="utf-8"))["contexts"]["infra"]
    assert context == {"endpoints": ["10.25.11.11", "10.25.11.12", "10.25.11.13"]}
    assert not list(configs.talosconfig.parent.glob(".talhelper-*"))


def _stand_in_for_talhelper(folder: Path) -> None:
    folder.mkdir()
    script = folder / "talhelper"
    script.write_text(
        textwrap.dedent("""\
            #!/bin/sh
            while [ $# -gt 0 ]; do [ "$1" = --out-dir ] && out=$2; shift; done
            for role in cp-1 cp-2 cp-3 worker-1 worker-2 worker-3; do
              echo "made: infra-infra-$role.yaml" > "$out/infra-infra-$role.yaml"
            done
            echo 'contexts: {infra: {endpoints: [10.25.11.10], nodes: [10.25.11.11]}}' > "$out/talosconfig"
            """),  # noqa: E501
        encoding="utf-8",
    )
    script.chmod(0o755)


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def _append(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")


def _restamp(talos: Path, **changes: str) -> None:
    stamp = talos / "clusterconfig/.generated.json"
    stamp.write_text(
        json.dumps(json.loads(stamp.read_text(encoding="utf-8")) | changes), encoding="utf-8"
    )
