"""An unknown key or a wrong type gets a problem that suggests what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.definition.findings import Findings, did_you_mean
from firstlight.definition.schema import (
    FLAG,
    NUMBER,
    REQUIRED_TEXT,
    TEXT_MAP,
    TEXTS,
    check,
    mapping,
)

SCHEMA = mapping(
    {"name": REQUIRED_TEXT, "count": NUMBER, "active": FLAG, "words": TEXTS, "labels": TEXT_MAP}
)


@pytest.mark.parametrize(
    ("data", "field", "fix"),
    [
        ({"name": 1.10}, "name", "quote the value"),
        ({"name": None}, "name", "write a value"),
        ({"name": "x", "count": "3"}, "count", "write the number without quotes"),
        ({"name": "x", "count": True}, "count", "write a whole number"),
        ({"name": "x", "active": "yes"}, "active", "write true or false, without quotes"),
        ({"name": "x", "words": "a"}, "words", "write a list"),
        ({"name": "x", "words": ["a", 1]}, "words[1]", "quote the value"),
        ({"name": "x", "labels": {"zone": 7}}, "labels.zone", "quote the value"),
        (
            {"name": "x", "colour": 1},
            "colour",
            "use one of these keys: active, count, labels, name, words",
        ),
        ({"name": "x", "cuont": 1}, "cuont", "did you mean `count`?"),
        ({"count": 1}, "name", "add `name:` (text)"),
        ({"Name": "x"}, "Name", "did you mean `name`?"),
        ([], "", "write a mapping"),
    ],
)
def test_each_mistake_is_one_problem_with_a_fix(data, field: str, fix: str):
    findings = Findings()

    matches = check(Path("some.yaml"), data, SCHEMA, findings)

    assert not matches
    assert [(problem.field, problem.fix) for problem in findings.problems] == [(field, fix)]


def test_a_valid_value_has_no_problem():
    findings = Findings()

    assert check(
        Path("some.yaml"),
        {"name": "x", "count": 3, "active": False, "words": ["a"], "labels": {"a": "b"}},
        SCHEMA,
        findings,
    )
    assert findings.problems == ()


def test_every_item_is_checked():
    findings = Findings()

    check(Path("some.yaml"), {"name": "x", "words": [1, "a", 2]}, SCHEMA, findings)

    assert [problem.field for problem in findings.problems] == ["words[0]", "words[2]"]


def test_only_a_close_word_is_suggested():
    assert did_you_mean("zebra", ["name", "count"]) == ""
    assert did_you_mean("infar", ["apps", "infra"]) == "infra"
