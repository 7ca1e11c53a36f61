"""An image's manifest and configuration, and the archive that a container engine loads."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.docker.images.layers import Layer
    from lab.docker.images.paths import ImagePaths

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# The timestamp of everything in an image, so that equal content has the same digest.
_EPOCH = "1970-01-01T00:00:00Z"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Start:
    """The default entrypoint, environment, user and working directory of an image."""

    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = "/"


@dataclass(frozen=True, slots=True)
class Assembled:
    """An image in memory; its layers are in the cache."""

    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """The image's name in a registry."""
        return digest_of(self.manifest)

    @property
    def identifier(self) -> str:
        """The image's name in a container engine."""
        return digest_of(self.config)


def assemble(layers: Sequence[Layer], start: Start) -> Assembled:
    """Return the image of these layers, from bottom to top."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **start.environment,
    }
    config = _json(
        {
            "created": _EPOCH,
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Env": [f"{name}={value}" for name, value in environment.items()],
                "Entrypoint": list(start.entrypoint) or None,
                "WorkingDir": start.folder,
                "User": start.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": _EPOCH, "created_by": "firstlight"} for _ in layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [
                {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size}
                for layer in layers
            ],
        }
    )
    return Assembled(tuple(layers), config, manifest)


def write_archive(image: Assembled, reference: str, file: Path, here: ImagePaths) -> None:
    """Write the image in the format of `docker load`."""
    name = image.identifier.removeprefix("sha256:")
    content = [
        {
            "Config": f"{name}.json",
            "RepoTags": [reference],
            "Layers": [f"{layer.digest.removeprefix('sha256:')}.tar.gz" for layer in image.layers],
        }
    ]
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in ((f"{name}.json", image.config), ("manifest.json", _json(content))):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
        for layer in image.layers:
            info = tarfile.TarInfo(layer.file(here).name)
            info.size, info.mode = layer.size, 0o644
            with layer.file(here).open("rb") as packed:
                archive.addfile(info, packed)


def architecture() -> str:
    """Return the image architecture of this host.

    Raises:
        TargetError: Images cannot be built for it.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise TargetError(
            f"cannot build images for {machine}: only for {', '.join(_ARCHITECTURES)}"
        )
    return _ARCHITECTURES[machine]


def digest_of(content: bytes) -> str:
    """Return the digest of some content, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
