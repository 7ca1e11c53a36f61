"""The calls of the contract, read from calls.yaml."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

CALLS = Path(__file__).with_name("calls.yaml")

ADMIN = "admin"
CALL_S = 40.0
STATE_S = 120.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of talosctl.

    Attributes:
        name: Its name within its state.
        words: Its arguments, with placeholders in braces.
        caller: The name of the talosconfig it uses.
        timeout_s: How long it may take.
    """

    name: str
    words: tuple[str, ...]
    caller: str = ADMIN
    timeout_s: float = CALL_S

    @property
    def is_patient(self) -> bool:
        """Report whether the call is known to wait, possibly without end.

        Such a call changes nothing, so several can wait at the same time.
        """
        return self.timeout_s != CALL_S

    @property
    def answers_in_any_order(self) -> bool:
        """Report whether the order of the answer's lines is random.

        It is if several machines are asked at once, and for etcd, which sorts members by random
        ids.
        """
        return self.words[-2:] == ("etcd", "members") or any(
            "," in word for name, word in pairwise(self.words) if name == "--nodes"
        )


@dataclass(frozen=True, slots=True)
class Sign:
    """A call that shows that a state is reached, and the pattern of its standard output then."""

    call: Call
    pattern: str


@dataclass(frozen=True, slots=True)
class State:
    """A state of the machines, and the calls made in it.

    Attributes:
        name: A short name, also of the file with the answers.
        title: What it means.
        signs: What shows that the state is reached.
        calls: The calls, in order.
        within_s: How long the machines may take to reach it.
    """

    name: str
    title: str
    signs: tuple[Sign, ...]
    calls: tuple[Call, ...]
    within_s: float


@cache
def states() -> tuple[State, ...]:
    """Return the states in the order in which the machines reach them."""
    read = yaml.safe_load(CALLS.read_text(encoding="utf-8"))
    return tuple(_state(name, entry) for name, entry in read.items())


def _state(name: str, entry: Mapping[str, Any]) -> State:
    signs = tuple(
        Sign(Call("sign", tuple(shlex.split(words))), pattern) for words, pattern in entry["until"]
    )
    calls = tuple(_call(call, what) for call, what in entry["calls"].items())
    return State(name, entry["title"], signs, calls, float(entry.get("within_s", STATE_S)))


def _call(name: str, what: str | Mapping[str, Any]) -> Call:
    if isinstance(what, str):
        return Call(name, tuple(shlex.split(what)))
    return Call(
        name,
        tuple(shlex.split(what["words"])),
        what.get("as", ADMIN),
        float(what.get("timeout_s", CALL_S)),
    )
