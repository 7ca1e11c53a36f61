"""The real talosctl generates machine configs only if something changed, and nothing leaks."""

from __future__ import annotations

import json
import os
import shutil
import stat
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from pyrage import x25519

from firstlight.clock import SystemClock
from firstlight.definition import load
from firstlight.errors import ToolMissing
from firstlight.events import Bus
from firstlight.process import ToolFailed, run
from firstlight.tools.machineconfig import generate_machine_configs, why_stale
from firstlight.tools.runner import Runner
from tests.definitions import CHECKOUT

TOOLS = CHECKOUT / ".tools" / "bin"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Place:
    """A copy of the checkout's definition with new secrets, and a runner that records events."""

    def __init__(self, root: Path, home: Path, path: str = "") -> None:
        self.root = root
        self.told: list[str] = []
        bus = Bus(SystemClock())
        bus.add(lambda stamped: self.told.append(repr(stamped)))
        environment = {
            "PATH": f"{path}{TOOLS}:{os.environ['PATH']}",
            "HOME": str(home),
            "SOPS_AGE_KEY_FILE": str(home / "keys.txt"),
        }
        self.runner = Runner(environment=environment, root=root, bus=bus, criterion=lambda: "")

    def generate(self, now: datetime = NOW):
        return generate_machine_configs(load(self.root, "infra"), self.runner, now=now)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> tuple[Path, Path, str]:
    """Encrypt new Talos secrets to a new key in a copy of the definition."""
    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("sealed")
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
    secret.unlink()
    made = run([TOOLS / "talosctl", "gen", "secrets", "--output-file", str(secret)], timeout_s=30)
    assert made.ok, made.stderr
    plain = secret.read_text(encoding="utf-8")
    sops = run([TOOLS / "sops", "encrypt", "--in-place", str(secret)], timeout_s=30, cwd=root)
    assert sops.ok, sops.stderr
    return root, home, plain


@pytest.fixture(scope="module")
def generated(sealed, tmp_path_factory) -> Place:
    """Generate once; tests must not change this one."""
    root, home, _ = sealed
    place = Place(Path(shutil.copytree(root, tmp_path_factory.mktemp("generated") / "tree")), home)
    assert not place.generate().reused
    return place


@pytest.fixture
def place(generated: Place, sealed, tmp_path) -> Place:
    """Return a copy of the generated files."""
    return Place(Path(shutil.copytree(generated.root, tmp_path / "tree")), sealed[1])


def test_talos_accepts_every_generated_config(generated: Place):
    configs = generated.generate()

    for file in configs.files:
        result = run(
            [TOOLS / "talosctl", "validate", "--mode", "metal", "--strict", "--config", str(file)],
            timeout_s=30,
        )
        assert result.ok, result.stderr
    assert [file.name for file in configs.files][::3] == [
        "infra-infra-cp-1.yaml",
        "infra-infra-worker-1.yaml",
    ]


def test_a_config_contains_inventory_and_patches(generated: Place):
    [main, *documents] = yaml.safe_load_all(
        generated.generate().files[0].read_text(encoding="utf-8")
    )

    by_kind = {document["kind"]: document for document in documents}
    assert main["cluster"]["network"]["cni"] == {"name": "none"}
    assert main["cluster"]["network"]["podSubnets"] == ["10.42.0.0/16"]
    assert (main["cluster"]["proxy"]["disabled"], main["cluster"]["coreDNS"]["disabled"]) == (
        True,
        True,
    )
    assert "10.25.11.10" in main["machine"]["certSANs"]
    assert "10.25.11.10" in main["cluster"]["apiServer"]["certSANs"]
    assert main["machine"]["install"]["disk"] == "/dev/nvme0n1"
    assert by_kind["HostnameConfig"]["hostname"] == "infra-cp-1"
    assert by_kind["Layer2VIPConfig"] == {
        "apiVersion": "v1alpha1",
        "kind": "Layer2VIPConfig",
        "name": "10.25.11.10",
        "link": "bond0",
    }
    # The first three come from talconfig.yaml, the last from a patch to the same document.
    bond = by_kind["BondConfig"]
    assert (bond["mtu"], bond["bondMode"], bond["addresses"], bond["adLACPActive"]) == (
        9000,
        "802.3ad",
        [{"address": "10.25.11.11/24"}],
        "on",
    )


def test_the_talosconfig_has_control_plane_endpoints_and_no_default_nodes(generated: Place):
    context = yaml.safe_load(generated.generate().talosconfig.read_text(encoding="utf-8"))[
        "contexts"
    ]["infra"]

    assert context["endpoints"] == ["10.25.11.11", "10.25.11.12", "10.25.11.13"]
    assert "nodes" not in context


def test_the_generated_files_are_private(generated: Place):
    configs = generated.generate()

    written = sorted(configs.talosconfig.parent.iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in written] == [0o600] * 8
    assert {file.name for file in written} == {
        *(file.name for file in configs.files),
        "talosconfig",
        ".generated.json",
    }


def test_no_secret_is_in_an_event_or_in_another_file(generated: Place, sealed):
    _, _, plain = sealed
    secrets = [value for value in _leaves(yaml.safe_load(plain)) if len(value) > 20]

    told = "\n".join(generated.told)

    files = [
        file
        for file in generated.root.rglob("*")
        if file.is_file() and "clusterconfig" not in file.parts
    ]
    elsewhere = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    assert len(secrets) >= 10
    assert "talosctl gen config" in told
    assert not [secret for secret in secrets if secret in told]
    assert not [secret for secret in secrets if secret in elsewhere]
    assert generated.runner.mask(f"token {secrets[0]}") == "token ********"


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
    root, home, _ = sealed
    tree = Path(shutil.copytree(root, tmp_path / "tree"))
    _stand_in_for_talhelper(tmp_path / "bin")

    configs = Place(tree, home, path=f"{tmp_path / 'bin'}:").generate()

    assert configs.made_by == "talosctl gen config"
    assert "made: " not in configs.files[0].read_text(encoding="utf-8")


def test_talhelper_is_used_if_the_definition_needs_it(sealed, tmp_path):
    root, home, _ = sealed
    tree = Path(shutil.copytree(root, tmp_path / "tree"))
    _replace(
        tree / "clusters/infra/talos/talconfig.yaml",
        "patches:\n",
        "imageFactory: {registryURL: factory.example.org}\npatches:\n",
    )
    _stand_in_for_talhelper(tmp_path / "bin")
    place = Place(tree, home, path=f"{tmp_path / 'bin'}:")

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


def _leaves(data: object) -> list[str]:
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    return [data] if isinstance(data, str) else []
