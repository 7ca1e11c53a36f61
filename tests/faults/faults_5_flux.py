"""Faults of the hand-off: what Flux cannot clone, apply or upgrade, and what is gone afterwards."""

from __future__ import annotations

import pytest

from firstlight.hints import match
from tests.faults.bench import Bench

pytestmark = pytest.mark.timeout(900)


def test_row_62_a_key_that_can_only_read_is_as_it_should_be(bench: Bench):
    bench.at("apps")

    said = bench.run("-k", "deploy_key_cannot_write")
    with bench.faults.git("read_write"):
        writes = bench.run("-k", "deploy_key_cannot_write", "--budget-factor", "0.02")

    assert said.code == 0, said.text[-4000:]
    assert said.criteria["the-deploy-key-cannot-write-to-the-git-remote"]["hints"] == []
    assert [hint.id for hint in match(said.criteria["the-deploy-key-cannot-write-to-the-git-remote"]["last_observation"])] == ["FL-062"]
    assert writes.code == 1
    assert writes.hints("the-deploy-key-cannot-write-to-the-git-remote") == ["FL-206"]
