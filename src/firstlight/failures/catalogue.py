"""The catalogue: all rows, the most specific first, and the ways to look one up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from firstlight.failures import (
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
from firstlight.failures.row import HintInfo, Row

RUNBOOK: Final = "docs/runbooks/bootstrap.md"

HINTS_MAX: Final = 3
"""Nobody reads a fourth hint at two in the morning."""

SUBJECTS: Final = (
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
"""In the order in which evidence is matched: failures that any subject can cause come last."""

ROWS: Final[tuple[Row, ...]] = tuple(row for _, rows in SUBJECTS for row in rows)

BY_ID: Final[Mapping[str, Row]] = {row.id: row for row in ROWS}

ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "flux": ("FL-063", "FL-025"),
    "git": ("FL-060", "FL-061", "FL-062", "FL-207", "FL-205", "FL-244"),
    "helm": (
        *("FL-055", "FL-047", "FL-053", "FL-236", "FL-211"),
        # A busy API server says nothing about the release, whatever Helm makes of it.
        *("FL-025", "FL-054", "FL-241", "FL-030"),
    ),
    "kubectl": ("FL-053", "FL-236", "FL-211", "FL-026", "FL-056", "FL-025"),
    "op": ("FL-204", "FL-029", "FL-028", "FL-201"),
    "sops": ("FL-203", "FL-202"),
    "talosctl": (
        *("FL-001", "FL-002", "FL-003", "FL-004", "FL-005", "FL-008", "FL-009", "FL-010"),
        # Its own etcd refuses, not the machine.
        *("FL-011", "FL-221", "FL-018", "FL-012", "FL-242", "FL-006", "FL-007", "FL-025"),
    ),
}
"""The rows that classify each tool's failures; the first one that matches decides."""

_SPEAKS_FOR: Final = {"helmfile": "helm"}
"""helmfile passes on what helm printed."""


def classify(tool: str, text: str) -> Row | None:
    """Return the row for a failed command, None if it is unknown; an unknown failure is fatal.

    Args:
        tool: The name of the program.
        text: Its error output.
    """
    ids = ORDER.get(_SPEAKS_FOR.get(tool, tool), ())
    name = _SPEAKS_FOR.get(tool, tool)
    return next((BY_ID[id_] for id_ in ids if BY_ID[id_].is_said_by(name, text)), None)


def hints(evidence: str, rows: Iterable[Row | str] = ()) -> tuple[HintInfo, ...]:
    """Return the hints for a failure, the most specific first, three at most.

    Args:
        evidence: Everything that tools printed about it.
        rows: The rows that the error carries.
    """
    carried = {row if isinstance(row, str) else row.id for row in rows}
    shown = [row for row in ROWS if row.id in carried or row.matches(evidence)]
    return tuple(hint(row) for row in shown[:HINTS_MAX])


def match(evidence: str) -> tuple[HintInfo, ...]:
    """Return the hints for what tools printed, the most specific first, three at most."""
    return hints(evidence)


def rows_for_rule(rule: str, field: str) -> tuple[Row, ...]:
    """Return the rows that explain a violated rule of the definition.

    Args:
        rule: Its name, such as `coredns-not-off`.
        field: Where it is violated, in dotted form.
    """
    return tuple(row for row in ROWS if row.covers(rule, field))


def find(identity: str) -> Row | None:
    """Return the row with an id (`FL-008`, `fl-8` or `8`), None if there is no such row."""
    number = identity.strip().upper().removeprefix("FL-").lstrip("0")
    return next((row for row in ROWS if row.id.removeprefix("FL-").lstrip("0") == number), None)


def hint(row: Row) -> HintInfo:
    """Return a row in the form in which events, display and report carry it."""
    return HintInfo(
        id=row.id,
        cause=row.cause,
        remedy=row.remedy,
        commands=row.commands,
        anchor=f"{RUNBOOK}#{row.anchor}",
    )
