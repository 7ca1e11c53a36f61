"""Where to end runs: every boundary of every action, and instants drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.blows import Blow
from tests.chaos.moments import Instant, Moment

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
"""Every action that changes a cluster, in run order, by how its title begins. A whole rehearsal has these and no others (`tests/rehearsal`)."""

AWAITED = tuple(action for action in ACTIONS if action != "generate the kubeconfig")
"""Those whose criterion waits for what they have done: of a kubeconfig, all is known when it is written."""

KILLS = (Blow.KILL, Blow.KILL_GROUP, Blow.KILL_ALL)
ORDERLY = (Blow.INTERRUPT, Blow.TERMINATE, Blow.HANG_UP)

DURING_S = 0.2
"""helmfile has begun to render, helm has written its pending record or is about to; `talosctl bootstrap` has been answered."""

START = "start"
"""Not a criterion: from the command to its first one."""


@dataclass(frozen=True)
class Slot:
    """One criterion of an undisturbed run: when it began and how long it took, in seconds."""

    stage: str
    criterion: str
    began_s: float
    lasted_s: float


@dataclass(frozen=True)
class Shot:
    """One end of a run: at a moment of an action, or so long after a criterion began."""

    blow: Blow
    stage: str = ""
    criterion: str = ""
    later_s: float = 0.0
    instant: Instant | None = None

    def __str__(self) -> str:
        return (
            str(self.instant)
            if self.instant
            else f"{self.later_s:.2f} s into {self.criterion}, {self.blow}"
        )


def matrix() -> list[list[Shot]]:
    """Return every boundary of every action, in chains of one bootstrap each.

    An action that was carried out is not begun again in the same bootstrap, so each chain takes one of the moments at which it is.
    """
    return [
        _chain(KILLS, Moment.BEFORE_BEGUN, Moment.AFTER_BEGUN, Moment.BEFORE_ENDED),
        _chain((Blow.KILL_ALL,), Moment.DURING),
        _chain((Blow.KILL,), Moment.DURING),
        _chain(KILLS, Moment.AFTER_ENDED),
        _chain(KILLS, Moment.WAITING, actions=AWAITED),
        _chain(ORDERLY, Moment.DURING),
        _chain(ORDERLY, Moment.WAITING, actions=AWAITED),
    ]


def _chain(blows: Sequence[Blow], *moments: Moment, actions: Sequence[str] = ACTIONS) -> list[Shot]:
    # Each action takes its turn with each blow.
    instants = [
        (action, moment, blows[(row + turn) % len(blows)])
        for row, action in enumerate(actions)
        for turn, moment in enumerate(moments)
    ]
    return [
        Shot(
            blow,
            instant=Instant(action, moment, blow, DURING_S if moment is Moment.DURING else 0.0),
        )
        for action, moment, blow in instants
    ]


def random_chain(
    seed: int, number: int, timeline: Sequence[Slot], kills: int, blows: Sequence[Blow]
) -> list[Shot]:
    """Return random instants, spread evenly over an undisturbed run, in run order: each is a later one than that at which the run before ended."""
    draw = random.Random(f"{seed}/{number}")
    total_s = timeline[-1].began_s + timeline[-1].lasted_s
    return [
        _shot(draw, at_s, timeline, blows)
        for at_s in sorted(draw.uniform(0, total_s) for _ in range(kills))
    ]


def _shot(
    draw: random.Random, at_s: float, timeline: Sequence[Slot], blows: Sequence[Blow]
) -> Shot:
    slot = next(slot for slot in reversed(timeline) if slot.began_s <= at_s)
    return Shot(
        draw.choice(blows),
        slot.stage,
        "" if slot.stage == START else slot.criterion,
        at_s - slot.began_s,
    )


def timeline_of(told: str, started: float, ended: float) -> list[Slot]:
    """Return the timeline of an undisturbed run from what it told of itself (see `moments`)."""
    rows = [line.split(" ", 2) for line in told.splitlines()]
    begins = [(START, START, started), *((stage, name, float(at)) for at, stage, name in rows)]
    ends = [at for _, _, at in begins[1:]] + [ended]
    return [
        Slot(stage, name, at - started, end - at)
        for (stage, name, at), end in zip(begins, ends, strict=True)
    ]


def chained(kills: int, per_bootstrap: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each chain and how many kills it takes, until there are enough."""
    number = 0
    while kills > 0:
        yield number, min(kills, per_bootstrap)
        kills -= per_bootstrap
        number += 1
