"""Whole runs of tiny checklists in real pytest.

They check verdicts, exit codes, journal and report, and what ends a run early.
"""

from __future__ import annotations

import fcntl
import gzip
import html
import os
import re
import select
import signal
from pathlib import Path

import pytest

from tests.bridge.tiny import Result, Tiny
from tests.bridge.world import SECRET

GOOD = {
    "test_10_first.py": """
@pytest.fixture
def lamp_made(perform):
    perform(make("lamp"))

@pytest.fixture
def bulb_made(perform):
    perform(busy("bulb", times=2))

@pytest.fixture
def socket_made(perform):
    perform(make("socket"))

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made, wait):
    assert wait(exists("lamp")) == "lamp"

@criterion(STAGE, AC1, title="there is a bulb after retries", task=1, budget_s=30)
def test_there_is_a_bulb(bulb_made, wait):
    assert wait(exists("bulb")) == "bulb"

@criterion(STAGE, AC1, title="there is a socket already", task=1, budget_s=30)
def test_there_is_a_socket(socket_made, wait):
    assert wait(exists("socket")) == "socket"
""",
    "test_70_second.py": """
@criterion(STAGE, AC2, title="light travels", task=1, budget_s=30, needs=(Capability.DATAPATH,))
def test_light_travels(wait):
    raise AssertionError("must not be checked")

@pytest.mark.parametrize("name", ["lamp", "bulb"], ids=["lamp", "bulb"])
@criterion(STAGE, AC2, title="the {} is still there", task=1, budget_s=30)
def test_it_is_still_there(name, wait):
    assert wait(exists(name)) == name
""",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Result, Result]:
    """Run a checklist that succeeds, twice; the first time its files are given in reverse order."""
    tiny = Tiny(tmp_path_factory.mktemp("good"), GOOD)
    (tiny.world / "socket").write_text("there")
    return (
        tiny,
        tiny.run("bootstrap_tests/test_70_second.py", "bootstrap_tests/test_10_first.py"),
        tiny.run(),
    )


def test_a_successful_run_exits_with_zero(good: tuple[Tiny, Result, Result]):
    _, first, _ = good

    assert first.code == 0, first.output
    assert first.verdicts == {
        "there-is-a-lamp": "met",
        "there-is-a-bulb": "met",
        "there-is-a-socket": "already met",
        "light-travels": "not verifiable here",
        "it-is-still-there-lamp": "met",
        "it-is-still-there-bulb": "met",
    }


def test_criteria_run_in_stage_and_file_order(good: tuple[Tiny, Result, Result]):
    _, first, _ = good

    ended = [line["id"] for line in first.events("CriterionEnded")]
    assert ended == [
        "there-is-a-lamp",
        "there-is-a-bulb",
        "there-is-a-socket",
        "light-travels",
        "it-is-still-there-lamp",
        "it-is-still-there-bulb",
    ]


def test_a_temporary_failure_is_retried(good: tuple[Tiny, Result, Result]):
    tiny, first, _ = good

    attempts = [
        (line["action"], line.get("ok"))
        for line in first.journal
        if line["event"] in ("ActionBegun", "ActionEnded") and line["action"] == "make bulb"
    ]
    assert attempts == [
        ("make bulb", None),
        ("make bulb", False),
        ("make bulb", None),
        ("make bulb", False),
        ("make bulb", None),
        ("make bulb", True),
    ]
    assert len((tiny.world / "bulb.tries").read_text()) == 3


def test_a_criterion_that_cannot_be_verified_reports_why(good: tuple[Tiny, Result, Result]):
    _, first, _ = good

    assert first.criterion("light-travels")["reason"].startswith(
        "datapath: there is no Cilium datapath here"
    )
    assert "not verifiable here" in first.output


def test_an_action_that_is_not_needed_is_skipped_and_recorded(good: tuple[Tiny, Result, Result]):
    _, first, _ = good

    assert [line["action"] for line in first.events("ActionSkipped")] == ["make socket"]


def test_a_second_run_changes_nothing(good: tuple[Tiny, Result, Result]):
    _, first, second = good

    assert second.code == 0, second.output
    assert {verdict for name, verdict in second.verdicts.items() if name != "light-travels"} == {
        "already met"
    }
    assert len(second.events("ActionBegun")) == len(first.events("ActionBegun"))
    assert "resume" not in second.output
    assert "to continue:" not in second.output


PREFLIGHT = """
@criterion(STAGE, AC1, title="there is a fuse", task=1, budget_s=2)
def test_there_is_a_fuse(wait):
    assert wait(exists("fuse"))

@criterion(STAGE, AC1, title="the fuse is whole", task=1, budget_s=2, after=("there-is-a-fuse",))
def test_the_fuse_is_whole(wait):
    raise AssertionError("must not be checked")

@criterion(STAGE, AC1, title="the fuse is cold", task=1, budget_s=2, after=("the-fuse-is-whole",))
def test_the_fuse_is_cold(wait):
    raise AssertionError("must not be checked")

@criterion(STAGE, AC1, title="there is daylight", task=1, budget_s=2)
def test_there_is_daylight():
    assert True

@criterion(STAGE, AC1, title="the ladder is gone", task=1, budget_s=600)
def test_the_ladder_is_there(wait):
    assert wait(unsatisfiable("ladder"))
"""


@pytest.fixture(scope="module")
def unready(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Run a checklist whose preflight finds that several things are missing."""
    return Tiny(
        tmp_path_factory.mktemp("unready"), {"test_00_preflight.py": PREFLIGHT, **GOOD}
    ).run()


def test_preflight_checks_everything_before_the_run_stops(unready: Result):
    assert unready.code == 1
    assert [
        unready.verdicts[name]
        for name in ("there-is-a-fuse", "there-is-daylight", "the-ladder-is-there")
    ] == [
        "not ready in time",
        "met",
        "not ready in time",
    ]


def test_criteria_that_depend_on_a_failed_one_are_not_reached_even_indirectly(
    unready: Result,
):
    assert (
        unready.criterion("the-fuse-is-whole")["reason"] == "there-is-a-fuse came first and failed"
    )
    assert (
        unready.criterion("the-fuse-is-cold")["reason"]
        == "the-fuse-is-whole came first and was not reached"
    )
    assert {unready.verdicts[name] for name in ("the-fuse-is-whole", "the-fuse-is-cold")} == {
        "not reached"
    }


def test_later_stages_are_not_reached_and_no_action_begins(unready: Result):
    assert {
        verdict
        for name, verdict in unready.verdicts.items()
        if name.startswith(("there-is-a-lamp", "light", "it-is"))
    } == {"not reached"}
    assert unready.events("ActionBegun") == []
    assert unready.criterion("there-is-a-lamp")["reason"] == "there-is-a-fuse came first and failed"


def test_a_failed_wait_reports_its_last_observation_and_the_next_step(unready: Result):
    assert (
        "cannot confirm fuse to exist: not so within 2 s\n"
        in unready.criterion("there-is-a-fuse")["error"]
    )
    assert "last seen fuse does not exist" in unready.criterion("there-is-a-fuse")["error"]
    assert (
        "cannot confirm ladder to exist: waiting longer will not help"
        in unready.criterion("the-ladder-is-there")["error"]
    )
    assert "./task bootstrap CLUSTER=infra TARGET=nodes" in unready.output
    assert "Traceback" not in unready.output


FAILING = {
    "test_10_first.py": """
@pytest.fixture
def lamp_made(perform):
    perform({action})

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made, wait):
    assert wait(exists("lamp"))

@criterion(STAGE, AC1, title="there is light", task=1, budget_s=30)
def test_there_is_light(wait):
    raise AssertionError("must not be checked")
"""
}


def failing(tmp_path: Path, action: str) -> Tiny:
    return Tiny(
        tmp_path / "tiny", {name: text.format(action=action) for name, text in FAILING.items()}
    )


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    return tmp_path


def test_a_failed_action_stops_the_run_and_is_printed_once(tmp_path: Path):
    result = failing(tmp_path, "broken('lamp')").run()

    assert result.code == 1
    assert result.verdicts == {"there-is-a-lamp": "action failed", "there-is-light": "not reached"}
    assert (
        "cannot make lamp: it fell apart\n  next      pick up the pieces"
        in result.criterion("there-is-a-lamp")["error"]
    )
    assert result.output.count("it fell apart") == 1
    (ended,) = result.events("ActionEnded")
    assert (ended["ok"], ended["detail"]) == (False, "cannot make lamp: it fell apart")
    assert result.events("RunEnded")[0]["exit_code"] == 1
    assert "to continue: ./task bootstrap CLUSTER=infra TARGET=nodes" in result.output


@pytest.mark.parametrize(
    ("action", "factor", "tries"),
    [("busy('lamp')", "1", 22), ("busy('lamp')", "0.01", 3), ("rate_limited('lamp')", "1", 3)],
    ids=["two minutes", "no time", "exhausted quota"],
)
def test_an_action_is_retried_for_two_minutes_and_at_least_three_times(
    tmp_path: Path, action: str, factor: str, tries: int
):
    """Connections break for about a minute while control plane nodes join.

    Each attempt may fail within a second. An exhausted quota lasts for an hour.
    """
    tiny = failing(tmp_path, action)

    result = tiny.run("--budget-factor", factor)

    assert (result.code, result.verdicts["there-is-a-lamp"]) == (1, "action failed")
    assert len((tiny.world / "lamp.tries").read_text()) == tries
    assert [line["event"] for line in result.journal if line["event"].startswith("Action")] == [
        "ActionBegun",
        "ActionEnded",
    ] * tries


def test_a_retried_check_is_reported_as_a_wait_with_its_observations(tmp_path: Path):
    result = failing(tmp_path, "unreachable('lamp', 2)").run()

    lamp = result.criterion("there-is-a-lamp")
    assert lamp["verdict"] == "met"
    assert [one["seen"] for one in lamp["observations"]][:2] == [
        "cannot check lamp: it is dark",
        "lamp is missing",
    ]
    wait = lamp["waits"][0]
    assert (wait["condition"], wait["ok"], wait["attempts"]) == (
        "a check whether to make lamp",
        True,
        3,
    )


def test_a_check_that_keeps_failing_ends_with_its_last_observation(tmp_path: Path):
    result = failing(tmp_path, "unreachable('lamp', 1000)").run("--budget-factor", "0.01")

    lamp = result.criterion("there-is-a-lamp")
    assert (result.code, lamp["verdict"]) == (1, "not ready in time")
    assert "cannot confirm a check whether to make lamp" in lamp["error"]
    assert "last seen cannot check lamp: it is dark" in lamp["error"]
    assert [wait["ok"] for wait in lamp["waits"]] == [False]


def test_a_plan_checks_everything_and_changes_nothing(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")

    result = tiny.run("--plan")

    assert result.code == 20, result.output
    assert result.verdicts == {"there-is-a-lamp": "will act", "there-is-light": "blocked"}
    assert (
        result.criterion("there-is-a-lamp")["reason"]
        == "make lamp, because lamp is missing\n$ touch lamp"
    )
    assert (
        result.criterion("there-is-light")["reason"]
        == "by: make lamp\nnow: AssertionError: must not be checked"
    )
    assert "1. make lamp" in result.output
    assert list(tiny.world.iterdir()) == []
    assert list(tiny.home.iterdir()) == []
    assert not (tiny.root / "state").exists()


def test_a_plan_fails_if_something_is_wrong_that_no_planned_action_precedes(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_00_preflight.py": PREFLIGHT})

    result = tiny.run("--plan")

    assert result.code == 1, result.output
    assert result.verdicts == {
        "there-is-a-fuse": "blocked",
        "the-fuse-is-whole": "blocked",
        "the-fuse-is-cold": "blocked",
        "there-is-daylight": "met",
        "the-ladder-is-there": "blocked",
    }
    assert result.criterion("there-is-a-fuse")["error"].startswith(
        "cannot confirm fuse to exist: not so now"
    )
    assert result.criterion("the-fuse-is-whole")["reason"] == "by: there is a fuse"
    assert "plan, nothing was changed; blocked by: there is a fuse (and 1 more)" in result.output


def test_a_plan_leaves_report_and_journal_of_the_last_run_unchanged(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": GOOD["test_10_first.py"]})
    (tiny.world / "socket").write_text("there")
    tiny.run()
    report, page, journal = (path.read_bytes() for path in last_run(tiny))

    result = tiny.run("--plan")

    assert result.code == 0, result.output
    assert [path.read_bytes() for path in last_run(tiny)] == [report, page, journal]


def last_run(tiny: Tiny) -> list[Path]:
    folder = tiny.root / "reports" / "infra-nodes"
    return [folder / "report.json", folder / "report.html", tiny.state / "journal.jsonl"]


def test_a_plan_neither_repairs_nor_trusts_a_damaged_journal(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")
    tiny.state.mkdir(parents=True)
    (tiny.state / "journal.jsonl").write_text('{"at": "yesterday"}\n')

    result = tiny.run("--plan")

    assert "the journal journal.jsonl is damaged: " in result.output
    assert [path.name for path in tiny.state.iterdir()] == ["journal.jsonl"]
    assert (tiny.state / "journal.jsonl").read_text() == '{"at": "yesterday"}\n'


def test_a_plan_is_refused_while_a_run_holds_the_cluster(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")
    tiny.state.mkdir(parents=True)
    tiny.lock.write_text("{}")

    with tiny.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = tiny.run("--plan")

    assert result.code == 1
    assert "cannot run on infra: another run holds it" in result.output
    assert tiny.lock.read_text() == "{}"


def test_a_plan_with_nothing_to_do_exits_with_zero(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": GOOD["test_10_first.py"]})
    for name in ("lamp", "bulb", "socket"):
        (tiny.world / name).write_text("there")

    result = tiny.run("--plan")

    assert (result.code, set(result.verdicts.values())) == (0, {"already met"}), result.output


def interrupted(tiny: Tiny, number: signal.Signals) -> tuple[Result, list[int]]:
    """Send a signal during an action, once both of its processes have reported their IDs."""
    os.mkfifo(tiny.world / "pids")
    reading = os.open(tiny.world / "pids", os.O_RDONLY | os.O_NONBLOCK)
    process = tiny.start()
    try:
        assert select.select([reading], [], [], 60)[0], (
            process.communicate(timeout=5)[0] if process.poll() is not None else "no action began"
        )
        pids = [int(word) for word in os.read(reading, 100).split()]
        process.send_signal(number)
        return tiny.finish(process), pids
    finally:
        os.close(reading)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_an_interrupted_run_ends_its_children_and_leaves_journal_report_and_resume_command(
    tmp_path: Path, number: signal.Signals
):
    tiny = failing(tmp_path, "endless('lamp', request.getfixturevalue('runner'))")
    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(
        path.read_text().replace("def lamp_made(perform)", "def lamp_made(perform, request)")
    )

    result, pids = interrupted(tiny, number)

    assert result.code == 2, result.output
    assert len(pids) == 2
    assert [pid for pid in pids if alive(pid)] == []
    assert [line["event"] for line in result.journal] == [
        "RunStarted",
        "ActionBegun",
        "ActionEnded",
        "RunEnded",
    ]
    assert result.events("RunEnded")[0]["interrupted"] is True
    assert result.report["head"]["state"] == "interrupted"
    assert (tiny.root / "reports" / "infra-nodes" / "report.html").exists()
    assert "to continue: ./task bootstrap CLUSTER=infra TARGET=nodes" in result.output
    assert "Traceback" not in result.output


def test_the_next_run_reports_a_killed_run_ends_its_children_and_continues(tmp_path: Path):
    tiny = failing(tmp_path, "endless('lamp', request.getfixturevalue('runner'))")
    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(
        path.read_text().replace("def lamp_made(perform)", "def lamp_made(perform, request)")
    )
    killed, pids = interrupted(tiny, signal.SIGKILL)
    assert killed.events("ActionBegun")
    assert not killed.events("ActionEnded")
    path.write_text(
        path.read_text()
        .replace("endless('lamp', request.getfixturevalue('runner'))", "make('lamp')")
        .replace("must not be checked", "dark")
    )

    result = tiny.run()

    assert (
        "an earlier run was killed while it was about to make lamp; checking again" in result.output
    )
    assert [pid for pid in pids if alive(pid)] == []
    assert result.verdicts == {"there-is-a-lamp": "met", "there-is-light": "not ready in time"}


def test_a_cluster_that_another_run_holds_is_not_touched(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")
    tiny.state.mkdir(parents=True)
    with tiny.lock.open("w") as held:
        held.write(
            '{"owner": "carol", "host": "desk-3", "pid": 4711, '
            '"since": "2026-11-23T07:32:00+00:00"}'
        )
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)

        result = tiny.run()

    assert result.code == 1
    assert "cannot run on infra: another run holds it" in result.output
    assert "carol on desk-3, process 4711, since 2026-11-23T07:32:00+00:00" in result.output
    assert list(tiny.world.iterdir()) == []
    assert "Traceback" not in result.output


def test_a_damaged_journal_is_set_aside_and_reported(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")
    tiny.state.mkdir(parents=True)
    (tiny.state / "journal.jsonl").write_text(
        '{"at": "2026-11-23T07:32:00", "event": "RunStarted"}\nnot ours\n'
    )

    result = tiny.run()

    assert (
        "the journal journal.jsonl was set aside as journal.damaged-1.jsonl: "
        "line 1 was changed after it was written" in result.output
    )
    assert (tiny.state / "journal.damaged-1.jsonl").exists()
    assert result.verdicts["there-is-a-lamp"] == "met"
    assert result.journal[0]["event"] == "RunStarted"


SECRETS = {
    "test_10_first.py": """
@pytest.fixture
def known(runner):
    runner.mask_secrets(SECRET)

@criterion(STAGE, AC1, title="nothing is shown while waiting", task=1, budget_s=2)
def test_nothing_is_shown_while_waiting(known, wait):
    assert wait(leaking())
""",
    "test_00_preflight.py": """
@pytest.fixture
def known(runner):
    runner.mask_secrets(SECRET)

@criterion(STAGE, AC1, title="nothing is shown by an assertion", task=1, budget_s=2)
def test_nothing_is_shown_by_an_assertion(known):
    password = SECRET
    print(password)
    assert password == "open sesame"

@criterion(STAGE, AC1, title="nothing is shown by a failing tool", task=1, budget_s=2)
def test_nothing_is_shown_by_a_failing_tool(known, runner):
    runner.run(["sh", "-c", "echo $0 >&2; exit 3", SECRET], timeout_s=5).raise_on_failure("log in")

@criterion(STAGE, AC1, title="nothing is shown by an error of ours", task=1, budget_s=2)
def test_nothing_is_shown_by_an_error_of_ours(known):
    raise ActionFailed(f"cannot log in with {SECRET}")

@criterion(STAGE, AC1, title="nothing is shown by a wait", task=1, budget_s=2)
def test_nothing_is_shown_by_a_wait(known, wait):
    assert wait(leaking())
""",
}


def text_of(path: Path) -> str:
    """Return the whole text of a file; the members of an archive are not compressed further."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="replace")


def test_no_failure_reveals_a_secret(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", SECRETS)

    result = tiny.run()

    assert result.code == 1
    assert [verdict for verdict in result.verdicts.values() if verdict == "not ready in time"] == [
        "not ready in time"
    ] * 4
    texts = {
        path.name: text_of(path)
        for folder in (tiny.root / "reports" / "infra-nodes", tiny.state)
        for path in folder.iterdir()
    }
    assert {"report.html", "report.json", "journal.jsonl"} <= texts.keys()
    assert [name for name in texts if name.startswith("diagnostics-")]
    assert [
        name for name, text in {**texts, "output": result.output}.items() if SECRET in text
    ] == []
    assert "the password is ********" in result.criterion("nothing-is-shown-by-a-wait")["error"]


SKIPPED = """
@criterion(STAGE, AC1, title="skipped", task=1, budget_s=2)
def test_skipped():
    pytest.skip("not today")
"""


def test_a_test_that_skips_itself_is_not_verified(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": SKIPPED})

    result = tiny.run()

    assert result.verdicts == {"skipped": "not verifiable here"}
    assert result.criterion("skipped")["reason"] == "not today"


def test_a_checklist_that_cannot_be_imported_touches_nothing(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {**GOOD, "test_20_broken.py": "import no_such_module\n"})

    result = tiny.run()

    assert result.code == 2
    assert "no_such_module" in result.output
    assert list(tiny.world.iterdir()) == []
    assert result.journal == []


def test_the_resume_command_of_a_single_stage_names_the_stage(tmp_path: Path):
    tiny = failing(tmp_path, "broken('lamp')")

    result = tiny.run("--stage", "talos")

    assert (result.code, result.report["head"]["stage"]) == (1, "talos")
    assert "--stage talos" in result.output.split("to continue:")[1]


FULL_DISK = """

def no_room_for_actions(stamped):
    if type(stamped.event).__name__ == "ActionBegun":
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True, scope="session")
def full_disk(run):
    # The run's first event is written before this; the start of an action is not.
    run.bus.add_first(no_room_for_actions)
"""


def test_an_action_whose_start_cannot_be_recorded_is_not_performed(tmp_path: Path):
    tiny = failing(tmp_path, "make('lamp')")
    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(path.read_text() + FULL_DISK)

    result = tiny.run()

    assert result.code == 1
    assert result.verdicts == {"there-is-a-lamp": "action failed", "there-is-light": "not reached"}
    assert "No space left on device" in result.output
    assert list(tiny.world.iterdir()) == []


def test_a_failed_run_leaves_diagnostics_next_to_its_report_and_names_them(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_00_preflight.py": PREFLIGHT})

    result = tiny.run("--budget-factor", "0.05")

    (archive,) = (tiny.root / "reports" / "infra-nodes").glob("diagnostics-*.tar.gz")
    assert result.code == 1, result.output
    assert result.report["diagnostics"]["file"] == archive.name
    assert result.report["diagnostics"]["trouble"] == ""
    assert f"diagnostics: reports/infra-nodes/{archive.name} (" in result.output
    assert f'<a href="{archive.name}"' in page_of(tiny)


BREAKING = """
@criterion(STAGE, AC1, title="there is light", task=1, budget_s=2)
def test_there_is_light():
    from pathlib import Path

    Path("clusters/infra/talos/talconfig.yaml").write_text("{")
    assert False, "no light"
"""


def test_a_definition_that_breaks_during_a_run_does_not_hide_the_failure(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": BREAKING})

    result = tiny.run()

    assert result.code == 1, result.output
    assert "no light" in result.output
    assert len(list((tiny.root / "reports" / "infra-nodes").glob("diagnostics-*.tar.gz"))) == 1


def page_of(tiny: Tiny) -> str:
    return html.unescape((tiny.root / "reports" / "infra-nodes" / "report.html").read_text())


def test_a_plan_leaves_no_diagnostics(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_00_preflight.py": PREFLIGHT})

    result = tiny.run("--plan")

    assert result.code == 1
    assert list(tiny.root.glob("reports/*/diagnostics-*")) == []


MANY = """
@criterion(STAGE, AC1, title="every one of many is there", task=1, budget_s=5)
def test_all_are_there(wait):
    assert wait.each({number: present(number) for number in range(40)}).keys() == set(range(40))
"""


def test_each_of_many_conditions_that_hold_is_checked_once(tmp_path: Path):
    result = Tiny(tmp_path / "checkout", {"test_00_preflight.py": MANY}).run()

    criterion = result.criterion("all-are-there")
    assert result.code == 0, result.output
    assert len(criterion["evidence"]) + criterion["evidence_left_off"] == 40
    assert [
        len(path.read_text()) for path in sorted((tmp_path / "checkout" / "world").glob("checks-*"))
    ] == [1] * 40


def test_the_first_of_many_conditions_that_does_not_hold_is_waited_for_and_named(tmp_path: Path):
    tiny = Tiny(tmp_path / "checkout", {"test_00_preflight.py": MANY})
    for number in (7, 30):
        (tiny.world / f"gone-{number}").touch()

    result = tiny.run()

    assert result.code == 1
    assert (
        "cannot confirm 7 to be present: not so within 5 s"
        in result.criterion("all-are-there")["error"]
    )
    # Later conditions are not waited for.
    later = tiny.world / "checks-030"
    assert not later.exists() or len(later.read_text()) <= 1


def test_many_conditions_share_the_budget_of_their_criterion(tmp_path: Path):
    tiny = Tiny(tmp_path / "checkout", {"test_00_preflight.py": MANY})
    # The seventh pause ends three seconds after the first check.
    (tiny.world / "gone-7").write_text("7")
    (tiny.world / "gone-30").touch()

    error = tiny.run().criterion("all-are-there")["error"]

    found = re.search(r"cannot confirm 30 to be present: not so within (\d+) s", error)
    assert found is not None, error
    assert int(found.group(1)) <= 2


def test_a_criterion_is_not_already_met_if_one_condition_failed_its_first_check(tmp_path: Path):
    tiny = Tiny(
        tmp_path / "checkout",
        {"test_00_preflight.py": MANY, "test_10_first.py": GOOD["test_10_first.py"]},
    )
    tiny.run()
    undisturbed = tiny.run()
    for checks in tiny.world.glob("checks-*"):
        checks.unlink()
    (tiny.world / "gone-7").write_text("1")

    disturbed = tiny.run()

    assert undisturbed.verdicts["all-are-there"] == "already met"
    assert disturbed.verdicts["all-are-there"] == "met"
    assert (tiny.world / "checks-007").read_text() == "xx"
    assert [len(path.read_text()) for path in sorted(tiny.world.glob("checks-*"))].count(1) == 39


MEETING = """
@criterion(STAGE, AC1, title="every one of many is there", task=1, budget_s=60)
def test_all_are_there(wait):
    numbers = {number: present(number) for number in range(16)}
    wait.each({**numbers, "alice": meets("alice"), "bob": meets("bob")})
"""


def test_after_a_wait_the_remaining_conditions_are_checked_concurrently(tmp_path: Path):
    tiny = Tiny(tmp_path / "checkout", {"test_00_preflight.py": MEETING})
    (tiny.world / "gone-0").write_text("1")

    result = tiny.run()

    assert result.verdicts == {"all-are-there": "met"}, result.output


PROXY = """
@criterion(STAGE, AC1, title="tools know which hosts have no proxy", task=1, budget_s=5)
def test_tools_know_which_hosts_have_no_proxy(runner):
    for name in ("NO_PROXY", "no_proxy"):
        words = runner.run(["printenv", name], timeout_s=5).stdout.strip()
        (WORLD / name).write_text(words)
"""


def test_tools_contact_the_clusters_own_addresses_without_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "example.org")
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": PROXY})

    assert tiny.run().code == 0

    hosts = (tiny.world / "NO_PROXY").read_text().split(",")
    assert hosts == [
        "example.org",
        "10.25.11.10",
        *(f"10.25.11.{node}" for node in range(11, 17)),
    ]
    assert (tiny.world / "no_proxy").read_text().split(",") == hosts


ELSEWHERE = """
from firstlight.errors import ActionFailed

@pytest.fixture
def lamp_made(perform):
    failing = ActionFailed(
        "cannot make a lamp: it is dark",
        row="FL-236",
        next_step="./task talos:kubeconfig CLUSTER=<cluster> TARGET=<target>",
    )
    perform(make("lamp", failing=failing))

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made):
    pass
"""


def test_every_command_that_is_shown_names_the_cluster_and_the_target_of_the_run(tmp_path: Path):
    tiny = Tiny(tmp_path / "tiny", {"test_10_first.py": ELSEWHERE})

    result = tiny.run()

    folder = tiny.root / "reports" / "infra-nodes"
    shown = (
        result.output,
        *((folder / name).read_text() for name in ("summary.md", "report.json")),
    )
    for text in shown:
        assert "./task talos:kubeconfig CLUSTER=infra TARGET=nodes" in text
        assert "./task bootstrap CLUSTER=infra TARGET=nodes" in text
        assert "<target>" not in text
        assert "<cluster>" not in text
