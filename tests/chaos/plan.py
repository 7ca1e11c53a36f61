"""Where to interrupt runs: every boundary of every action, and random instants from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.moments import Instant, Moment
from tests.chaos.terminations import Termination

MACHINE_CONFIGS = "generate the machine configs"

ACTIONS = (
    MACHINE_CONFIGS,
    "bootstrap etcd",
    "generate the kubeconfig",
    "push kubeconfig-infra",
    "apply the bootstrap secrets",
    "apply the CRDs",
    "install cilium",
    "install coredns",
    "install spegel",
    "install cert-manager",
    "install flux",
    "apply the GitRepository",
)
"""Every action that changes a cluster, in run order, by the beginning of its title.

A whole rehearsal has exactly these (`tests/with_tools/rehearsal`).
"""

AWAITED = tuple(action for action in ACTIONS if action != "generate the kubeconfig")
"""Actions whose criterion waits for their effect. A kubeconfig is complete once written."""

KILLS = (Termination.KILL, Termination.KILL_GROUP, Termination.KILL_ALL)
GRACEFUL = (Termination.INTERRUPT, Termination.TERMINATE, Termination.HANG_UP)

DURING_S = 0.2
"""Delay in seconds.

By then helmfile is rendering, helm is about to write its pending record or has done so, and
`talosctl bootstrap` has its answer.
"""

START = "start"
"""Not a criterion: the time before the first one."""


@dataclass(frozen=True)
class Slot:
    """One criterion of an undisturbed run: its start and duration in seconds."""

    stage: str
    criterion: str
    began_s: float
    lasted_s: float


@dataclass(frozen=True)
class Interruption:
    """One planned interruption: at a moment of an action, or some time after a criterion began."""

    termination: Termination
    stage: str = ""
    criterion: str = ""
    later_s: float = 0.0
    instant: Instant | None = None

    def __str__(self) -> str:
        return (
            str(self.instant)
            if self.instant
            else f"{self.later_s:.2f} s into {self.criterion}, {self.termination}"
        )


def matrix() -> list[list[Interruption]]:
    """Return every boundary of every action, in one chain per bootstrap.

    An action that completed does not begin again in the same bootstrap, so each chain uses only one
    of the moments at which it completes.
    """
    return [
        _chain(KILLS, Moment.BEFORE_BEGUN, Moment.AFTER_BEGUN, Moment.BEFORE_ENDED),
        _chain((Termination.KILL_ALL,), Moment.DURING),
        _chain((Termination.KILL,), Moment.DURING),
        _chain(KILLS, Moment.AFTER_ENDED),
        _chain(KILLS, Moment.WAITING, actions=AWAITED),
        _chain(GRACEFUL, Moment.DURING),
        _chain(GRACEFUL, Moment.WAITING, actions=AWAITED),
    ]


def _chain(
    terminations: Sequence[Termination], *moments: Moment, actions: Sequence[str] = ACTIONS
) -> list[Interruption]:
    # Rotate the terminations over the actions.
    instants = [
        (action, moment, terminations[(row + turn) % len(terminations)])
        for row, action in enumerate(actions)
        for turn, moment in enumerate(moments)
    ]
    return [
        Interruption(
            termination,
            instant=Instant(
                action, moment, termination, DURING_S if moment is Moment.DURING else 0.0
            ),
        )
        for action, moment, termination in instants
    ]


def random_chain(
    seed: int,
    number: int,
    timeline: Sequence[Slot],
    kills: int,
    terminations: Sequence[Termination],
) -> list[Interruption]:
    """Return random instants, spread evenly over an undisturbed run, in run order.

    Each is later than the one at which the previous run ended.
    """
    draw = random.Random(f"{seed}/{number}")
    total_s = timeline[-1].began_s + timeline[-1].lasted_s
    return [
        _interruption(draw, at_s, timeline, terminations)
        for at_s in sorted(draw.uniform(0, total_s) for _ in range(kills))
    ]


def _interruption(
    draw: random.Random, at_s: float, timeline: Sequence[Slot], terminations: Sequence[Termination]
) -> Interruption:
    slot = next(slot for slot in reversed(timeline) if slot.began_s <= at_s)
    return Interruption(
        draw.choice(terminations),
        slot.stage,
        "" if slot.stage == START else slot.criterion,
        at_s - slot.began_s,
    )


def timeline_of(progress: str, started: float, ended: float) -> list[Slot]:
    """Return the timeline of an undisturbed run from its progress file (see `moments`)."""
    rows = [line.split(" ", 2) for line in progress.splitlines()]
    begins = [(START, START, started), *((stage, name, float(at)) for at, stage, name in rows)]
    ends = [at for _, _, at in begins[1:]] + [ended]
    return [
        Slot(stage, name, at - started, end - at)
        for (stage, name, at), end in zip(begins, ends, strict=True)
    ]


def chained(kills: int, per_bootstrap: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each chain and its number of kills, until there are enough."""
    number = 0
    while kills > 0:
        yield number, min(kills, per_bootstrap)
        kills -= per_bootstrap
        number += 1
