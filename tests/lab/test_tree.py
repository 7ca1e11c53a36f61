"""The lab's tree follows the checkout and never contains a readable secret."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from firstlight.errors import TargetError
from firstlight.process import run
from lab.simulated import tree, workstation
from lab.simulated.checkout import read_checkout
from lab.simulated.paths import LabPaths
from tests.lab.support import CALL_S, ROOT, git, python_environment

STORY_KEY = "age1j3hsfptdfsfwvkf504etjkrtmajny9csrfh5s24uqh6fchmg5dgqg087ek"
CANARY = "canary-4e1d0b2a"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small definition in a Git checkout, with one secret encrypted to the real key."""
    folder = tmp_path / "checkout"
    for part in (
        "clusters/infra/flux/config/cilium",
        "clusters/infra/talos/patches",
        "bootstrap/infra/resources",
    ):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "clusters/infra/talos/talconfig.yaml", folder / "clusters/infra/talos")
    shutil.copy(ROOT / ".sops.yaml", folder)
    (folder / ".gitignore").write_text("clusterconfig/\n")
    secret = {
        "kind": "Secret",
        "stringData": {"TOKEN": CANARY, "PORT": "1"},
        "data": {"BLOB": "Y2FuYXJ5"},
    }
    words = [
        "sops",
        "encrypt",
        "--filename-override",
        "clusters/infra/flux/app.sops.yaml",
        "/dev/stdin",
    ]
    sealed = run(
        words, timeout_s=CALL_S, input=yaml.safe_dump(secret), env=python_environment(), cwd=folder
    )
    (folder / "clusters/infra/flux/app.sops.yaml").write_text(
        sealed.raise_on_failure("encrypt the test's secret").stdout
    )
    git("init", "--quiet", folder)
    return folder


def refresh(paths: LabPaths, checkout: Path) -> bool:
    return tree.refresh(
        paths, read_checkout(checkout), workstation.age_recipient(paths), python_environment()
    )


def decrypted(paths: LabPaths, path: str) -> dict[str, dict[str, str]]:
    env = python_environment({"SOPS_AGE_KEY_FILE": str(paths.age_keys)})
    result = run(["sops", "decrypt", paths.tree / path], timeout_s=CALL_S, env=env)
    data = yaml.safe_load(result.raise_on_failure("decrypt the lab's secret").stdout)
    assert isinstance(data, dict)
    return data


def test_the_tree_is_the_checkout_on_loopback(paths: LabPaths, checkout: Path):
    assert refresh(paths, checkout)

    inventory = (paths.tree / "clusters/infra/talos/talconfig.yaml").read_text()
    original = (checkout / "clusters/infra/talos/talconfig.yaml").read_text()
    assert inventory.replace("127.25.11.", "10.25.11.") == original
    assert "10.25.11." not in inventory
    assert (
        "url: ssh://git@127.25.11.1:2222/k8s-ops.git"
        in (paths.tree / "bootstrap/infra/resources/gitrepository.yaml").read_text()
    )
    assert STORY_KEY not in (paths.tree / ".sops.yaml").read_text()


def test_the_served_repository_equals_the_tree(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)

    assert tree.head(paths) == git("-C", paths.tree, "rev-parse", "HEAD").stdout.strip() != ""
    assert git("-C", paths.tree, "status", "--porcelain").stdout == ""


def test_an_unchanged_checkout_changes_nothing(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)
    before = {
        file: file.read_bytes()
        for file in paths.tree.rglob("*")
        if file.is_file() and ".git" not in file.parts
    }
    head = tree.head(paths)

    assert not refresh(paths, checkout)
    assert tree.head(paths) == head
    assert {file: file.read_bytes() for file in before} == before


def test_a_changed_checkout_adds_a_commit_and_keeps_the_secrets(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)
    head, secret = tree.head(paths), (paths.tree / "clusters/infra/flux/app.sops.yaml").read_bytes()
    (checkout / "clusters/infra/flux/new.yaml").write_text("address: 10.25.11.99\n")
    (checkout / "bootstrap/infra/resources/flux-system-kustomization.yaml").unlink()

    assert refresh(paths, checkout)
    assert git("-C", paths.repository, "rev-parse", "main^").stdout.strip() == head
    assert (paths.tree / "clusters/infra/flux/new.yaml").read_text() == "address: 127.25.11.99\n"
    assert not (paths.tree / "bootstrap/infra/resources/flux-system-kustomization.yaml").exists()
    assert (paths.tree / "clusters/infra/flux/app.sops.yaml").read_bytes() == secret


def test_ignored_files_are_not_copied(paths: LabPaths, checkout: Path):
    generated = checkout / "clusters/infra/talos/clusterconfig"
    generated.mkdir()
    (generated / "talosconfig").write_text(CANARY)

    refresh(paths, checkout)

    assert not (paths.tree / "clusters/infra/talos/clusterconfig").exists()


def test_commits_in_the_tree_stay_until_the_checkout_changes(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)
    (paths.tree / "clusters/infra/flux/trial.yaml").write_text("a: b\n")
    git("-C", paths.tree, "add", "--all")
    git("-C", paths.tree, "commit", "--quiet", "--message", "a trial")
    git("-C", paths.tree, "push", "--quiet", paths.repository, "HEAD:main")
    trial = tree.head(paths)

    assert not refresh(paths, checkout)
    assert tree.head(paths) == trial
    (checkout / "clusters/infra/flux/new.yaml").write_text("c: d\n")
    assert refresh(paths, checkout)
    assert not (paths.tree / "clusters/infra/flux/trial.yaml").exists()


def test_a_lost_repository_is_recreated(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)
    head = tree.head(paths)
    shutil.rmtree(paths.repository)
    # Left by a kill in the middle of a commit.
    (paths.tree / ".git" / "index.lock").touch()

    assert refresh(paths, checkout)
    assert tree.head(paths) == head


def test_secrets_become_stand_ins_that_the_labs_key_decrypts(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)

    secret = decrypted(paths, "clusters/infra/flux/app.sops.yaml")
    assert set(secret["stringData"]) == {"TOKEN", "PORT"}
    assert secret["stringData"]["TOKEN"].startswith("standin-")
    assert secret["data"]["BLOB"].startswith("c3RhbmRpbi")


def test_no_stand_in_is_readable_anywhere_in_the_lab(paths: LabPaths, checkout: Path):
    refresh(paths, checkout)
    value = decrypted(paths, "clusters/infra/flux/app.sops.yaml")["stringData"]["TOKEN"]

    assert [
        file
        for file in paths.state.rglob("*")
        if file.is_file() and value.encode() in file.read_bytes()
    ] == []


def test_an_unencrypted_secret_is_refused_with_its_path(paths: LabPaths, checkout: Path):
    (checkout / "clusters/infra/flux/app.sops.yaml").write_text(
        "kind: Secret\nstringData: {TOKEN: plain}\n"
    )

    with pytest.raises(
        TargetError, match=r"cannot copy clusters/infra/flux/app.sops.yaml: it is not encrypted"
    ):
        refresh(paths, checkout)


def test_a_folder_without_a_definition_is_an_error(tmp_path: Path):
    with pytest.raises(TargetError, match="there is neither clusters/ nor bootstrap/"):
        read_checkout(tmp_path)


def test_an_unpacked_archive_works_like_a_git_checkout(paths: LabPaths, checkout: Path):
    shutil.rmtree(checkout / ".git")

    assert refresh(paths, checkout)
    assert (paths.tree / ".sops.yaml").exists()
