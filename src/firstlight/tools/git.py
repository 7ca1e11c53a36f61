"""git: what the remote says to the deploy key, before Flux has to ask it."""

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
"""What `git ls-remote --exit-code` ends with, silently, when the remote answered and has no such reference."""


class Git:
    """Ask a remote as Flux will: with the deploy key, and no other key."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def head(self, url: str, branch: str, *, identity: str, known_hosts: str) -> str:
        """Return the commit that a branch of the remote is at.

        Raises:
            ToolFailed: The remote did not let us read.
            FirstlightError: It has no such branch.
        """
        with _ssh_command(identity, known_hosts) as env:
            words = ["git", "ls-remote", "--exit-code", url, f"refs/heads/{branch}"]
            result = self._runner.run(words, env=env, timeout_s=REMOTE_S)
        step = "add the deploy key to the repository's settings, read-only; compare known_hosts with `ssh-keyscan`"
        if result.exit_code == NO_SUCH_BRANCH:
            raise FirstlightError(
                f"cannot read branch {branch} of {url} with the deploy key: the remote has no such branch",
                next_step="push the branch, or correct spec.ref.branch of the GitRepository in bootstrap/",
            )
        result.raise_on_failure(
            f"read branch {branch} of {url} with the deploy key", next_step=step
        )
        return parse_head(result.stdout)

    def try_write(self, url: str, *, identity: str, known_hosts: str) -> CommandResult:
        """Open a push that sends nothing, to learn whether the remote would take one; the caller judges the answer.

        A push of no change is a dry run in every respect: the remote decides on access before it is told of any reference.

        Raises:
            ToolFailed: There is no room for an empty repository to push from.
        """
        with (
            _ssh_command(identity, known_hosts) as env,
            tempfile.TemporaryDirectory(prefix="firstlight-") as folder,
        ):
            self._runner.run(
                ["git", "init", "--quiet", folder], timeout_s=REMOTE_S
            ).raise_on_failure("make an empty repository")
            words = [
                "git",
                "-C",
                folder,
                "push",
                "--dry-run",
                url,
                "--delete",
                "refs/heads/firstlight-write-probe",
            ]
            return self._runner.run(words, env=env, timeout_s=REMOTE_S)


def parse_head(text: str) -> str:
    """Read the commit that `git ls-remote` names.

    Raises:
        Unreadable: It names none.
    """
    found = re.match(r"[0-9a-f]{40,64}(?=\s)", text)
    if found is None:
        raise Unreadable(
            "what git says of the remote's branch",
            "it names no commit",
            failure_class=FailureClass.RETRY,
        )
    return found.group()


def took_push(result: CommandResult) -> bool:
    """Report whether the remote let a push through to its references: then the key can write, whatever became of the push."""
    return result.ok or "remote ref does not exist" in result.stderr


@contextmanager
def _ssh_command(identity: str, known_hosts: str) -> Iterator[dict[str, str]]:
    """Give ssh the key through an agent-free, memory-only file, and nothing of the operator's own configuration."""
    key = os.memfd_create("deploy-key", 0)
    try:
        os.write(key, identity.encode() if identity.endswith("\n") else f"{identity}\n".encode())
        os.fchmod(key, 0o600)
        with tempfile.NamedTemporaryFile("w", prefix="firstlight-known-hosts-") as hosts:
            hosts.write(known_hosts)
            hosts.flush()
            options = f"-F /dev/null -i /proc/{os.getpid()}/fd/{key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
            options += f" -o ConnectTimeout=10 -o StrictHostKeyChecking=yes -o UserKnownHostsFile={hosts.name} -o GlobalKnownHostsFile=/dev/null"
            yield {"GIT_SSH_COMMAND": f"ssh {options}", "GIT_TERMINAL_PROMPT": "0"}
    finally:
        os.close(key)
