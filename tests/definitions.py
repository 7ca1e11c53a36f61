"""The definition of the infra cluster in this checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from firstlight.definition import load
from firstlight.definition.model import Cluster

CHECKOUT = Path(__file__).resolve().parents[1]


@cache
def infra() -> Cluster:
    """Return the definition of the infra cluster."""
    return load(CHECKOUT, "infra")
