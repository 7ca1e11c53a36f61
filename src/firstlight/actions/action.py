"""An action: one change to the world, how to see that it is needed, and how to make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One change to the world that can be made any number of times.

    Attributes:
        title: Verb and noun, with what it is done to: `bootstrap etcd on infra-cp-1 (10.25.11.11)`.
        need: Looks at the world and says why the action is needed, or nothing when the world is already so. It changes nothing, and may
            raise when the world must not be touched.
        act: Makes the change; may say in a few words how it came about.
        commands: What would be run as the world is now, for plans; also where the world cannot be looked at yet.
    """

    title: str
    need: Callable[[], str | None]
    act: Callable[[], str | None]
    commands: Callable[[], tuple[str, ...]] = tuple
