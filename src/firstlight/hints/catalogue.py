"""The catalogue: all rows, the most specific first."""

from __future__ import annotations

from firstlight.events import HintInfo
from firstlight.hints import (
    cilium,
    connection,
    etcd,
    flux,
    kubernetes,
    machines,
    operator,
    recovery,
    releases,
    talos,
)
from firstlight.hints.row import Row

RUNBOOK = "docs/runbooks/bootstrap.md"

MATCHES_MAX = 3
"""Nobody reads a fourth hint at two in the morning."""

SUBJECTS = (
    ("The operator's side", operator.ROWS),
    ("Talos API", talos.ROWS),
    ("Machines", machines.ROWS),
    ("etcd", etcd.ROWS),
    ("Cilium", cilium.ROWS),
    ("Releases, charts and CRDs", releases.ROWS),
    ("Flux and Git", flux.ROWS),
    ("Kubernetes", kubernetes.ROWS),
    ("Connections", connection.ROWS),
    ("Rules of recovery", recovery.ROWS),
)
"""In the order in which rows are tried: what any subject may cause comes after what only one does."""

ROWS: tuple[Row, ...] = tuple(row for _, rows in SUBJECTS for row in rows)


def match(evidence: str) -> tuple[HintInfo, ...]:
    """Return the hints for the evidence of a failure, the most specific first, three at most."""
    fired = [row for row in ROWS if row.fires_on(evidence)]
    return tuple(hint(row) for row in fired[:MATCHES_MAX])


def explain(identity: str) -> Row | None:
    """Return the row of that id (`FL-008`, `fl-8` or `8`), or none."""
    number = identity.strip().upper().removeprefix("FL-").lstrip("0")
    return next((row for row in ROWS if row.id.removeprefix("FL-").lstrip("0") == number), None)


def hint(row: Row) -> HintInfo:
    """Return a row as events, display and report carry it."""
    return HintInfo(
        id=row.id,
        cause=row.cause,
        remedy=row.remedy,
        commands=row.commands,
        anchor=f"{RUNBOOK}#{row.anchor}",
    )
