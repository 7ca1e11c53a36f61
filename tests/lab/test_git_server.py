"""The Git server as real clients see it: fetch, GitHub's refusals, a pinned host key."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstlight.process import CommandResult, run
from lab.simulated import processes, workstation
from lab.simulated.faults import Faults
from lab.simulated.paths import LabPaths
from tests.lab.support import CALL_S, ROOT, git, require, start_service
from tests.waiting import until

READ_ONLY = "ERROR: The key you are authenticating with has been marked as read only."

FAULT_S = 10.0


@dataclass(frozen=True)
class Remote:
    """A running Git server with a read-only, a writable and an unregistered key."""

    paths: LabPaths
    folder: Path
    port: int
    url: str

    def ssh(self, key: str, known_hosts: str = "known_hosts") -> str:
        options = [
            "-F",
            "/dev/null",
            "-i",
            str(self.folder / key),
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "BatchMode=yes",
        ]
        options += [
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"UserKnownHostsFile={self.folder / known_hosts}",
        ]
        return " ".join(["ssh", *options, "-o", "GlobalKnownHostsFile=/dev/null"])

    def git(self, key: str, *words: str | Path, known_hosts: str = "known_hosts") -> CommandResult:
        return git(*words, env={"GIT_SSH_COMMAND": self.ssh(key, known_hosts)})

    def run(self, key: str, *words: str, user: str = "git") -> CommandResult:
        return run(
            [*self.ssh(key).split(), "-p", str(self.port), f"{user}@127.0.0.1", *words],
            timeout_s=CALL_S,
        )


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    require("ssh", "git")
    tmp_path = tmp_path_factory.mktemp("remote")
    paths = LabPaths(cluster="infra", state=(tmp_path / "state" / "infra").resolve(), checkout=ROOT)
    paths.run.mkdir(parents=True)
    work = tmp_path / "work"
    paths.git.mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", paths.repository)
    git("init", "--quiet", "--initial-branch=main", work)
    (work / "file").write_text("content\n" * 20_000)
    git("-C", work, "add", "file")
    git("-C", work, "commit", "--quiet", "--message", "first")
    git("-C", work, "push", "--quiet", paths.repository, "main")
    host_key = workstation.host_key(paths.git / "host_key")
    for name in ("reader", "writer", "stranger"):
        key = workstation.new_deploy_key(name)
        (tmp_path / name).write_text(key.identity)
        (tmp_path / name).chmod(0o600)
        if name != "stranger":
            workstation.register(
                paths.git / "deploy-keys.json", name, key.public, read_only=name == "reader"
            )
    ready = paths.run / "git-server.ready"
    argv = [
        sys.executable,
        "-m",
        "lab.simulated.git_server",
        "--state",
        str(paths.state),
        "--address",
        "127.0.0.1",
        "--port",
        "0",
    ]
    start_service(paths, "git-server", argv, ready)
    port = int(ready.read_text().split()[1])
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (tmp_path / "other_hosts").write_text(
        f"[127.0.0.1]:{port} {workstation.new_deploy_key('').public}\n"
    )
    yield Remote(paths, tmp_path, port, f"ssh://git@127.0.0.1:{port}/k8s-ops.git")
    processes.end(tuple(processes.marked(paths.state)), paths.state, terminate_s=1.0, kill_s=5.0)


def head(remote: Remote) -> str:
    return git("-C", remote.folder / "work", "rev-parse", "HEAD").stdout.strip()


@pytest.mark.parametrize("key", ["reader", "writer"])
def test_a_registered_key_clones_the_repository(remote: Remote, key: str):
    cloned = remote.git(key, "clone", "--quiet", remote.url, remote.folder / f"clone-{key}")

    assert cloned.ok, cloned.stderr
    assert (remote.folder / f"clone-{key}" / "file").read_text() == "content\n" * 20_000
    assert remote.git(
        key, "ls-remote", "--exit-code", remote.url, "refs/heads/main"
    ).stdout.split()[0] == head(remote)


def test_the_older_protocol_is_supported(remote: Remote):
    listed = remote.git("reader", "-c", "protocol.version=0", "ls-remote", remote.url, "HEAD")

    assert listed.stdout.split()[0] == head(remote)


def test_a_read_only_key_cannot_push_and_gets_the_answer_of_github(remote: Remote):
    refused = remote.git(
        "reader",
        "-C",
        remote.folder / "work",
        "push",
        "--dry-run",
        remote.url,
        "main:refs/heads/other",
    )

    assert refused.exit_code == 128
    assert refused.stderr.splitlines()[0] == READ_ONLY


def test_a_writable_key_can_push(remote: Remote):
    pushed = remote.git(
        "writer", "-C", remote.folder / "work", "push", remote.url, "main:refs/heads/other"
    )

    assert pushed.ok, pushed.stderr
    assert remote.git("reader", "ls-remote", remote.url, "refs/heads/other").stdout.split()[
        0
    ] == head(remote)


def test_an_unregistered_key_is_refused(remote: Remote):
    refused = remote.git("stranger", "ls-remote", remote.url)

    assert refused.exit_code == 128
    assert "Permission denied (publickey)." in refused.stderr


def test_a_removed_key_is_refused(remote: Remote):
    key = workstation.new_deploy_key("for a while")
    (remote.folder / "passing").write_text(key.identity)
    (remote.folder / "passing").chmod(0o600)
    registered = (remote.paths.git / "deploy-keys.json").read_text()
    workstation.register(
        remote.paths.git / "deploy-keys.json", "passing", key.public, read_only=True
    )
    assert remote.git("passing", "ls-remote", remote.url).ok

    (remote.paths.git / "deploy-keys.json").write_text(registered)

    assert "Permission denied (publickey)." in remote.git("passing", "ls-remote", remote.url).stderr


def test_any_user_but_git_is_refused(remote: Remote):
    assert (
        "Permission denied (publickey)."
        in remote.run("writer", "git-upload-pack '/k8s-ops.git'", user="root").stderr
    )


def test_a_changed_host_key_is_noticed(remote: Remote):
    refused = remote.git("reader", "ls-remote", remote.url, known_hosts="other_hosts")

    assert refused.exit_code == 128
    assert "Host key verification failed." in refused.stderr


def test_the_host_key_survives_a_restart(remote: Remote):
    assert (
        (remote.folder / "known_hosts")
        .read_text()
        .endswith(workstation.host_key(remote.paths.git / "host_key") + "\n")
    )


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("id",),
        ("git-upload-pack", "/k8s-ops.git;id"),
        ("git-shell", "'/k8s-ops.git'"),
        ("git-upload-pack '",),
    ],
)
def test_there_is_no_shell(remote: Remote, command: tuple[str, ...]):
    refused = remote.run("writer", *command)

    assert refused.exit_code == 1
    assert "uid=" not in refused.stdout
    assert (
        "does not provide shell access" in refused.stderr
        or "Repository not found" in refused.stderr
    )


def test_any_other_repository_is_not_found(remote: Remote):
    refused = remote.git("writer", "ls-remote", remote.url.replace("k8s-ops", "../k8s-ops"))

    assert refused.exit_code == 128
    assert "ERROR: Repository not found." in refused.stderr


def test_nothing_is_forwarded(remote: Remote):
    refused = remote.run("writer", "-o", "ExitOnForwardFailure=yes", "-W", "127.0.0.1:1")

    assert not refused.ok


def test_an_idle_client_delays_neither_start_nor_end_of_a_fault(remote: Remote):
    faults = Faults(remote.paths)

    with socket.create_connection(("127.0.0.1", remote.port)) as idle:
        assert idle.recv(1024).startswith(b"SSH-2.0-")
        with faults.git("down"):
            assert until(
                lambda: (
                    "Connection refused" in remote.git("reader", "ls-remote", remote.url).stderr
                ),
                within_s=FAULT_S,
            )
        assert until(lambda: remote.git("reader", "ls-remote", remote.url).ok, within_s=FAULT_S)


def test_the_log_names_key_and_request(remote: Remote):
    remote.git("reader", "ls-remote", remote.url)
    remote.git("stranger", "ls-remote", remote.url)

    log = (remote.paths.logs / "git-server.log").read_text()
    assert "reader: \"git-upload-pack '/k8s-ops.git'\" exit code 0" in log
    assert "refused: user git, key SHA256:" in log
    assert "Traceback" not in log
    assert "Warning" not in log
