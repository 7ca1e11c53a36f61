"""A third cluster works like the first two: `edge`, copied from `infra`, has every command."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firstlight.actions.kubeconfig import push_kubeconfig
from firstlight.actions.talos import generate_configs
from firstlight.checklist import Selection, Stage, Step
from firstlight.definition import load, load_all
from firstlight.definition.model import Cluster
from firstlight.errors import Blocked
from firstlight.failures import ROWS
from firstlight.run.resume import resume_command, typed_here
from firstlight.target.nodes import open_nodes
from firstlight.tools.op import OnePassword
from fixtures.options import pytest_addoption, repeated
from lab import command_line
from tests.clocks import FakeClock
from tests.test_docs import ROOT, texts
from tests.test_tidy import modules
from tests.tools.scripted import scripted

TASK = ROOT / ".venv" / "bin" / "task"

EDGE = {
    r"\binfra\b": "edge",
    r"10\.25\.11\.": "10.25.15.",
    r"10\.42\.": "10.62.",
    r"10\.43\.": "10.63.",
}
"""What differs between the files of the two clusters, besides the cluster id."""

WITHOUT_CLUSTER = ("", "rehearse", "lab", "tools", "explain", "test", "check", "faults", "chaos")
"""Tasks that do not act on one cluster, by the first part of their names.

`rehearse` alone is the resume command of the default cluster.
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a third cluster, in a folder with a space and an apostrophe."""
    root = tmp_path_factory.mktemp("third") / "the operator's checkout"
    root.mkdir()
    for name in ("clusters", "bootstrap", ".taskfiles", "docs"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("clusterconfig"))
    for name in ("Taskfile.yaml", ".sops.yaml"):
        shutil.copy(ROOT / name, root / name)
    for folder in ("clusters", "bootstrap"):
        copied = shutil.copytree(root / folder / "infra", root / folder / "edge")
        for path in copied.rglob("*"):
            if path.is_file() and ".sops." not in path.name:
                text = path.read_text()
                for pattern, replacement in EDGE.items():
                    text = re.sub(pattern, replacement, text)
                path.write_text(text)
    flux = root / "clusters/edge/flux"
    for name, setting in (
        ("config/cilium/helmrelease.yaml", "id: 1"),
        ("cluster-vars.yaml", 'CLUSTER_ID: "1"'),
    ):
        file = flux / name
        file.write_text(file.read_text().replace(setting, setting.replace("1", "3")))
    return root


@pytest.fixture(scope="module")
def edge(checkout: Path) -> Cluster:
    return load(checkout, "edge")


@pytest.fixture(scope="module")
def names(checkout: Path) -> frozenset[str]:
    """Every name that `task` accepts in the checkout."""
    found = subprocess.run(
        [TASK, "--list-all", "--json"], cwd=checkout, capture_output=True, text=True, check=True
    )
    listed = json.loads(found.stdout)["tasks"]
    return frozenset(name for task in listed for name in (task["name"], *task["aliases"]))


@cache
def would_run(checkout: Path, command: str) -> list[str]:
    """Return the arguments of the last command that a task command would run.

    The task has to exist and to be able to run, which `task --dry` checks.
    """
    words = shlex.split(command)
    assert words[0] == "./task"
    done = subprocess.run(
        # Where CI=true is set, task colours even what goes into a pipe.
        [TASK, "--color=false", "--dry", "--verbose", *words[1:]],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    lines = re.findall(r"^task: \[[\w:-]+\] (.*)$", done.stderr, re.MULTILINE)
    return shlex.split(lines[-1])


def test_the_third_cluster_loads_beside_the_other_two(checkout: Path, edge: Cluster) -> None:
    assert {cluster.name for cluster in load_all(checkout)} == {"apps", "edge", "infra"}
    assert (edge.id, str(edge.vip), edge.context) == (3, "10.25.15.10", "admin@edge")


STAGES = {word for stage in Stage for word in (str(stage), stage.partition("-")[2])} | set(Step)

VERBS = {
    "bootstrap": "",
    "bootstrap:validate": "validate",
    "bootstrap:secrets": "secrets",
    "bootstrap:crds": "crds",
    "bootstrap:wait-crds": "wait-crds",
    "bootstrap:releases": "apps",
    "bootstrap:flux": "flux",
    "bootstrap:verify": "verify",
    "talos:bootstrap": "talos,kubernetes",
    "talos:health": "health",
    "talos:kubeconfig": "kubeconfig",
    "talos:gen-config": "gen-config",
    "op:push": "push",
}
"""Every task that runs the checklist, and the stage that it selects."""


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_runs_its_stage_of_the_cluster_that_is_named(checkout: Path, verb: str) -> None:
    words = would_run(checkout, f"./task {verb} CLUSTER=edge TARGET=nodes -- --plan")

    assert words[0] == str(checkout / ".venv/bin/python")
    assert words[1:8] == [
        *("-m", "pytest", "bootstrap_tests"),
        *("--cluster", "edge", "--target", "nodes"),
    ]
    assert words[8:] == [*(["--stage", VERBS[verb]] if VERBS[verb] else []), "--plan"]


@pytest.mark.parametrize("cluster", ["infra", "apps"])
@pytest.mark.parametrize(
    ("verb", "alias"),
    [
        (verb, {"bootstrap:releases": ":apps"}.get(verb, verb.removeprefix("bootstrap")))
        for verb in VERBS
        if verb.startswith("bootstrap")
    ],
)
def test_the_names_of_the_story_are_the_same_tasks(
    checkout: Path, names: frozenset[str], cluster: str, verb: str, alias: str
) -> None:
    assert f"bootstrap:{cluster}{alias}" in names
    assert would_run(checkout, f"./task bootstrap:{cluster}{alias}") == would_run(
        checkout, f"./task {verb} CLUSTER={cluster}"
    )


@pytest.mark.parametrize("target", ["simulated", "docker", "kind", "nodes"])
@pytest.mark.parametrize("selection", ["", "talos", "wait-crds"])
def test_the_resume_command_continues_the_same_run(
    checkout: Path, target: str, selection: str
) -> None:
    words = would_run(checkout, resume_command("edge", target, Selection(selection)))

    assert words[words.index("--cluster") + 1] == "edge"
    assert words[words.index("--target") + 1] == target
    assert words[-2:] == ["--stage", selection] if selection else "--stage" not in words


@pytest.mark.parametrize(
    "words",
    [
        ["rehearse", "CLUSTER=edge"],
        ["rehearse"],
        ["bootstrap:crds", "CLUSTER=edge", "TARGET=nodes"],
        ["bootstrap:apps:flux", "TARGET=docker"],
        ["op:push", "CLUSTER=edge", "TARGET=nodes", "--", "--budget-factor", "2.5"],
        ["talos:bootstrap", "CLUSTER=edge", "--", "--report-dir", "the operator's reports"],
        ["bootstrap", "CLUSTER=edge", "TARGET=kind", "--", "--plan"],
    ],
    ids=" ".join,
)
def test_a_run_prints_a_command_that_does_the_same_as_the_one_that_was_typed(
    checkout: Path, words: list[str]
):
    """Even for a plan: what it prints is the run that it announced."""
    typed = would_run(checkout, f"./task {shlex.join(words)}")
    options = parsed(typed)

    command = resume_command(
        options.cluster, options.target, Selection(options.stage or ""), repeated(options)
    )

    assert command.startswith("./task ")
    again = parsed(would_run(checkout, command))
    options.plan = False
    assert vars(again) == vars(options)


class Options(argparse.ArgumentParser):
    """Takes the place of pytest's parser for the options that firstlight adds to it."""

    def getgroup(self, *_: str) -> Options:
        return self

    def addoption(self, *words: str, **how: Any) -> None:
        self.add_argument(*words, **how)


def parsed(words: list[str]) -> argparse.Namespace:
    """Return the options of a command that runs the checklist."""
    assert words[1:4] == ["-m", "pytest", "bootstrap_tests"]
    parser = Options(allow_abbrev=False)
    pytest_addoption(parser)  # type: ignore[arg-type]
    return parser.parse_args(words[4:])


def test_a_command_is_printed_for_the_folder_in_which_it_was_typed(tmp_path: Path):
    checkout = tmp_path / "the operator's checkout"
    checkout.mkdir()
    (tmp_path / "link").symlink_to(checkout)

    def typed(folder: Path) -> str:
        return typed_here("./task rehearse", checkout, {"FIRSTLIGHT_FOLDER": str(folder)})

    assert typed(checkout) == typed(tmp_path / "link") == "./task rehearse"
    elsewhere = typed(tmp_path)
    (checkout / "task").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (checkout / "task").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", elsewhere], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{checkout}: rehearse\n"


def test_the_task_script_says_where_it_was_typed(tmp_path: Path):
    script = (ROOT / "task").read_text()

    folder = script.index("export FIRSTLIGHT_FOLDER=$PWD\n")
    assert folder < script.index('\ncd -- "$root"\nexport PATH')


def commands_in(text: str) -> list[str]:
    """Return the task commands of a text, each with the variables and options that follow."""
    word = r"(?:[A-Z_]+=[\w+.<>{}-]+|--(?= )|--?[\w-]+(?:=\S+)?|FL-\d+)"
    return [
        found.group().rstrip(":,.")
        for found in re.finditer(rf"\./task(?: [a-z{{<][\w:{{}}<>-]*)?(?: {word})*", text)
    ]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("./task kind:down, then try again", ["./task kind:down"]),
        (
            "run ./task bootstrap CLUSTER={} TARGET={} -- --stage {}",
            ["./task bootstrap CLUSTER={} TARGET={} -- --stage"],
        ),
        ("`./task op:push CLUSTER=<cluster>` puts", ["./task op:push CLUSTER=<cluster>"]),
        ("./task", ["./task"]),
    ],
)
def test_commands_are_found_in_prose(text: str, commands: list[str]) -> None:
    assert commands_in(text) == commands


def mentioned() -> Iterator[tuple[str, str]]:
    """Return where a message, docstring or failure row names a task command, and the command."""
    for name, tree in modules("src", "fixtures", "lab", "bootstrap_tests"):
        for line, text in texts(tree):
            for command in commands_in(text):
                yield f"{name}:{line}", command
    for row in ROWS:
        for text in (*row.commands, row.cause, row.remedy):
            for command in commands_in(text):
                yield row.id, command


def for_edge(command: str) -> str:
    """Fill in the placeholders and computed parts of a command."""
    filled = re.sub(r"CLUSTER=(\{\}|<\w+>)", "CLUSTER=edge", command)
    filled = re.sub(r"TARGET=(\{\}|<\w+>)", "TARGET=simulated", filled)
    return re.sub(r"\{\}|<target>", "simulated", filled)


def acts_on_a_cluster(command: str) -> bool:
    words = command.split()
    return len(words) > 1 and words[1].partition(":")[0] not in WITHOUT_CLUSTER


def test_every_message_about_a_cluster_names_a_command_of_that_cluster(
    names: frozenset[str],
) -> None:
    found = [(place, for_edge(command)) for place, command in mentioned()]

    assert len(found) > 20
    assert [
        (place, command)
        for place, command in found
        if len(command.split()) > 1 and command.split()[1] not in names
    ] == []
    assert [
        (place, command)
        for place, command in found
        if acts_on_a_cluster(command) and "CLUSTER=" not in command
    ] == []
    assert [
        (place, command) for place, command in found if re.search(r":(infra|apps)\b", command)
    ] == []
    # Without a target they would act on the simulated one, whatever the run was on.
    assert [
        (place, command)
        for place, command in found
        if re.match(r"\./task (bootstrap|talos|op)\b", command) and "TARGET=" not in command
    ] == []


NOT_RUN = ("./task", "./task talos:reset")
"""What the test below leaves out: the list of tasks, and what refuses to run without a machine."""


def test_every_command_in_a_message_runs_with_its_arguments(checkout: Path) -> None:
    """Nothing is run for real: task, pytest and the lab only read the arguments."""
    commands = {for_edge(command).removesuffix(" -- --stage") for _, command in mentioned()}
    commands = {each for each in commands if each.partition(" CLUSTER")[0] not in NOT_RUN}

    taskfiles = "".join(path.read_text() for path in checkout.rglob("Taskfile.yaml"))
    variables = {name for each in commands for name in re.findall(r"([A-Z_]+)=", each)}

    assert {name for name in variables if f".{name}" not in taskfiles} == set()
    read = [read_by_its_program(would_run(checkout, command)) for command in sorted(commands)]

    assert {type(each) for each in read} == {argparse.Namespace, type(None)}
    assert len([each for each in read if each]) > 15


def read_by_its_program(words: list[str]) -> argparse.Namespace | None:
    """Return the arguments as the program of a command reads them; it ends if it cannot."""
    if words[1:3] == ["-m", "pytest"] and words[3] == "bootstrap_tests":
        options = parsed(words)
        assert set(filter(None, (options.stage or "").split(","))) <= STAGES
        return options
    target = words[2].removeprefix("lab.") if words[1] == "-m" else ""
    return (
        command_line.parser(target).parse_args(words[3:]) if target in command_line.HELP else None
    )


def test_no_message_names_a_pytest_that_is_not_the_checkouts() -> None:
    bare = re.compile(r"(?<![\w./-])pytest (?:-|bootstrap_tests)")

    assert [
        f"{name}:{line}"
        for name, tree in modules("src", "fixtures", "lab", "bootstrap_tests")
        for line, text in texts(tree)
        if bare.search(text)
    ] == []


def test_the_definition_of_the_third_cluster_names_its_own_commands(
    checkout: Path, names: frozenset[str]
) -> None:
    """Comments are copied with the definition, so they must stay true with another name."""
    commands = [
        command
        for folder in ("clusters", "bootstrap")
        for path in (checkout / folder / "edge").rglob("*")
        if path.is_file()
        for command in commands_in(re.sub(r"\n *# *", " ", path.read_text()))
    ]

    assert commands
    for command in commands:
        assert command.split()[1] in names, command
        assert "CLUSTER=edge" in command or not acts_on_a_cluster(command)


def test_what_actions_name_for_the_third_cluster_can_be_run(checkout: Path, edge: Cluster) -> None:
    runner = scripted({})
    (generate,) = generate_configs(edge, runner, FakeClock()).commands()
    with pytest.raises(Blocked) as blocked:
        push_kubeconfig(OnePassword(runner), edge, checkout / "missing").need()

    for command in (generate, blocked.value.next_step):
        words = would_run(checkout, for_edge(command))
        assert words[words.index("--cluster") + 1] == "edge"


def test_the_third_cluster_can_be_opened_as_real_machines(checkout: Path) -> None:
    target = open_nodes("edge", checkout)

    assert target.kubeconfig.name == "k8s-ops-edge"
