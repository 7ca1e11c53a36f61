"""Secrets in files, variables and the definition are masked before any command runs."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from firstlight.events import Bus
from firstlight.masking import MASK
from firstlight.tools.reading import Unreadable
from firstlight.tools.runner import Runner
from firstlight.tools.secret_discovery import mask_configuration, mask_known_secrets
from firstlight.tools.sops import DECRYPT_S, encrypted_values
from tests.clocks import FakeClock
from tests.definitions import infra

SECRETS = {
    "kubeconfig key": "a2V5IG9mIHRoZSBrdWJlY29uZmln",
    "talosconfig key": "a2V5IG9mIHRoZSB0YWxvc2NvbmZpZw",
    "machine token": "abcdef.0123456789abcdef",
    "encryption secret": "c2VjcmV0Ym94IGVuY3J5cHRpb24gc2VjcmV0",
    "private key of WireGuard": "d2lyZWd1YXJkIHByaXZhdGUga2V5",
    "passphrase of a disk": "correct horse battery staple",
    "identity token of a registry": "identity-0123456789abcdef",
    "login to a registry": "bG9naW4gdG8gYSByZWdpc3RyeQ",
    "AGE key": "AGE-SECRET-KEY-1QQQQQQQQQQ",
    "1Password session": "session-0123456789",
    "encrypted value": "standin-0123456789abcdef",
}

SOPS = f"""#!{sys.executable}
import pathlib, sys
sys.stdout.write(pathlib.Path(sys.argv[-1]).read_text().replace("ENC[AES256_GCM,data:x,type:str]", "{SECRETS["encrypted value"]}"))
"""  # noqa: E501


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A run on a computer with every kind of secret."""
    cluster = replace(infra(), root=tmp_path)
    files = {
        tmp_path / "kubeconfig": {
            "users": [{"user": {"client-key-data": SECRETS["kubeconfig key"]}}]
        },
        cluster.talosconfig: {
            "contexts": {"infra": {"key": SECRETS["talosconfig key"], "endpoints": ["10.25.11.11"]}}
        },
        cluster.machine_config(cluster.first_control_plane): {
            "machine": {
                "token": SECRETS["machine token"],
                "ca": {"crt": "a certificate"},
                "network": {
                    "wireguard": {
                        "privateKey": SECRETS["private key of WireGuard"],
                        "peers": [{"publicKey": "a public key of a peer"}],
                    }
                },
                "encryption": {
                    "keys": [{"static": {"passphrase": SECRETS["passphrase of a disk"]}}]
                },
                "registries": {
                    "auth": SECRETS["login to a registry"],
                    "identityToken": SECRETS["identity token of a registry"],
                },
            },
            "cluster": {"secretboxEncryptionSecret": SECRETS["encryption secret"]},
        },
        cluster.flux_dir / "apps" / "secrets.sops.yaml": {
            "metadata": {"name": "cluster-secrets"},
            "stringData": {"DOMAIN": "ENC[AES256_GCM,data:x,type:str]"},
        },
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    (tmp_path / "keys.txt").write_text(f"# public key: age1qqqqqqqqqqqq\n{SECRETS['AGE key']}\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sops").write_text(SOPS)
    (tmp_path / "bin" / "sops").chmod(0o755)
    environment = {
        "PATH": str(tmp_path / "bin"),
        "SOPS_AGE_KEY_FILE": str(tmp_path / "keys.txt"),
        "OP_SESSION_ABC": SECRETS["1Password session"],
        "HOME": "/home/operator",
    }
    return Runner(
        environment=environment, root=tmp_path, bus=Bus(FakeClock()), criterion=lambda: ""
    )


def learn(runner: Runner, tmp_path: Path) -> None:
    mask_known_secrets(runner, replace(infra(), root=tmp_path), tmp_path / "kubeconfig")


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_that_can_be_found_is_masked(runner: Runner, tmp_path: Path, name: str):
    learn(runner, tmp_path)

    assert runner.mask(f"it is {SECRETS[name]}") == f"it is {MASK}"


def test_public_values_are_not_masked(runner: Runner, tmp_path: Path):
    learn(runner, tmp_path)

    said = "10.25.11.11 cluster-secrets a certificate age1qqqqqqqqqqqq /home/operator a public key of a peer"  # noqa: E501
    assert runner.mask(said) == said


def test_files_are_decrypted_concurrently(runner: Runner, tmp_path: Path):
    """Each decryption waits for the other; sequential ones would time out."""
    folder, meeting = replace(infra(), root=tmp_path).flux_dir / "apps", tmp_path / "meeting"
    os.mkfifo(meeting)
    (folder / "more.sops.yaml").write_text((folder / "secrets.sops.yaml").read_text())
    meet = (
        f"open({str(meeting)!r}, 'w' if sys.argv[-1].endswith('more.sops.yaml') else 'r').close()\n"
    )
    (tmp_path / "bin" / "sops").write_text(SOPS + meet)
    started = time.monotonic()

    learn(runner, tmp_path)

    assert runner.mask(SECRETS["encrypted value"]) == MASK
    assert time.monotonic() - started < DECRYPT_S


def test_a_computer_without_any_secret_is_not_an_error(tmp_path: Path):
    bare = Runner(
        environment={"PATH": str(tmp_path)},
        root=tmp_path,
        bus=Bus(FakeClock()),
        criterion=lambda: "",
    )
    (tmp_path / "kubeconfig").write_bytes(b"\xff\x00: [")

    learn(bare, tmp_path)

    assert bare.mask("nothing to hide") == "nothing to hide"


def test_an_invalid_configuration_is_never_quoted(runner: Runner):
    with pytest.raises(Unreadable) as caught:
        mask_configuration(runner, "key: hunter2: [")

    assert "hunter2" not in str(caught.value)


def test_only_the_encrypted_values_of_a_file_are_secret(tmp_path: Path):
    path = tmp_path / "s.sops.yaml"
    path.write_text(
        "kind: Secret\ndata: {a: 'ENC[x]', b: plain, c: [1, 'ENC[y]']}\n---\nkey: ENC[z]\n"
    )

    found = encrypted_values(
        path, "kind: Secret\ndata: {a: first, b: plain, c: [1, second]}\n---\nkey: 3\n"
    )

    assert sorted(found) == ["3", "first", "second"]
    assert encrypted_values(path, "key: [") == []
    assert encrypted_values(tmp_path / "none", "key: value") == []
