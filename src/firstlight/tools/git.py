"""git: what the remote allows with the deploy key, tried before Flux needs it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.process import CommandResult
from firstlight.tools.reading import Unreadable
from firstlight.tools.runner import Runner

REMOTE_S = 30.0

NO_SUCH_BRANCH = 2
"""Exit code of `git ls-remote --exit-code` if the remote answers and has no such reference."""


class Git:
    """Uses a remote as Flux does: with the deploy key and no other."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def head(self, url: str, branch: str, *, identity: str, known_hosts: str) -> str:
        """Return the commit of a branch of the remote.

        Raises:
            ToolFailed: The remote refused, or did not answer.
            FirstlightError: The remote has no such branch.
        """
        with _ssh_command(identity, known_hosts) as env:
            words = ["git", "ls-remote", "--exit-code", url, f"refs/heads/{branch}"]
            result = self._runner.run(words, env=env, timeout_s=REMOTE_S)
        step = (
            "add the deploy key to the repository's settings, read-only; "
            "compare known_hosts with `ssh-keyscan`"
        )
        if result.exit_code == NO_SUCH_BRANCH:
            raise FirstlightError(
                f"cannot read branch {branch} of {url} with the deploy key: "
                "the remote has no such branch",
                next_step="push the branch, "
                "or correct spec.ref.branch of the GitRepository in bootstrap/",
            )
        result.raise_on_failure(
            f"read branch {branch} of {url} with the deploy key", next_step=step
        )
        return parse_head(result.stdout)

    def try_write(self, url: str, *, identity: str, known_hosts: str) -> CommandResult:
        """Start a push that changes nothing, and return the result for `accepts_push`.

        The remote decides about access before it learns of any reference.

        Raises:
            ToolFailed: The empty repository to push from cannot be created.
        """
        with (
            _ssh_command(identity, known_hosts) as env,
            tempfile.TemporaryDirectory(prefix="firstlight-") as folder,
        ):
            self._runner.run(
                ["git", "init", "--quiet", folder], timeout_s=REMOTE_S
            ).raise_on_failure("create an empty repository")
            words = ["git", "-C", folder, "push", "--dry-run", url]
            words += ["--delete", "refs/heads/firstlight-write-probe"]
            return self._runner.run(words, env=env, timeout_s=REMOTE_S)


class RemoteBranch:
    """The branch that Flux follows, read with the deploy key.

    Attributes:
        name: Its name.
        heads: Every commit that it was seen at, in the order of the looks; it may move at any time.
    """

    def __init__(self, git: Git, url: str, name: str, *, identity: str, known_hosts: str) -> None:
        self.name = name
        self.url = url
        self.heads: list[str] = []
        self._git = git
        self._identity = identity
        self._known_hosts = known_hosts

    def look(self) -> str:
        """Return the commit that the branch is at now, and keep it.

        Raises:
            ToolFailed: The remote refused, or did not answer.
            FirstlightError: The remote has no such branch.
        """
        head = self._git.head(
            self.url, self.name, identity=self._identity, known_hosts=self._known_hosts
        )
        self.heads.append(head)
        return head


def parse_head(text: str) -> str:
    """Read the commit from the output of `git ls-remote`.

    Raises:
        Unreadable: It contains none.
    """
    found = re.match(r"[0-9a-f]{40,64}(?=\s)", text)
    if found is None:
        raise Unreadable(
            "the remote's branch from git",
            "it names no commit",
            failure_class=FailureClass.RETRY,
        )
    return found.group()


def accepts_push(result: CommandResult) -> bool:
    """Report whether the key may write: the remote got as far as its references."""
    return result.ok or "remote ref does not exist" in result.stderr


@contextmanager
def _ssh_command(identity: str, known_hosts: str) -> Iterator[dict[str, str]]:
    """Give ssh the key in a memory-only file, and nothing of the operator's own settings."""
    key = os.memfd_create("deploy-key", 0)
    try:
        os.write(key, identity.encode() if identity.endswith("\n") else f"{identity}\n".encode())
        os.fchmod(key, 0o600)
        with tempfile.NamedTemporaryFile("w", prefix="firstlight-known-hosts-") as hosts:
            hosts.write(known_hosts)
            hosts.flush()
            options = " ".join(
                [
                    f"-F /dev/null -i /proc/{os.getpid()}/fd/{key}",
                    "-o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes",
                    "-o ConnectTimeout=10 -o StrictHostKeyChecking=yes",
                    f"-o UserKnownHostsFile={hosts.name} -o GlobalKnownHostsFile=/dev/null",
                ]
            )
            yield {"GIT_SSH_COMMAND": f"ssh {options}", "GIT_TERMINAL_PROMPT": "0"}
    finally:
        os.close(key)
