"""The first 70 rows of the failure catalogue are reproduced, or rows.yaml explains why not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from firstlight.failures import find

HERE = Path(__file__).parent
CATALOGUE = frozenset(range(1, 71))

AT_LEAST = 50
"""The minimum number of reproduced rows. Explanations must not become the majority."""


def reproduced() -> set[int]:
    return in_runs() | named_in(HERE / "test_definition.py")


def in_runs() -> set[int]:
    return named_in(*HERE.glob("faults_[0-5]*.py"))


def named_in(*paths: Path) -> set[int]:
    """Return the rows in tables of cases and in names of tests."""
    rows: set[int] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Case", "Mistake", "cilium")
            ):
                first = node.args[0]
                rows |= (
                    {first.value}
                    if isinstance(first, ast.Constant) and isinstance(first.value, int)
                    else set()
                )
            if isinstance(node, ast.FunctionDef) and (
                named := re.match(r"test_rows?_(\d\d)(?:_and_(\d\d))?_", node.name)
            ):
                rows |= {int(number) for number in named.groups() if number}
    return rows


def explained() -> dict[int, str]:
    return {
        entry["row"]: entry["why"]
        for entry in yaml.safe_load((HERE / "rows.yaml").read_text(encoding="utf-8"))
    }


def test_every_row_is_reproduced_or_explained():
    assert reproduced() | explained().keys() == CATALOGUE


def test_at_least_fifty_rows_are_reproduced():
    assert len(reproduced()) >= AT_LEAST


def test_no_row_is_both_reproduced_and_explained():
    assert reproduced() & explained().keys() == set()


def test_the_documentation_has_the_number_of_reproduced_rows():
    runs = len(in_runs())
    sentence = (
        f"**{len(reproduced())} of the first {len(CATALOGUE)} rows in the failure catalogue** "
        f"(FL-001 to FL-{len(CATALOGUE):03}) are reproduced: {runs} in runs, "
        f"and {len(reproduced()) - runs} in definitions"
    )

    assert sentence in (HERE.parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_explanation_belongs_to_a_known_row():
    for row, why in explained().items():
        assert find(f"FL-{row:03}") is not None
        assert len(why.split()) > 5, row
