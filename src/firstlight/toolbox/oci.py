"""Take a program out of a container image: an HTTP download whose every part has a known digest.

The pinned digest is that of the image's index, which names a manifest per platform by digest, which
names the layers by digest. mise cannot do this, because a registry asks for a token.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode

from firstlight.errors import FirstlightError

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Tool

_IMAGE = re.compile(
    r"(?P<host>[^/]+)/(?P<name>[^:@]+):v?(?P<version>[^@]+)@sha256:(?P<digest>[0-9a-f]{64})"
)

_ANSWER_S = 30.0
"""Time for a registry to answer, and for each part of a download to arrive."""

_PIECE = 1 << 20

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

_TYPES = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


def image_version(tool: Tool) -> str:
    """Return the version of the tool in its image."""
    return _parts(tool.image)["version"]


def image_program(tool: Tool, paths: ToolboxPaths) -> Path:
    """Return the path in the user's cache of the program from the tool's image."""
    digest = _parts(tool.image)["digest"]
    return paths.built / "images" / f"{tool.name}-{digest[:16]}" / tool.name


def bring_from_image(tool: Tool, paths: ToolboxPaths, on_tick: Callable[[], None]) -> Path:
    """Download the program from the tool's image, so that it exists completely or not at all.

    Raises:
        FirstlightError: The registry cannot be reached or lacks the image, a digest differs, or the
            image has no such program.
    """
    program = image_program(tool, paths)
    machine = _MACHINES.get(platform.machine(), platform.machine())
    if sys.platform != "linux":
        raise FirstlightError(f"cannot take {tool.name} from {tool.image}: it is only for Linux")
    parts = _parts(tool.image)
    registry = _Registry(parts["host"], parts["name"], on_tick)
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=program.parent) as scratch:
            index = registry.json("manifests", f"sha256:{parts['digest']}")
            manifest = registry.json("manifests", _manifest_for(machine, index))
            # The program is copied into the image after everything below it.
            for layer in reversed(manifest["layers"]):
                blob = Path(scratch) / "layer"
                with blob.open("wb") as file:
                    registry.get("blobs", layer["digest"], file)
                if _extract(blob, f"usr/local/bin/{tool.name}", Path(scratch) / tool.name):
                    (Path(scratch) / tool.name).replace(program)
                    return program
    except (OSError, ValueError, KeyError, TypeError, HTTPException, tarfile.TarError) as error:
        seen = f"no {error} in its manifest" if isinstance(error, KeyError) else error
        raise FirstlightError(f"cannot take {tool.name} from {tool.image}: {seen}") from error
    raise FirstlightError(
        f"cannot take {tool.name} from {tool.image}: it has no /usr/local/bin/{tool.name}"
    )


def _parts(image: str) -> dict[str, str]:
    found = _IMAGE.fullmatch(image)
    if found is None:
        raise FirstlightError(
            f"cannot read the image {image!r}: it has no form HOST/NAME:vVERSION@sha256:DIGEST",
            next_step="correct tools/versions.toml",
        )
    return found.groupdict()


def _manifest_for(machine: str, index: dict[str, Any]) -> str:
    wanted = {"os": "linux", "architecture": machine}
    for entry in index["manifests"]:
        if wanted.items() <= entry["platform"].items():
            return str(entry["digest"])
    raise ValueError(f"it is not for linux/{machine}")


def _extract(layer: Path, member: str, target: Path) -> bool:
    """Write a member of a layer to an executable file, and report whether the layer has it."""
    with tarfile.open(layer) as archive:
        for entry in archive:
            if entry.name.removeprefix("./") == member and entry.isfile():
                with archive.extractfile(entry) as content, target.open("wb") as file:  # type: ignore[union-attr]
                    shutil.copyfileobj(content, file, _PIECE)
                target.chmod(0o755)
                return True
    return False


class _RefusedError(ValueError):
    """A registry's answer that is not the content, with the authorization that it asks for."""

    def __init__(self, url: str, error: urllib.error.HTTPError) -> None:
        super().__init__(f"{url} answered {error.code} {error.reason}")
        self.code = error.code
        self.challenge = error.headers.get("WWW-Authenticate", "")


class _Registry:
    """One repository of a registry, with the anonymous token that it hands out.

    urllib reads the proxy from the environment.
    """

    def __init__(self, host: str, name: str, on_tick: Callable[[], None]) -> None:
        # As container engines do: a registry on this machine speaks HTTP.
        scheme = "http" if host.partition(":")[0] in {"127.0.0.1", "localhost"} else "https"
        self._base = f"{scheme}://{host}/v2/{name}"
        self._on_tick = on_tick
        self._token = ""
        # Not urlopen, which keeps the proxy of its first call.
        self._opener = urllib.request.build_opener()

    def json(self, kind: str, digest: str) -> Any:
        with tempfile.TemporaryFile() as file:
            self.get(kind, digest, file)
            file.seek(0)
            return json.load(file)

    def get(self, kind: str, digest: str, file: IO[bytes]) -> None:
        """Write the content of a digest to a file, and check it."""
        url = f"{self._base}/{kind}/{digest}"
        seen = hashlib.sha256()
        with self._open(url) as answer:
            while piece := answer.read(_PIECE):
                seen.update(piece)
                file.write(piece)
                self._on_tick()
        if f"sha256:{seen.hexdigest()}" != digest:
            raise ValueError(f"{url} has the digest sha256:{seen.hexdigest()}")

    def _open(self, url: str) -> IO[bytes]:
        try:
            return self._request(url)
        except _RefusedError as refused:
            if refused.code != HTTPStatus.UNAUTHORIZED or self._token:
                raise
            self._token = self._new_token(refused.challenge)
        return self._open(url)

    def _new_token(self, challenge: str) -> str:
        """Ask for the token that the registry's answer describes."""
        words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not challenge.startswith("Bearer ") or "realm" not in words:
            raise ValueError(f"{self._base} asks for {challenge or 'an unknown authorization'}")
        realm = words.pop("realm")
        with self._request(f"{realm}?{urlencode(words)}") as answer:
            content = json.load(answer)
        return str(content.get("token") or content["access_token"])

    def _request(self, url: str) -> IO[bytes]:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{url} is no HTTP address")
        request = urllib.request.Request(url, headers={"Accept": _TYPES})  # noqa: S310 - checked
        if self._token:
            # The store that a registry redirects to refuses a foreign token.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            answer: IO[bytes] = self._opener.open(request, timeout=_ANSWER_S)
        except urllib.error.HTTPError as error:
            with error:
                raise _RefusedError(url, error) from error
        return answer
