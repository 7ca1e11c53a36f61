"""Faults of the hand-off: what Flux cannot clone, apply or upgrade, and what is gone afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from firstlight.failures import match
from tests.faults.bench import Bench, Case, assert_reported
from tests.faults.breaking import nothing
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)

SPEGEL = "clusters/infra/flux/config/spegel/helmrelease.yaml"


def test_row_62_a_read_only_key_is_right(bench: Bench):
    bench.at("apps")

    result = bench.run("-k", "deploy_key_cannot_write")
    with bench.faults.git("read_write"):
        writes = bench.run("-k", "deploy_key_cannot_write", "--budget-factor", "0.02")

    assert result.code == 0, result.text[-4000:]
    assert result.criteria["the-deploy-key-cannot-write-to-the-git-remote"]["hints"] == []
    assert [
        hint.id
        for hint in match(
            result.criteria["the-deploy-key-cannot-write-to-the-git-remote"]["last_observation"]
        )
    ] == ["FL-062"]
    assert writes.code == 1
    assert writes.hints("the-deploy-key-cannot-write-to-the-git-remote") == ["FL-206"]


def pushed(bench: Bench, files: Mapping[str, str]) -> None:
    """Push a commit to the Git remote, as a colleague would."""
    work = bench.state / "colleague"
    remote = str(bench.faults.paths.repository)
    command = ["git", "-c", "user.name=colleague", "-c", "user.email=colleague@localhost"]
    if not work.exists():
        subprocess.run(
            [*command, "clone", "--quiet", "--branch", "main", remote, str(work)],
            check=True,
            timeout=60,
        )
    for name, text in files.items():
        (work / name).write_text(text)
    for words in (
        ["add", "--all"],
        ["commit", "--quiet", "--message=change"],
        ["push", "--quiet", remote, "HEAD:main"],
    ):
        subprocess.run([*command, "-C", work, *words], check=True, timeout=60)


RETRY = "  upgrade:\n    cleanupOnFail: true\n    strategy:\n      name: RetryOnFailure\n"
GIVE_UP = "  upgrade:\n    remediation:\n      retries: 0\n"


def wait_until_given_up(bench: Bench) -> None:
    """Wait until Flux has used up its attempts to upgrade Spegel."""
    look = (
        "--namespace",
        "kube-system",
        "get",
        "helmrelease",
        "spegel",
        "--ignore-not-found",
        "--output",
        "jsonpath={.status.conditions}",
    )
    assert until(lambda: '"Stalled"' in bench.kubectl(*look), within_s=300, pause_s=1), (
        f"Flux has not given up: {bench.kubectl(*look)}"
    )


def test_rows_65_and_66_a_rollout_and_a_failed_hand_off_are_reported(
    bench: Bench,
):
    """The hand-off's own criterion is not run again, because the rollout did happen.

    Everything else passes once the pods can run.
    """
    bench.at("apps")
    ours = (bench.tree / SPEGEL).read_text()
    other = (
        ours.replace("timeout: 5m", "timeout: 10s")
        .replace(RETRY, GIVE_UP)
        .replace("hostPort: 29999", "hostPort: 29998")
    )
    pushed(bench, {SPEGEL: other})

    with bench.faults.pods("kube-system/spegel-", "image_pull"):
        assert bench.run("-k", "gitrepository_is_ready").code == 0
        wait_until_given_up(bench)
        gives_up = bench.run("-k", "flux_has_taken_over", "--budget-factor", "0.02")
    assert_reported(
        gives_up,
        Case(
            66,
            "gives-up",
            nothing,
            "",
            "flux-has-taken-over-every-release",
            "FL-066",
            "helmrelease spegel: given up",
        ),
    )

    rolled = bench.run("-k", "hand_off", "--budget-factor", "0.02")
    assert_reported(
        rolled,
        Case(
            65,
            "rolled-out",
            nothing,
            "",
            "the-hand-off-caused-no-rollout",
            "FL-065",
            "kube-system/spegel",
        ),
    )

    pushed(bench, {SPEGEL: ours})
    bench.rehearsal.tool("flux", "reconcile", "source", "git", "flux-system")
    result = bench.run("-k", "flux_has_taken_over or (release_runs and spegel)")
    assert result.code == 0, result.text[-4000:]
    bench.stage = "flux-health"
