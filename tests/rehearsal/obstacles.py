"""One bootstrap that meets an obstacle in stage after stage, with tools that give away every secret they can, and all that is left of each run."""

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
from tests.rehearsal.conftest import RUN_S, Rehearsal
from tests.secrets import execs
from tests.secrets.canaries import Canaries, canaries
from tests.secrets.execs import Exec

TALKATIVE = ("talosctl", "kubectl", "helm", "helmfile", "flux", "sops")
"""Tools that print secrets before they do their work."""

NEVER_TOLD = {"1Password session": TALKATIVE, "deploy key": ("sops", "talosctl")}
"""What a tool cannot print, as nobody has told it: what opens 1Password stays there, and before the run has read the deploy key only these run."""

PUBLIC = ("crt", "id", "clustername", "identity.pub", "known_hosts")
"""Keys of the Talos secrets under which there is nothing secret."""


@dataclass(frozen=True)
class Told:
    """One run, and what is left of it.

    Attributes:
        code: Its exit code.
        text: The terminal, both streams.
        report: Its report, our own part of it.
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
        rehearsal: Where.
        runs: Each run so far, by what it met.
        unwatched: Why its processes are not watched, empty where they are.
    """

    rehearsal: Rehearsal
    unwatched: str
    runs: dict[str, Told] = field(default_factory=dict)

    @property
    def faults(self) -> Faults:
        """What the lab can break."""
        return Faults(
            LabPaths(cluster="infra", state=self.rehearsal.state, checkout=self.rehearsal.root)
        )

    @property
    def temporary(self) -> Path:
        """Where runs put what they need for a moment."""
        return self.rehearsal.root.parent / "tmp"

    def run(self, name: str, *words: str, folder: str = "infra-simulated") -> Told:
        """Run the checklist, and keep what is left of it."""
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
        told = Told(
            done.returncode,
            done.stdout + done.stderr,
            rehearsal.report_in(folder),
            kept,
            execs.read(log),
        )
        self.runs[name] = told
        return told

    def make_tools_talkative(self) -> None:
        """Put programs before the tools on the lab's PATH that print every secret there is, and then do what they are called for."""
        for name in TALKATIVE:
            program = self.rehearsal.state / "bin" / name
            tool = self.rehearsal.root / ".tools" / "bin" / name
            program.write_text(
                f'#!/bin/sh\ncat {shlex.quote(str(self._leak(name)))} >&2\nexec {shlex.quote(str(tool))} "$@"\n'
            )
            program.chmod(0o755)

    def _leak(self, tool: str) -> Path:
        return self.rehearsal.root.parent / f"leak-{tool}"

    def _write_leaks(self) -> None:
        """Write down what each tool prints: every secret in every form. What comes last is seen most, so another one does each time."""
        secrets = list(secrets_of(self.rehearsal).items())
        for place, tool in enumerate(TALKATIVE):
            turn = (len(self.runs) * len(TALKATIVE) + place) % len(secrets)
            said = [
                line
                for name, secret in secrets[turn:] + secrets[:turn]
                if tool not in NEVER_TOLD.get(name, ())
                for line in spoken(secret)
            ]
            self._leak(tool).write_text("\n".join(said) + "\n")
            self._leak(tool).chmod(0o600)

    @contextmanager
    def broken_commit(self, file: str, text: str) -> Iterator[None]:
        """Have a commit on the remote that breaks what Flux reconciles, and another one that mends it."""
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


def spoken(secret: str) -> Iterator[str]:
    """Yield a secret as tools print it."""
    encoded = base64.b64encode(secret.encode()).decode()
    yield f"it is {secret}"
    yield json.dumps({"level": "info", "msg": f"read {secret}"})
    yield f"data: {encoded}"
    yield from textwrap.wrap(encoded, 60)
    yield base64.b64encode(f"user:{secret}".encode()).decode()


def secrets_of(rehearsal: Rehearsal) -> dict[str, str]:
    """Return every secret that a run has to do with and that there is by now, by name."""
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
    """Return the secrets of a rehearsal ready to be searched for; what they share with public texts and with other keys of their kinds is none."""
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
