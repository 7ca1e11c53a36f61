"""Where the offline image set lies in the user's cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstlight.toolbox import Places


def repository_of(reference: str) -> tuple[str, str]:
    """Return an image's repository without its registry, and its tag."""
    path, _, tag = reference.rpartition(":")
    return path.partition("/")[2], tag


@dataclass(frozen=True, slots=True)
class ImagePlaces:
    """The folders of the set: everything but the record is shared by all checkouts of this user."""

    folder: Path
    versions_digest: str

    @classmethod
    def of(cls, places: Places) -> ImagePlaces:
        """Return the places for the versions that this checkout pins."""
        digest = hashlib.sha256()
        for file in _inputs(places.root):
            digest.update(f"{file.relative_to(places.root)}\0".encode() + file.read_bytes() + b"\0")
        return cls(places.cache / "images", digest.hexdigest()[:16])

    @property
    def record(self) -> Path:
        """What a complete build of exactly these inputs left."""
        return self.folder / "sets" / f"{self.versions_digest}.json"

    @property
    def storage(self) -> Path:
        """The registry's storage."""
        return self.folder / "registry"

    @property
    def serve_config(self) -> Path:
        """The registry's configuration for serving."""
        return self.folder / "serve.yaml"

    @property
    def push_config(self) -> Path:
        """The registry's configuration while the set is built."""
        return self.folder / "push.yaml"

    @property
    def layers(self) -> Path:
        """Finished layers, by what they were made from."""
        return self.folder / "layers"

    @property
    def roots(self) -> Path:
        """Debian roots, which layers and programs come from."""
        return self.folder / "roots"

    @property
    def nodes(self) -> Path:
        """Archives of node images for a container engine."""
        return self.folder / "nodes"

    @property
    def work(self) -> Path:
        """What is not finished yet; whatever lies here when a build begins is nobody's."""
        return self.folder / "work"

    def tagged(self, reference: str) -> str:
        """Return the digest that the storage has under this name, empty if it has none."""
        repository, tag = repository_of(reference)
        link = self.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag / "current/link"
        try:
            return link.read_text(encoding="ascii").strip()
        except OSError:
            return ""


def _inputs(root: Path) -> list[Path]:
    """Return the files of a checkout that decide what the set is, in a fixed order."""
    folders = [root / "tools/images", root / "lab/docker/images"]
    inside = [file for folder in folders for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return sorted([root / "tools/versions.toml", root / "tools/shared/go.mod", *inside])
