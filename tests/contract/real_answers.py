"""What real machines answered, by state and call."""

from __future__ import annotations

from lab.contract import answers
from lab.contract.answers import Answer
from lab.contract.calls import states
from lab.contract.compare import not_captured

Answers = dict[str, dict[str, Answer]]

REAL: Answers = {state.name: answers.read(answers.REAL, state.name) for state in states()}
CALLS = [(state.name, call.name) for state in states() for call in state.calls]


def captured(state: str, call: str) -> bool:
    return not {state, f"{state}/{call}"} & set(not_captured())
