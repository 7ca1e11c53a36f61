"""Each wrong definition gets its own problem: file, field, value, rule, message and fix."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from firstlight.definition import load, load_all
from firstlight.errors import DefinitionError
from tests.definition.trees import CASES, CHECKOUT, TWO_CLUSTERS, Case

_RULE = re.compile(r'rule="([a-z0-9-]+)"(?: if .*? else "([a-z0-9-]+)")?')


@pytest.mark.parametrize("case", [pytest.param(case, id=case.folder.name) for case in CASES])
def test_a_wrong_definition_gets_its_own_problem(case: Case, tmp_path):
    root = case.lay_out(tmp_path)

    with pytest.raises(DefinitionError) as raised:
        _load(root, case.load)

    found = [{**asdict(problem), "path": str(problem.path)} for problem in raised.value.problems]
    assert found == [dict(problem) for problem in case.problems]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.folder.name) for case in CASES])
def test_a_case_is_named_after_the_rule_that_it_breaks(case: Case):
    rules = [problem["rule"] for problem in case.problems]

    assert any(case.folder.name.startswith(rule) for rule in rules)
    # Only a repeated cluster name breaks two rules at once.
    assert len(rules) == 1 or case.folder.name == "cluster-name-clash"


def test_every_rule_has_a_case_and_every_case_a_rule():
    sources = (CHECKOUT / "src/firstlight/definition").glob("*.py")
    written = {
        rule
        for source in sources
        for match in _RULE.findall(source.read_text(encoding="utf-8"))
        for rule in match
        if rule
    }
    shown = {problem["rule"] for case in CASES for problem in case.problems}

    assert shown == written


def test_every_problem_has_a_fix_and_its_message_follows_the_style():
    for case in CASES:
        for problem in case.problems:
            assert problem["fix"], case.folder.name
            assert problem["path"], case.folder.name
            assert not problem["message"].endswith("."), case.folder.name
            assert problem["message"][0].islower() or problem["message"].startswith(
                ("Cilium", "CoreDNS", "Flux", "Kubernetes", "Talos")
            ), case.folder.name


def test_all_problems_are_reported_at_once(tmp_path):
    wanted = {
        "bad-version-kubernetes",
        "kustomization-path",
        "op-reference-without-field",
        "release-order",
        "json-patch",
        "bad-source-url",
    }
    chosen = [case for case in CASES if case.folder.name in wanted]
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    for case in chosen:
        case.lay_over(tmp_path)

    with pytest.raises(DefinitionError) as raised:
        load(tmp_path, "infra")

    assert len(chosen) == len(wanted)
    assert {problem.rule for problem in raised.value.problems} == {
        problem["rule"] for case in chosen for problem in case.problems
    }


def test_the_error_lists_each_problem_on_its_own_line(tmp_path):
    case = next(case for case in CASES if case.folder.name == "mtu-differs")
    root = case.lay_out(tmp_path)

    with pytest.raises(DefinitionError) as raised:
        load(root, "infra")

    assert str(raised.value) == (
        "cannot load the definition of infra: 1 problem\n"
        "  clusters/infra/talos/talconfig.yaml: nodes[3].networkInterfaces[0].mtu: "
        "the MTU of infra-worker-1 differs from that of most nodes (9000), so packets between "
        "them would be lost (seen: 1500); write `mtu: 9000` [mtu-differs]"
    )


def test_no_message_contains_a_secret(tmp_path):
    planted = ("planted-in-clear", "cGxhbnRlZCBpbiBjbGVhcg", "AGE-SECRET-KEY", "user:token")
    cases = [case for case in CASES if any(word in _texts(case) for word in planted)]

    for case in cases:
        with pytest.raises(DefinitionError) as raised:
            _load(case.lay_out(tmp_path / case.folder.name), case.load)

        assert not any(word in str(raised.value) for word in planted), case.folder.name
    assert len(cases) >= 6


def _texts(case: Case) -> str:
    return "".join(
        file.read_text(encoding="utf-8", errors="replace")
        for file in case.folder.rglob("*")
        if file.is_file()
    )


def _load(root: Path, what: str) -> None:
    if what == "all":
        load_all(root)
    else:
        load(root, what)
