"""talosctl: how it asks for the time, and how all machines are asked at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstlight.process import ToolFailed
from firstlight.tools.talosctl import Talosctl
from tests.tools.scripted import TIMED_OUT, Said, ScriptedRunner, captured, scripted

KERNEL = {
    "read /proc/stat": Said("ctxt 12\nbtime 1795601432\n"),
    "read /proc/uptime": Said("3847.27 192.50\n"),
}
NO_TIME_SERVER = Said(
    # Talos wraps the error of its NTP client; the machine itself did answer.
    stderr='error getting time: rpc error: code = Unknown desc = error querying NTP server "10.25.10.1": read udp 10.25.11.11:41532->10.25.10.1:123: i/o timeout\n',  # noqa: E501
    exit_code=1,
)
STOPPED = Said(
    stderr="error getting time: rpc error: code = Canceled desc = context canceled\n", exit_code=1
)


def test_the_kernel_gives_the_time_if_the_time_server_is_unreachable():
    runner = scripted({"time": NO_TIME_SERVER, **KERNEL})

    assert Talosctl(runner, Path("talosconfig")).clock("10.25.11.11") == datetime(
        2026, 11, 25, 11, 14, 39, 270000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "said",
    [captured("bootstrap-node-down"), TIMED_OUT, Said(exit_code=-2), STOPPED],
    ids=["down", "silent", "interrupted", "stopped"],
)
def test_an_unreachable_machine_is_not_asked_again(said: Said):
    runner = scripted({"time": said, **KERNEL})

    with pytest.raises(ToolFailed):
        Talosctl(runner, Path("talosconfig")).clock("10.25.11.11")

    assert len(runner.called) == 1


FIRST, SECOND = "10.25.11.11", "10.25.11.14"
BOTH = f"--nodes {FIRST},{SECOND} --endpoints {FIRST} get machinestatus"


def asked_of(node: str) -> str:
    return f"--nodes {node} --endpoints {node} get machinestatus"


def stages(**answers: Said) -> tuple[ScriptedRunner, list[str]]:
    """Ask two machines for their stage, twice, after a common look that got this answer."""
    runner = scripted(
        {
            BOTH: answers["both"],
            asked_of(FIRST): captured("machinestatus-running"),
            asked_of(SECOND): captured("machinestatus-booting"),
        }
    )
    looks = Talosctl(runner, Path("talosconfig")).together([FIRST, SECOND], endpoint=FIRST)
    found = [
        str(looks.resources(node, "machinestatus")[0].spec["stage"])
        for node in (FIRST, SECOND, FIRST)
    ]
    return runner, found


def seen_of(name: str, node: str) -> str:
    text = captured(name).stdout
    was = next(line for line in text.splitlines() if line.startswith("node:"))
    return text.replace(was, f"node: {node}")


def test_one_process_asks_all_machines_first_and_each_machine_itself_from_then_on():
    both = (
        seen_of("machinestatus-booting", FIRST) + "---\n" + seen_of("machinestatus-running", SECOND)
    )

    runner, found = stages(both=Said(both))

    assert found == ["booting", "running", "running"], "what is old is never repeated"
    assert [called.argv[4] for called in runner.called] == [f"{FIRST},{SECOND}", FIRST]


def test_one_machine_that_does_not_answer_keeps_no_other_from_answering():
    runner, found = stages(both=Said(stderr="rpc error: code = Unavailable", exit_code=1))

    assert found == ["running", "booting", "running"]
    assert [called.argv[4] for called in runner.called][1:] == [FIRST, SECOND, FIRST]


def test_a_machine_that_the_common_look_left_out_is_asked_itself():
    runner, found = stages(both=Said(seen_of("machinestatus-booting", FIRST)))

    assert found == ["booting", "booting", "running"]
    assert [called.argv[4] for called in runner.called][1:] == [SECOND, FIRST]


def test_a_machine_that_fell_silent_after_the_common_look_is_asked_itself():
    both = (
        seen_of("machinestatus-running", FIRST) + "---\n" + seen_of("machinestatus-running", SECOND)
    )
    runner = scripted(
        {
            BOTH: Said(both),
            "version": Said(stderr="rpc error: code = Unavailable", exit_code=1),
            asked_of(SECOND): captured("machinestatus-booting"),
        }
    )
    looks = Talosctl(runner, Path("talosconfig")).together([FIRST, SECOND], endpoint=FIRST)
    looks.resources(FIRST, "machinestatus")

    with pytest.raises(ToolFailed):
        looks.version(SECOND)

    assert looks.resources(SECOND, "machinestatus")[0].spec["stage"] == "booting"


HEAD = "NODE          SERVICE   STATE     HEALTH   LAST CHANGE   LAST EVENT\n"


def lists(node: str, *services: str) -> str:
    return "".join(
        f"{node}   {name}      Running   OK       3s ago        Well\n" for name in services
    )


@pytest.mark.parametrize(
    ("both", "asked"),
    [
        (Said(HEAD + lists(FIRST, "apid", "etcd") + lists(SECOND, "apid")), []),
        (Said(HEAD + lists(FIRST, "apid", "etcd")), [SECOND]),
        (Said(stderr="rpc error: code = Unavailable", exit_code=1), [FIRST, SECOND]),
    ],
    ids=["all answer", "one is left out", "one does not answer"],
)
def test_the_services_of_all_machines_are_listed_by_one_process_if_all_answer(
    both: Said, asked: list[str]
):
    runner = scripted(
        {
            f"--nodes {FIRST},{SECOND} --endpoints {FIRST} services": both,
            f"--nodes {FIRST} --endpoints {FIRST} services": Said(
                HEAD + lists(FIRST, "apid", "etcd")
            ),
            f"--nodes {SECOND} --endpoints {SECOND} services": Said(HEAD + lists(SECOND, "apid")),
        }
    )

    found = Talosctl(runner, Path("talosconfig")).services_of([FIRST, SECOND], endpoint=FIRST)

    assert {node: [each.name for each in services] for node, services in found.items()} == {
        FIRST: ["apid", "etcd"],
        SECOND: ["apid"],
    }
    assert sorted(called.argv[4] for called in runner.called[1:]) == asked


def test_a_machine_whose_services_are_unknown_is_an_error():
    runner = scripted({"services": Said(stderr="rpc error: code = Unavailable", exit_code=1)})

    with pytest.raises(ToolFailed, match=f"cannot read services of {FIRST}"):
        Talosctl(runner, Path("talosconfig")).services_of([FIRST], endpoint=FIRST)
