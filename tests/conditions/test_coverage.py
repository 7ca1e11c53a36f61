"""Every condition has a test in this folder, and actions do not borrow from conditions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CONDITIONS_PACKAGE = "firstlight.conditions"
CONDITIONS = Path(__file__).parents[2] / "src" / "firstlight" / "conditions"


def conditions() -> list[str]:
    """Return the name of every public function that returns a condition."""
    return [
        node.name
        for path in sorted(CONDITIONS.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and ast.unparse(node.returns).startswith("Condition[")
    ]


@cache
def used_in_tests() -> set[str]:
    """Return every name that a test of this folder uses."""
    return {
        node.id
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name)
    }


def test_conditions_are_found() -> None:
    assert "every_node_ready" in conditions()
    assert len(conditions()) > 40


@pytest.mark.parametrize("name", conditions())
def test_a_condition_has_a_test(name: str) -> None:
    assert name in used_in_tests()


def test_actions_borrow_nothing_from_conditions_but_their_type() -> None:
    """What both need to know lies below them, in `firstlight.tools`."""
    imported = {
        node.module
        for path in (CONDITIONS.parent / "actions").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(CONDITIONS_PACKAGE)
    }

    assert imported == {f"{CONDITIONS_PACKAGE}.condition"}
