"""A small API server for each test, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firstlight.tools.kubernetes import Kubernetes
from tests.definitions import infra
from tests.tools.apiserver import ApiServer, serving, write_kubeconfig


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def kubernetes(api: ApiServer, tmp_path: Path) -> Kubernetes:
    return Kubernetes(write_kubeconfig(tmp_path / "kubeconfig", api.url), infra().context)
