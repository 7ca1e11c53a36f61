"""The rings of the project's own tests: only those in `tests/with_tools` see the pinned tools."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

WITH_TOOLS = Path(__file__).parent / "with_tools"
TOOLS = str(Path(__file__).parents[1] / ".tools" / "bin")

# Property tests: a few examples in the first ring, many in the second (--hypothesis-profile).
settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile("quick")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test with its fixtures on the PATH of its ring; a hermetic one has the system's."""
    with pytest.MonkeyPatch.context() as patch:
        if WITH_TOOLS in item.path.parents:
            patch.setenv("PATH", TOOLS, prepend=os.pathsep)
        else:
            patch.setenv("PATH", os.defpath)
        return (yield)
