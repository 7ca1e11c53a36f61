"""The paths of the offline image set in the user's cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.toolbox.fingerprint import digest_of

if TYPE_CHECKING:
    from firstlight.toolbox import Pins, ToolboxPaths

SHARED_BUILD = "shared"
"""The build of setup whose programs also go into images."""

# The modules that decide what an image contains.
_RECIPES = ("contents.py", "debian.py", "layers.py", "layout.py", "recipes.py")


def repository_of(reference: str) -> tuple[str, str]:
    """Return an image's repository without its registry, and its tag."""
    path, _, tag = reference.rpartition(":")
    return path.partition("/")[2], tag


@dataclass(frozen=True, slots=True)
class ImagePaths:
    """The folders of the set. All checkouts of a user share everything but the record.

    Attributes:
        folder: The folder of all sets.
        made_of: A digest of what this checkout's set is built from.
    """

    folder: Path
    made_of: str

    @classmethod
    def of(cls, paths: ToolboxPaths, pins: Pins) -> ImagePaths:
        """Return the paths for this checkout's pinned versions and image definitions."""
        digest = hashlib.sha256()
        for build in pins.builds.values():
            if build.on_demand or build.name == SHARED_BUILD:
                digest.update(f"{build.name}\0{digest_of(build, pins, paths)}\0".encode())
        digest.update(json.dumps(dict(pins.images), sort_keys=True).encode())
        for name in _RECIPES:
            digest.update(Path(__file__).with_name(name).read_bytes() + b"\0")
        return cls(paths.cache / "images", digest.hexdigest()[:16])

    @property
    def record(self) -> Path:
        """The record of a complete build of exactly these inputs."""
        return self.folder / "sets" / f"{self.made_of}.json"

    @property
    def storage(self) -> Path:
        """The registry's storage."""
        return self.folder / "registry"

    @property
    def serve_config(self) -> Path:
        """The registry's configuration file."""
        return self.folder / "serve.yaml"

    @property
    def repositories(self) -> Path:
        """The repositories in the registry's storage."""
        return self.storage / "docker/registry/v2/repositories"

    @property
    def layers(self) -> Path:
        """Finished layers, by key."""
        return self.folder / "layers"

    @property
    def roots(self) -> Path:
        """Debian roots."""
        return self.folder / "roots"

    @property
    def nodes(self) -> Path:
        """Archives of node images, for a container engine."""
        return self.folder / "nodes"

    @property
    def work(self) -> Path:
        """Unfinished parts; a build removes what it finds here."""
        return self.folder / "work"

    def tagged(self, reference: str) -> str:
        """Return the digest that the storage has for this reference; empty if it has none."""
        repository, tag = repository_of(reference)
        link = self.repositories / repository / "_manifests/tags" / tag / "current/link"
        try:
            return link.read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def blob(self, digest: str) -> Path:
        """Return the path of some content in the storage."""
        name = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
