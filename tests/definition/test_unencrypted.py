"""The pre-commit check rejects every plain secret and nothing else."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from firstlight.definition.unencrypted import main

CHECKOUT = Path(__file__).parents[2]

PEM = (
    "-----BEGIN ED25519 PRIVATE KEY-----\nbWFkZSB1cCBmb3IgdGhpcyB0ZXN0\n"
    "-----END ED25519 PRIVATE KEY-----\n"
)
CERTIFICATE = (
    "-----BEGIN CERTIFICATE-----\nbWFkZSB1cCBmb3IgdGhpcyB0ZXN0\n-----END CERTIFICATE-----\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(CHECKOUT / ".sops.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


REFUSED = {
    "secret.yaml": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  token: hunter22\n",
        "plain-secret",
    ),
    "clusters/infra/talos/talsecret.sops.yaml": ("cluster:\n  secret: hunter22\n", "not-encrypted"),
    "id_ed25519": (PEM, "plain-private-key"),
    "keys.txt": ("AGE-SECRET-KEY-1MADEUPFORTHISTESTMADEUPFORTHISTEST\n", "plain-private-key"),
    "kubeconfig": (
        f"users:\n- name: admin\n  user:\n    client-key-data: {encoded(PEM)}\n",
        "plain-private-key",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_plain_secret_is_rejected_by_its_own_rule(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, rule = REFUSED[name]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)

    code = main([name])

    printed = capsys.readouterr().err
    assert code == 1
    assert printed.startswith(f"{name}: ")
    assert f"[{rule}]" in printed
    assert "hunter22" not in printed


def test_a_key_in_base64_is_located_by_its_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "talosconfig").write_text(
        f"context: infra\ncontexts:\n  infra:\n    key: {encoded(PEM)}\n"
    )

    main(["talosconfig"])

    assert capsys.readouterr().err.startswith("talosconfig: line 4: ")


ALLOWED = {
    "secrets.yaml.tpl": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n"
    '  token: "op://vault/item/field"\n',
    "kubeconfig": "clusters:\n- cluster:\n    "
    f"certificate-authority-data: {encoded(CERTIFICATE)}\n",
    "values.yaml": "token:\n  secretName: somewhere\n",
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_not_a_secret_passes(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / name).write_text(ALLOWED[name])

    code = main([name])

    assert code == 0, capsys.readouterr().err


def test_the_definitions_of_this_checkout_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(CHECKOUT)
    files = [
        path.relative_to(CHECKOUT)
        for folder in ("clusters", "bootstrap")
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file()
    ]
    names = [".sops.yaml", *(str(path) for path in files if "clusterconfig" not in path.parts)]

    code = main(names)

    assert code == 0, capsys.readouterr().err
    assert len(names) > 20


def test_a_deleted_file_passes(root: Path) -> None:
    assert main(["gone.yaml"]) == 0
