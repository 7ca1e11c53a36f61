"""The failure catalogue: every row is recognized by its own text, and by nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from firstlight.failures import BY_ID, ROWS, FailureClass, Row, classify, find, hints, match
from firstlight.failures.__main__ import main
from firstlight.failures.catalogue import HINTS_MAX, ORDER, RUNBOOK

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

CATALOGUE = frozenset(f"FL-{number:03}" for number in range(1, 71))
STORY = {
    "FL-101": ("etcd unavailable", ("MTU", "9000", "LACP"), "logs etcd"),
    "FL-102": (
        "kube-system/cilium-8xk2p: ContainerCreating",
        ("CRDs", "image", "Spegel"),
        "kubectl describe pod .*app.kubernetes.io/name=cilium",
    ),
    "FL-103": ("", ("Cilium", "healthy"), "cilium status --wait"),
    "FL-104": (
        "unable to clone the repository",
        ("deploy key", "settings", "Secret"),
        "kubectl .*logs deployment/source-controller",
    ),
    "FL-105": ("", ("Spegel",), "kubectl get events .*--sort-by=.lastTimestamp"),
    "FL-111": ("", ("wipe", "bootstrap again"), "./task talos:reset"),
    "FL-112": ("", ("CRDs", "established"), "wait-crds"),
    "FL-113": ("", ("deploy key", "permissions"), "flux get all"),
}
"""The story's five troubleshooting issues and three rules of error recovery.

Each has the text of the tool, empty if firstlight words the error; what its remedy is about; and
what to type.
"""

EVIDENCE: dict[str, list[str]] = {
    row: texts
    for file in sorted((HERE / "evidence").glob("*.yaml"))
    for row, texts in yaml.safe_load(file.read_text()).items()
}
CASES = [(row, text) for row, texts in EVIDENCE.items() for text in texts]

GOOD = [
    (file.name, number, line)
    for file in sorted((HERE / "good").glob("*.txt"))
    for number, line in enumerate(file.read_text().splitlines(), 1)
]

REFUSED_PUSH = "ERROR: The key you are authenticating with has been marked as read only."
"""A correct remote answers this to the write probe: expected there, and a failure anywhere else."""

CAPTURED = [
    (path.stem, entry)
    for path in sorted((CHECKOUT / "tests" / "tools" / "captured").glob("*.yaml"))
    for entry in yaml.safe_load(path.read_text())
    if "rule" in entry
]


@pytest.mark.parametrize(
    ("row", "text"), CASES, ids=[f"{row}-{index}" for index, (row, _) in enumerate(CASES)]
)
def test_a_row_is_among_the_hints_for_its_own_text(row: str, text: str) -> None:
    assert row in [hint.id for hint in match(text)]


@pytest.mark.parametrize("row", sorted(EVIDENCE))
def test_the_first_text_of_a_row_has_that_row_as_its_first_hint(row: str) -> None:
    assert match(EVIDENCE[row][0])[0].id == row


def test_every_row_with_a_pattern_has_evidence() -> None:
    assert {row.id for row in ROWS if row.patterns} == set(EVIDENCE)


def test_the_catalogue_contains_all_known_failures_and_those_of_the_story() -> None:
    ids = {row.id for row in ROWS}

    assert ids >= CATALOGUE
    assert ids >= STORY.keys()


@pytest.mark.parametrize("identity", STORY)
def test_a_row_gives_the_remedy_and_the_command_of_the_story(identity: str) -> None:
    seen, words, command = STORY[identity]
    row = BY_ID[identity]

    assert identity in [hint.id for hint in hints(seen, () if seen else [row])]
    assert [word for word in words if word not in row.remedy] == []
    assert any(re.search(command, each) for each in row.commands)


def test_ids_are_unique() -> None:
    ids = [row.id for row in ROWS]

    assert len(ids) == len(set(ids))


def test_ids_have_one_form() -> None:
    assert [row.id for row in ROWS if not re.fullmatch(r"FL-\d{3}", row.id)] == []


@pytest.mark.parametrize(
    ("file", "number", "line"), GOOD, ids=[f"{file}:{number}" for file, number, _ in GOOD]
)
def test_no_row_matches_a_line_of_a_good_run(file: str, number: int, line: str) -> None:
    assert [hint.id for hint in match(line)] == []


@pytest.mark.parametrize("file", sorted({file for file, _, _ in GOOD}))
def test_no_row_matches_the_whole_output_of_a_good_run(file: str) -> None:
    text = (HERE / "good" / file).read_text()

    assert [hint.id for hint in match(text)] == []


def test_a_rejected_push_is_expected_and_has_no_other_hint() -> None:
    (hint,) = match(REFUSED_PUSH)

    assert BY_ID[hint.id].failure_class is FailureClass.WAIT


def test_at_most_three_hints_are_given() -> None:
    everything = "\n".join(text for texts in EVIDENCE.values() for text in texts)

    assert len(match(everything)) == HINTS_MAX


def test_an_unknown_failure_has_no_hint() -> None:
    assert match("something that nobody has seen before") == ()


def test_the_most_specific_row_comes_first() -> None:
    refused = "dial tcp 10.25.11.11:50000: connect: connection refused"

    assert [hint.id for hint in hints(refused, ["FL-210"])] == ["FL-210", "FL-006"]


def test_a_row_that_an_error_carries_is_shown_without_evidence_and_only_once() -> None:
    rows: list[Row | str] = [BY_ID["FL-111"], "FL-006", "FL-006"]

    assert [hint.id for hint in hints("", rows)] == ["FL-006", "FL-111"]
    assert [hint.id for hint in hints(EVIDENCE["FL-006"][0], ["FL-006"])] == ["FL-006"]


def test_a_webhook_without_a_certificate_is_not_mistaken_for_a_foreign_machine() -> None:
    assert "FL-008" not in [hint.id for hint in match(EVIDENCE["FL-053"][0])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_where_what_why_and_what_to_do(row: Row) -> None:
    for field in ("id", "title", "where", "cause", "remedy", "commands", "anchor"):
        assert getattr(row, field), field


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_explain_prints_everything_that_a_row_says(
    row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["explain", row.id])

    printed = capsys.readouterr().out
    texts = (
        *(row.id, row.title, row.where, row.cause, row.remedy, f"{RUNBOOK}#{row.anchor}"),
        *row.commands,
    )
    assert [text for text in texts if text not in printed] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_commands_hold_placeholders_and_no_addresses(row: Row) -> None:
    commands = "\n".join(row.commands)

    assert not re.search(r"\b(10|127|192)\.\d+\.\d+\.\d+", commands)
    assert not re.search(r"(CLUSTER=|clusters/|bootstrap/|bootstrap:)(infra|apps)\b", commands)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_commands_of_the_checklist_name_the_target(row: Row) -> None:
    """Without TARGET a task uses the simulated target, which is not where the failure was."""
    tasks = [
        command for command in row.commands if re.match(r"\./task (talos|op|bootstrap)\b", command)
    ]

    assert [task for task in tasks if "TARGET=" not in task] == []


def test_every_anchor_is_in_the_runbook() -> None:
    runbook = (CHECKOUT / RUNBOOK).read_text()

    assert sorted({row.anchor for row in ROWS if f'<a id="{row.anchor}"></a>' not in runbook}) == []


@pytest.mark.parametrize(
    ("tool", "entry"), CAPTURED, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_people_read_the_same_class_as_the_run_acts_on(tool: str, entry: dict[str, Any]) -> None:
    """FL-007, FL-009 and FL-055 once had one class for the run and another one for people."""
    text = entry["stderr"] or entry["stdout"]
    row = classify(tool, text)

    if row is None:
        assert entry["rule"] is None
        return
    assert row.id in [hint.id for hint in hints(text, [row])]
    assert str(row.failure_class) == entry["rule"]["meaning"]
    assert f" · class {row.failure_class} · " in section(row.id)


def section(row: str) -> str:
    """Return the section of a row in the generated page."""
    page = (CHECKOUT / "docs" / "troubleshooting.md").read_text()
    return page.partition(f'<a id="{row.lower()}"></a>')[2].partition("<a id=")[0]


@pytest.mark.parametrize(
    ("tool", "row", "failure_class"),
    [
        ("talosctl", "FL-007", FailureClass.RETRY),
        ("talosctl", "FL-009", FailureClass.FATAL),
        ("helm", "FL-055", FailureClass.FATAL),
    ],
)
def test_a_row_that_once_had_two_classes_has_the_decided_one(
    tool: str, row: str, failure_class: FailureClass
) -> None:
    found = classify(tool, EVIDENCE[row][0])

    assert found is BY_ID[row]
    assert found.failure_class is failure_class


def test_the_order_of_a_tool_names_every_row_that_the_tool_says() -> None:
    for tool, order in ORDER.items():
        said = {row.id for row in ROWS if tool in row.said_by}

        assert len(order) == len(set(order)), tool
        assert said - set(order) == set(), tool
        assert [row for row in order if not (BY_ID[row].patterns or row in said)] == [], tool


@pytest.mark.parametrize("tool", sorted(ORDER))
def test_evidence_of_each_row_of_a_tool_is_classified_as_that_tools(tool: str) -> None:
    answers = [
        entry["stderr"] or entry["stdout"]
        for name, entry in CAPTURED
        if name in {tool, "helmfile" if tool == "helm" else tool}
    ]

    for row in ORDER[tool]:
        texts = (*EVIDENCE[row], *answers)
        assert any(BY_ID[row].is_said_by(tool, text) for text in texts), row


@given(
    tool=st.sampled_from([*ORDER, "helmfile", "ls", ""]),
    text=st.text() | st.sampled_from([text for _, text in CASES]),
)
def test_no_text_breaks_the_catalogue(tool: str, text: str) -> None:
    row = classify(tool, text)

    assert row is None or row.id in ORDER["helm" if tool == "helmfile" else tool]
    assert len(match(text)) <= HINTS_MAX


@given(
    tool=st.sampled_from([*ORDER, "helmfile", "ls"]),
    # No pattern consists of capital letters without vowels, digits and blanks alone.
    text=st.text(st.sampled_from("BCDGHJKQWXZ0123456789 \n"), max_size=300),
)
def test_an_unknown_text_is_never_retried(tool: str, text: str) -> None:
    assert classify(tool, text) is None
    assert match(text) == ()


@pytest.mark.parametrize("identity", ["FL-008", "fl-8", "8", " FL-008 "])
def test_a_row_is_found_by_its_id_in_any_form(identity: str) -> None:
    assert find(identity) is BY_ID["FL-008"]


def test_an_unknown_id_has_no_row() -> None:
    assert find("FL-999") is None


def test_explain_prints_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["explain", "FL-008"])

    assert code == 0
    assert capsys.readouterr().out.startswith(
        "FL-008  the machine's certificate has an unknown authority\n"
    )


def test_explain_reports_an_unknown_id(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["explain", "FL-999"])

    assert code == 1
    assert capsys.readouterr().err.startswith("cannot explain FL-999: there is no such row")


def test_the_list_has_a_line_for_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])

    assert len(capsys.readouterr().out.splitlines()) == len(ROWS)


def test_the_troubleshooting_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    main(["markdown"])

    page = CHECKOUT / "docs" / "troubleshooting.md"
    assert page.read_text() == capsys.readouterr().out, (
        f"run: python -m firstlight.failures markdown > {page.relative_to(CHECKOUT)}"
    )


OWN_SOURCE = [
    path
    for top in ("src", "fixtures", "lab")
    for path in sorted((CHECKOUT / top).rglob("*.py"))
    if "failures" not in path.parts
]

STAND_INS = {
    "lab/simulated/git_server.py": "it answers as a Git host does",
    "lab/simulated/op.py": "it answers as 1Password's op does",
    "lab/simulated/vault.py": "it answers as 1Password's op does",
}
"""Stand-ins have to print what the tools print."""

COMPARED = {
    ("src/firstlight/actions/releases.py", "pending-install"): "a status of Helm",
    ("src/firstlight/tools/kubernetes.py", "CERTIFICATE_VERIFY_FAILED"): "a name of OpenSSL's",
    (
        "src/firstlight/tools/talosctl.py",
        "code = (Unavailable|Canceled|DeadlineExceeded)",
    ): "codes of gRPC",
    (
        "src/firstlight/tools/talosctl.py",
        "failed to build initial etcd cluster",
    ): "Talos's words for an etcd without data, on which the safety of a bootstrap rests",
    ("src/firstlight/tools/talosctl.py", "context deadline exceeded"): "talosctl's last line",
}
"""Tools' words that a program compares with and never prints, and what they are."""


def own_texts(path: Path) -> Iterator[str]:
    """Yield every text in a source file except docstrings, with `x` for each placeholder."""
    tree = ast.parse(path.read_text())
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in statements:
            yield str(node.value)


def test_no_pattern_matches_a_text_of_our_own() -> None:
    """An error that firstlight words itself carries its row; only tools' texts are matched."""
    patterns = {
        re.compile(pattern, re.IGNORECASE): row.id
        for row in ROWS
        for pattern in (*row.patterns, *row.said_by.values())
    }
    found = {
        (name, text): row
        for path in OWN_SOURCE
        if (name := str(path.relative_to(CHECKOUT))) not in STAND_INS
        for text in own_texts(path)
        for pattern, row in patterns.items()
        if pattern.search(text)
    }

    assert {key: row for key, row in found.items() if key not in COMPARED} == {}
    assert COMPARED.keys() - found.keys() == set()
    assert [name for name in STAND_INS if not (CHECKOUT / name).is_file()] == []
