"""An action: one change, and the check whether it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One change that can be made any number of times.

    Attributes:
        title: Verb, noun and object: `bootstrap etcd on infra-cp-1 (10.25.11.11)`.
        need: Checks the cluster and returns why the action is needed, or None. It changes
            nothing, and raises if the cluster must not be touched.
        act: Makes the change; may return a few words on how it came about.
        commands: What would be run as things are now, for plans; works without a reachable cluster.
    """

    title: str
    need: Callable[[], str | None]
    act: Callable[[], str | None]
    commands: Callable[[], tuple[str, ...]] = tuple
