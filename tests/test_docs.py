"""Verify that the documentation matches the code: criteria, tasks, paths, links and terms."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from pyrage.x25519 import Identity

from firstlight.actions.runbook import BEGIN, END, HEAD
from firstlight.checklist import AcceptanceCriterion, Box, Criterion, Stage, Step
from firstlight.conditions.gitops import HAND_OFF_S
from firstlight.conditions.talos import CLOCK_SKEW_S_MAX
from firstlight.definition import load, load_all
from firstlight.errors import DefinitionError
from firstlight.events import Verdict
from firstlight.printable import NAMED_MAX
from firstlight.report.comparison import KEPT
from firstlight.report.fold import COMMANDS_MAX, WAITS_MAX
from firstlight.run.retry import ETCD_BOOTSTRAP_S
from firstlight.run.timing import BUDGET_S
from firstlight.tools.concurrency import THREADS_MAX
from tests.test_tidy import files, modules, named

ROOT = Path(__file__).parents[1]
RUNBOOK = ROOT / "docs" / "runbooks" / "bootstrap.md"
DOCS = [path for path in files() if path.suffix == ".md"]
PROSE_WIDTH = 100

# The story's validation checklist, in its words.
STORY_BOXES = (
    "`talosctl bootstrap` completed successfully",
    "Kubeconfig generated and pushed to 1Password",
    "All CRDs are established and Ready",
    "Cilium pods running with correct cluster.id=1",
    "CoreDNS pods running and resolving cluster DNS",
    "Spegel pods running for P2P image caching",
    "cert-manager pods running",
    "Flux pods running and healthy",
    "`flux check` passes all checks",
    "`cilium connectivity test` passes",
    "GitRepository shows Ready status",
    "Bootstrap completed in < 30 minutes",
    "All nodes show Ready status",
    "`kubectl get pods -A | grep -v Running` returns no failing pods",
)

# Every task that the story names.
STORY_TASKS = (
    "talos:bootstrap",
    "talos:health",
    "talos:kubeconfig",
    "op:push",
    "bootstrap:infra",
    "bootstrap:infra:validate",
    "bootstrap:infra:secrets",
    "bootstrap:infra:crds",
    "bootstrap:infra:wait-crds",
    "bootstrap:infra:apps",
    "bootstrap:infra:flux",
    "bootstrap:infra:verify",
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_document = pytest.mark.parametrize("document", DOCS, ids=relative)


@dataclass(frozen=True)
class Declared:
    """A criterion as its test declares it, without any cluster.

    Attributes:
        name: The name of the test without `test_`, with dashes.
        source: The text of the file that holds it.
        boxes: The boxes that it ticks, for all its parameters together.
        number: How many criteria of a run it is: one for each parameter.
    """

    name: str
    source: str
    criterion: Criterion
    boxes: frozenset[str]
    number: int


@cache
def criteria() -> tuple[Declared, ...]:
    return tuple(
        found
        for file in sorted((ROOT / "bootstrap_tests").glob("test_*.py"))
        for found in criteria_of(file)
    )


def criteria_of(file: Path) -> Iterator[Declared]:
    spec = importlib.util.spec_from_file_location(f"checklist_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, test in vars(module).items():
        if name.startswith("test_"):
            criterion = Criterion.of(test)
            assert criterion is not None, f"{file.name}::{name} is not a criterion"
            parameters = parameters_of(test)
            boxes = {
                box
                for parameter in parameters
                for box in criterion.info(name, name, parameter).boxes
            }
            anchor = name.removeprefix("test_").replace("_", "-")
            yield Declared(anchor, file.read_text(), criterion, frozenset(boxes), len(parameters))


def parameters_of(test: object) -> list[str]:
    """Return the IDs of a test's parameters, or one empty ID without any."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return [str(parameter) for parameter in marks[0].args[1]] if marks else [""]


def anchors(path: Path) -> list[str]:
    return re.findall(r'<a id="([^"]+)"></a>', path.read_text())


def section(anchor: str) -> str:
    """Return the runbook section of a criterion."""
    text = RUNBOOK.read_text().split(f'<a id="{anchor}"></a>', 1)[1]
    return re.split(r"\n<a id=|\n## ", text, maxsplit=1)[0]


def test_every_criterion_has_a_runbook_section_and_every_section_a_criterion() -> None:
    names, sections = {found.name for found in criteria()}, anchors(RUNBOOK)

    assert names - set(sections) == set(), "criteria without a section"
    assert set(sections) - names == set(), "sections without a criterion"
    assert len(sections) == len(names), "a section occurs twice"


def test_the_runbook_lists_the_criteria_in_the_order_of_the_checklist() -> None:
    in_order = [found.name for found in sorted(criteria(), key=lambda one: one.criterion.order)]

    assert anchors(RUNBOOK) == in_order


def test_the_runbook_has_a_heading_for_every_stage() -> None:
    headings = re.findall(r"^## (\d\d .+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert headings == [stage.replace("-", " ") for stage in Stage if stage is not Stage.UNLISTED]


@pytest.mark.parametrize("anchor", anchors(RUNBOOK))
def test_a_section_has_a_heading_a_check_a_command_and_a_remedy(anchor: str) -> None:
    for part in ("### ", "- **Checks.** ", "- **By hand.** ", "- **If it fails.** "):
        assert section(anchor).count(part) == 1, part


def test_exactly_the_sections_of_criteria_that_act_describe_an_action() -> None:
    """A criterion with an action fixture acts, and so do two that create pods for a test."""
    actions = set(
        re.findall(
            r"^def (\w+)\([^)]*perform: Performer",
            (ROOT / "fixtures" / "actions.py").read_text(),
            re.MULTILINE,
        )
    )
    assert actions
    acting = {"cilium-connectivity-test-passes", "coredns-answers-pods-of-other-nodes"}
    for found in criteria():
        signature = re.search(
            rf"def test_{found.name.replace('-', '_')}\((.*?)\) ->", found.source, re.DOTALL
        )
        assert signature is not None
        if actions & set(re.findall(r"(\w+):", signature.group(1))):
            acting.add(found.name)

    described = {anchor for anchor in anchors(RUNBOOK) if "- **Acts.** " in section(anchor)}

    assert described == acting


def test_the_boxes_have_the_words_and_the_order_of_the_story() -> None:
    assert tuple(Box) == STORY_BOXES


@pytest.mark.parametrize("box", STORY_BOXES)
def test_every_box_of_the_story_is_ticked_by_a_criterion(box: str) -> None:
    assert [found.name for found in criteria() if box in found.boxes] != []


def test_no_criterion_ticks_a_box_that_the_story_does_not_have() -> None:
    assert {box for found in criteria() for box in found.boxes} <= set(STORY_BOXES)


def test_a_box_of_one_parameter_belongs_to_a_parameter_that_exists() -> None:
    """Otherwise the box could never be ticked."""
    for found in criteria():
        declared = found.criterion.boxes
        every = declared if isinstance(declared, tuple) else declared.values()
        assert set(every) == found.boxes, found.name


def test_every_acceptance_criterion_of_the_story_has_criteria() -> None:
    assert {name for found in criteria() for name in found.criterion.acceptance} == set(
        AcceptanceCriterion
    )
    assert [str(name) for name in AcceptanceCriterion] == [f"AC{number}" for number in range(1, 8)]


def test_a_criterion_depends_only_on_criteria_that_exist() -> None:
    names = {found.name for found in criteria()}

    assert {name for found in criteria() for name in found.criterion.after} <= names


@cache
def tasks() -> frozenset[str]:
    """Return every task that can be run, by each of its names."""
    top = yaml.safe_load((ROOT / "Taskfile.yaml").read_text())
    found = set(top["tasks"])
    for name, include in top["includes"].items():
        folder = include if isinstance(include, str) else include["taskfile"]
        included = yaml.safe_load((ROOT / folder / "Taskfile.yaml").read_text())["tasks"]
        for task, content in included.items():
            if not (content or {}).get("internal"):
                aliases = (content or {}).get("aliases", ())
                found |= {f"{name}:{word}" for word in (task, *aliases)}
    return frozenset(task.removesuffix(":default") for task in found)


@pytest.mark.parametrize("task", STORY_TASKS)
def test_every_task_of_the_story_exists(task: str) -> None:
    assert task in tasks()


def test_both_clusters_have_the_same_tasks() -> None:
    def of(cluster: str) -> set[str]:
        return {
            task.removeprefix(f"bootstrap:{cluster}")
            for task in tasks()
            if re.fullmatch(rf"bootstrap:{cluster}(:.*)?", task)
        }

    assert of("infra") == of("apps")


def test_tasks_select_only_stages_and_steps_that_exist() -> None:
    selected = set()
    for file in ROOT.glob(".taskfiles/*/Taskfile.yaml"):
        for words in re.findall(r"(?:STAGE: |--stage )\"?([a-z][\w,-]*)", file.read_text()):
            selected |= set(words.split(","))

    assert selected
    assert selected <= {stage.word for stage in Stage} | set(Step)


def for_infra(text: str) -> str:
    """Fill in the placeholder for a cluster."""
    return re.sub("<(cluster|name)>", "infra", text)


def expanded(word: str) -> list[str]:
    """Return the words that a shell makes of one pair of braces (`a:{b,c}`)."""
    found = re.fullmatch(r"(.*)\{([^}]*)\}(.*)", word)
    return [f"{found[1]}{part}{found[3]}" for part in found[2].split(",")] if found else [word]


@every_document
def test_a_document_names_only_tasks_that_exist(document: Path) -> None:
    text = for_infra(document.read_text()).replace("<step>", "crds")
    mentioned = [
        word
        for found in re.findall(r"\./task ([a-z][\w:{},-]*)", text)
        for word in expanded(found.rstrip(",:"))
    ]

    assert [task for task in mentioned if task not in tasks()] == []


def test_task_alone_shows_five_commands_that_exist() -> None:
    shown = subprocess.run(
        [Path(sys.executable).with_name("task"), "--color=false"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = re.findall(r"^  (\./task .+)$", shown, re.MULTILINE)
    words = [command.split() for command in commands]

    assert [word[1] for word in words if word[1] not in tasks()] == []
    assert len(words) == 5
    assert {pair for word in words for pair in word[2:]} == {"CLUSTER=infra", "TARGET=nodes"}
    assert re.findall(r"^(?! |\./task --list|firstlight|and)(.+)$", shown, re.MULTILINE) == [
        "Try it",
        "Bootstrap your machines",
        "Change firstlight",
    ]
    assert "./task --list shows all tasks" in shown


def own_cluster(language: str) -> str:
    """Return the first block in a language in the README's section about one's own cluster."""
    text = (ROOT / "README.md").read_text().split("\n## Start with your own cluster\n", 1)[1]
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checkout's definitions after the README's commands."""
    *commands, rehearse = own_cluster("bash").splitlines()
    assert rehearse == "./task rehearse CLUSTER=home"
    for name in ("clusters", "bootstrap", ".sops.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=tmp_path, check=True)
    return tmp_path


def test_the_readmes_commands_make_a_cluster_that_loads(home: Path) -> None:
    with pytest.raises(DefinitionError) as shared:
        load_all(home)

    assert load(home, "home").name == "home"
    assert {found.rule for found in shared.value.problems} == {
        "address-clash",
        "cluster-id-clash",
        "network-clash",
    }


def test_the_readmes_rules_give_only_the_own_cluster_another_key(home: Path) -> None:
    rules = own_cluster("yaml").replace("<your public key>", str(Identity.generate().to_public()))
    file = home / ".sops.yaml"
    file.write_text(file.read_text().replace("creation_rules:\n", rules, 1))

    with pytest.raises(DefinitionError) as found:
        load(home, "home")

    assert [(problem.path.name, problem.rule) for problem in found.value.problems] == [
        ("cluster-secrets.sops.yaml", "recipient-differs"),
        ("talsecret.sops.yaml", "recipient-differs"),
    ]
    assert {problem.path.parts[1] for problem in found.value.problems} == {"home"}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return every string of a module with its line; `{}` stands for a computed part."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                ),
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.lineno, node.value


def is_a_task(mentioned: str) -> bool:
    """Report whether some task has this name; `{}` matches any part of a name."""
    pattern = re.escape(mentioned.rstrip(":")).replace(r"\{\}", r"[\w:-]+")
    return any(re.fullmatch(pattern, task) for task in tasks())


def test_messages_name_only_tasks_that_exist() -> None:
    mentioned = [
        (f"{name}:{line}", task)
        for name, tree in modules("src", "fixtures", "lab", "bootstrap_tests")
        for line, text in texts(tree)
        for task in re.findall(r"\./task ([a-z{][\w:{}-]*)", re.sub(r"<\w+>", "{}", text))
    ]

    assert mentioned
    assert [(place, task) for place, task in mentioned if not is_a_task(task)] == []


@every_document
def test_a_document_names_only_modules_that_can_be_run(document: Path) -> None:
    mentioned = set(re.findall(r"python -m ((?:firstlight|lab)[\w.]*)", document.read_text()))

    for module in mentioned:
        place = ROOT / ("src" if module.startswith("firstlight") else "") / module.replace(".", "/")
        assert (place / "__main__.py").is_file() or place.with_suffix(".py").is_file(), module


@every_document
def test_a_document_names_only_paths_that_exist(document: Path) -> None:
    """Check the paths in code spans, except placeholders and what a run generates."""
    spans = re.findall(
        r"`((?:src|fixtures|lab|tools|tests|docs|clusters|bootstrap|bootstrap_tests|\.taskfiles|\.ci)/[\w./-]*)`",
        for_infra(document.read_text()).replace("<release>", "cilium"),
    )

    assert [
        path for path in spans if not (ROOT / path).exists() and "clusterconfig" not in path
    ] == []


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub derives it."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


@cache
def targets(path: Path) -> frozenset[str]:
    """Return every anchor that a link can point to."""
    text = path.read_text()
    return frozenset(
        {
            *anchors(path),
            *(slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)),
        }
    )


@every_document
def test_every_link_of_a_document_resolves(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (anchor and anchor not in targets(file)):
            broken.append(link)

    assert broken == []


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines of a Markdown text outside code blocks and tables, with their numbers."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and not line.lstrip().startswith("|"):
            yield number, line


def is_wrapped(line: str) -> bool:
    """Report whether a line is short, or holds one sentence after a bullet and its bold label."""
    sentence = re.sub(r"^\s*(?:[-*] |\d+\. )?(?:\*\*[^*]+\.\*\* )?", "", line)
    return len(line) <= PROSE_WIDTH or not re.search(r"[.!?][)\"'`*]* +[\"'`*(\[]*[A-Z]", sentence)


LONG = "a long text that goes on " * 4


@pytest.mark.parametrize(
    ("line", "wrapped"),
    [
        ("Short. Very short.", True),
        (f"One sentence, {LONG}.", True),
        (f"- **Checks.** One sentence, {LONG}.", True),
        (f"Two sentences, {LONG}. This is the second.", False),
        (f"- **Checks.** Two sentences, {LONG}. This is the second.", False),
    ],
)
def test_a_line_is_wrapped_if_it_is_short_or_one_sentence(line: str, *, wrapped: bool) -> None:
    assert is_wrapped(line) is wrapped


@every_document
def test_prose_is_wrapped_at_100_columns_or_by_sentence(document: Path) -> None:
    """The changelog has one line per change instead."""
    if document.name != "CHANGELOG.md":
        overlong = [
            f"{named(document)}:{number}"
            for number, line in prose(document.read_text())
            if not is_wrapped(line)
        ]
        assert overlong == []


def test_the_changelog_groups_changes_and_has_one_line_for_each() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().split("## [Unreleased]", 1)[1].splitlines()

    assert [line for line in lines if line.startswith("### ")] == [
        "### Added",
        "### Changed",
        "### Fixed",
    ]
    assert [line for line in lines if line and not line.startswith(("- ", "### ", "#### "))] == []


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("docs/reliability.md", f"queried {THREADS_MAX} at a time"),
        ("docs/reliability.md", f"name {NAMED_MAX} machines"),
        ("docs/reliability.md", f"the newest {COMMANDS_MAX} commands and {WAITS_MAX} conditions"),
        ("docs/runbooks/bootstrap.md", f"by more than {CLOCK_SKEW_S_MAX:.0f} seconds"),
        ("docs/runbooks/bootstrap.md", f"retried for {ETCD_BOOTSTRAP_S / 60:.0f} minutes"),
        ("docs/runbooks/bootstrap.md", f"within {HAND_OFF_S / 60:.0f} minutes after"),
        ("docs/runbooks/bootstrap.md", f"must stay below {BUDGET_S / 60:.0f} minutes"),
        ("reports/README.md", f"at most {KEPT} |"),
        ("README.md", f"one for each criterion; {BUDGET_S / 60:.0f} minutes for all"),
    ],
)
def test_a_document_states_the_limits_of_the_code(document: str, text: str) -> None:
    assert text in (ROOT / document).read_text()


def test_the_runbook_has_the_table_that_a_run_writes() -> None:
    text = RUNBOOK.read_text()

    assert text.count(BEGIN) == 1
    assert text.count(END) == 1
    assert text.split(BEGIN)[1].lstrip("\n").startswith(HEAD)


def test_the_glossary_defines_every_verdict() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()

    assert [verdict for verdict in Verdict if f"**{verdict}**" not in text] == []


def test_architecture_describes_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = [
        path.parent.name
        for path in (ROOT / "src" / "firstlight").glob("*/__init__.py")
        if f"`{path.parent.name}`" not in text
    ]

    assert packages == []


@pytest.mark.parametrize(
    "decision", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem
)
def test_a_decision_has_every_section(decision: Path) -> None:
    text = decision.read_text()

    assert re.match(rf"# {int(decision.name[:4])}\. ", text)
    for part in (
        "**Status**: ",
        "\n## Context\n",
        "\n## Decision\n",
        "\n## Consequences\n",
        "\n## Rejected\n",
    ):
        assert text.count(part) == 1, part


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))

    assert numbers == list(range(1, len(numbers) + 1))


def test_the_license_is_the_one_that_the_project_declares() -> None:
    text = (ROOT / "LICENSE").read_text()

    assert re.search(r"Apache License\s+Version 2.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
