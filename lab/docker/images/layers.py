"""Reproducible image layers: the same inputs give the same archive, bit for bit."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from firstlight.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.docker.images.paths import ImagePaths

# Higher levels take several times as long to save a tenth.
_COMPRESSION = 1
_CHUNK = 1 << 20
# Change this when the layout of a layer changes: its key changes with it.
_FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link of a layer.

    Attributes:
        path: Its path in the image, without a leading slash.
        source: The file to copy.
        data: Its content if `source` is not set.
        link: The target of a symbolic link.
        folder: Whether it is a folder.
        mode: Its permissions.
        uid: Its owner.
        gid: Its group.
    """

    path: str
    source: Path | None = None
    data: bytes = b""
    link: str = ""
    folder: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer.

    Attributes:
        digest: Digest of the compressed archive; its name in a registry.
        diff_id: Digest of the uncompressed archive; its name in an image's configuration.
        size: Size of the compressed archive in bytes.
    """

    digest: str
    diff_id: str
    size: int

    def file(self, here: ImagePaths) -> Path:
        """Return the compressed archive."""
        return here.layers / f"{self.digest.removeprefix('sha256:')}.tar.gz"


def key_of(entries: Iterable[Entry]) -> str:
    """Return a key for the layer of these entries.

    Sources are in folders that are named after their content, so path and size identify a source.
    """
    digest = hashlib.sha256(_FORMAT.encode())
    for entry in sorted(entries, key=lambda entry: entry.path):
        source = f"{entry.source} {entry.source.stat().st_size}" if entry.source else ""
        words = (entry.path, source, entry.link, entry.folder, entry.mode, entry.uid, entry.gid)
        digest.update(repr(words).encode() + entry.data)
    return digest.hexdigest()


def kept_layer(key: str, here: ImagePaths) -> Layer | None:
    """Return the layer that was written under this key before, if its archive still exists."""
    try:
        layer = Layer(**json.loads(_record(key, here).read_text(encoding="ascii")))
        return layer if layer.file(here).stat().st_size == layer.size else None
    except (OSError, ValueError, TypeError):
        return None


def make_layer(key: str, entries: Sequence[Entry], here: ImagePaths) -> Layer:
    """Write the layer and record it under its key, atomically."""
    here.work.mkdir(parents=True, exist_ok=True)
    here.layers.mkdir(parents=True, exist_ok=True)
    partial = here.work / f"{key}.tar.gz"
    with partial.open("wb") as raw:
        packed = _Hashing(raw)
        # The header has neither name nor time, so equal content gives equal bytes.
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=packed, mtime=0
        ) as squeezed:
            plain = _Hashing(squeezed)
            with tarfile.open(
                fileobj=plain, mode="w|", format=tarfile.GNU_FORMAT, bufsize=_CHUNK
            ) as archive:
                for entry in sorted(entries, key=lambda entry: entry.path):
                    _add(archive, entry)
    layer = Layer(packed.digest, plain.digest, partial.stat().st_size)
    partial.replace(layer.file(here))
    write_atomically(_record(key, here), json.dumps(asdict(layer)) + "\n", mode=None)
    return layer


def _record(key: str, here: ImagePaths) -> Path:
    return here.layers / f"{key}.json"


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    if entry.folder:
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        archive.addfile(info)
    elif entry.source:
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as content:
            archive.addfile(info, content)
    else:
        info.size = len(entry.data)
        archive.addfile(info, io.BytesIO(entry.data))


class _Hashing(io.RawIOBase):
    """A file that computes the digest of what is written to it."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._digest.update(content)
        self._stream.write(content)
        return len(content)

    @property
    def digest(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"
