"""YAML is read with line numbers, and its errors do not repeat the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.definition.document import parse_documents, without_templates
from firstlight.definition.findings import Findings

PATH = Path("some.yaml")


def test_each_field_has_its_line():
    findings = Findings()

    [found] = parse_documents(
        PATH, "# head\n---\nfirst: 1\nnodes:\n  - name: a\n  - name: b\n", findings
    )

    assert found.data == {"first": 1, "nodes": [{"name": "a"}, {"name": "b"}]}
    assert [
        found.line(name) for name in ("first", "nodes", "nodes[1]", "nodes[1].name", "nothing")
    ] == [3, 4, 6, 6, 0]
    assert findings.problems == ()


def test_aliases_and_merge_keys_are_expanded():
    [found] = parse_documents(
        PATH, "base: &base {mtu: 9000}\nlink:\n  <<: *base\n  name: bond0\n", Findings()
    )

    assert found.data["link"] == {"mtu": 9000, "name": "bond0"}


def test_empty_documents_are_left_out():
    assert len(parse_documents(PATH, "---\n---\na: 1\n---\n# nothing\n", Findings())) == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [1\n", "not-yaml"),
        ("a: \x07\n", "not-yaml"),
        ("a: !!python/object:os.system x\n", "not-yaml"),
        ("a: 0b2\nb: 2026-02-31\n", "not-yaml"),
        ("[" * 20_000, "not-yaml"),
        ("- " * 200, "too-deep"),
        ("a: &a [*a]\n", "too-deep"),
        ("a: 1\na: 2\n", "duplicate-key"),
        ("a: {b: 1, b: 1}\n", "duplicate-key"),
        ("1: a\n", "key-not-text"),
        ("[a, b]: c\n", "key-not-text"),
        ("a: {b: &b [1, 2], <<: 3}\n", "not-yaml"),
    ],
)
def test_a_damaged_text_has_one_problem(text: str, rule: str):
    findings = Findings()

    parse_documents(PATH, text, findings)

    assert [problem.rule for problem in findings.problems] == [rule]


def test_aliases_that_multiply_are_rejected():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9))
    findings = Findings()

    parse_documents(PATH, f"l0: &l0 [x]\n{levels}", findings)

    assert [problem.rule for problem in findings.problems] == ["too-deep"]


def test_an_error_does_not_repeat_the_text():
    findings = Findings()

    parse_documents(PATH, "token: planted\n  secret: planted\n", findings)

    assert findings.problems[0].value.startswith("line 2, column 9: ")
    assert "planted" not in str(findings.problems[0])


def test_template_actions_become_words_and_line_numbers_stay():
    text = (
        '{{- if eq .A "b" }}\nreleases:\n  - name: x\n'
        '    chart: \'{{ env "A" | default "b" }}/c\'\n{{- /* a\nb */ -}}\n    wait: {{ .W }}\n'
    )

    [found] = parse_documents(PATH, without_templates(text), Findings())

    assert found.data == {"releases": [{"name": "x", "chart": "TEMPLATE/c", "wait": "TEMPLATE"}]}
    assert found.line("releases[0].wait") == 7
