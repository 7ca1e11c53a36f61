"""A bootstrap takes from its first action until the last criterion that counts was met."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from firstlight.checklist import CriterionInfo, Stage
from firstlight.journal import BootstrapRecord
from firstlight.run.timing import BEGAN_UNRECORDED, CLOCK_SET_BACK, Span, span

START = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


def criterion(name: str, stage: Stage) -> CriterionInfo:
    return CriterionInfo(name, "", (), name, 0, stage, (), 1.0, "")


CRITERIA = (
    criterion("etcd", Stage.TALOS),
    criterion("flux", Stage.FLUX),
    criterion("cilium", Stage.CILIUM),
)


def record(**met_after_s: float) -> BootstrapRecord:
    met_at = {name: START + timedelta(seconds=after_s) for name, after_s in met_after_s.items()}
    return BootstrapRecord(first_action_at=START, met_at=met_at)


def test_only_criteria_up_to_the_stage_count():
    bootstrap = record(etcd=10, flux=60, cilium=90)

    assert span(bootstrap, CRITERIA, Stage.FLUX) == Span(60)
    assert span(bootstrap, CRITERIA, Stage.CILIUM) == Span(90)


def test_a_span_is_unknown_until_every_criterion_is_met():
    assert span(record(etcd=10), CRITERIA, Stage.FLUX) == Span(None, "flux has not been met")


def test_a_span_is_unknown_before_the_first_action_and_without_criteria():
    assert span(BootstrapRecord(), CRITERIA, Stage.FLUX) == Span(
        None, "no action on record", has_beginning=False
    )
    assert span(record(), (), Stage.FLUX) == Span(None, "nothing up to there can be verified here")


def test_a_span_is_unknown_if_another_action_came_first_and_is_not_on_record():
    bootstrap = record(etcd=10, flux=60)
    bootstrap.began_unrecorded = True

    assert span(bootstrap, CRITERIA, Stage.FLUX) == Span(
        None, BEGAN_UNRECORDED, has_beginning=False
    )


def test_a_span_across_a_clock_that_was_set_back_is_unknown():
    assert span(record(etcd=-5), CRITERIA[:1], Stage.FLUX) == Span(None, CLOCK_SET_BACK)
