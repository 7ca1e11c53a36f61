"""Verify the workflows: permissions, pinned actions, and the artifacts that every run keeps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_docs import tasks

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yaml"))


def load(path: Path) -> dict[Any, Any]:
    # YAML reads the key `on` as a truth value.
    return yaml.safe_load(path.read_text())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_only_the_job_that_publishes_may_write(
    workflow: Path,
) -> None:
    content = load(workflow)
    publishing = {"publish"} if workflow.stem == "release" else set()

    assert content["permissions"] == {"contents": "read"}
    assert {name for name, job in content["jobs"].items() if "permissions" in job} == publishing


RELEASE = ROOT / ".github" / "workflows" / "release.yaml"


def test_only_a_tag_publishes_and_only_after_a_rehearsal_on_every_platform() -> None:
    content = load(RELEASE)
    jobs = content["jobs"]

    assert content[True] == {"push": {"tags": ["v*"]}}
    assert (jobs["rehearse"]["needs"], jobs["publish"]["needs"]) == ("build", "rehearse")
    assert jobs["build"]["strategy"] == jobs["rehearse"]["strategy"]
    fetched = {
        step["with"]["name"]
        for step in jobs["publish"]["steps"]
        if step.get("uses", "").startswith("actions/download-artifact@")
    }
    assert fetched == {
        f"wheels-{runner}" for runner in jobs["build"]["strategy"]["matrix"]["runner"]
    }


def test_a_release_is_built_without_a_cache_and_by_no_code_but_the_checkout_s() -> None:
    used = [step["uses"] for step in steps(RELEASE) if "uses" in step]

    assert not any("cache" in action or action.startswith("./") for action in used)
    publishing = load(RELEASE)["jobs"]["publish"]["steps"]
    assert not any("./task" in step.get("run", "") for step in publishing)


def test_the_hashes_that_are_attested_are_those_of_the_published_wheels() -> None:
    publishing = load(RELEASE)["jobs"]["publish"]["steps"]
    (attested,) = [step["with"] for step in publishing if "attest" in step.get("uses", "")]
    (published,) = [step["run"] for step in publishing if "gh release" in step.get("run", "")]

    assert attested == {"subject-checksums": "dist/SHA256SUMS"}
    assert '"$GITHUB_REF_NAME" dist/*' in published


def test_setup_in_a_workflow_downloads_with_mise() -> None:
    done = load(ROOT / ".github/actions/setup/action.yaml")["runs"]["steps"]
    names = [step.get("uses", "").partition("@")[0] for step in done]

    assert "jdx/mise-action" in names
    # Setup decides which tools it needs.
    assert done[names.index("jdx/mise-action")]["with"]["install"] is False
    (cache,) = [step["with"] for step in done if step.get("uses", "").startswith("actions/cache@")]
    assert "mise/installs" in cache["path"]
    assert "'mise.toml'" in cache["key"]


@pytest.mark.parametrize("workflow", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_with_its_version_in_a_comment(workflow: Path) -> None:
    used = re.findall(r"uses: (.+)", workflow.read_text())

    assert [
        line
        for line in used
        if not re.fullmatch(r"\./\S+|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


def test_all_workflows_use_an_action_at_the_same_commit() -> None:
    used = {
        line
        for path in (*WORKFLOWS, *ACTIONS)
        for line in re.findall(r"uses: (\w\S+)@(\w+)", path.read_text())
    }

    assert len({name for name, _ in used}) == len(used)


@pytest.mark.parametrize("workflow", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.stem)
def test_workflows_run_only_tasks_that_exist(workflow: Path) -> None:
    named = re.findall(r'\./task "?([a-z$][\w$:-]*)', workflow.read_text())

    # Only the task that shows a target's logs is named with a variable.
    targets = {
        "simulated",
        *re.findall(r"target: (\w+)", "".join(path.read_text() for path in WORKFLOWS)),
    }
    written_out = [
        task.replace("$TARGET", target)
        for task in named
        for target in (targets if "$TARGET" in task else {""})
    ]
    assert [task for task in written_out if task not in tasks()] == []


@pytest.mark.parametrize("name", ["ci", "bootstrap"])
def test_report_journal_and_logs_are_kept_however_a_run_ends(name: str) -> None:
    done = steps(ROOT / ".github" / "workflows" / f"{name}.yaml")
    (gather,) = [step for step in done if step.get("run") == ".ci/keep"]
    (upload,) = [
        step for step in done if step.get("uses", "").startswith("actions/upload-artifact@")
    ]

    assert (gather["if"], upload["if"]) == ("always()", "always()")
    assert (upload["with"]["path"], upload["with"]["if-no-files-found"]) == ("kept/", "error")
    assert done.index(gather) < done.index(upload)


def test_pull_requests_run_what_is_quick_before_what_needs_the_tools() -> None:
    local = re.findall(r"^\./task .+", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    hosted = [
        # The composite action ends with the setup of the tools.
        "./task tools:setup" if step.get("uses") == "./.github/actions/setup" else step.get("run")
        for step in steps(ROOT / ".github" / "workflows" / "ci.yaml")
    ]

    assert local == [
        "./task check",
        "./task test",
        "./task tools:setup",
        "./task rehearse FRESH=1",
        "./task rehearse",
        "./task test:lab",
    ]
    assert [command for command in hosted if command in local] == local


def test_checks_and_hermetic_tests_need_no_tool() -> None:
    quick = yaml.safe_load((ROOT / "Taskfile.yaml").read_text())["tasks"]

    for task in (quick["check"], quick["test"]):
        assert "deps" not in task
        assert all(isinstance(command, str) for command in task["cmds"])
        assert not any(".tools" in command for command in task["cmds"])


@pytest.mark.parametrize(("name", "target"), [("talos", "docker"), ("kind", "kind")])
def test_pull_requests_and_the_nightly_build_run_a_bootstrap_in_containers(
    name: str, target: str
) -> None:
    content = load(ROOT / ".github" / "workflows" / f"{name}.yaml")
    (job,) = content["jobs"].values()

    assert {"pull_request", "schedule", "workflow_dispatch"} <= content[True].keys()
    assert (job["uses"], job["with"]["target"]) == ("./.github/workflows/bootstrap.yaml", target)


def test_the_nightly_build_runs_faults_and_chaos() -> None:
    path = ROOT / ".github" / "workflows" / "reliability.yaml"
    tasks_run = {
        step["run"].split()[1] for step in steps(path) if step.get("run", "").startswith("./task ")
    }

    assert "schedule" in load(path)[True]
    assert {"faults", "chaos"} <= tasks_run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout in which a run has just ended, beside the operator's home directory."""
    root = tmp_path / "checkout"
    (root / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "keep", root / ".ci" / "keep")
    report = root / "reports" / "infra-kind"
    report.mkdir(parents=True)
    for name in ("report.html", "junit.xml", "diagnostics.tar.gz"):
        (report / name).write_text(name)
    (report / "summary.md").write_text("# it went well\n")
    lab = tmp_path / "home" / ".local" / "state" / "firstlight" / "kind" / "infra"
    (lab / "logs").mkdir(parents=True)
    (lab / "journal.jsonl").write_text("{}\n")
    (lab / "logs" / "git-server.log").write_text("listening\n")
    (lab / "vault.age").write_text("secret")
    return root


def keep(root: Path) -> tuple[set[str], str]:
    """Run the script as the workflows do; return the kept files and the step summary."""
    shown = root.parent / "step-summary.md"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent / "home"),
        "GITHUB_STEP_SUMMARY": str(shown),
    }
    subprocess.run(
        [root / ".ci" / "keep"], env=environment, check=True, capture_output=True, timeout=30
    )
    return {
        str(path.relative_to(root / "kept"))
        for path in (root / "kept").rglob("*")
        if path.is_file()
    }, shown.read_text()


def test_ci_keeps_report_journal_and_logs_but_no_key(checkout: Path) -> None:
    kept, shown = keep(checkout)

    assert kept == {
        "infra-kind/report.html",
        "infra-kind/junit.xml",
        "infra-kind/diagnostics.tar.gz",
        "infra-kind/summary.md",
        "infra-kind/lab/journal.jsonl",
        "infra-kind/lab/git-server.log",
    }
    assert shown == "# it went well\n\n"


def test_ci_keeps_the_journal_of_a_run_that_left_no_report(checkout: Path) -> None:
    shutil.rmtree(checkout / "reports")

    kept, shown = keep(checkout)

    assert kept == {"infra-kind/lab/journal.jsonl", "infra-kind/lab/git-server.log"}
    assert shown == ""


def test_ci_keeps_nothing_if_there_is_nothing(checkout: Path) -> None:
    shutil.rmtree(checkout / "reports")
    shutil.rmtree(checkout.parent / "home")

    assert keep(checkout) == (set(), "")
