"""A registry's storage, written as the registry writes it, so that no registry runs during a build.

The layout follows `registry/storage/paths.go` of the pinned github.com/distribution/distribution.
Layers are hard links, so they take disk space once.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from firstlight.files import write_atomically
from lab.docker.images.layout import digest_of
from lab.docker.images.paths import repository_of

if TYPE_CHECKING:
    from pathlib import Path

    from lab.docker.images.layout import Assembled
    from lab.docker.images.paths import ImagePaths

# Read-only: nodes pull exactly what was built. Plain HTTP: it listens on a local bridge only.
_CONFIG = """version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: true}}}}
  delete: {{enabled: false}}
http: {{addr: "127.0.0.1:0"}}
"""


def store(image: Assembled, reference: str, here: ImagePaths) -> None:
    """Write the image to the storage. The tag is last, so a tagged image is complete."""
    for layer in image.layers:
        _link_blob(layer.digest, layer.file(here), here)
    for content in (image.config, image.manifest):
        _write_blob(content, here)
    repository, tag = repository_of(reference)
    folder = here.repositories / repository
    for digest in (digest_of(image.config), *(layer.digest for layer in image.layers)):
        _point(folder / "_layers" / _path(digest) / "link", digest)
    _point(folder / "_manifests/revisions" / _path(image.digest) / "link", image.digest)
    _point(folder / "_manifests/tags" / tag / "index" / _path(image.digest) / "link", image.digest)
    _point(folder / "_manifests/tags" / tag / "current/link", image.digest)


def is_stored(image: Assembled, reference: str, here: ImagePaths) -> bool:
    """Report whether the storage has exactly this image, complete, under this name."""
    if here.tagged(reference) != image.digest:
        return False
    sizes = {layer.digest: layer.size for layer in image.layers}
    sizes |= {digest_of(content): len(content) for content in (image.config, image.manifest)}
    return all(_size(here.blob(digest)) == size for digest, size in sizes.items())


def write_config(here: ImagePaths) -> None:
    """Write the registry's configuration."""
    here.serve_config.parent.mkdir(parents=True, exist_ok=True)
    config = _CONFIG.format(storage=json.dumps(str(here.storage)))
    write_atomically(here.serve_config, config, mode=None)


def prune(here: ImagePaths) -> int:
    """Remove what no tag refers to any more; return the number of bytes freed."""
    used: set[str] = set()
    for link in here.repositories.rglob("_manifests/tags/*/current/link"):
        digest = link.read_text(encoding="ascii")
        manifest = json.loads(here.blob(digest).read_bytes())
        used |= {
            digest,
            manifest["config"]["digest"],
            *(layer["digest"] for layer in manifest["layers"]),
        }
    freed = 0
    for blob in (here.storage / "docker/registry/v2/blobs/sha256").glob("*/*"):
        if f"sha256:{blob.name}" not in used:
            freed += (blob / "data").stat().st_size
            shutil.rmtree(blob)
    for file in here.layers.glob("*.tar.gz"):
        if f"sha256:{file.name.removesuffix('.tar.gz')}" not in used:
            file.unlink()
    return freed


def _link_blob(digest: str, file: Path, here: ImagePaths) -> None:
    blob = here.blob(digest)
    if _size(blob) == file.stat().st_size:
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    fresh = blob.with_name("data.partial")
    fresh.unlink(missing_ok=True)
    fresh.hardlink_to(file)
    fresh.replace(blob)


def _write_blob(content: bytes, here: ImagePaths) -> None:
    blob = here.blob(digest_of(content))
    write_atomically(blob, content, mode=None)


def _point(link: Path, digest: str) -> None:
    write_atomically(link, digest, mode=None)


def _path(digest: str) -> str:
    return digest.replace(":", "/")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
