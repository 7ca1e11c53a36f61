"""Tests that need the pinned tools fail without them, rather than being skipped."""

from __future__ import annotations

import pytest

from firstlight.toolbox.check import check
from tests.definitions import CHECKOUT


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    missing = [entry.tool for entry in check(CHECKOUT) if entry.problem]
    if missing:
        pytest.fail(
            f"cannot test with the pinned tools: {', '.join(missing)} missing\n"
            "next      ./task tools:setup",
            pytrace=False,
        )
