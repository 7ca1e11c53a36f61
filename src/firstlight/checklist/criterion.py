"""Declare criteria with a decorator, and describe them before they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from firstlight.checklist.story import AcceptanceCriterion, Box, Stage, Step

Test = TypeVar("Test", bound=Callable[..., object])

RUNBOOK: Final = "docs/runbooks/bootstrap.md"

_ATTRIBUTE: Final = "firstlight_criterion"


class Capability(StrEnum):
    """What a target must provide for a criterion to be verifiable on it."""

    TALOS_API = "talos-api"
    RUNNING_PODS = "running-pods"
    """Containers really run, so their programs answer."""

    DATAPATH = "datapath"
    """Cilium's eBPF programs carry real packets."""

    CERT_MANAGER = "cert-manager"
    """cert-manager's own programs run, including its webhook."""

    HELM_CONTROLLER = "helm-controller"
    """Flux's helm-controller reconciles releases."""

    LASTING = "lasting"
    """The cluster outlives the run, so its timing belongs in the runbook."""


@dataclass(frozen=True, slots=True)
class CriterionInfo:
    """What is known of a criterion before it runs.

    Attributes:
        id: The name of its test without `test_`, with dashes:
            `etcd-runs-on-every-control-plane-node`.
        nodeid: pytest's node ID of the test.
        acceptance: The acceptance criteria that it belongs to, one or more.
        title: A true sentence about the cluster.
        task: The story's task number, 0 for none.
        stage: The stage that it runs in.
        boxes: The boxes of the validation checklist that it ticks.
        budget_s: How long its condition may take, in seconds.
        anchor: The runbook section, `docs/runbooks/bootstrap.md#<id>`.
        needs: Capabilities without which a target cannot verify it.
        steps: The story's steps that include it.
    """

    id: str
    nodeid: str
    acceptance: tuple[AcceptanceCriterion, ...]
    title: str
    task: int
    stage: Stage
    boxes: tuple[Box, ...]
    budget_s: float
    anchor: str
    needs: tuple[Capability, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a test declares about itself with the decorator; see `criterion`."""

    stage: Stage
    line: int
    acceptance: tuple[AcceptanceCriterion, ...]
    title: str
    task: int
    budget_s: float
    boxes: tuple[Box, ...] | Mapping[str, Box]
    needs: tuple[Capability, ...]
    after: tuple[str, ...]
    steps: tuple[Step, ...]

    @staticmethod
    def of(test: object) -> Criterion | None:
        """Return what a test function declares, or None if it is not a criterion."""
        found: Criterion | None = getattr(test, _ATTRIBUTE, None)
        return found

    @property
    def order(self) -> int:
        """Where it runs: stages in order, and the order of the file within a stage."""
        return self.stage.position * 10_000 + self.line

    def info(self, nodeid: str, name: str, parameter: str = "") -> CriterionInfo:
        """Describe the criterion, for one parameter if its test is parametrized.

        Args:
            nodeid: pytest's node ID.
            name: The name of the test function.
            parameter: The ID of the parameter, empty without one.
        """
        slug = re.sub(r"\[.*\]$", "", name).removeprefix("test_").replace("_", "-")
        boxes = self.boxes
        if isinstance(boxes, Mapping):
            boxes = (boxes[parameter],) if parameter in boxes else ()
        return CriterionInfo(
            id=f"{slug}-{parameter}" if parameter else slug,
            nodeid=nodeid,
            acceptance=self.acceptance,
            title=self.title.format(parameter),
            task=self.task,
            stage=self.stage,
            boxes=boxes,
            budget_s=self.budget_s,
            anchor=f"{RUNBOOK}#{slug}",
            needs=self.needs,
            steps=self.steps,
        )


def criterion(
    stage: Stage,
    *acceptance: AcceptanceCriterion,
    title: str,
    task: int,
    budget_s: float,
    boxes: tuple[Box, ...] | Mapping[str, Box] = (),
    needs: tuple[Capability, ...] = (),
    after: tuple[str, ...] = (),
    steps: tuple[Step, ...] = (),
) -> Callable[[Test], Test]:
    """Make a test a criterion of the checklist.

    Args:
        stage: The stage that it runs in; within a stage, criteria run in the order of their file.
        acceptance: The acceptance criteria that it belongs to.
        title: A true sentence about the cluster; `{}` is replaced by the test's parameter.
        task: The story's task number.
        budget_s: How long its condition may take, in seconds.
        boxes: The boxes that it ticks; a mapping gives the box of each parameter.
        needs: Capabilities without which a target cannot verify it.
        after: IDs of criteria that must not have failed for this one to be worth checking.
        steps: The story's steps that include it, beyond those that include the whole stage.
    """

    def decorate(test: Test) -> Test:
        declared = Criterion(
            stage=stage,
            line=test.__code__.co_firstlineno,
            acceptance=acceptance,
            title=title,
            task=task,
            budget_s=budget_s,
            boxes=boxes,
            needs=needs,
            after=after,
            steps=steps,
        )
        setattr(test, _ATTRIBUTE, declared)
        return test

    return decorate
