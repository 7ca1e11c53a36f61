"""The lab's tree: the checkout's definition with the lab's addresses, keys and secrets, in Git.

If the checkout is unchanged, the tree stays as it is, including commits made in it since. A changed
checkout becomes a new commit.
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

from firstlight.files import write_atomically
from lab.simulated import stand_in_secrets
from lab.simulated.addresses import Endpoints, git_urls, is_yaml, map_addresses, point_at_lab
from lab.simulated.checkout import PARTS, Source, git
from lab.simulated.paths import LabPaths

BRANCH = "main"
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


@dataclass(slots=True)
class TreeState:
    """What is recorded about the tree.

    Attributes:
        digest: Digest of everything that the tree was generated from.
        head: The resulting commit.
        sealed: Digest of the original of each encrypted file. It is encrypted again only if that
            changes.
    """

    digest: str = ""
    head: str = ""
    sealed: dict[str, str] = field(default_factory=dict)


def refresh(
    paths: LabPaths, source: Source, recipient: str, environment: Mapping[str, str]
) -> bool:
    """Bring the tree in line with the checkout; report whether anything changed.

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
    # sops reads its rules from the tree, so write plain files first.
    for path, content in texts.items():
        _write(paths.tree / path, content)
    kept = _seal(paths, source, remembered, environment)
    _remove_others(paths.tree, {*texts, *map(Path, kept)})
    head = _commit(paths, f"definition of the checkout at {source.revision or 'no commit'}")
    write_atomically(
        paths.state / "tree-state.json",
        json.dumps({"digest": digest, "head": head, "sealed": kept}, indent=2) + "\n",
        mode=0o644,
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
    """Bring the lab's copy of the definition up to date, and fill the vault for its references."""
    if refresh(paths, source, recipient, environment):
        say(f"tree: updated from the checkout, commit {head(paths)[:12]}")
    template = source.files.get(Path("bootstrap") / paths.cluster / "secrets.yaml.tpl", b"")
    if filled := stand_in_secrets.fill_vault(paths, template.decode(), lab):
        say(f"vault: {filled} values stored for op:// references of the definition")


def head(paths: LabPaths) -> str:
    """Return the commit of the served branch; empty if there is none."""
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
    # Each file waits for its own process. talosctl takes longest, to generate keys.
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
        # Missing, or written in another format by older code: regenerate the tree.
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
        ).raise_on_failure("create the Git remote")
    if not (paths.tree / ".git" / "HEAD").exists():
        paths.tree.mkdir(parents=True, exist_ok=True)
        git(paths.tree, "init", "--quiet", f"--initial-branch={BRANCH}").raise_on_failure(
            "create the work tree"
        )
    # We hold the lab's lock, so this lock file was left by a killed run.
    (paths.tree / ".git" / "index.lock").unlink(missing_ok=True)
    write_atomically(paths.tree / ".git" / "info" / "exclude", "clusterconfig/\n", mode=0o644)


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content, mode=0o644)


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
    # The checkout wins: anything else that was pushed meanwhile is replaced.
    pushed = git(
        paths.tree, "push", "--quiet", "--force", str(paths.repository), f"HEAD:refs/heads/{BRANCH}"
    )
    pushed.raise_on_failure("push the lab's tree")
    return (
        git(paths.tree, "rev-parse", "HEAD")
        .raise_on_failure("read the lab's commit")
        .stdout.strip()
    )
