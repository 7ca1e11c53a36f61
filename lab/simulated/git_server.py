"""The Git host: a real SSH server that serves one repository to deploy keys, like GitHub.

An unregistered key is refused. A read-only key may fetch but not push. There is no shell, no
terminal and no forwarding. Keys are read again at each connection, so a key can be changed under a
running cluster, as on the Git host's settings page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import asyncssh

from firstlight.files import write_atomically
from lab.simulated.faults import current_fault

LOG = logging.getLogger("git-server")

SESSION_SECONDS_MAX = 120
"""Seconds. A clone of this repository takes a fraction of one; a stuck session must end."""
CONNECTIONS_MAX = 32
CHUNK_BYTES = 64 * 1024

READ_ONLY = "ERROR: The key you are authenticating with has been marked as read only.\n"
NOT_FOUND = "ERROR: Repository not found.\n"
NO_SHELL = (
    "Hi there! You've successfully authenticated, but this host does not provide shell access.\n"
)

_GIT_PROTOCOL = re.compile(r"version=[0-9]")

FAULTS_S = 0.1
"""How often the server checks for faults, in seconds."""

DOWN, HOST_KEY = "down", "host_key"
"""Faults that close the port. HOST_KEY opens it again with another key."""


class DeployKeys:
    """The registered deploy keys, read again on each lookup."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, public: asyncssh.SSHKey) -> Mapping[str, object] | None:
        """Return the registered entry for this key, or None. Faults may change the answer."""
        fault = current_fault(self._path.parent.parent, "git")
        found = None if fault == "unregistered" else self._registered(public)
        if found is not None and fault == "read_write":
            return {**found, "read_only": False}
        return (
            {**found, "other_repository": True}
            if found is not None and fault == "other_repository"
            else found
        )

    def _registered(self, public: asyncssh.SSHKey) -> Mapping[str, object] | None:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            LOG.warning("cannot read the deploy keys of %s: %s", self._path, error)
            return None
        wanted = public.export_public_key("openssh").split()[:2]
        return next((key for key in known if str(key["key"]).encode().split()[:2] == wanted), None)


class Session(asyncssh.SSHServer):
    """One connection: authenticates a deploy key and allows only fetch and push."""

    def __init__(self, keys: DeployKeys) -> None:
        self._keys = keys
        self._peer = "?"

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the peer."""
        self._connection = conn
        host, port, *_ = conn.get_extra_info("peername")
        self._peer = f"{host}:{port}"

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - the library's signature
        """Require authentication from every user."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Allow public keys, and therefore nothing else."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Accept registered keys for the user `git` only, as Git hosts do."""
        found = self._keys.find(key) if username == "git" else None
        if found is None:
            LOG.info("%s refused: user %s, key %s", self._peer, username, key.get_fingerprint())
            return False
        self._connection.set_extra_info(deploy_key=found)
        return True


async def listen(
    address: str, port: int, *, host_key: Path | asyncssh.SSHKey, keys_file: Path, repository: Path
) -> asyncssh.SSHAcceptor:
    """Start listening. Port 0 takes any free port."""
    host = GitHost(repository)
    keys = DeployKeys(keys_file)
    return await asyncssh.listen(
        address,
        port,
        server_factory=lambda: Session(keys),
        server_host_keys=[host_key if isinstance(host_key, asyncssh.SSHKey) else str(host_key)],
        process_factory=host.serve,
        encoding=None,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        allow_scp=False,
        login_timeout=20,
        keepalive_interval=30,
        server_version="firstlight-lab",
        gss_host=None,
        line_editor=False,
    )


async def serve_until_ended(git: Path, ready: Path, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. The ready file holds address and port."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    acceptor = await listen(
        address,
        port,
        host_key=git / "host_key",
        keys_file=git / "deploy-keys.json",
        repository=git / "k8s-ops.git",
    )
    port = acceptor.get_port()
    write_atomically(ready, f"{address} {port}\n", mode=0o644)
    LOG.info("listening on %s:%d", address, port)
    broken = ""
    while not end.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), FAULTS_S)
        fault = current_fault(git.parent, "git")
        if fault != broken and {fault, broken} & {DOWN, HOST_KEY}:
            # Open connections may finish but are not waited for: an idle client would block the
            # server.
            acceptor.close()
            acceptor = await _open_again(git, address, port, fault) or acceptor
        broken = fault
    ready.unlink(missing_ok=True)  # noqa: ASYNC240 - the server is ending, nothing waits for it
    acceptor.close()


async def _open_again(
    git: Path, address: str, port: int, fault: str
) -> asyncssh.SSHAcceptor | None:
    """Reopen the port as the fault requires, or leave it closed."""
    if fault == DOWN:
        return None
    key: Path | asyncssh.SSHKey = (
        asyncssh.generate_private_key("ssh-ed25519") if fault == HOST_KEY else git / "host_key"
    )
    return await listen(
        address,
        port,
        host_key=key,
        keys_file=git / "deploy-keys.json",
        repository=git / "k8s-ops.git",
    )


def main(argv: Sequence[str]) -> int:
    """Run the server in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m lab.simulated.git_server", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the lab's state folder")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    # The library logs every packet below this level.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    (options.state / "run").mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(
            serve_until_ended(
                options.state / "git",
                options.state / "run" / "git-server.ready",
                options.address,
                options.port,
            )
        )
    except OSError as error:
        LOG.critical("cannot listen on %s:%d: %s", options.address, options.port, error)
        return 1
    return 0


class GitHost:
    """Serves one bare repository: fetch, push, or a refusal in GitHub's words."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._names = {f"{prefix}{repository.name}" for prefix in ("", "/")} | {
            f"{prefix}{repository.stem}" for prefix in ("", "/")
        }
        self._running = 0

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Answer one session. An error ends this session only."""
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
            # An unclosed quote. No Git client sends that.
            return NO_SHELL
        if len(words) == 3 and words[0] == "git":  # noqa: PLR2004 - the older spelling
            words = [f"git-{words[1]}", words[2]]
        known = {"git-upload-pack", "git-receive-pack"}
        if len(words) != 2 or words[0] not in known:  # noqa: PLR2004 - command and repository
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
        copying = asyncio.create_task(_copy_input(process, git))
        try:
            async with asyncio.timeout(SESSION_SECONDS_MAX):
                await asyncio.gather(
                    _copy_output(git.stdout, process.stdout),
                    _copy_output(git.stderr, process.stderr),
                )
                return await git.wait()
        except TimeoutError:
            LOG.warning("%r took more than %d s", process.command, SESSION_SECONDS_MAX)
            return 124
        finally:
            copying.cancel()
            with suppress(ProcessLookupError):
                git.kill()
            await git.wait()


async def _copy_input(
    process: asyncssh.SSHServerProcess[bytes], git: asyncio.subprocess.Process
) -> None:
    """Copy the client's input to git until either side is finished."""
    if git.stdin is None:
        return
    with suppress(ConnectionError, asyncssh.BreakReceived, asyncssh.SignalReceived):
        while data := await process.stdin.read(CHUNK_BYTES):
            git.stdin.write(data)
            await git.stdin.drain()
    git.stdin.close()


async def _copy_output(
    source: asyncio.StreamReader | None, sink: asyncssh.SSHWriter[bytes]
) -> None:
    """Copy git's output to the client."""
    while source is not None and (data := await source.read(CHUNK_BYTES)):
        sink.write(data)
        await sink.drain()


def _git_environment(protocol: str) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    # A client's variable reaches git only in the form that git defines.
    if _GIT_PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    for name in ("FIRSTLIGHT_LAB", "LANG"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
