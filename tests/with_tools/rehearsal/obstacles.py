"""One bootstrap that meets an obstacle in several stages, with tools that print every secret.

Each run's output, report and processes are kept.
"""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.simulated.faults import Faults
from lab.simulated.paths import LabPaths
from lab.simulated.workstation import new_deploy_key
from tests.rehearsals import RUN_S, Rehearsal
from tests.secrets import execs
from tests.secrets.canaries import Canaries, canaries
from tests.secrets.execs import Exec

LEAKY_TOOLS = ("talosctl", "kubectl", "helm", "helmfile", "flux", "sops")
"""Tools that print secrets before they do their work."""

NEVER_RECEIVED = {"1Password session": LEAKY_TOOLS, "deploy key": ("sops", "talosctl")}
"""Secrets that a tool cannot print because it never receives them.

The 1Password session stays with `op`. Only these tools run before the run has read the deploy key.
"""

PUBLIC = ("crt", "id", "clustername", "identity.pub", "known_hosts")
"""Keys of the Talos secrets whose values are public."""


@dataclass(frozen=True)
class Outcome:
    """One run and its outcome.

    Attributes:
        code: Its exit code.
        text: The terminal output, both streams.
        report: Its report, without the CTRF part.
        folder: A copy of its report folder.
        started: Every program that it and its children started.
    """

    code: int
    text: str
    report: dict[str, Any]
    folder: Path
    started: list[Exec]

    def criterion(self, name: str) -> dict[str, Any]:
        """Return the report of one criterion."""
        found: dict[str, Any] = next(one for one in self.report["criteria"] if one["id"] == name)
        return found


@dataclass
class Story:
    """The bootstrap.

    Attributes:
        rehearsal: The rehearsal it runs in.
        runs: Each run so far, by the obstacle it met.
        unwatched: Why its processes are not watched; empty if they are.
    """

    rehearsal: Rehearsal
    unwatched: str
    runs: dict[str, Outcome] = field(default_factory=dict)

    @property
    def faults(self) -> Faults:
        """The faults of the lab."""
        return Faults(
            LabPaths(cluster="infra", state=self.rehearsal.state, checkout=self.rehearsal.root)
        )

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of runs."""
        return self.rehearsal.root.parent / "tmp"

    def run(self, name: str, *words: str, folder: str = "infra-simulated") -> Outcome:
        """Run the checklist, and keep its outcome."""
        rehearsal, log = self.rehearsal, self.rehearsal.root.parent / f"{name}.execs"
        self.temporary.mkdir(mode=0o700, exist_ok=True)
        self._write_leaks()
        command, environment = (
            rehearsal.pytest_command(*words),
            {**rehearsal.environment, "TMPDIR": str(self.temporary)},
        )
        if self.unwatched:
            log.touch()
            done = subprocess.run(
                command,
                cwd=rehearsal.root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=RUN_S,
                check=False,
            )
        else:
            done = execs.watched(command, log, cwd=rehearsal.root, env=environment, timeout_s=RUN_S)
        kept = rehearsal.root.parent / "kept" / name
        shutil.copytree(rehearsal.root / "reports" / folder, kept)
        outcome = Outcome(
            done.returncode,
            done.stdout + done.stderr,
            rehearsal.report_in(folder),
            kept,
            execs.read(log),
        )
        self.runs[name] = outcome
        return outcome

    def make_tools_print_secrets(self) -> None:
        """Put wrappers before the tools on the lab's PATH.

        Each prints every secret, then runs the tool.
        """
        for name in LEAKY_TOOLS:
            program = self.rehearsal.state / "bin" / name
            tool = self.rehearsal.root / ".tools" / "bin" / name
            program.write_text(
                f"#!/bin/sh\ncat {shlex.quote(str(self._leak(name)))} >&2\n"
                f'exec {shlex.quote(str(tool))} "$@"\n'
            )
            program.chmod(0o755)

    def _leak(self, tool: str) -> Path:
        return self.rehearsal.root.parent / f"leak-{tool}"

    def _write_leaks(self) -> None:
        """Write what each tool prints: every secret in every form.

        What is printed last is seen most, so the order rotates.
        """
        secrets = list(secrets_of(self.rehearsal).items())
        for place, tool in enumerate(LEAKY_TOOLS):
            turn = (len(self.runs) * len(LEAKY_TOOLS) + place) % len(secrets)
            lines = [
                line
                for name, secret in secrets[turn:] + secrets[:turn]
                if tool not in NEVER_RECEIVED.get(name, ())
                for line in printed_forms(secret)
            ]
            self._leak(tool).write_text("\n".join(lines) + "\n")
            self._leak(tool).chmod(0o600)

    @contextmanager
    def broken_commit(self, file: str, text: str) -> Iterator[None]:
        """Push a commit that breaks what Flux reconciles, and afterwards one that repairs it."""
        clone = self.rehearsal.root.parent / "clone"
        subprocess.run(
            ["git", "clone", "--quiet", str(self.faults.paths.repository), str(clone)],
            check=True,
            timeout=60,
        )
        before = (clone / file).read_text()
        self._commit(clone, file, before + text)
        try:
            yield
        finally:
            self._commit(clone, file, before)
            shutil.rmtree(clone)

    def kubectl(self, *words: str, text: str | None = None) -> None:
        """Change the cluster by hand."""
        done = self.rehearsal.tool("kubectl", *words, text=text)
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def _commit(clone: Path, file: str, text: str) -> None:
        (clone / file).write_text(text)
        git = ["git", "-C", str(clone), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        for words in (
            ["commit", "--quiet", "--all", "--message=a change"],
            ["push", "--quiet", "origin", "HEAD:main"],
        ):
            subprocess.run([*git, *words], check=True, timeout=60)


def printed_forms(secret: str) -> Iterator[str]:
    """Yield a secret in the forms in which tools print it."""
    encoded = base64.b64encode(secret.encode()).decode()
    yield f"it is {secret}"
    yield json.dumps({"level": "info", "msg": f"read {secret}"})
    yield f"data: {encoded}"
    yield from textwrap.wrap(encoded, 60)
    yield base64.b64encode(f"user:{secret}".encode()).decode()


def secrets_of(rehearsal: Rehearsal) -> dict[str, str]:
    """Return every secret that exists so far and that a run handles, by name."""
    home, tree = rehearsal.state / "home", Path(rehearsal.lab_description["tree"])
    found = {
        "AGE key": _last_line(home / ".config" / "sops" / "age" / "keys.txt"),
        "1Password session": _last_line(rehearsal.state / "op-session"),
        "deploy key": _read(rehearsal, "op://k8s-ops/infra-deploy-key/identity"),
        **_leaves(
            "Talos secret",
            _sops(rehearsal, tree / "clusters" / "infra" / "talos" / "talsecret.sops.yaml"),
        ),
        **_leaves(
            "cluster secret",
            _sops(rehearsal, tree / "clusters" / "infra" / "flux" / "cluster-secrets.sops.yaml")[
                "stringData"
            ],
        ),
    }
    for name, path, keys in (
        (
            "talosconfig",
            tree / "clusters" / "infra" / "talos" / "clusterconfig" / "talosconfig",
            ("key",),
        ),
        ("kubeconfig", home / ".kube" / "k8s-ops-infra", ("client-key-data", "token")),
    ):
        if path.exists():
            found |= _leaves(name, yaml.safe_load(path.read_text()), keys)
    return found


def canaries_of(rehearsal: Rehearsal) -> Canaries:
    """Return the secrets of a rehearsal for searching.

    Parts that they share with public texts or with other keys of their kind are not secret.
    """
    talsecret = (
        Path(rehearsal.lab_description["tree"])
        / "clusters"
        / "infra"
        / "talos"
        / "talsecret.sops.yaml"
    )
    twins = yaml.safe_load(
        rehearsal.tool("talosctl", "gen", "secrets", "--output-file", "-").stdout
    )
    public = [
        *_leaves("twin", twins).values(),
        new_deploy_key("flux@infra").identity,
        _read(rehearsal, "op://k8s-ops/infra-deploy-key/identity.pub"),
        *(value for value in _walk((), _sops(rehearsal, talsecret)) if value[0][-1] in PUBLIC),
    ]
    return canaries(
        secrets_of(rehearsal), [text if isinstance(text, str) else text[1] for text in public]
    )


def _read(rehearsal: Rehearsal, reference: str) -> str:
    return base64.b64decode(rehearsal.tool("op", "read", reference).stdout).decode()


def _sops(rehearsal: Rehearsal, path: Path) -> Any:
    return yaml.safe_load(rehearsal.tool("sops", "--decrypt", str(path)).stdout)


def _last_line(path: Path) -> str:
    return path.read_text().split()[-1]


def _leaves(of: str, data: Any, keys: tuple[str, ...] | None = None) -> dict[str, str]:
    return {
        f"{of} {'.'.join(where)}": value
        for where, value in _walk((), data)
        if (where[-1] in keys if keys is not None else where[-1] not in PUBLIC)
    }


def _walk(where: tuple[str, ...], data: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _walk((*where, str(key)), value)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _walk((*where, str(number)), value)
    elif isinstance(data, str):
        yield where, data
