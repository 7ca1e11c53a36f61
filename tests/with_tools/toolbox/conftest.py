"""The checkout of the toolbox's tests."""

from __future__ import annotations

from tests.toolbox.conftest import workshop

__all__ = ["workshop"]
