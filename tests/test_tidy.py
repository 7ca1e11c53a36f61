"""Rules of style and safety that no linter checks; each failure names the file and the line."""

from __future__ import annotations

import ast
import graphlib
import io
import os
import re
import tokenize
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml
from pytest_html.basereport import BaseReport

ROOT = Path(__file__).parents[1]
SOURCES = ("src", "fixtures", "lab", "bootstrap_tests")
SKIPPED = {
    ".git",
    ".venv",
    ".tools",
    ".mypy_cache",
    ".ruff_cache",
    ".import_linter_cache",
    "__pycache__",
    "clusterconfig",
    ".task",
    "node_modules",
}

# Exceptions from the rules, with the reason.
SLEEPERS = {
    "src/firstlight/clock.py",  # the only access to time
}
PRINTERS: set[str] = set()  # command lines write to sys.stdout on purpose
PROCESS_STARTERS = {
    "src/firstlight/process.py",  # the only function that runs processes
    "lab/simulated/processes.py",  # starts daemons that outlive it
}
# Modules that catch every exception, and report or keep it.
CATCHERS = {
    "src/firstlight/diagnostics/collect.py",  # must not hide the failure that it explains
}


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the checkout that no tool or run generated."""
    found: list[Path] = []
    for folder, names, here in os.walk(ROOT):
        names[:] = sorted(name for name in names if name not in SKIPPED)
        found += [Path(folder) / name for name in here]
    reports = ROOT / "reports"
    return tuple(
        path for path in sorted(found) if reports not in path.parents or path.name == "README.md"
    )


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def python_files(*folders: str) -> tuple[Path, ...]:
    inside = tuple(f"{folder}/" for folder in folders)
    return tuple(
        path for path in files() if path.suffix == ".py" and named(path).startswith(inside)
    )


@cache
def modules(*folders: str) -> tuple[tuple[str, ast.Module], ...]:
    return tuple((named(path), parsed(path)) for path in python_files(*folders))


def places(
    holds: Callable[[ast.AST], bool], *folders: str, but: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    """Return the file and line of everything that a rule forbids."""
    return [
        f"{named(path)}:{getattr(node, 'lineno', 1)}"
        for path in python_files(*(folders or SOURCES))
        if named(path) not in but
        for node in nodes(path)
        if holds(node)
    ]


def dotted(node: ast.AST) -> str:
    """Return a name as it is written: `time.sleep`."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(*names: str) -> Callable[[ast.AST], bool]:
    return lambda node: isinstance(node, ast.Call) and dotted(node.func) in names


def imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_any(*names: str) -> Callable[[ast.AST], bool]:
    return lambda node: any(
        found == name or found.startswith(f"{name}.") for found in imports(node) for name in names
    )


def has_shell(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and any(
        word.arg == "shell"
        and not (isinstance(word.value, ast.Constant) and word.value.value is False)
        for word in node.keywords
    )


def swallows_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    wide = node.type is None or any(
        kind is not None and dotted(kind) in ("Exception", "BaseException") for kind in kinds
    )
    return wide and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))


@cache
def private_names_of_pytest_html() -> set[str]:
    return {name for name in dir(BaseReport) if re.match(r"_[^_]", name)}


def touches_pytest_html(node: ast.AST) -> bool:
    """Report whether code reads, replaces or overrides a private method of pytest-html."""
    private = private_names_of_pytest_html()
    return (
        (isinstance(node, ast.Attribute) and node.attr in private)
        or (isinstance(node, ast.FunctionDef) and node.name in private)
        or (isinstance(node, ast.Constant) and node.value in private)
    )


def is_foreign_and_private(node: ast.AST) -> bool:
    """Report whether an attribute is private to an object other than `self`."""
    return (
        isinstance(node, ast.Attribute)
        and re.match(r"_[^_]", node.attr) is not None
        and dotted(node.value) not in ("self", "cls")
    )


def test_the_rules_find_the_code() -> None:
    """If they found nothing, every test below would pass."""
    assert len(modules(*SOURCES)) > 80
    assert places(calls("sys.stdout.write"))


SEEN = {
    "a shell": (has_shell, "run('ls', shell=True)", "run(['ls'], shell=False)"),
    "a sleep": (calls("time.sleep"), "time.sleep(1)", "clock.sleep(1)"),
    "a bare except": (
        swallows_everything,
        "try:\n  f()\nexcept:\n  pass",
        "try:\n  f()\nexcept OSError:\n  pass",
    ),
    "a wide except": (
        swallows_everything,
        "try:\n  f()\nexcept (OSError, Exception):\n  pass",
        "try:\n  f()\nexcept Exception:\n  undo()\n  raise",
    ),
    "an import": (imports_any("pytest"), "from pytest import fixture", "import pytest_order"),
    "an override": (touches_pytest_html, "page._write_report = f", "page.write_report = f"),
    "a private attribute": (is_foreign_and_private, "page._data", "self._data"),
}


@pytest.mark.parametrize("what", SEEN)
def test_a_rule_finds_what_it_forbids_and_nothing_else(what: str) -> None:
    rule, wrong, right = SEEN[what]

    assert any(rule(node) for node in ast.walk(ast.parse(wrong)))
    assert not any(rule(node) for node in ast.walk(ast.parse(right)))


def test_no_shell_runs() -> None:
    assert places(has_shell) == []
    assert (
        places(calls("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"))
        == []
    )


def test_only_the_clock_sleeps() -> None:
    assert places(calls("time.sleep"), but=SLEEPERS) == []


def test_the_projects_own_tests_do_not_sleep() -> None:
    assert (
        places(
            calls("time.sleep", "CLOCK.sleep"),
            "tests",
            but={"tests/test_tidy.py", "tests/waiting.py"},
        )
        == []
    )


def joins_tools(node: ast.AST) -> bool:
    """Report whether code makes a path of the folder of the pinned tools."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
        and node.right.value == ".tools"
    )


# Neither is a hermetic test: one names the folder for those that are not, one makes a rehearsal,
# and one is part of ./task faults.
WITH_TOOLS = {"tests/conftest.py", "tests/rehearsals.py", "tests/faults/faults_1_preflight.py"}


def test_only_tests_of_the_other_ring_use_the_pinned_tools() -> None:
    used = {place.rpartition(":")[0] for place in places(joins_tools, "tests")}

    assert {name for name in used if not name.startswith("tests/with_tools/")} == WITH_TOOLS
    assert used > WITH_TOOLS


def test_a_hermetic_test_finds_only_the_systems_programs() -> None:
    """tests/conftest.py hides the pinned tools, so that no test can need them unnoticed."""
    assert os.environ["PATH"] == os.defpath


def test_nothing_prints() -> None:
    assert places(calls("print"), but=PRINTERS) == []


def test_no_handler_swallows_every_error() -> None:
    assert places(swallows_everything, but=CATCHERS) == []


def test_the_library_does_not_import_pytest() -> None:
    assert places(imports_any("pytest", "_pytest", "pytest_html"), "src") == []


def test_actions_do_not_use_conditions() -> None:
    """They share only the module that defines what a condition is."""
    shared = "firstlight.conditions.condition"
    borrowed = [
        f"{name}:{node.lineno}"
        for name, tree in modules("src/firstlight/actions")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("firstlight.conditions")
        and node.module != shared
    ]

    assert borrowed == []


def test_only_the_declared_modules_start_processes() -> None:
    used = imports_any("subprocess")

    assert places(used, but=PROCESS_STARTERS) == []
    assert {place.split(":")[0] for place in places(used)} == PROCESS_STARTERS


def test_the_library_does_not_assert_verdicts() -> None:
    """pytest does not rewrite its assertions, and `python -O` drops them; `is not None` is fine."""
    assert (
        places(lambda node: isinstance(node, ast.Assert) and not narrows(node.test), "src", "lab")
        == []
    )


def narrows(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.IsNot)
        and isinstance(test.comparators[0], ast.Constant)
    )


def test_nothing_touches_private_parts_of_pytest_html() -> None:
    users = {
        name
        for name, tree in modules(*SOURCES)
        if any(imports_any("pytest_html")(node) for node in ast.walk(tree))
    }

    assert len(private_names_of_pytest_html()) > 3
    assert places(touches_pytest_html) == []
    assert [
        place for place in places(is_foreign_and_private) if place.rpartition(":")[0] in users
    ] == []


@pytest.mark.parametrize("folder", [*SOURCES, "tests"])
def test_every_module_has_a_meaningful_name(folder: str) -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "base"}

    assert [name for name, _ in modules(folder) if Path(name).stem in empty] == []


def test_every_module_has_a_docstring() -> None:
    assert [name for name, tree in modules(*SOURCES) if not ast.get_docstring(tree)] == []


def test_every_folder_of_the_library_is_a_package() -> None:
    packages = [
        path
        for path in (ROOT / "src" / "firstlight").rglob("*")
        if path.is_dir() and any(path.glob("*.py"))
    ]

    assert [named(package) for package in packages if not (package / "__init__.py").is_file()] == []


@pytest.mark.parametrize("folder", ["bootstrap", "clusters", "reports"])
def test_no_python_where_it_could_be_imported_by_accident(folder: str) -> None:
    assert [
        named(path)
        for path in files()
        if named(path).startswith(f"{folder}/") and path.suffix in (".py", ".pyi")
    ] == []
    assert not (ROOT / "src" / "firstlight" / folder).exists()


def test_yaml_files_end_in_yaml() -> None:
    examples_of_wrong_definitions = "tests/definition/invalid/"

    assert [
        named(path)
        for path in files()
        if path.suffix == ".yml" and not named(path).startswith(examples_of_wrong_definitions)
    ] == []


def test_no_reminder_is_left() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    texts = {".py", ".go", ".md", ".yaml", ".toml", ".gotmpl", ".tpl", ".css", ".js", ""}

    assert [
        named(path)
        for path in files()
        if path.suffix in texts and marks.search(path.read_text(errors="replace"))
    ] == []


def test_only_the_root_conftest_lists_pytest_plugins() -> None:
    declaring = [
        name
        for name, tree in modules(*SOURCES, "tests")
        if any(assigns(node, "pytest_plugins") for node in tree.body)
    ]

    assert declaring == []
    assert len((ROOT / "conftest.py").read_text().splitlines()) < 30


def assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and any(dotted(target) == name for target in node.targets)


def test_every_test_of_the_checklist_is_a_criterion() -> None:
    plain = [
        f"{name}::{node.name}"
        for name, tree in modules("bootstrap_tests")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not decorated(node, "criterion")
    ]

    assert plain == []


def decorated(node: ast.FunctionDef, name: str) -> bool:
    return any(
        isinstance(decorator, ast.Call) and dotted(decorator.func) == name
        for decorator in node.decorator_list
    )


def test_only_a_criterion_itself_takes_a_common_look_at_machines() -> None:
    """A fixture would keep what it saw, and a later action could make it wrong."""
    callers = {
        node.name
        for folder in ("bootstrap_tests", "fixtures", "src")
        for _, tree in modules(folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(
            isinstance(call, ast.Call) and dotted(call.func).split(".")[-1] == "all_together"
            for call in ast.walk(node)
        )
    }

    assert callers == {
        "test_every_machine_runs_its_configuration",
        "test_every_link_is_up_as_defined",
        "test_every_machine_is_as_defined",
    }


@cache
def action_fixtures() -> dict[str, ast.FunctionDef]:
    """Return the fixtures that perform an action."""
    tree = dict(modules("fixtures"))["fixtures/actions.py"]
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "perform" in parameters(node)
    ]
    return {node.name: node for node in found}


def parameters(node: ast.FunctionDef) -> list[str]:
    return [
        argument.arg
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    ]


# Each action fixture and its criterion: pytest attributes its time to the first test that uses it.
OWN_CRITERION = {
    "machine_configs_generated": "test_every_machine_config_is_valid",
    "etcd_bootstrapped": "test_etcd_is_bootstrapped_once",
    "kubeconfig_generated": "test_kubeconfig_is_generated",
    "kubeconfig_pushed": "test_kubeconfig_is_pushed_to_1password",
    "secrets_applied": "test_bootstrap_secrets_are_applied",
    "crds_applied": "test_crds_are_applied",
    "release_installed": "test_release_runs",
    "flux_resources_applied": "test_the_gitrepository_is_ready",
    "timings_written": "test_the_timing_is_written_into_the_runbook",
}


def test_every_action_fixture_has_its_own_criterion() -> None:
    assert set(action_fixtures()) == set(OWN_CRITERION)


@pytest.mark.parametrize("fixture", sorted(OWN_CRITERION))
def test_the_first_user_of_an_action_fixture_is_its_own_criterion(fixture: str) -> None:
    users = [
        node.name
        for _, tree in modules("bootstrap_tests")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and fixture in parameters(node)
    ]

    assert users[:1] == [OWN_CRITERION[fixture]]


@pytest.mark.parametrize("fixture", sorted(OWN_CRITERION))
def test_an_action_fixture_requests_no_other_action_fixture(fixture: str) -> None:
    assert set(parameters(action_fixtures()[fixture])) & set(OWN_CRITERION) == set()


@pytest.mark.parametrize("fixture", sorted(OWN_CRITERION))
def test_the_docstring_of_an_action_fixture_is_a_sentence(fixture: str) -> None:
    assert (ast.get_docstring(action_fixtures()[fixture]) or "").endswith(".")


# Fixtures that call talosctl, directly or in an action.
TALOS = {"talosctl", "machine_configs_generated"}


def fixtures_needed(names: set[str]) -> set[str]:
    """Return fixtures and everything that they request in turn."""
    defined = {
        node.name: set(parameters(node))
        for module in ("cluster", "actions")
        for node in ast.parse((ROOT / "fixtures" / f"{module}.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= defined.get(name, set()) - found
    return found


def test_no_criterion_calls_talosctl_on_a_target_without_talos() -> None:
    tests = [
        node
        for _, tree in modules("bootstrap_tests")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    reaching = {node.name for node in tests if fixtures_needed(set(parameters(node))) & TALOS}

    without = {
        node.name
        for node in tests
        if node.name in reaching and "TALOS" not in ast.unparse(node.decorator_list[-1])
    }

    assert "test_etcd_is_bootstrapped_once" in reaching
    assert "test_kubeconfig_is_generated" in reaching
    assert without == set()


def test_a_criterions_budget_is_a_number_of_seconds() -> None:
    """A reader of the checklist must see the budget of every criterion."""
    for name, tree in modules("bootstrap_tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and dotted(node.func) == "criterion":
                budget = next(
                    (word.value for word in node.keywords if word.arg == "budget_s"), None
                )
                assert isinstance(budget, ast.Constant), f"{name}:{node.lineno}"
                assert 0 < budget.value <= 1800, f"{name}:{node.lineno}"


def test_pre_commit_hooks_need_no_network() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())

    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    assert all(hook["language"] == "system" for repo in hooks["repos"] for hook in repo["hooks"])


# Words that the Kubernetes and Talos documentation does not use, and what to write instead.
ARCHAIC = {
    r"anew": "again, recreate, from scratch",
    r"another one than": "not, other than",
    r"at hand": "available",
    r"at work": "running",
    r"athand": "secret discovery",
    r"(?:are|be|been|is|to be|was|were) had": "exists, is available",
    r"brought about": "cause, reproduce",
    r"for ever": "forever",
    r"goes? on with": "continue",
    r"heed(?:s|ed|ing)?": "respect",
    r"hinder(?:s|ed|ing)?": "prevent",
    r"in vain": "without success",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"of late": "recently",
    r"spoil(?:s|ed|ing|t)?": "corrupt, break",
    r"(?<!if there )(?:are|is|was|were) none": "is not, does not exist",
    r"tell(?:s|ing)? of": "report",
    r"told": "reported, given",
    r"what(?:ever)? (?:became|becomes|came) of": "the result of",
    r"whence": "where",
    r"whoever": "anyone who",
}
# Names of fields and parameters are not words: `mended:`.
ARCHAIC_WORDS = re.compile(rf"(?<![\w<-])({'|'.join(ARCHAIC)})(?![\w>:\[-])", re.IGNORECASE)
ENGLISH = {".md", ".toml", ".yaml"}


def archaic(text: str) -> list[str]:
    """Return the words of a text that the list forbids; Python's None is not one of them."""
    return [
        word.group(1) for word in ARCHAIC_WORDS.finditer(text) if not word.group(1).endswith("None")
    ]


def comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def strings(tree: ast.Module, *, docstrings_only: bool) -> Iterator[tuple[int, str]]:
    """Return docstrings, or all strings, with their first lines."""
    wanted = [
        node.value if isinstance(node, ast.Expr) else node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr if docstrings_only else ast.Constant)
    ]
    for node in wanted:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def english(path: Path) -> Iterator[tuple[int, str]]:
    """Return the English that a file holds, with its lines.

    That is the whole text of documents and YAML files; of Python modules, it is comments,
    docstrings and messages. Strings in tests are data: tools' answers, and what is compared.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".py":
        yield from comments(text)
        in_tests = named(path).startswith("tests/")
        for line, said in strings(parsed(path), docstrings_only=in_tests):
            yield from enumerate(said.splitlines(), line)
    elif path.suffix in ENGLISH and not named(path).startswith("tests/"):
        yield from enumerate(text.splitlines(), 1)


def archaic_words() -> list[str]:
    """Return the place of every word that the list forbids, with the word."""
    return [
        f"{named(path)}:{line} {word}"
        for path in files()
        if path != Path(__file__)
        for line, said in english(path)
        for word in archaic(said)
    ]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("It is made anew, and is told so.", ["anew", "told"]),
        ("There is none to reach.", ["is none"]),
        ("The value is None, and a recommendation is at handover.", []),
    ],
)
def test_the_list_finds_archaic_words_and_no_others(sentence: str, words: list[str]) -> None:
    assert archaic(sentence) == words


def test_documents_docstrings_and_messages_are_plain_english() -> None:
    assert archaic_words() == []


def test_no_module_imports_itself_through_others() -> None:
    """Imports for types alone count too: a reader follows them as well."""
    graph = grimp.build_graph("firstlight", "fixtures", "lab", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    # Raises CycleError, which names the modules of a cycle.
    order = tuple(graphlib.TopologicalSorter(imports).static_order())

    assert len(order) == len(imports) > 100
