"""The offline image set: whether it is complete, and how it is served and loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.toolbox import ToolboxPaths, load_pins
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.setup import point
from lab.docker.images.paths import ImagePaths

_NEXT = "./task lab:images"


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the set.

    Attributes:
        reference: Its full name as in manifests and charts (`registry.k8s.io/etcd:v3.6.7`). The
            set's registry has it without the host part, as Talos and containerd query a mirror.
        digest: The digest of its manifest.
        stands_for: The program that it stands in for, because that one cannot be built here; None
            for the real program.
    """

    reference: str
    digest: str
    stands_for: str | None


@dataclass(frozen=True, slots=True)
class NodeImage:
    """The machines' own image, which a container engine loads.

    Attributes:
        reference: Its name once it is loaded.
        identifier: Its id in the engine (`sha256:...`), which tells whether it is loaded.
        archive: The file for `docker load --input`.
    """

    reference: str
    identifier: str
    archive: Path


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The complete set, in exactly the versions of this checkout."""

    storage: Path
    registry: Path
    config: Path
    node: NodeImage
    images: tuple[Image, ...]

    def registry_command(self, address: str, port: int) -> list[str]:
        """Return the command that serves the set at this address: plain HTTP, read-only."""
        return [
            "env",
            f"REGISTRY_HTTP_ADDR={address}:{port}",
            str(self.registry),
            "serve",
            str(self.config),
        ]


def bring_cli(paths: ToolboxPaths | None = None) -> None:
    """Link the cilium CLI into this checkout's tools; it is built with the set, not by setup.

    Raises:
        TargetError: It was not built for this checkout's versions.
    """
    paths = paths or ToolboxPaths.of_this_checkout()
    pins = load_pins(paths.versions)
    program = bin_folder(pins.builds["cilium-cli"], pins, paths) / "cilium"
    if not program.is_file():
        raise TargetError(
            f"cannot find the cilium CLI: {program} does not exist, so it was not built for this "
            "checkout's versions",
            next_step=_NEXT,
        )
    point(paths.bin / "cilium", program)


def image_set(paths: ToolboxPaths | None = None) -> ImageSet:
    """Return the set that `./task lab:images` built for this checkout.

    Raises:
        TargetError: It does not exist, is incomplete, or was built for other versions.
    """
    paths = paths or ToolboxPaths.of_this_checkout()
    here = ImagePaths.of(paths, load_pins(paths.versions))
    if not here.record.is_file():
        raise TargetError(
            f"cannot use the offline image set: {here.record} does not exist, so the set was not "
            "built for this checkout's versions",
            next_step=_NEXT,
        )
    try:
        found = _read(json.loads(here.record.read_text(encoding="utf-8")), here)
    except (ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"cannot read the offline image set's record {here.record}: {error!r}", next_step=_NEXT
        ) from error
    missing = [
        str(path)
        for path in (found.registry, found.config, found.node.archive)
        if not path.is_file()
    ]
    missing += [
        image.reference for image in found.images if here.tagged(image.reference) != image.digest
    ]
    if missing:
        raise TargetError(
            f"cannot use the offline image set: {len(missing)} parts are missing or replaced, "
            f"first {missing[0]}",
            next_step=_NEXT,
        )
    return found


def write_record(found: ImageSet, here: ImagePaths) -> None:
    """Record that the set is complete, as the last step of a build."""
    content = {
        "registry": str(found.registry),
        "node": asdict(found.node) | {"archive": str(found.node.archive)},
        "images": [asdict(image) for image in found.images],
    }
    write_atomically(here.record, json.dumps(content, indent=1) + "\n", mode=None)


def _read(content: dict[str, Any], here: ImagePaths) -> ImageSet:
    node = content["node"]
    return ImageSet(
        storage=here.storage,
        registry=Path(content["registry"]),
        config=here.serve_config,
        node=NodeImage(node["reference"], node["identifier"], Path(node["archive"])),
        images=tuple(
            Image(entry["reference"], entry["digest"], entry["stands_for"])
            for entry in content["images"]
        ),
    )
