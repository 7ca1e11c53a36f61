"""The lab's tree: the checkout's definition with the lab's addresses, keys and secrets, in Git.

An unchanged checkout leaves the tree as it is, and whatever somebody committed to it since; a changed one becomes a new commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import yaml

from firstlight.errors import TargetError
from firstlight.tools.process import CommandResult, run
from lab.simulated import sealed, sources
from lab.simulated.addresses import Endpoints, endpoints, map_addresses, node_network
from lab.simulated.paths import LabPaths, write_atomic

BRANCH = "main"
_FORM = "1"
"""Changed whenever a tree made by older code must be made anew."""

_GIT_S = 60.0
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_PARTS = ("clusters", "bootstrap", ".sops.yaml")


@dataclass(slots=True)
class TreeState:
    """What is remembered of the tree.

    Attributes:
        digest: Of everything that the tree was made from.
        head: The commit that came of it.
        sealed: Per encrypted file, the digest of its original: it is encrypted anew only when that changes.
    """

    digest: str = ""
    head: str = ""
    sealed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """The checkout's definition, read.

    Attributes:
        files: Content by path relative to the checkout, sorted.
        networks: The node network of each cluster.
        revision: The checkout's commit, empty without one.
    """

    files: Mapping[Path, bytes]
    networks: Mapping[str, IPv4Network]
    revision: str

    def digest(self, recipient: str) -> str:
        """Return a digest of all that decides what the tree looks like."""
        total = hashlib.sha256(f"{_FORM} {recipient}".encode())
        for path, content in self.files.items():
            total.update(f"\0{path}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()

    def endpoints(self, path: Path) -> Endpoints | None:
        """Return the lab services of the cluster that a file belongs to, if it belongs to one."""
        network = self.networks.get(path.parts[1]) if len(path.parts) > 1 else None
        return endpoints(network) if network is not None else None


def read_checkout(checkout: Path) -> Source:
    """Read the definition as it lies in the checkout, committed or not, ignored files left out.

    Raises:
        TargetError: There is no definition, or its network cannot be read.
    """
    files = {path: (checkout / path).read_bytes() for path in _listing(checkout)}
    if not files:
        raise TargetError(f"cannot copy the definition of {checkout}: there is neither clusters/ nor bootstrap/")
    inventories = [path for path in files if path.match("clusters/*/talos/talconfig.yaml")]
    networks = {path.parts[1]: node_network(checkout / path) for path in inventories}
    head = git(checkout, "rev-parse", "HEAD")
    return Source(files, networks, head.stdout.strip() if head.ok else "")


def refresh(paths: LabPaths, source: Source, recipient: str, environment: Mapping[str, str]) -> bool:
    """Make the tree what the checkout says; report whether anything had to change.

    Raises:
        TargetError: A secret of the checkout is not encrypted.
        ToolFailed: git, sops or talosctl failed.
    """
    remembered = _remembered(paths)
    digest = source.digest(recipient)
    if remembered.digest == digest and _is_sound(paths):
        return False
    _prepare(paths)
    texts = _texts(source, recipient)
    # sops reads its rules from the tree, so plain files go first.
    for path, content in texts.items():
        _write(paths.tree / path, content)
    kept = _seal(paths, source, remembered, environment)
    _remove_others(paths.tree, {*texts, *map(Path, kept)})
    head = _commit(paths, f"definition of the checkout at {source.revision or 'no commit'}")
    write_atomic(paths.state / "tree-state.json", json.dumps({"digest": digest, "head": head, "sealed": kept}, indent=2) + "\n")
    return True


def head(paths: LabPaths) -> str:
    """Return the commit that the served branch is at, empty without one."""
    result = git(paths.repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}")
    return result.stdout.strip()


def git(folder: Path, *words: str) -> CommandResult:
    """Run git on a repository, with nothing of the operator's own settings."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = "firstlight lab"
        environment[f"GIT_{role}_EMAIL"] = "lab@firstlight.invalid"
    # The checkout may belong to another user (a container's mount); it is only read.
    argv = ["git", "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-C", str(folder), *words]
    return run(argv, timeout_s=_GIT_S, env=environment)


def _listing(checkout: Path) -> Iterator[Path]:
    listed = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_PARTS)
    if listed.ok:
        names = sorted(set(filter(None, listed.stdout.split("\0"))))
    else:
        # A checkout without Git: an unpacked archive. What Git would ignore is known by name.
        found = [path for part in _PARTS for path in ((checkout / part).rglob("*") if (checkout / part).is_dir() else [checkout / part])]
        names = sorted(str(path.relative_to(checkout)) for path in found if "clusterconfig" not in path.parts)
    yield from (Path(name) for name in names if (checkout / name).is_file())


def _texts(source: Source, recipient: str) -> dict[Path, bytes]:
    decoded = {path: content.decode(errors="surrogateescape") for path, content in source.files.items() if not sealed.is_sealed(path)}
    remotes = sources.git_urls(text for path, text in decoded.items() if path.parts[0] == "bootstrap" and sources.is_yaml(path))
    networks = list(source.networks.values())
    texts = {}
    for path, original in decoded.items():
        lab = source.endpoints(path)
        text = _RECIPIENT.sub(recipient, map_addresses(original, networks))
        if lab is not None and sources.is_yaml(path):
            text = sources.point_at_lab(text, lab, remotes)
        texts[path] = text.encode(errors="surrogateescape")
    return texts


def _seal(paths: LabPaths, source: Source, remembered: TreeState, environment: Mapping[str, str]) -> dict[str, str]:
    kept = {}
    for path, content in source.files.items():
        if not sealed.is_sealed(path):
            continue
        kept[str(path)] = hashlib.sha256(content).hexdigest()
        if remembered.sealed.get(str(path)) == kept[str(path)] and (paths.tree / path).exists():
            continue
        plain = sealed.stand_in(path, content.decode(), talos_version=_talos_version(source, path), environment=environment)
        _write(paths.tree / path, sealed.encrypt(path, plain, tree=paths.tree, environment=environment).encode())
    return kept


def _talos_version(source: Source, path: Path) -> str:
    inventory = source.files.get(path.parent / "talconfig.yaml", b"")
    data = yaml.safe_load(inventory) if inventory else None
    return str(data.get("talosVersion", "")) if isinstance(data, dict) else ""


def _remembered(paths: LabPaths) -> TreeState:
    try:
        return TreeState(**json.loads((paths.state / "tree-state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # Never written, or by code that remembered other things: the tree is made anew.
        return TreeState()


def _is_sound(paths: LabPaths) -> bool:
    return (paths.tree / ".git" / "HEAD").exists() and (paths.tree / "clusters").is_dir() and bool(head(paths))


def _prepare(paths: LabPaths) -> None:
    if not (paths.repository / "HEAD").exists():
        paths.git.mkdir(parents=True, exist_ok=True)
        git(paths.git, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(paths.repository)).raise_on_failure(
            "make the Git remote"
        )
    if not (paths.tree / ".git" / "HEAD").exists():
        paths.tree.mkdir(parents=True, exist_ok=True)
        git(paths.tree, "init", "--quiet", f"--initial-branch={BRANCH}").raise_on_failure("make the work tree")
    # The lab's lock is held, so a lock file is what a killed run left.
    (paths.tree / ".git" / "index.lock").unlink(missing_ok=True)
    write_atomic(paths.tree / ".git" / "info" / "exclude", "clusterconfig/\n")


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, content)


def _remove_others(tree: Path, wanted: set[Path]) -> None:
    for folder in (tree / part for part in _PARTS if (tree / part).is_dir()):
        for file in folder.rglob("*"):
            path = file.relative_to(tree)
            if file.is_file() and path not in wanted and "clusterconfig" not in path.parts:
                file.unlink()


def _commit(paths: LabPaths, message: str) -> str:
    git(paths.tree, "add", "--all").raise_on_failure("add to the lab's tree")
    if not git(paths.tree, "diff", "--cached", "--quiet").ok:
        git(paths.tree, "commit", "--quiet", "--message", message).raise_on_failure("commit to the lab's tree")
    # The checkout decides: whatever else was pushed for a trial is replaced.
    pushed = git(paths.tree, "push", "--quiet", "--force", str(paths.repository), f"HEAD:refs/heads/{BRANCH}")
    pushed.raise_on_failure("push the lab's tree")
    return git(paths.tree, "rev-parse", "HEAD").raise_on_failure("read the lab's commit").stdout.strip()
