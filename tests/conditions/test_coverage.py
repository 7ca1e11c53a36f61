"""Every condition has a test in this folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
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
