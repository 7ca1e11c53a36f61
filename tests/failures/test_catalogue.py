"""The catalogue of failures: every row fires on its own text, and none on what tools say when all is well."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from firstlight.failures import ROWS, Row, explain, match
from firstlight.failures.__main__ import main
from firstlight.failures.catalogue import MATCHES_MAX, RUNBOOK
from firstlight.tools.classification import Class, Rule

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

CATALOGUE = frozenset(f"FL-{number:03}" for number in range(1, 71))
# The story's five troubleshooting issues and three rules of error recovery: what is seen, what its remedy is about, and what to type.
STORY = {
    "FL-101": ("etcd unavailable", ("MTU", "9000", "LACP"), "logs etcd"),
    "FL-102": (
        "kube-system/cilium-8xk2p: ContainerCreating",
        ("CRDs", "image", "Spegel"),
        "kubectl describe pod .*app.kubernetes.io/name=cilium",
    ),
    "FL-103": ("no CoreDNS pod is ready", ("Cilium", "healthy"), "cilium status --wait"),
    "FL-104": (
        "unable to clone the repository",
        ("deploy key", "settings", "Secret"),
        "kubectl .*logs deployment/source-controller",
    ),
    "FL-105": (
        "cannot confirm the bootstrap to be done within 30 minutes: waiting longer will not help\n  last seen 41 m of 30 m",
        ("Spegel",),
        "kubectl get events .*--sort-by=.lastTimestamp",
    ),
    "FL-111": (
        "cannot bootstrap etcd on infra-cp-1: refused",
        ("wipe", "bootstrap again"),
        "./task talos:reset",
    ),
    "FL-112": (
        "cannot install cilium with helmfile: helmfile exited 1",
        ("CRDs", "established"),
        "wait-crds",
    ),
    "FL-113": (
        "cannot confirm gitrepositories flux-system to be Ready: not so within 600 s",
        ("deploy key", "permissions"),
        "flux get all",
    ),
}

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

# What the write probe hears from a remote that is as it should be: expected there, and a failure anywhere else.
REFUSED_PUSH = "ERROR: The key you are authenticating with has been marked as read only."


@pytest.mark.parametrize(
    ("row", "text"), CASES, ids=[f"{row}-{index}" for index, (row, _) in enumerate(CASES)]
)
def test_a_row_is_among_the_hints_for_its_own_text(row: str, text: str) -> None:
    hints = match(text)

    assert row in [hint.id for hint in hints]


@pytest.mark.parametrize("row", sorted(EVIDENCE))
def test_the_first_text_of_a_row_has_that_row_as_its_first_hint(row: str) -> None:
    hints = match(EVIDENCE[row][0])

    assert hints[0].id == row


def test_every_row_has_evidence() -> None:
    assert {row.id for row in ROWS} == set(EVIDENCE)


def test_the_whole_catalogue_and_the_story_are_there() -> None:
    ids = {row.id for row in ROWS}

    assert ids >= CATALOGUE
    assert ids >= STORY.keys()


@pytest.mark.parametrize("identity", STORY)
def test_what_the_story_says_of_a_failure_is_what_its_row_says(identity: str) -> None:
    seen, words, command = STORY[identity]

    assert identity in [hint.id for hint in match(seen)]
    row = explain(identity)
    assert row is not None
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
def test_no_row_fires_on_a_line_of_a_good_run(file: str, number: int, line: str) -> None:
    assert [hint.id for hint in match(line)] == []


@pytest.mark.parametrize("file", sorted({file for file, _, _ in GOOD}))
def test_no_row_fires_on_the_whole_output_of_a_good_run(file: str) -> None:
    text = (HERE / "good" / file).read_text()

    assert [hint.id for hint in match(text)] == []


def test_a_refused_push_is_told_as_expected_and_nothing_else() -> None:
    (hint,) = match(REFUSED_PUSH)

    row = explain(hint.id)
    assert row is not None
    assert row.klass is Class.WAIT


def test_at_most_three_hints_are_given() -> None:
    everything = "\n".join(text for texts in EVIDENCE.values() for text in texts)

    assert len(match(everything)) == MATCHES_MAX


def test_nothing_is_said_about_an_unknown_failure() -> None:
    assert match("something that nobody has seen before") == ()


def test_the_most_specific_row_comes_first() -> None:
    refused = (
        "cannot confirm infra-cp-1 (10.25.11.11) to answer on port 50000: not so within 60 s\n"
        "  last seen exit code 1: dial tcp 10.25.11.11:50000: connect: connection refused (after 60.3 s, 22 attempts)"
    )

    assert [hint.id for hint in match(refused)] == ["FL-210", "FL-006"]


def test_a_webhook_without_a_certificate_is_not_taken_for_a_foreign_machine() -> None:
    text = EVIDENCE["FL-053"][0]

    assert "FL-008" not in [hint.id for hint in match(text)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_where_what_why_and_what_to_do(row: Row) -> None:
    for field in ("id", "title", "where", "pattern", "cause", "remedy", "commands", "anchor"):
        assert getattr(row, field), field


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_explain_prints_everything_that_a_row_says(
    row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["explain", row.id])

    said = capsys.readouterr().out
    assert [
        text
        for text in (
            row.id,
            row.title,
            row.where,
            row.cause,
            row.remedy,
            f"{RUNBOOK}#{row.anchor}",
            *row.commands,
        )
        if text not in said
    ] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_commands_hold_placeholders_and_no_addresses(row: Row) -> None:
    commands = "\n".join(row.commands)

    assert not re.search(r"\b(10|127|192)\.\d+\.\d+\.\d+", commands)
    assert not re.search(r"(CLUSTER=|clusters/|bootstrap/|bootstrap:)(infra|apps)\b", commands)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_commands_of_the_checklist_name_the_target(row: Row) -> None:
    """Without TARGET a task works on the simulated target, which is not where the failure was."""
    tasks = [
        command for command in row.commands if re.match(r"\./task (talos|op|bootstrap):", command)
    ]

    assert [task for task in tasks if "TARGET=" not in task] == []


def test_every_anchor_is_in_the_runbook() -> None:
    runbook = (CHECKOUT / RUNBOOK).read_text()

    assert sorted({row.anchor for row in ROWS if f'<a id="{row.anchor}"></a>' not in runbook}) == []


@pytest.mark.parametrize("module", ["talosctl", "kubectl", "helm", "flux", "git", "op", "sops"])
def test_every_row_that_a_tools_rules_name_exists_and_shows_the_same_text(module: str) -> None:
    rules: tuple[Rule, ...] = import_module(f"firstlight.tools.{module}").RULES

    for rule in rules:
        if rule.row:
            assert explain(rule.row) is not None, rule.row
            assert any(rule.matches(text) for text in EVIDENCE[rule.row]), (
                f"{rule.row}: no evidence of it has what {rule.pattern} looks for"
            )


@pytest.mark.parametrize("identity", ["FL-008", "fl-8", "8", " FL-008 "])
def test_a_row_is_found_by_its_id_however_it_is_written(identity: str) -> None:
    row = explain(identity)

    assert row is not None
    assert row.id == "FL-008"


def test_an_unknown_id_has_no_row() -> None:
    assert explain("FL-999") is None


def test_explain_prints_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["explain", "FL-008"])

    assert code == 0
    assert capsys.readouterr().out.startswith(
        "FL-008  the machine's certificate is of another authority\n"
    )


def test_explain_says_what_it_cannot_explain(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["explain", "FL-999"])

    assert code == 1
    assert capsys.readouterr().err.startswith("cannot explain FL-999: there is no such row")


def test_the_list_has_a_line_for_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])

    assert len(capsys.readouterr().out.splitlines()) == len(ROWS)


def test_troubleshooting_is_what_the_catalogue_says(capsys: pytest.CaptureFixture[str]) -> None:
    main(["markdown"])

    assert (CHECKOUT / "docs" / "troubleshooting.md").read_text() == capsys.readouterr().out, (
        "docs/troubleshooting.md is stale: python -m firstlight.failures markdown > docs/troubleshooting.md"
    )


# Rows about what the project itself says, and the words of it that their patterns rest on.
OWN_WORDS = {
    "FL-001": "etcd's data directory is not empty",
    "FL-002": "the machine has not started its services yet",
    "FL-004": " runs as a ",
    "FL-012": " not in agreement",
    "FL-015": "more than one etcd cluster",
    "FL-016": "to accept connections on port",
    "FL-022": "talosctl health to pass",
    "FL-027": " Ready; ",
    "FL-057": "must be deployed before it",
    "FL-065": "rolled out by the hand-off",
    "FL-067": "to run",
    "FL-101": " is {service.state}",
    "FL-103": "no CoreDNS pod is ready",
    "FL-104": "artifact {revision or 'none'}, remote ",
    "FL-105": "to be done within ",
    "FL-111": "to accept the bootstrap",
    "FL-112": "install {release or file} with helmfile",
    "FL-113": "to be Ready",
    "FL-204": "no value for ",
    "FL-206": "the deploy key can write to ",
    "FL-210": ": not so within ",
    "FL-211": " points at ",
    "FL-212": "resolve chart ",
    "FL-213": "unknown nodes registered",
    "FL-214": "to be up with MTU",
    "FL-215": "largest skew",
    "FL-216": "is in maintenance mode: it has no configuration yet",
    "FL-217": ", the definition says ",
    "FL-218": "every value to be known to its chart",
    "FL-219": "cannot find {tool}: ",
    "FL-220": "helmfile and the HelmReleases to say the same",
    "FL-224": "members that the definition does not know",
    "FL-225": "to be established",
    "FL-226": " exists in {namespace}",
    "FL-232": "is another kubeconfig",
    "FL-233": "differs from 1Password in ",
    "FL-235": "no action to be needed",
    "FL-234": "the releases to have been installed in order",
}


def test_every_rule_for_definitions_that_a_row_names_exists():
    named = {rule for row in ROWS for rule in re.findall(r"\\\[([a-z-]+)\\\]", row.pattern)}
    written = "\n".join(
        file.read_text() for file in (CHECKOUT / "src" / "firstlight" / "definition").glob("*.py")
    )

    assert named
    assert {rule for rule in named if f'rule="{rule}"' not in written} == set()


@pytest.mark.parametrize("row", sorted(OWN_WORDS))
def test_the_project_still_says_what_a_row_looks_for(row: str) -> None:
    folders = [
        CHECKOUT / "src" / "firstlight" / name for name in ("actions", "conditions", "tools")
    ]
    sources = [
        *(file for folder in folders for file in folder.glob("*.py")),
        CHECKOUT / "src" / "firstlight" / "errors.py",
    ]
    sources += (CHECKOUT / "bootstrap_tests").glob("*.py")

    assert any(OWN_WORDS[row] in file.read_text() for file in sources)
