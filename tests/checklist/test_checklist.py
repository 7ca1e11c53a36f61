"""Stages, steps and boxes are values; a criterion declares which of them it belongs to."""

from __future__ import annotations

import pytest

from firstlight.checklist import (
    AC3,
    AcceptanceCriterion,
    Box,
    Criterion,
    CriterionInfo,
    Selection,
    Stage,
    Step,
    criterion,
)


@criterion(
    Stage.CRDS, AC3, title="CRD {} is established", task=3, budget_s=120, steps=(Step.WAIT_CRDS,)
)
def established() -> None:
    """Stand for a test of the checklist."""


def declared() -> Criterion:
    found = Criterion.of(established)
    assert found is not None
    return found


def info(stage: Stage, *steps: Step) -> CriterionInfo:
    return CriterionInfo("it", "", (), "it", 0, stage, (), 1.0, "", steps=steps)


def test_stages_are_declared_in_the_order_in_which_they_run():
    numbers = [stage.partition("-")[0] for stage in Stage if stage is not Stage.UNLISTED]

    assert numbers == sorted(numbers)
    assert Stage.KUBERNETES.and_earlier == {Stage.PREFLIGHT, Stage.TALOS, Stage.KUBERNETES}


def test_a_criterion_is_named_for_its_test_and_its_parameter():
    described = declared().info("x.py::t[a.b.io]", "test_crd_is_established[a.b.io]", "a.b.io")

    assert described.id == "crd-is-established-a.b.io"
    assert described.title == "CRD a.b.io is established"
    assert described.anchor == "docs/runbooks/bootstrap.md#crd-is-established"


def test_a_mapping_gives_each_parameter_its_own_box():
    def test_it() -> None: ...

    boxes = {"cilium": Box.CILIUM, "flux": Box.FLUX}
    criterion(Stage.APPS, AC3, title="{} runs", task=4, budget_s=1, boxes=boxes)(test_it)
    found = Criterion.of(test_it)

    assert found is not None
    assert found.info("", "test_it[flux]", "flux").boxes == (Box.FLUX,)
    assert found.info("", "test_it[other]", "other").boxes == ()


def test_an_ordinary_function_is_not_a_criterion():
    assert Criterion.of(test_an_ordinary_function_is_not_a_criterion) is None


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("talos", True),
        ("10", True),
        ("10-talos", True),
        ("flux,talos", True),
        ("health", True),
        ("flux", False),
        ("talo", False),
        ("verify", False),
    ],
)
def test_a_stage_is_selected_by_its_name_its_number_or_a_step(text: str, selected: bool):
    assert Selection(text).selects(info(Stage.TALOS, Step.HEALTH)) is selected


def test_a_step_wins_over_a_stage_of_the_same_name():
    assert not Selection("crds").selects(info(Stage.CRDS, Step.WAIT_CRDS))
    assert Selection("crds").selects(info(Stage.CRDS, Step.CRDS))


def test_a_step_may_stand_for_whole_stages():
    assert Selection("verify").selects(info(Stage.CILIUM))
    assert Selection("validate").selects(info(Stage.PREFLIGHT))


def test_acceptance_criteria_are_their_keys_and_carry_the_storys_words():
    assert [str(one) for one in AcceptanceCriterion] == [f"AC{n}" for n in range(1, 8)]
    assert AC3.text.startswith("helmfile installs components in order")
