"""Answers of talosctl: ask, save to files and load."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from firstlight.clock import Clock, SystemClock
from firstlight.errors import TargetError
from firstlight.process import CommandResult, run
from lab.contract.calls import Call, State
from lab.contract.normalise import normalise

REAL = Path(__file__).resolve().parents[2] / "tests" / "contract" / "real"
"""The answers of the real machines, one file per state."""

_PAUSE_S = 0.5
_CODE = re.compile(r"rpc error: code = (\w+) desc")


@dataclass(frozen=True, slots=True)
class Answer:
    """The normalised result of a call.

    Attributes:
        exit: The exit code; None if the call did not end within its timeout.
        codes: The gRPC status codes in its output, in order.
        stdout: Standard output.
        stderr: Standard error.
    """

    exit: int | None
    codes: tuple[str, ...]
    stdout: str
    stderr: str


_LOOK = (
    "keep the machines and check their consoles: python -m lab.contract capture --keep, "
    "then ./task docker:logs CLUSTER=contract"
)


@dataclass(frozen=True)
class Asking:
    """What a call needs: the program, the callers, and the values of the words in braces.

    Attributes:
        talosctl: The program.
        talosconfigs: A talosconfig for each caller.
        places: Addresses by name, which are normalised.
        files: Files by name, which calls may also use.
        raw: Where raw output is saved; None to save none.
        extra_environment: Extra environment variables.
    """

    talosctl: Path
    talosconfigs: Mapping[str, Path]
    places: Mapping[str, str]
    files: Mapping[str, Path]
    raw: Path | None = None
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    def ask(self, state: str, call: Call) -> Answer:
        """Make a call and return its normalised result."""
        result = self.call(call)
        if result.timed_out and not call.is_patient:
            raise TargetError(
                f"cannot ask for {call.name} in state {state}: "
                f"the call did not end within {call.timeout_s:.0f} s\n  command   {result.command}",
                next_step=_LOOK,
            )
        if self.raw is not None:
            self._keep(self.raw / state / f"{call.name}.txt", result)
        return self.answer(call, result)

    def call(self, call: Call) -> CommandResult:
        """Make a call and return its raw result."""
        meant = {**self.places, **{name: str(file) for name, file in self.files.items()}}
        words = [word.format_map(meant) for word in call.words]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.files["home"]),
            "TALOSCONFIG": str(self.talosconfigs[call.caller]),
        }
        return run(
            [self.talosctl, *words],
            timeout_s=call.timeout_s,
            env={**environment, **self.extra_environment},
        )

    def answer(self, call: Call, result: CommandResult) -> Answer:
        """Return the normalised answer of a result."""
        if result.timed_out:
            return Answer(None, (), "", "")
        meant = {**self.places, **{name: str(file) for name, file in self.files.items()}}
        texts = [normalise(text, meant) for text in (result.stdout, result.stderr)]
        if call.answers_in_any_order:
            texts = ["\n".join(sorted(text.splitlines())) + "\n" if text else "" for text in texts]
        return Answer(result.exit_code, tuple(_CODE.findall(texts[1])), texts[0], texts[1])

    def await_signs(self, state: State, clock: Clock | None = None) -> None:
        """Wait until every sign of a state is seen.

        Raises:
            TargetError: A sign was not seen in time.
        """
        clock = clock or SystemClock()
        deadline = clock.monotonic() + state.within_s
        for sign in state.signs:
            while True:
                seen = self.call(sign.call)
                if re.search(sign.pattern, seen.stdout + seen.stderr):
                    break
                if clock.monotonic() > deadline:
                    raise TargetError(
                        f"cannot bring the machines to: {state.title}: "
                        f"not reached within {state.within_s:.0f} s\n"
                        f"  wanted    {sign.pattern}\n  command   {seen.command}\n"
                        f"  last seen {seen.stdout}{seen.stderr}",
                        next_step=_LOOK,
                    )
                clock.sleep(_PAUSE_S)

    @staticmethod
    def _keep(file: Path, result: CommandResult) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"$ {result.command}\nexit {result.exit_code} after {result.elapsed_s:.2f} s\n"
            f"--- stdout\n{result.stdout}--- stderr\n{result.stderr}",
            encoding="utf-8",
        )


class _Blocks(yaml.SafeDumper):
    """Writes multi-line texts as literal blocks."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Blocks.add_representer(str, _block)


def write(folder: Path, state: State, answers: Mapping[str, Answer], captured_from: str) -> Path:
    """Save the answers of a state to a file, and return it."""
    content = {
        name: {**asdict(answer), "codes": list(answer.codes)} for name, answer in answers.items()
    }
    text = yaml.dump(
        {"state": state.title, "from": captured_from, "answers": content},
        Dumper=_Blocks,
        sort_keys=False,
        width=4096,
        allow_unicode=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{state.name}.yaml"
    file.write_text(
        "# Real machines said this. It is written by ./task lab:contract, never by hand.\n"
        f"---\n{text}",
        encoding="utf-8",
    )
    return file


def read(folder: Path, state: str) -> dict[str, Answer]:
    """Return the saved answers of a state; empty if there is no file."""
    file = folder / f"{state}.yaml"
    if not file.exists():
        return {}
    kept = yaml.safe_load(file.read_text(encoding="utf-8"))["answers"]
    return {
        name: Answer(entry["exit"], tuple(entry["codes"]), entry["stdout"], entry["stderr"])
        for name, entry in kept.items()
    }
