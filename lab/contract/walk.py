"""Bring machines into each state of the contract, and make all calls on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from lab.contract.answers import Answer, Asking
from lab.contract.calls import State, states


class Machines(Protocol):
    """Machines that can be brought into each state, real or simulated."""

    @property
    def asking(self) -> Asking:
        """What is needed to ask these machines."""
        ...

    def enter(self, state: str) -> None:
        """Start the transition from the previous state into this one.

        The caller waits for its signs.
        """
        ...


def walk(machines: Machines) -> Iterator[tuple[State, dict[str, Answer]]]:
    """Bring the machines into one state after the other, and yield their answers in each."""
    for state in states():
        machines.enter(state.name)
        machines.asking.await_signs(state)
        yield state, _ask(machines.asking, state)


def _ask(asking: Asking, state: State) -> dict[str, Answer]:
    # Calls that only wait change nothing, so they wait concurrently before the others.
    patient = [call for call in state.calls if call.is_patient]
    with ThreadPoolExecutor(max_workers=max(len(patient), 1)) as pool:
        answers = dict(
            zip(
                (call.name for call in patient),
                pool.map(lambda call: asking.ask(state.name, call), patient),
                strict=True,
            )
        )
    answers |= {
        call.name: asking.ask(state.name, call) for call in state.calls if not call.is_patient
    }
    return {call.name: answers[call.name] for call in state.calls}
