"""The catalogue: all rows, the most specific first."""

from __future__ import annotations

from firstlight.events import HintInfo
from firstlight.hints import talos
from firstlight.hints.row import Row

RUNBOOK = "docs/runbooks/bootstrap.md"

# More than three hints are not read by anybody at two in the morning.
MATCHES_MAX = 3

ROWS: tuple[Row, ...] = (*talos.ROWS,)


def match(evidence: str) -> tuple[HintInfo, ...]:
    """Return the hints for the evidence of a failure, the most specific first, three at most."""
    fired = [row for row in ROWS if row.fires_on(evidence)]
    return tuple(hint(row) for row in fired[:MATCHES_MAX])


def explain(identity: str) -> Row | None:
    """Return the row of that id (`FL-008`, `fl-8` or `8`), or none."""
    digits = identity.strip().upper().removeprefix("FL-").lstrip("0")
    return next((row for row in ROWS if row.id.removeprefix("FL-").lstrip("0") == digits), None)


def hint(row: Row) -> HintInfo:
    """Return a row as events, display and report carry it."""
    return HintInfo(
        id=row.id,
        cause=row.cause,
        remedy=row.remedy,
        commands=row.commands,
        anchor=f"{RUNBOOK}#{row.anchor}",
    )
