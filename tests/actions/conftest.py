"""The API server of the conditions' tests."""

from __future__ import annotations

from tests.conditions.conftest import api, kubernetes

__all__ = ["api", "kubernetes"]
