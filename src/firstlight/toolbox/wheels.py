"""The built programs and the charts as one wheel per platform, so that setup can be a download.

The wheel's version is a digest of everything that it is built from, and its folders are those of
the user's cache. So setup takes exactly the wheel that a build here would make, or none.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import platform
import shutil
import sys
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.files import write_atomically
from firstlight.lock import locked
from firstlight.process import run
from firstlight.toolbox.charts import chart_folder
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.paths import LOCK_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Pins
    from firstlight.toolbox.progress import Display

INDEX = "FIRSTLIGHT_TOOLS_INDEX"
"""The variable that names where wheels are: a folder, a page with links, or a package index."""

_NAME = "firstlight-tools"
_FOLDER = "firstlight_tools"

_FORMAT = "1"
"""The version's first part: the layout of the wheel. The project's version does not matter."""

_DOWNLOAD_S = 1800.0
_EXPECTED_S = 20
"""Measured for 340 MB; the download comes on top, from an index that is not on this machine."""

_DISK_MB = 1700
"""The wheel and the programs in it, for a moment at the same time."""

_PIECE = 1 << 20

_OTHER_INDEXES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_REQUIREMENT",
    "PIP_CONSTRAINT",
)
"""With these, pip would ask an index that the user has not named for this."""


def wheel_version(pins: Pins, paths: ToolboxPaths) -> str:
    """Return the version of the wheel with the tools of setup and the charts."""
    # A letter comes first, because a version drops the zeros before a number.
    digest = hashlib.sha256("\0".join(sorted(_folders(pins, paths))).encode())
    return f"{_FORMAT}+i{digest.hexdigest()[:16]}"


def is_from_wheel(program: Path) -> bool:
    """Report whether a program in the user's cache came from a wheel."""
    return program.name in _from_wheel(program.parent)


def _from_wheel(folder: Path) -> list[str]:
    """Return the names of the programs in a folder that came from a wheel."""
    try:
        return _list_beside(folder).read_text().splitlines()
    except OSError:
        return []


def _list_beside(folder: Path) -> Path:
    return folder.parent / "from-wheel"


def pack(pins: Pins, paths: ToolboxPaths, folder: Path, on_tick: Callable[[], None]) -> Path:
    """Write the wheel of the built tools and charts, and return it.

    Raises:
        FirstlightError: A tool or chart is not built yet, or this platform has no such wheels.
    """
    version, tag = wheel_version(pins, paths), _tag()
    if not _is_complete(pins, paths):
        raise FirstlightError(
            f"cannot pack {_NAME} {version}: not everything is built",
            next_step="./task tools:wheels",
        )
    files = [
        (f"{_FOLDER}/{name}/{path.relative_to(source).as_posix()}", path)
        for name, source in sorted(_folders(pins, paths).items())
        for path in sorted(source.rglob("*"))
        if path.is_file()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{_FOLDER}-{version}-py3-none-{tag}.whl"
    partial = wheel.with_suffix(".partial")
    info = f"{_FOLDER}-{version}.dist-info"
    records = []
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            on_tick()
            with path.open("rb") as content:
                records.append(_add(archive, name, content, executable=os.access(path, os.X_OK)))
        for name, text in {
            "METADATA": f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {version}\n"
            "Summary: The pinned tools and charts of firstlight\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: firstlight\nRoot-Is-Purelib: false\n"
            + "".join(f"Tag: py3-none-{one}\n" for one in tag.split(".")),
        }.items():
            records.append(_add(archive, f"{info}/{name}", io.BytesIO(text.encode())))
        lines = [*(",".join(record) for record in records), f"{info}/RECORD,,"]
        _add(archive, f"{info}/RECORD", io.BytesIO("\n".join([*lines, ""]).encode()))
    partial.replace(wheel)
    return wheel


def bring_wheel(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> None:
    """Take the tools and charts that this user's cache lacks from the wheel for these pins.

    Only from the index that the user has named: nobody has claimed the name on a public one. If
    that fails, the reason is shown, and setup goes another way.
    """
    index = environ.get(INDEX, "")
    if not index or _is_complete(pins, paths):
        return
    version = wheel_version(pins, paths)
    with locked(
        paths.built / "wheel.lock",
        doing="taking the tools from a wheel",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ):
        if _is_complete(pins, paths):
            return
        display.say(
            f"from the wheel {_NAME} {version} of {INDEX}={index}: about {_EXPECTED_S} s "
            f"and its download, {_DISK_MB / 1000:.1f} GB of disk in {paths.cache}"
        )
        staging = paths.built / "wheel.partial"
        shutil.rmtree(staging, ignore_errors=True)
        display.begin("tools and charts from the wheel", _EXPECTED_S)
        try:
            wheel = _download(index, version, staging, environ, display.tick)
            _unpack(wheel, staging / _FOLDER, display.tick)
            _move(staging / _FOLDER, pins, paths)
        except FirstlightError as error:
            display.end("failed")
            display.say(str(error))
        else:
            display.end("verified and unpacked")
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _folders(pins: Pins, paths: ToolboxPaths) -> dict[str, Path]:
    """Return each folder of the wheel, and its folder in the user's cache."""
    builds = [bin_folder(build, pins, paths) for build in pins.usual().builds.values()]
    charts = [chart_folder(chart, paths) for chart in pins.charts.values()]
    return {path.relative_to(paths.built).as_posix(): path for path in (*builds, *charts)}


def _is_complete(pins: Pins, paths: ToolboxPaths) -> bool:
    usual = pins.usual()
    return all(chart_folder(chart, paths).is_dir() for chart in pins.charts.values()) and all(
        (bin_folder(build, pins, paths) / tool.name).is_file()
        for build in usual.builds.values()
        for tool in usual.tools_of(build.name)
    )


def _tag() -> str:
    """Return the platform of the wheel: statically linked, for any C library.

    Raises:
        FirstlightError: The platform is not Linux.
    """
    if sys.platform != "linux":
        raise FirstlightError(
            f"cannot make a wheel of the tools for {sys.platform}: only for Linux"
        )
    machine = platform.machine()
    return f"manylinux_2_17_{machine}.musllinux_1_1_{machine}"


def _add(
    archive: zipfile.ZipFile, name: str, content: IO[bytes], *, executable: bool = False
) -> tuple[str, str, str]:
    """Add a file, and return its line of RECORD; the same files always give the same wheel."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    seen, size = hashlib.sha256(), 0
    with archive.open(info, "w", force_zip64=True) as file:
        while piece := content.read(_PIECE):
            seen.update(piece)
            size += file.write(piece)
    return name, _record(seen.digest()), str(size)


def _record(digest: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _download(
    index: str,
    version: str,
    folder: Path,
    environ: Mapping[str, str],
    on_tick: Callable[[], None],
) -> Path:
    env = {name: value for name, value in environ.items() if name not in _OTHER_INDEXES}
    if "://" in index:
        # One of both, and pip takes either for what it is.
        where = ["--index-url", index, "--find-links", index]
    else:
        where = ["--no-index", "--find-links", index]
    result = run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-input", "--no-cache-dir", "--no-deps", "--only-binary", ":all:", *where),
            *("--dest", str(folder), f"{_NAME}=={version}"),
        ],
        timeout_s=_DOWNLOAD_S,
        # No configuration file either.
        env=env | {"PIP_CONFIG_FILE": os.devnull},
        on_tick=on_tick,
    )
    found = sorted(folder.glob("*.whl"))
    if not result.ok or len(found) != 1:
        raise FirstlightError(
            f"cannot download {_NAME} {version} from {index}: "
            f"pip {result.ending}\n{result.tail(4)}",
            next_step=f"unset {INDEX}, or name an index with the wheel of exactly these pins",
        )
    return found[0]


def _unpack(wheel: Path, folder: Path, on_tick: Callable[[], None]) -> None:
    """Write the files of a wheel below a folder, and check each against the wheel's RECORD.

    Raises:
        FirstlightError: The wheel is damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
            lines = csv.reader(io.TextIOWrapper(archive.open(record), "utf-8"))
            expected = {name: digest for name, digest, _ in lines}
            for info in archive.infolist():
                parts = Path(info.filename).parts
                if parts[0] != _FOLDER or ".." in parts or info.is_dir():
                    continue
                target = folder / Path(info.filename).relative_to(_FOLDER)
                _write(archive, info, target, expected[info.filename], on_tick)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FirstlightError(
            f"cannot unpack {wheel.name}: {error}", next_step=f"unset {INDEX}, or correct its wheel"
        ) from error


def _write(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    target: Path,
    expected: str,
    on_tick: Callable[[], None],
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    with archive.open(info) as content, target.open("wb") as file:
        while piece := content.read(_PIECE):
            seen.update(piece)
            file.write(piece)
            on_tick()
    if _record(seen.digest()) != expected:
        raise ValueError(f"{info.filename} is not the file that its RECORD names")
    target.chmod(0o755 if info.external_attr >> 16 & 0o100 else 0o644)


def _move(staging: Path, pins: Pins, paths: ToolboxPaths) -> None:
    """Move what the user's cache lacks to its place; a program gets its name last.

    Raises:
        FirstlightError: The wheel lacks a tool or a chart.
    """
    usual = pins.usual()
    programs = {
        bin_folder(build, pins, paths): [tool.name for tool in usual.tools_of(build.name)]
        for build in usual.builds.values()
    }
    charts = [chart_folder(chart, paths) for chart in pins.charts.values()]
    wanted = [folder / name for folder, names in programs.items() for name in names]
    wanted += [folder / "Chart.yaml" for folder in charts]
    for path in wanted:
        if not (staging / path.relative_to(paths.built)).is_file():
            raise FirstlightError(
                f"cannot use the wheel: it has no {path.relative_to(paths.built)}"
            )
    for folder, names in programs.items():
        missing = [name for name in names if not (folder / name).is_file()]
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [name for name in _from_wheel(folder) if name in names and name not in missing]
        write_atomically(_list_beside(folder), "\n".join([*earlier, *missing, ""]), mode=None)
        for name in missing:
            (staging / folder.relative_to(paths.built) / name).replace(folder / name)
    for folder in charts:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            (staging / folder.relative_to(paths.built)).rename(folder)
