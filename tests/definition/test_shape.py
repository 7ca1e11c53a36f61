"""Keys and types are checked with a hint at what is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.definition.findings import Findings
from firstlight.definition.shape import (
    FLAG,
    NUMBER,
    REQUIRED_TEXT,
    TEXT_MAP,
    TEXTS,
    check,
    did_you_mean,
    mapping,
)

SHAPE = mapping(
    {"name": REQUIRED_TEXT, "count": NUMBER, "active": FLAG, "words": TEXTS, "labels": TEXT_MAP}
)


@pytest.mark.parametrize(
    ("data", "field", "fix"),
    [
        ({"name": 1.10}, "name", "put it in quotes"),
        ({"name": None}, "name", "write a value"),
        ({"name": "x", "count": "3"}, "count", "write the number without quotes"),
        ({"name": "x", "count": True}, "count", "write a whole number"),
        ({"name": "x", "active": "yes"}, "active", "write true or false, without quotes"),
        ({"name": "x", "words": "a"}, "words", "write a list"),
        ({"name": "x", "words": ["a", 1]}, "words[1]", "put it in quotes"),
        ({"name": "x", "labels": {"zone": 7}}, "labels.zone", "put it in quotes"),
        (
            {"name": "x", "colour": 1},
            "colour",
            "known keys here: active, count, labels, name, words",
        ),
        ({"name": "x", "cuont": 1}, "cuont", "did you mean `count`?"),
        ({"count": 1}, "name", "add `name:` (text)"),
        ({"Name": "x"}, "Name", "did you mean `name`?"),
        ([], "", "write a mapping"),
    ],
)
def test_each_mistake_is_one_problem_with_a_fix(data, field: str, fix: str):
    findings = Findings()

    well = check(Path("some.yaml"), data, SHAPE, findings)

    assert not well
    assert [(problem.field, problem.fix) for problem in findings.problems] == [(field, fix)]


def test_a_right_value_is_well():
    findings = Findings()

    assert check(
        Path("some.yaml"),
        {"name": "x", "count": 3, "active": False, "words": ["a"], "labels": {"a": "b"}},
        SHAPE,
        findings,
    )
    assert findings.problems == ()


def test_every_item_is_looked_at():
    findings = Findings()

    check(Path("some.yaml"), {"name": "x", "words": [1, "a", 2]}, SHAPE, findings)

    assert [problem.field for problem in findings.problems] == ["words[0]", "words[2]"]


def test_nothing_near_is_no_suggestion():
    assert did_you_mean("zebra", ["name", "count"]) == ""
    assert did_you_mean("infar", ["apps", "infra"]) == "infra"
