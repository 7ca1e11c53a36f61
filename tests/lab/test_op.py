"""The `op` stand-in as a process: sessions, documents through pipes, and no plain text on disk."""

from __future__ import annotations

import json

import pytest

from lab.simulated.paths import LabPaths
from lab.simulated.vault import changing
from lab.simulated.workstation import vault_key
from tests.lab.support import Call

CANARY = "canary-7b3f9c1e"


@pytest.fixture(autouse=True)
def filled(paths: LabPaths):
    with changing(paths.vault, vault_key(paths)) as account:
        account.store("k8s-ops", "sops-age", "", "private-key", CANARY)


def test_a_secret_is_read_and_injected(op: Call):
    assert op("read", "op://k8s-ops/sops-age/private-key").stdout == f"{CANARY}\n"
    assert op("read", "--no-newline", "op://k8s-ops/sops-age/private-key").stdout == CANARY
    assert (
        op("inject", stdin="key: {{ op://k8s-ops/sops-age/private-key }}\n").stdout
        == f"key: {CANARY}\n"
    )


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (("whoami",), None, "account is not signed in"),
        (
            ("read", "op://k8s-ops/sops-age/private-key"),
            None,
            "error initializing client: You are not currently signed in.",
        ),
        (
            ("inject",),
            "x",
            "You are not currently signed in. Please run `op signin --help` for instructions",
        ),
        (("document", "get", "x", "--vault", "k8s-ops"), None, "You are not currently signed in."),
        (
            ("document", "create", "-", "--title", "x", "--vault", "k8s-ops"),
            "x",
            "You are not currently signed in.",
        ),
    ],
)
def test_without_a_session_everything_is_refused(
    op: Call, words: tuple[str, ...], stdin: str | None, says: str
):
    assert op("signout").ok

    refused = op(*words, stdin=stdin)

    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("[ERROR] ")
    assert says in refused.stderr


def test_an_expired_session_is_refused(op: Call, paths: LabPaths):
    paths.op_session.write_text("AGE-SECRET-KEY-1WRONG\n")

    assert "session expired, sign in to create a new session" in op("inject", stdin="x").stderr


def test_sign_in_needs_an_account(op: Call, paths: LabPaths):
    paths.op_account.unlink()

    assert "No accounts configured for use with 1Password CLI." in op("signin").stderr


def test_signing_in_again_opens_the_same_vault(op: Call):
    op("signout")

    assert op("signin").ok
    assert op("whoami").ok
    assert CANARY in op("read", "op://k8s-ops/sops-age/private-key").stdout


def test_a_document_is_returned_unchanged(op: Call):
    text = "apiVersion: v1\nkind: Config\n# ünïcode, no newline at the end"

    created = op(
        "document",
        "create",
        "-",
        "--title",
        "kubeconfig",
        "--file-name",
        "kubeconfig",
        "--vault",
        "k8s-ops",
        stdin=text,
    )

    assert json.loads(created.stdout)["uuid"]
    assert op("document", "get", "kubeconfig", "--vault", "k8s-ops").stdout == text
    assert op("read", "-n", "op://k8s-ops/kubeconfig/kubeconfig").stdout == text


def test_editing_a_document_replaces_it_and_increments_its_version(op: Call):
    op("document", "create", "-", "--title", "kubeconfig", "--vault", "k8s-ops", stdin="old")

    edited = op("document", "edit", "kubeconfig", "-", "--vault", "k8s-ops", stdin="new")

    assert edited.ok
    assert op("document", "get", "kubeconfig", "--vault", "k8s-ops").stdout == "new"
    assert (
        json.loads(
            op("item", "get", "kubeconfig", "--vault", "k8s-ops", "--format", "json").stdout
        )["version"]
        == 2
    )


def test_creating_a_document_twice_stores_two(op: Call):
    for text in ("one", "two"):
        op("document", "create", "-", "--title", "kubeconfig", "--vault", "k8s-ops", stdin=text)

    refused = op("document", "get", "kubeconfig", "--vault", "k8s-ops")

    assert refused.exit_code == 1
    assert (
        'More than one item matches "kubeconfig". Try again and specify the item by its ID:'
        in refused.stderr
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("document", "get", "gone", "--vault", "k8s-ops"),
            '"gone" isn\'t an item in the "k8s-ops" vault.',
        ),
        (
            ("document", "get", "gone", "--vault", "nowhere"),
            '"nowhere" isn\'t a vault in this account.',
        ),
        (("document", "get", "gone"), '"Private" isn\'t a vault in this account.'),
        (("document", "get", "sops-age", "--vault", "k8s-ops"), "doesn't seem to be a document"),
        (("document", "get", "gone", "--vault"), "flag needs an argument: --vault"),
        (("document", "edit", "gone", "-", "--vault", "k8s-ops"), '"gone" isn\'t an item'),
        (
            ("document", "create", "/nowhere/at/all", "--vault", "k8s-ops"),
            "no such file or directory",
        ),
        (("read", "op://k8s-ops/gone/x"), "isn't an item in the"),
        (("read",), "accepts 1 arg(s), received 0"),
        (
            ("read", "--out-file", "x", "op://k8s-ops/sops-age/private-key"),
            "unknown flag: --out-file",
        ),
        (("vault", "list"), 'unknown command "vault list" for "op"'),
    ],
)
def test_refusals_go_to_standard_error(op: Call, words: tuple[str, ...], says: str):
    refused = op(*words, stdin="x")

    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert says in refused.stderr


def test_no_secret_is_readable_on_disk(op: Call, paths: LabPaths):
    op(
        "document",
        "create",
        "-",
        "--title",
        "kubeconfig",
        "--vault",
        "k8s-ops",
        stdin=f"token: {CANARY}",
    )

    readable = [
        file
        for file in paths.state.rglob("*")
        if file.is_file() and CANARY.encode() in file.read_bytes()
    ]

    assert readable == []
    assert all(
        file.stat().st_mode & 0o077 == 0
        for file in (paths.vault, paths.op_account, paths.op_session)
    )
