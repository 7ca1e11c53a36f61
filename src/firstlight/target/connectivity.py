"""How the connectivity test is run on a target, and which of its scenarios cannot be shown there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connectivity:
    """What a target says about `cilium connectivity test`.

    Attributes:
        flags: Words for its command line: the target's images, what it takes for the internet.
        lacks: What the target lacks, as it stands in a scenario's name or in the CLI's reason for leaving it out
            (`l7-proxy`), and why it lacks it.
    """

    flags: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, scenario: str, reason: str) -> str:
        """Return why the target cannot show a scenario that the CLI left out; empty when it is not for the target that it was."""
        return next(
            (
                f"{why} ({reason})"
                for what, why in self.lacks.items()
                if what in reason or what in scenario
            ),
            "",
        )
