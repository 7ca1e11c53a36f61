"""A runner that starts nothing: a test scripts all answers, and any other command fails it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from firstlight.events import Bus
from firstlight.process import CommandResult
from firstlight.tools.runner import Runner
from tests.clocks import FakeClock

CAPTURED = {
    entry["name"]: entry
    for path in sorted((Path(__file__).parent / "captured").glob("*.yaml"))
    for entry in yaml.safe_load(path.read_text())
}
"""Captured output of real tools, by name."""


@dataclass(frozen=True)
class Said:
    """The output and exit code of a command."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    timed_out: bool = False


def captured(name: str) -> Said:
    """Return the captured answer of a real tool."""
    entry = CAPTURED[name]
    return Said(entry["stdout"], entry["stderr"], entry["exit_code"])


TIMED_OUT = Said(exit_code=-15, timed_out=True)

Script = Callable[[list[str]], Said | None]


@dataclass
class Called:
    """A command that was run."""

    argv: list[str]
    changes: bool
    input: str | None
    env: Mapping[str, str]

    @property
    def line(self) -> str:
        """The command on one line."""
        return " ".join(self.argv)


@dataclass
class ScriptedRunner(Runner):
    """Answers from a script, and records the commands."""

    script: Script
    called: list[Called] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(
            environment={}, root=Path("/"), bus=Bus(FakeClock()), criterion=lambda: "test"
        )

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout_s: float,
        input: str | None = None,  # noqa: A002 - as the real one
        env: Mapping[str, str] | None = None,
        changes: bool = False,
        quiet: bool = False,
    ) -> CommandResult:
        words = [str(word) for word in argv]
        self.called.append(Called(words, changes, input, dict(env or {})))
        said = self.script(words)
        assert said is not None, f"unexpected command: {' '.join(words)}"
        tail = tuple(line for line in (said.stdout + said.stderr).splitlines() if line.strip())
        return CommandResult(
            self.mask(" ".join(words)),
            said.exit_code,
            said.stdout,
            self.mask(said.stderr),
            0.1,
            said.timed_out,
            tail[-40:],
        )

    @property
    def changed(self) -> list[str]:
        """The commands that change something, in order."""
        return [called.line for called in self.called if called.changes]


def by_words(answers: Mapping[str, Said | list[Said]]) -> Script:
    """Answer commands that contain these consecutive words; the last answer of a list repeats."""

    def script(argv: list[str]) -> Said | None:
        line = f" {' '.join(argv)} "
        for words, said in answers.items():
            if f" {words} " in line:
                return (
                    (said.pop(0) if len(said) > 1 else said[0]) if isinstance(said, list) else said
                )
        return None

    return script


def scripted(answers: Mapping[str, Said | list[Said]]) -> ScriptedRunner:
    """Create a runner from answers by words."""
    return ScriptedRunner(by_words(answers))
