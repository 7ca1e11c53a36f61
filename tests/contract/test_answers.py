"""The answers that were captured from real machines are complete and explain what is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.contract import answers
from lab.contract.answers import Answer
from lab.contract.calls import states
from lab.contract.compare import Difference, differences, lines
from tests.contract.real_answers import CALLS, REAL, captured


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
