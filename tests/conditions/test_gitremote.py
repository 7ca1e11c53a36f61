"""The Git remote and the deploy key: permissions are proven, never guessed from an outage."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from firstlight.conditions.gitremote import deploy_key_can_read, deploy_key_cannot_write
from firstlight.conditions.secrets import (
    bootstrap_secrets_present,
    deploy_key_in_cluster,
    read_deploy_key,
)
from firstlight.errors import FirstlightError
from firstlight.process import ToolFailed
from firstlight.run.retry import is_retried
from firstlight.tools.git import Git, RemoteBranch
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS
from firstlight.tools.runner import Runner
from tests.definitions import infra
from tests.tools.apiserver import ApiServer
from tests.tools.scripted import TIMED_OUT, Said, ScriptedRunner, captured, scripted

CLUSTER = infra()
KEY = ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", "github.com ssh-ed25519 AAAA")


def branch(runner: Runner, identity: str, known_hosts: str) -> RemoteBranch:
    sync = CLUSTER.sync
    return RemoteBranch(
        Git(runner), sync.url, sync.branch, identity=identity, known_hosts=known_hosts
    )


def reads(said: Said) -> Any:
    return deploy_key_can_read(branch(scripted({"git ls-remote": said}), *KEY))


def writes(said: Said, init: Said | None = None) -> Any:
    return deploy_key_cannot_write(
        Git(scripted({"git init": init or Said(), "push --dry-run": said})), CLUSTER, *KEY
    )


def test_a_key_that_can_read_returns_the_commit():
    assert reads(captured("git-head")).probe().value == "100c4f48ed5a1cae8b844f449e376bc0484eb990"


def test_a_missing_branch_is_not_confused_with_an_unregistered_key():
    with pytest.raises(
        FirstlightError, match=r"cannot read branch main of ssh://.*: the remote has no such branch"
    ) as caught:
        reads(captured("git-no-branch")).probe()

    assert "push the branch" in caught.value.next_step


@pytest.mark.parametrize(
    "said",
    [
        "git-unknown-key",
        "git-host-key-changed",
        "git-host-unknown",
        "git-port-closed",
        "git-no-repository",
        "git-no-host",
    ],
)
def test_a_remote_that_denies_reading_is_final(said: str):
    with pytest.raises(
        ToolFailed, match=r"cannot read branch main of ssh://.* with the deploy key: git exited 128"
    ) as caught:
        reads(captured(said)).probe()

    assert not is_retried(caught.value)
    assert "read-only" in caught.value.next_step


def test_a_read_only_key_is_rejected_with_the_message_of_the_remote():
    seen = writes(captured("git-push-read-only")).probe()

    assert (seen.holds, seen.value) == (
        True,
        "ERROR: The key you are authenticating with has been marked as read only.",
    )


@pytest.mark.parametrize(
    "said",
    [
        captured("git-push-writable"),
        Said(
            stderr=(
                "error: unable to delete 'firstlight-write-probe': remote ref does not "
                "exist\nerror: failed to push some refs"
            ),
            exit_code=1,
        ),
    ],
    ids=["went through", "no such branch"],
)
def test_a_key_that_can_write_is_final(said: Said):
    seen = writes(said).probe()

    assert (seen.unsatisfiable, seen.seen) == (
        True,
        f"the deploy key can write to {CLUSTER.sync.url}; a deploy key has to be read-only",
    )


@pytest.mark.parametrize(
    ("said", "retried"),
    [
        (captured("git-push-unknown-key"), False),
        (captured("git-push-port-closed"), False),
        (captured("git-push-no-repository"), False),
        (
            Said(
                stderr="kex_exchange_identification: Connection closed by remote host",
                exit_code=128,
            ),
            True,
        ),
        (
            Said(stderr="ssh: connect to host github.com port 22: No route to host", exit_code=128),
            True,
        ),
        (Said(stderr="something never seen", exit_code=128), False),
        (TIMED_OUT, True),
    ],
    ids=[
        "unknown key",
        "port closed",
        "no repository",
        "connection closed",
        "no route",
        "unknown",
        "timed out",
    ],
)
def test_an_unreachable_remote_proves_nothing_about_the_key(said: Said, retried: bool):
    with pytest.raises(ToolFailed, match="cannot learn whether the deploy key can write") as caught:
        writes(said).probe()

    assert is_retried(caught.value) is retried


def test_a_full_disk_proves_nothing_about_the_key():
    with pytest.raises(ToolFailed, match="cannot create an empty repository"):
        writes(
            captured("git-push-read-only"), Said(stderr="No space left on device", exit_code=128)
        ).probe()


def test_the_key_exists_only_in_memory_and_only_while_git_runs():
    seen: dict[str, Any] = {}

    def script(argv: list[str]) -> Said:
        command = runner.called[-1].env["GIT_SSH_COMMAND"].split()
        seen["key"] = command[command.index("-i") + 1]
        seen["text"], seen["mode"] = (
            Path(seen["key"]).read_text(),
            Path(seen["key"]).stat().st_mode & 0o777,
        )
        seen["target"] = str(Path(seen["key"]).readlink())
        seen["line"] = " ".join(command)
        return captured("git-head")

    runner = ScriptedRunner(script)

    deploy_key_can_read(branch(runner, KEY[0].rstrip(), KEY[1])).probe()

    assert (seen["text"], seen["mode"]) == (KEY[0], 0o600)
    assert seen["target"].startswith("/memfd:")
    assert not Path(seen["key"]).exists()
    assert "hunter2" not in seen["line"] + runner.called[0].line
    assert "StrictHostKeyChecking=yes" in seen["line"]
    assert "IdentitiesOnly=yes" in seen["line"]


def held(api: ApiServer, name: str = CLUSTER.sync.secret, **data: str) -> None:
    encoded = {
        key.replace("__", "."): base64.b64encode(value.encode()).decode()
        for key, value in data.items()
    }
    api.hold(
        SECRETS,
        *api.kinds.get(SECRETS.path(), ()),
        {"metadata": {"name": name, "namespace": CLUSTER.sync.namespace}, "data": encoded},
    )


def test_the_whole_key_in_the_cluster_is_compared(api: ApiServer, kubernetes: Kubernetes):
    assert (
        deploy_key_in_cluster(kubernetes, CLUSTER, *KEY).probe().seen
        == "flux-system/flux-system does not exist"
    )

    held(api, identity=KEY[0], known_hosts=KEY[1])

    assert read_deploy_key(kubernetes, CLUSTER) == KEY
    assert deploy_key_in_cluster(kubernetes, CLUSTER, *KEY).probe().holds
    seen = deploy_key_in_cluster(kubernetes, CLUSTER, KEY[0], "gitlab.com ssh-rsa BBBB").probe()
    assert (seen.unsatisfiable, seen.seen) == (
        True,
        "flux-system differs from 1Password in known_hosts",
    )


def test_a_binary_key_in_the_cluster_is_a_different_key(api: ApiServer, kubernetes: Kubernetes):
    api.hold(
        SECRETS,
        {
            "metadata": {"name": CLUSTER.sync.secret, "namespace": CLUSTER.sync.namespace},
            "data": {"identity": "//79", "known_hosts": ""},
        },
    )

    assert (
        deploy_key_in_cluster(kubernetes, CLUSTER, *KEY).probe().seen
        == "flux-system differs from 1Password in identity, known_hosts"
    )


def test_secrets_are_present_unless_a_value_is_empty_or_a_reference(
    api: ApiServer, kubernetes: Kubernetes
):
    present = bootstrap_secrets_present(kubernetes, CLUSTER)
    assert present.probe().seen == "flux-system/flux-system does not exist"

    held(api, identity=KEY[0])
    assert present.probe().seen == f"flux-system/{CLUSTER.sync.decryption_secret} does not exist"

    held(api, CLUSTER.sync.decryption_secret, age__agekey="op://k8s-ops/sops-age/private-key")
    assert (
        present.probe().seen
        == f"flux-system/{CLUSTER.sync.decryption_secret} has no value for age.agekey"
    )

    api.hold(SECRETS)
    held(api, identity=KEY[0])
    held(api, CLUSTER.sync.decryption_secret, age__agekey="AGE-SECRET-KEY-1X")
    assert present.probe().value == {CLUSTER.sync.secret, CLUSTER.sync.decryption_secret}
