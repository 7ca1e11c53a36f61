"""CONTRIBUTING's recipe for a read-only criterion is complete: four files, and each is needed.

The test follows the recipe on a copy of the checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.test_tidy import ROOT, files, named

CONDITION = '''"""Conditions of namespaces."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import NAMESPACES, name_of
from firstlight.tools.watch import ListWatch


def recipe_namespaces_active(kubernetes: Kubernetes) -> Condition[int]:
    """Wait until every namespace is Active; the value counts them."""
    view = ListWatch(kubernetes, NAMESPACES)

    def probe() -> Observation[int]:
        namespaces = view.items()
        others = sorted(
            name_of(each) for each in namespaces if each["status"]["phase"] != "Active"
        )
        if others:
            return not_yet(f"not Active: {', '.join(others)}")
        return holds(f"{len(namespaces)} namespaces are Active", len(namespaces))

    return Condition("every namespace to be Active", probe, view.changed)
'''

TEST = '''"""Conditions of namespaces: a namespace that is being deleted is named."""

from __future__ import annotations

import pytest

from firstlight.conditions.recipe_example import recipe_namespaces_active
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import NAMESPACES
from tests.conditions.objects import item
from tests.tools.apiserver import ApiServer


@pytest.mark.parametrize(
    ("phase", "seen"),
    [("Active", "2 namespaces are Active"), ("Terminating", "not Active: old")],
)
def test_the_recipes_namespaces_are_active(
    api: ApiServer, kubernetes: Kubernetes, phase: str, seen: str
) -> None:
    api.hold(NAMESPACES, item("default", phase="Active"), item("old", phase=phase))

    observation = recipe_namespaces_active(kubernetes).probe()

    assert (observation.holds, observation.seen) == (phase == "Active", seen)
'''

IMPORT = "from firstlight.conditions.recipe_example import recipe_namespaces_active\n"

CRITERION = """

@criterion(Stage.APPS, AC3, title="the recipe's namespaces are Active", task=4, budget_s=60)
def test_the_recipes_namespaces_are_active(kubernetes: Kubernetes, wait: Waiter) -> None:
    wait(recipe_namespaces_active(kubernetes))
"""

SECTION = """<a id="the-recipes-namespaces-are-active"></a>

### The recipe's namespaces are Active

- **Checks.** No namespace is being deleted.
- **By hand.** `kubectl get namespaces`
- **If it fails.** Find out who deletes the namespace.

"""

STEPS = {
    "condition": "src/firstlight/conditions/<subject>.py",
    "test": "tests/conditions/test_<subject>.py",
    "criterion": "bootstrap_tests/test_<NN>_<stage>.py",
    "section": "docs/runbooks/bootstrap.md",
}
"""The steps of the recipe and the files that CONTRIBUTING names for them, in its order."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, without what tools and runs generate except compiled modules."""
    root = tmp_path_factory.mktemp("recipe")
    for path in files():
        copy = root / named(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    for folder in {path.parent / "__pycache__" for path in files() if path.suffix == ".py"}:
        if folder.is_dir():
            shutil.copytree(folder, root / named(folder), dirs_exist_ok=True)
    return root


@pytest.fixture
def follow(copied: Path) -> Iterator[Callable[[set[str]], None]]:
    """Follow steps of the recipe in the copy, and undo them afterwards."""
    before: dict[Path, str | None] = {}

    def write(name: str, text: str) -> None:
        path = copied / name
        before[path] = path.read_text() if path.exists() else None
        path.write_text(text)

    def insert(name: str, where: str, text: str) -> None:
        original = (copied / name).read_text()
        assert where in original
        write(name, original.replace(where, text + where, 1))

    def perform(steps: set[str]) -> None:
        if "condition" in steps:
            write("src/firstlight/conditions/recipe_example.py", CONDITION)
        if "test" in steps:
            write("tests/conditions/test_recipe_example.py", TEST)
        if "criterion" in steps:
            insert("bootstrap_tests/test_40_apps.py", "from firstlight.conditions.nodes", IMPORT)
            with (copied / "bootstrap_tests/test_40_apps.py").open("a") as file:
                file.write(CRITERION)
        if "section" in steps:
            insert("docs/runbooks/bootstrap.md", "## 50 flux\n", SECTION)

    yield perform
    for path, text in before.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text)


def passes(checkout: Path, *arguments: str) -> tuple[bool, str]:
    """Run pytest in a checkout; return whether it succeeded, and its output."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
    )
    return done.returncode == 0, done.stdout + done.stderr


COLLECT = ("bootstrap_tests", "--cluster", "infra", "--collect-only")
DOCUMENTS = ("tests/test_docs.py", "tests/test_tidy.py", "tests/conditions/test_coverage.py")


def test_contributing_names_exactly_the_files_of_the_recipe() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipe = re.split(r"^## ", text.split("## Add a criterion\n", 1)[1], flags=re.MULTILINE)[0]
    numbered = re.findall(r"^\d\. `([^`]+)`", recipe, re.MULTILINE)

    assert numbered == list(STEPS.values())
    assert "touches four files" in recipe


def test_the_recipe_is_all_that_a_criterion_needs(
    copied: Path, follow: Callable[[set[str]], None]
) -> None:
    follow(set(STEPS))

    collected, output = passes(copied, *COLLECT)
    checked, report = passes(copied, *DOCUMENTS, "tests/conditions/test_recipe_example.py")

    assert collected, output
    assert "test_the_recipes_namespaces_are_active" in output
    assert checked, report


@pytest.mark.parametrize("missing", STEPS)
def test_a_step_that_is_left_out_is_noticed(
    copied: Path, follow: Callable[[set[str]], None], missing: str
) -> None:
    follow(set(STEPS) - {missing})

    # Those of the checks that are about criteria and conditions; the rest takes longer.
    about = "criterion or criteria or condition or section"
    checked, report = passes(copied, *DOCUMENTS, "-x", "-k", about)

    assert not checked, report
