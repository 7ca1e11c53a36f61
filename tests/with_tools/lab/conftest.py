"""The folders of the lab's tests."""

from __future__ import annotations

from tests.lab.conftest import paths

__all__ = ["paths"]
