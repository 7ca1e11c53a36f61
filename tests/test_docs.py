"""The documentation says what is so: criteria, boxes, tasks, paths, links and words are those of the code."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.actions.runbook import BEGIN, END, HEAD
from firstlight.events import Verdict
from firstlight.report import CHECKLIST
from fixtures import criterion
from fixtures.stages import STEPS

ROOT = Path(__file__).parents[1]
RUNBOOK = ROOT / "docs" / "runbooks" / "bootstrap.md"
DOCS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "reports" / "README.md",
        ROOT / "lab" / "simulated" / "charts" / "README.md",
    ]
)

# The story's validation checklist, in its words.
STORY_BOXES = (
    "`talosctl bootstrap` completed successfully",
    "Kubeconfig generated and pushed to 1Password",
    "All CRDs are established and Ready",
    "Cilium pods running with correct cluster.id=1",
    "CoreDNS pods running and resolving cluster DNS",
    "Spegel pods running for P2P image caching",
    "cert-manager pods running",
    "Flux pods running and healthy",
    "`flux check` passes all checks",
    "`cilium connectivity test` passes",
    "GitRepository shows Ready status",
    "Bootstrap completed in < 30 minutes",
    "All nodes show Ready status",
    "`kubectl get pods -A | grep -v Running` returns no failing pods",
)

# Every task that the story names.
STORY_TASKS = (
    "talos:bootstrap",
    "talos:health",
    "talos:kubeconfig",
    "op:push",
    "bootstrap:infra",
    "bootstrap:infra:validate",
    "bootstrap:infra:secrets",
    "bootstrap:infra:crds",
    "bootstrap:infra:wait-crds",
    "bootstrap:infra:apps",
    "bootstrap:infra:flux",
    "bootstrap:infra:verify",
)


@dataclass(frozen=True)
class Criterion:
    """What a test of the checklist says about itself, without any cluster."""

    name: str
    file: str
    line: int
    boxes: tuple[str, ...]
    stories: tuple[str, ...]
    after: tuple[str, ...]


@cache
def criteria() -> tuple[Criterion, ...]:
    return tuple(
        found
        for file in sorted((ROOT / "bootstrap_tests").glob("test_*.py"))
        for found in criteria_of(file)
    )


def criteria_of(file: Path) -> Iterator[Criterion]:
    spec = importlib.util.spec_from_file_location(f"checklist_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, test in vars(module).items():
        if name.startswith("test_"):
            marks = {mark.name: mark for mark in getattr(test, "pytestmark", ())}
            assert "criterion" in marks, f"{file.name}::{name} is no criterion"
            mark = marks["criterion"].args[0]
            boxes = ticked(mark, marks)
            anchor = name.removeprefix("test_").replace("_", "-")
            yield Criterion(
                anchor, file.stem, test.__code__.co_firstlineno, boxes, mark.acceptance, mark.after
            )


def ticked(mark: criterion.Criterion, marks: dict[str, Any]) -> tuple[str, ...]:
    """Return the boxes that are ticked in the end: one of a parametrized criterion by the parameters that it is about."""
    if "parametrize" not in marks:
        return mark.boxes
    parameters = [str(parameter) for parameter in marks["parametrize"].args[1]]
    return tuple(
        box
        for box in mark.boxes
        if any(criterion._is_about(box, parameter) for parameter in parameters)
    )


def anchors(path: Path) -> list[str]:
    return re.findall(r'<a id="([^"]+)"></a>', path.read_text())


def test_every_criterion_has_its_section_in_the_runbook_and_back() -> None:
    assert sorted(found.name for found in criteria()) == sorted(anchors(RUNBOOK))


def test_the_runbook_is_in_the_order_of_the_checklist() -> None:
    in_order = [found.name for found in sorted(criteria(), key=lambda one: (one.file, one.line))]

    assert anchors(RUNBOOK) == in_order


@pytest.mark.parametrize("anchor", anchors(RUNBOOK))
def test_a_section_says_what_is_checked_how_by_hand_and_what_to_do(anchor: str) -> None:
    text = RUNBOOK.read_text().split(f'<a id="{anchor}"></a>', 1)[1]
    section = re.split(r"\n<a id=|\n## ", text, maxsplit=1)[0]

    for part in ("### ", "- **Checks.** ", "- **By hand.** ", "- **If it fails.** "):
        assert section.count(part) == 1, part


def test_a_section_says_what_its_criterion_changes() -> None:
    """A criterion that has an action fixture changes something; two that test the network make pods without one."""
    actions = set(
        re.findall(
            r"^def (\w+)\([^)]*perform: Performer",
            (ROOT / "fixtures" / "actions.py").read_text(),
            re.MULTILINE,
        )
    )
    acting = {"cilium-connectivity-test-passes", "coredns-answers-pods-of-other-nodes"}
    for found in criteria():
        source = (ROOT / "bootstrap_tests" / f"{found.file}.py").read_text()
        signature = re.search(
            rf"def test_{found.name.replace('-', '_')}\((.*?)\) ->", source, re.DOTALL
        )
        assert signature is not None
        if actions & set(re.findall(r"(\w+):", signature.group(1))):
            acting.add(found.name)

    said = {
        anchor
        for anchor in anchors(RUNBOOK)
        if "- **Acts.** "
        in re.split(r"\n<a id=", RUNBOOK.read_text().split(f'<a id="{anchor}"></a>', 1)[1])[0]
    }

    assert said == acting


def test_the_boxes_are_the_storys_own_words() -> None:
    assert CHECKLIST == STORY_BOXES


@pytest.mark.parametrize("box", STORY_BOXES)
def test_every_box_of_the_story_is_ticked_by_a_criterion(box: str) -> None:
    assert [found.name for found in criteria() if box in found.boxes] != []


def test_no_criterion_ticks_a_box_that_the_story_does_not_have() -> None:
    assert {box for found in criteria() for box in found.boxes} <= set(STORY_BOXES)


def test_every_acceptance_criterion_of_the_story_has_criteria() -> None:
    assert {name for found in criteria() for name in found.stories} == {
        f"AC{number}" for number in range(1, 8)
    }


def test_a_criterion_waits_only_for_criteria_that_there_are() -> None:
    names = {found.name for found in criteria()}

    assert {name for found in criteria() for name in found.after} <= names


@cache
def tasks() -> frozenset[str]:
    top = yaml.safe_load((ROOT / "Taskfile.yaml").read_text())
    found = set(top["tasks"])
    for name, include in top["includes"].items():
        folder = include if isinstance(include, str) else include["taskfile"]
        included = yaml.safe_load((ROOT / folder / "Taskfile.yaml").read_text())["tasks"]
        found |= {
            name if task == "default" else f"{name}:{task}"
            for task in included
            if not (included[task] or {}).get("internal")
        }
    return frozenset(found)


@pytest.mark.parametrize("task", STORY_TASKS)
def test_every_task_of_the_story_exists(task: str) -> None:
    assert task in tasks()


def test_both_clusters_have_the_same_tasks() -> None:
    def of(cluster: str) -> set[str]:
        return {
            task.removeprefix(f"bootstrap:{cluster}")
            for task in tasks()
            if re.fullmatch(rf"bootstrap:{cluster}(:.*)?", task)
        }

    assert of("infra") == of("apps")


def test_every_stage_that_a_task_selects_can_be_selected() -> None:
    stages = {
        found.file.removeprefix("test_").split("_", 1)[1].replace("_", "-") for found in criteria()
    }
    named = set()
    for file in ROOT.glob(".taskfiles/*/Taskfile.yaml"):
        named |= set(re.findall(r"STAGE: ([\w-]+)\}", file.read_text())) | set(
            re.findall(r"--stage ([\w-]+)", file.read_text())
        )

    assert named
    assert named <= stages | set(STEPS)


def expanded(word: str) -> list[str]:
    """Return what the shell makes of one pair of braces (`a:{b,c}`)."""
    found = re.fullmatch(r"(.*)\{([^}]*)\}(.*)", word)
    return [f"{found[1]}{part}{found[3]}" for part in found[2].split(",")] if found else [word]


@pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_task_that_is_named_exists(document: Path) -> None:
    text = document.read_text().replace("<cluster>", "infra")
    named = [
        word
        for found in re.findall(r"\./task ([a-z][\w:{},-]*)", text)
        for word in expanded(found.rstrip(",:"))
    ]

    assert [task for task in named if task not in tasks()] == []


@pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_that_is_named_can_be_run(document: Path) -> None:
    named = set(re.findall(r"python -m ((?:firstlight|lab)[\w.]*)", document.read_text()))

    for module in named:
        place = ROOT / ("src" if module.startswith("firstlight") else "") / module.replace(".", "/")
        assert (place / "__main__.py").is_file() or place.with_suffix(".py").is_file(), module


@pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_is_named_exists(document: Path) -> None:
    """Paths in code spans, if they have no placeholder and are not made by a run."""
    spans = re.findall(
        r"`((?:src|fixtures|lab|tools|tests|docs|clusters|bootstrap|bootstrap_tests|\.taskfiles|\.ci)/[\w./-]*)`",
        document.read_text(),
    )

    assert [
        path for path in spans if not (ROOT / path).exists() and "clusterconfig" not in path
    ] == []


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


@cache
def places(path: Path) -> frozenset[str]:
    text = path.read_text()
    return frozenset(
        {
            *anchors(path),
            *(slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)),
        }
    )


@pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (anchor and anchor not in places(file)):
            broken.append(link)

    assert broken == []


def test_the_runbook_has_the_table_that_a_run_writes() -> None:
    text = RUNBOOK.read_text()

    assert text.count(BEGIN) == 1
    assert text.count(END) == 1
    assert text.split(BEGIN)[1].lstrip("\n").startswith(HEAD)


def test_the_glossary_knows_every_verdict() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()

    assert [verdict for verdict in Verdict if f"**{verdict}**" not in text] == []


@pytest.mark.parametrize(
    "decision", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem
)
def test_a_decision_has_its_parts(decision: Path) -> None:
    text = decision.read_text()

    assert re.match(rf"# {int(decision.name[:4])}\. ", text)
    for part in (
        "**Status**: ",
        "\n## Context\n",
        "\n## Decision\n",
        "\n## Consequences\n",
        "\n## Rejected\n",
    ):
        assert text.count(part) == 1, part


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))

    assert numbers == list(range(1, len(numbers) + 1))
