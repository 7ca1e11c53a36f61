"""The machine configs that the real talosctl generates: Talos accepts them, and nothing leaks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from firstlight.process import run
from tests.definitions import CHECKOUT
from tests.tools.generating import Place, seal

TALOSCTL = CHECKOUT / ".tools" / "bin" / "talosctl"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> tuple[Path, Path, str]:
    """Encrypt new Talos secrets to a new key in a copy of the definition."""
    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("sealed")
    made = run([TALOSCTL, "gen", "secrets", "--output-file", str(home / "secrets")], timeout_s=30)
    assert made.ok, made.stderr
    plain = (home / "secrets").read_text(encoding="utf-8")
    seal(root, home, plain)
    return root, home, plain


@pytest.fixture(scope="module")
def generated(sealed) -> Place:
    root, home, _ = sealed
    place = Place(root, home, TALOSCTL.parent)
    assert not place.generate().reused
    return place


def test_talos_accepts_every_generated_config(generated: Place):
    configs = generated.generate()

    for file in configs.files:
        result = run(
            [TALOSCTL, "validate", "--mode", "metal", "--strict", "--config", str(file)],
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


def _leaves(data: object) -> list[str]:
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    return [data] if isinstance(data, str) else []
