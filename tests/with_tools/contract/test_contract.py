"""The simulated machines answer as real ones did: exit codes, gRPC status codes and texts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.contract.compare import compare, differences
from lab.contract.simulated import SimulatedMachines
from lab.contract.walk import walk
from tests.contract.real_answers import CALLS, REAL, Answers, captured
from tests.lab.support import ROOT

pytestmark = pytest.mark.timeout(400)

NETWORK = f"127.27.{os.getpid() % 250}"
"""Addresses that nobody else uses."""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What simulated machines say in every state."""
    machines = SimulatedMachines(tmp_path_factory.mktemp("contract"), ROOT, NETWORK)
    try:
        machines.start()
        yield {state.name: said for state, said in walk(machines)}
    finally:
        machines.stop()


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


def _used(state: str, call: str, simulated: Answers) -> frozenset[str]:
    return compare(f"{state}/{call}", REAL[state][call], simulated[state][call]).used
