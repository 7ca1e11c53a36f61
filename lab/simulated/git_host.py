"""What the Git host answers to one session: fetch, push, or a refusal in GitHub's words."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

import asyncssh

LOG = logging.getLogger("git-server")

SESSION_SECONDS_MAX = 120
"""A clone of this repository takes a fraction of a second; a stuck one must not stay for ever."""
CONNECTIONS_MAX = 32
CHUNK_BYTES = 64 * 1024

READ_ONLY = "ERROR: The key you are authenticating with has been marked as read only.\n"
NOT_FOUND = "ERROR: Repository not found.\n"
NO_SHELL = (
    "Hi there! You've successfully authenticated, but this host does not provide shell access.\n"
)

_GIT_PROTOCOL = re.compile(r"version=[0-9]")


class GitHost:
    """Serves one bare repository."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._names = {f"{prefix}{repository.name}" for prefix in ("", "/")} | {
            f"{prefix}{repository.stem}" for prefix in ("", "/")
        }
        self._running = 0

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Answer one session; whatever goes wrong ends this session alone."""
        key = process.get_extra_info("deploy_key")
        refusal = (
            NOT_FOUND
            if key.get("other_repository")
            else self._refusal(process.command, read_only=bool(key["read_only"]))
        )
        if refusal or self._running >= CONNECTIONS_MAX:
            LOG.info(
                "%s: %r refused: %s",
                key["title"],
                process.command,
                (refusal or "too many sessions").strip(),
            )
            process.stderr.write(
                (refusal or "ERROR: Too many sessions, try again later.\n").encode()
            )
            process.exit(1)
            return
        self._running += 1
        try:
            code = await self._run_git(process)
            LOG.info("%s: %r exit code %d", key["title"], process.command, code)
            process.exit(code)
        except (OSError, asyncssh.Error) as error:
            LOG.warning("%s: %r broke off: %s", key["title"], process.command, error)
            process.exit(128)
        finally:
            self._running -= 1

    def _refusal(self, command: str | None, *, read_only: bool) -> str:
        try:
            words = shlex.split(command or "")
        except ValueError:
            # An open quote: no Git client sends that.
            return NO_SHELL
        if len(words) == 3 and words[0] == "git":  # noqa: PLR2004 - `git upload-pack <repository>` is the older spelling
            words = [f"git-{words[1]}", words[2]]
        if len(words) != 2 or words[0] not in {"git-upload-pack", "git-receive-pack"}:  # noqa: PLR2004 - command and repository
            return NO_SHELL
        if words[1] not in self._names:
            return NOT_FOUND
        return READ_ONLY if words[0] == "git-receive-pack" and read_only else ""

    async def _run_git(self, process: asyncssh.SSHServerProcess[bytes]) -> int:
        verb = "receive-pack" if "receive-pack" in (process.command or "") else "upload-pack"
        git = await asyncio.create_subprocess_exec(
            "git",
            verb,
            str(self._repository),
            env=_git_environment(str(process.env.get("GIT_PROTOCOL", ""))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        asking = asyncio.create_task(_ask(process, git))
        try:
            async with asyncio.timeout(SESSION_SECONDS_MAX):
                await asyncio.gather(
                    _answer(git.stdout, process.stdout), _answer(git.stderr, process.stderr)
                )
                return await git.wait()
        except TimeoutError:
            LOG.warning("%r took more than %d s", process.command, SESSION_SECONDS_MAX)
            return 124
        finally:
            asking.cancel()
            with suppress(ProcessLookupError):
                git.kill()
            await git.wait()


async def _ask(process: asyncssh.SSHServerProcess[bytes], git: asyncio.subprocess.Process) -> None:
    """Hand what the client sends to git, until it has said all or git listens no more."""
    if git.stdin is None:
        return
    with suppress(ConnectionError, asyncssh.BreakReceived, asyncssh.SignalReceived):
        while data := await process.stdin.read(CHUNK_BYTES):
            git.stdin.write(data)
            await git.stdin.drain()
    git.stdin.close()


async def _answer(source: asyncio.StreamReader | None, sink: asyncssh.SSHWriter[bytes]) -> None:
    """Hand what git says to the client."""
    while source is not None and (data := await source.read(CHUNK_BYTES)):
        sink.write(data)
        await sink.drain()


def _git_environment(protocol: str) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    # What a client may set reaches git only in the one form that git knows.
    if _GIT_PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    for name in ("FIRSTLIGHT_LAB", "LANG"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment
