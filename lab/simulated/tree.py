"""The lab's tree: the checkout's definition with the lab's addresses, keys and secrets, in Git.

An unchanged checkout leaves the tree as it is, and whatever somebody committed to it since; a changed one becomes a new commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab.simulated import stand_in_secrets
from lab.simulated.addresses import Endpoints, git_urls, is_yaml, map_addresses, point_at_lab
from lab.simulated.checkout import PARTS, Source, git
from lab.simulated.paths import LabPaths, write_atomic

BRANCH = "main"
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


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


def refresh(
    paths: LabPaths, source: Source, recipient: str, environment: Mapping[str, str]
) -> bool:
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
    write_atomic(
        paths.state / "tree-state.json",
        json.dumps({"digest": digest, "head": head, "sealed": kept}, indent=2) + "\n",
    )
    return True


def copy_definition(
    paths: LabPaths,
    source: Source,
    lab: Endpoints,
    recipient: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Make the lab's copy of the definition what the checkout says, and put a value behind each of its op:// references."""
    if refresh(paths, source, recipient, environment):
        say(f"tree: made from the checkout, commit {head(paths)[:12]}")
    template = source.files.get(Path("bootstrap") / paths.cluster / "secrets.yaml.tpl", b"")
    if filled := stand_in_secrets.fill_vault(paths, template.decode(), lab):
        say(f"vault: {filled} values put behind op:// references of the definition")


def head(paths: LabPaths) -> str:
    """Return the commit that the served branch is at, empty without one."""
    result = git(paths.repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}")
    return result.stdout.strip()


def _texts(source: Source, recipient: str) -> dict[Path, bytes]:
    decoded = {
        path: content.decode(errors="surrogateescape")
        for path, content in source.files.items()
        if not stand_in_secrets.is_sealed(path)
    }
    remotes = git_urls(
        text for path, text in decoded.items() if path.parts[0] == "bootstrap" and is_yaml(path)
    )
    networks = list(source.networks.values())
    texts = {}
    for path, original in decoded.items():
        lab = source.endpoints(path)
        text = _RECIPIENT.sub(recipient, map_addresses(original, networks))
        if lab is not None and is_yaml(path):
            text = point_at_lab(text, lab, remotes)
        texts[path] = text.encode(errors="surrogateescape")
    return texts


def _seal(
    paths: LabPaths, source: Source, remembered: TreeState, environment: Mapping[str, str]
) -> dict[str, str]:
    originals = {
        path: content for path, content in source.files.items() if stand_in_secrets.is_sealed(path)
    }
    kept = {str(path): hashlib.sha256(content).hexdigest() for path, content in originals.items()}

    def seal(path: Path) -> None:
        version = _talos_version(source, path)
        plain = stand_in_secrets.stand_in(
            path,
            originals[path].decode(),
            cluster=paths.cluster,
            talos_version=version,
            environment=environment,
        )
        _write(
            paths.tree / path,
            stand_in_secrets.encrypt(
                path, plain, tree=paths.tree, environment=environment
            ).encode(),
        )

    changed = [
        path
        for path in originals
        if remembered.sealed.get(str(path)) != kept[str(path)] or not (paths.tree / path).exists()
    ]
    # Each waits for processes of its own; talosctl making keys takes longest.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        list(pool.map(seal, changed))
    return kept


def _talos_version(source: Source, path: Path) -> str:
    inventory = source.files.get(path.parent / "talconfig.yaml", b"")
    data = yaml.safe_load(inventory) if inventory else None
    return str(data.get("talosVersion", "")) if isinstance(data, dict) else ""


def _remembered(paths: LabPaths) -> TreeState:
    try:
        return TreeState(
            **json.loads((paths.state / "tree-state.json").read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, TypeError):
        # Never written, or by code that remembered other things: the tree is made anew.
        return TreeState()


def _is_sound(paths: LabPaths) -> bool:
    return (
        (paths.tree / ".git" / "HEAD").exists()
        and (paths.tree / "clusters").is_dir()
        and bool(head(paths))
    )


def _prepare(paths: LabPaths) -> None:
    if not (paths.repository / "HEAD").exists():
        paths.git.mkdir(parents=True, exist_ok=True)
        git(
            paths.git,
            "init",
            "--quiet",
            "--bare",
            f"--initial-branch={BRANCH}",
            str(paths.repository),
        ).raise_on_failure("make the Git remote")
    if not (paths.tree / ".git" / "HEAD").exists():
        paths.tree.mkdir(parents=True, exist_ok=True)
        git(paths.tree, "init", "--quiet", f"--initial-branch={BRANCH}").raise_on_failure(
            "make the work tree"
        )
    # The lab's lock is held, so a lock file is what a killed run left.
    (paths.tree / ".git" / "index.lock").unlink(missing_ok=True)
    write_atomic(paths.tree / ".git" / "info" / "exclude", "clusterconfig/\n")


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, content)


def _remove_others(tree: Path, wanted: set[Path]) -> None:
    for folder in (tree / part for part in PARTS if (tree / part).is_dir()):
        for file in folder.rglob("*"):
            path = file.relative_to(tree)
            if file.is_file() and path not in wanted and "clusterconfig" not in path.parts:
                file.unlink()


def _commit(paths: LabPaths, message: str) -> str:
    git(paths.tree, "add", "--all").raise_on_failure("add to the lab's tree")
    if not git(paths.tree, "diff", "--cached", "--quiet").ok:
        git(paths.tree, "commit", "--quiet", "--message", message).raise_on_failure(
            "commit to the lab's tree"
        )
    # The checkout decides: whatever else was pushed for a trial is replaced.
    pushed = git(
        paths.tree, "push", "--quiet", "--force", str(paths.repository), f"HEAD:refs/heads/{BRANCH}"
    )
    pushed.raise_on_failure("push the lab's tree")
    return (
        git(paths.tree, "rev-parse", "HEAD")
        .raise_on_failure("read the lab's commit")
        .stdout.strip()
    )
