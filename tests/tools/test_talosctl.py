"""talosctl asks for the time, and asks again only if the machine was reached."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstlight.process import ToolFailed
from firstlight.tools.talosctl import Talosctl
from tests.tools.scripted import TIMED_OUT, Said, captured, scripted

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
