"""The simulated machines answer as real ones did: exit codes, gRPC status codes and texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.contract import answers
from lab.contract.answers import Answer
from lab.contract.calls import states
from lab.contract.compare import Difference, compare, differences, lines, not_captured
from lab.contract.simulated import SimulatedMachines
from lab.contract.walk import walk
from tests.lab.support import ROOT, require

pytestmark = pytest.mark.timeout(400)

NETWORK = f"127.27.{os.getpid() % 250}"
"""Addresses that nobody else uses."""

Answers = dict[str, dict[str, Answer]]

REAL: Answers = {state.name: answers.read(answers.REAL, state.name) for state in states()}
CALLS = [(state.name, call.name) for state in states() for call in state.calls]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What simulated machines say in every state."""
    require("talosctl", "kubectl", "kwokctl", "kube-apiserver", "etcd", "simulated-machines")
    machines = SimulatedMachines(tmp_path_factory.mktemp("contract"), ROOT, NETWORK)
    try:
        machines.start()
        yield {state.name: said for state, said in walk(machines)}
    finally:
        machines.stop()


def captured(state: str, call: str) -> bool:
    return not {state, f"{state}/{call}"} & set(not_captured())


@pytest.mark.parametrize(
    ("state", "call"), [pair for pair in CALLS if captured(*pair)], ids="/".join
)
def test_a_simulated_machine_answers_as_a_real_one_did(state: str, call: str, simulated: Answers):
    comparison = compare(f"{state}/{call}", REAL[state][call], simulated[state][call])

    assert not comparison.unexplained, (
        f"talosctl {call} in state {state} is answered differently than by real machines:\n"
        f"{comparison.diff}\n"
        "Fix lab/simulated/machines; a difference that must stay belongs in "
        "lab/contract/differences.yaml, with its reason."
    )


def test_every_difference_that_is_listed_is_there(simulated: Answers):
    used = {name for pair in CALLS if captured(*pair) for name in _used(*pair, simulated)}

    assert used - {each.name for each in differences() if each.by_chance} == {
        each.name for each in differences() if not each.by_chance
    }


@pytest.mark.parametrize(
    "difference", [each for each in differences() if each.by_chance], ids=lambda each: each.name
)
def test_a_difference_that_comes_by_chance_fits_what_a_real_machine_once_said(
    difference: Difference,
):
    said = [
        (f"{state}/{call}", line)
        for state, call in CALLS
        if captured(state, call)
        for line in lines(REAL[state][call])
    ]

    assert any(difference.covers(call, "-", line) for call, line in said)


def _used(state: str, call: str, simulated: Answers) -> frozenset[str]:
    return compare(f"{state}/{call}", REAL[state][call], simulated[state][call]).used


@pytest.mark.parametrize("state", [state.name for state in states()])
def test_every_call_was_captured_from_real_machines_and_nothing_else(state: str):
    wanted = {call for of, call in CALLS if of == state and captured(state, call)}

    assert set(REAL[state]) == wanted, "capture it: ./task lab:contract"


def test_answers_are_kept_and_read_again_unchanged(tmp_path: Path):
    state = states()[0]
    said = {
        "one": Answer(1, ("Unavailable",), "", "first\n second: 'x'\n"),
        "two": Answer(None, (), "", ""),
        "three": Answer(0, (), "#1", "-"),
    }

    answers.write(tmp_path, state, said, "a test")

    assert answers.read(tmp_path, state.name) == said
