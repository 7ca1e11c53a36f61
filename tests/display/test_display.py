"""The display: what it shows, how often, and that it never raises."""

from __future__ import annotations

import io
import re
import threading
from dataclasses import replace
from datetime import datetime

import pytest

from firstlight.display import Line, LiveDisplay, PlainDisplay, Screen, choose_display
from firstlight.events import (
    ActionBegun,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CriterionStarted,
    Event,
    Observed,
    Stamped,
    WaitStarted,
)
from firstlight.formatting import ASCII, UNICODE, glyphs_for
from firstlight.terminal import SILENCE_S, Ticker
from tests.report import streams
from tests.report.test_scenarios import FAILED, LEFT_OUT, PASSED, UNVERIFIABLE, with_scenarios

ONE = streams.CRITERIA[3]


class StillClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return streams.START

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """A stream whose reader is gone."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def heard(display, *events: Event):
    for event in events:
        display.hear(Stamped("", 0.0, event))


def replay(display, clock, stream, every_s=1.0):
    """Play a stream on a still clock, ticking as the ticker would."""
    for stamped in stream:
        while clock.seconds + every_s < 100 + stamped.since_start_s:
            clock.sleep(every_s)
            display.tick()
        clock.seconds = max(clock.seconds, 100 + stamped.since_start_s)
        display.hear(stamped)


def plain(stream=None):
    clock = StillClock()
    stream = stream or io.StringIO()
    return PlainDisplay(stream, clock), clock, stream


def live(color=True):
    clock, stream = StillClock(), Terminal()
    return LiveDisplay(stream, clock, color=color), clock, stream


def text_of(stream) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_finished_criterion_is_one_line_with_verdict_and_both_times():
    display, clock, stream = plain()

    replay(display, clock, streams.good())

    lines = stream.getvalue().splitlines()
    assert (
        f"{ASCII.met} met                 etcd runs on every control plane node"
        "  (acting 1.7 s, waiting 2.4 s)" in lines
    )
    assert "  4/17 10-talos: etcd runs on every control plane node" in lines
    assert (
        f"{ASCII.action} make it so that etcd runs on every control plane node, "
        "because it is not so" in lines
    )


def test_a_failure_is_reported_once_and_what_was_not_reached_is_counted():
    display, clock, stream = plain()

    replay(display, clock, streams.failed_action())

    said = stream.getvalue()
    assert said.count("cannot install Cilium on infra") == 1
    assert "F21: the chart's images cannot be pulled" in said
    assert "$ kubectl -n kube-system get events" in said
    assert "runbook   docs/runbooks/bootstrap.md#cilium-is-deployed" in said
    assert said.count("not reached") == 1
    assert "not reached         9 criteria" in said


def test_failed_scenarios_are_listed_and_unverifiable_ones_are_counted_by_reason():
    display, clock, stream = plain()

    replay(
        display,
        clock,
        with_scenarios(PASSED, LEFT_OUT, UNVERIFIABLE, replace(UNVERIFIABLE, name="other"), FAILED),
    )

    shown = text_of(stream)

    assert "  failed: no-policies/pod-to-world: curl exited 28 <at last>\n" in shown
    assert "  2 not verifiable here: no Envoy here (Feature l7-proxy is disabled)\n" in shown
    assert "egress-gateway" not in shown


def test_a_criterion_that_ends_at_once_is_not_announced():
    display, _, stream = plain()

    heard(
        display,
        *(
            one.event
            for one in streams.rehearsed()
            if getattr(one.event, "id", "") == "the-ebpf-datapath-is-operational"
        ),
    )

    assert len(stream.getvalue().splitlines()) == 2
    assert "not verifiable here" in stream.getvalue()
    assert "the simulated target has no cilium-datapath" in stream.getvalue()


def test_part_of_the_checklist_is_counted_without_a_total():
    display, clock, stream = plain()

    replay(display, clock, streams.one_stage())

    assert (
        stream.getvalue().splitlines()[0]
        == "bootstrap of infra on simulated, main@2ffc5d3, only stage 10-talos,flux"
    )
    assert "  1 10-talos: etcd is bootstrapped exactly once" in stream.getvalue().splitlines()


def test_an_interrupted_criterion_is_named():
    display, clock, stream = plain()

    replay(display, clock, streams.interrupted())

    assert (
        stream.getvalue().splitlines()[-1]
        == f"{ASCII.warning} interrupted         the kubeconfig is generated"
    )


def test_a_wait_is_reported_at_a_steady_rate():
    display, clock, stream = plain()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        WaitStarted(ONE.id, "etcd to be healthy", 300.0),
    )
    heard(display, Observed(ONE.id, "etcd to be healthy", "2 of 3 members", 1.0))
    before = len(stream.getvalue().splitlines())

    for _ in range(60):
        clock.sleep(1)
        display.tick()

    lines = stream.getvalue().splitlines()[before:]
    assert len(lines) == 60 // SILENCE_S
    still = f"{ASCII.waiting} still waiting for etcd to be healthy"
    assert lines[0] == f"{still}: last seen 2 of 3 members (15.0 s of 5 m)"


def test_an_action_is_shown_with_its_last_observation():
    display, clock, stream = plain()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        ActionBegun(ONE.id, "bootstrap etcd", ""),
    )
    heard(display, Observed(ONE.id, "bootstrap etcd", "time is not in sync yet", 1.0))

    clock.sleep(20)
    display.tick()
    heard(display, ActionBegun(ONE.id, "install Cilium", ""))
    clock.sleep(20)
    display.tick()

    lines = [line for line in stream.getvalue().splitlines() if "still" in line]
    assert lines == [
        f"{ASCII.action} still acting: bootstrap etcd: last seen time is not in sync yet (20.0 s)",
        f"{ASCII.action} still acting: install Cilium (20.0 s)",
    ]


def test_an_action_is_shown_with_the_last_line_of_its_command():
    display, clock, stream = plain()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        ActionBegun(ONE.id, "install Cilium", ""),
    )
    heard(
        display,
        CommandStarted(ONE.id, "helmfile sync", changes=True),
        CommandOutput(ONE.id, "Upgrading release=cilium"),
    )

    clock.sleep(20)
    display.tick()

    assert (
        stream.getvalue().splitlines()[-1]
        == f"{ASCII.action} still acting: install Cilium (20.0 s): Upgrading release=cilium"
    )


def test_a_command_that_ends_does_not_hide_one_that_still_runs():
    display, clock, stream = plain()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        ActionBegun(ONE.id, "install Cilium", ""),
    )
    heard(
        display,
        CommandStarted(ONE.id, "talosctl version", changes=False),
        CommandStarted(ONE.id, "helmfile sync", changes=True),
    )
    heard(
        display,
        CommandOutput(ONE.id, "Upgrading release=cilium"),
        CommandEnded(ONE.id, "talosctl version", 0, 0.1, (), changes=False),
    )

    clock.sleep(20)
    display.tick()

    assert (
        stream.getvalue().splitlines()[-1]
        == f"{ASCII.action} still acting: install Cilium (20.0 s): Upgrading release=cilium"
    )


def test_a_wait_is_shown_with_the_last_line_of_its_command():
    display, clock, stream = plain()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        WaitStarted(ONE.id, "cilium connectivity test to pass", 1800.0),
    )
    heard(
        display,
        CommandStarted(ONE.id, "cilium connectivity test", changes=True),
        CommandOutput(ONE.id, "[=] Test [no-policies] [1/117]"),
    )

    clock.sleep(20)
    display.tick()

    still = f"{ASCII.waiting} still waiting for cilium connectivity test to pass (20.0 s of 30 m)"
    assert stream.getvalue().splitlines()[-1] == f"{still}: [=] Test [no-policies] [1/117]"


def test_nothing_is_written_between_criteria():
    display, clock, stream = plain()
    heard(display, streams.good()[0].event)
    before = stream.getvalue()

    clock.sleep(100)
    display.tick()

    assert stream.getvalue() == before


@pytest.mark.parametrize("make", [PlainDisplay, LiveDisplay])
def test_a_terminal_that_goes_away_does_not_stop_the_run(make):
    clock = StillClock()
    display = make(BrokenPipe(), clock)

    replay(display, clock, streams.failed_action())
    display.close()


@pytest.mark.parametrize("make", [PlainDisplay, LiveDisplay])
def test_a_closed_stream_does_not_stop_the_run(make):
    stream, clock = Terminal(), StillClock()
    display = make(stream, clock)
    heard(display, streams.good()[0].event)
    stream.close()

    heard(display, CriterionStarted(ONE.id))
    display.tick()
    display.close()


def test_the_live_part_shows_stage_condition_last_observation_and_output():
    display, clock, stream = live()
    heard(
        display,
        streams.good()[0].event,
        CriterionStarted(ONE.id),
        WaitStarted(ONE.id, "etcd to be healthy", 300.0),
    )
    heard(
        display,
        Observed(ONE.id, "etcd to be healthy", "2 of 3 members", 1.0),
        CommandStarted(ONE.id, "talosctl etcd members", changes=False),
    )
    heard(display, CommandOutput(ONE.id, "NODE MEMBER"))
    stream.truncate(0)

    clock.sleep(35)
    display.tick()

    said = text_of(stream)
    assert "10-talos · 0 of 17 criteria" in said
    assert "35.0 s of 30 m" in said
    assert "◎ waiting for etcd to be healthy: last seen 2 of 3 members (35.0 s of 5 m)" in said
    assert "$ talosctl etcd members" in said
    assert "│ NODE MEMBER" in said


def test_closing_removes_the_live_part_and_shows_the_cursor():
    display, clock, stream = live()
    replay(display, clock, streams.killed())

    display.close()

    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")
    display.tick()
    assert "the kubeconfig is generated" in text_of(stream)


def test_a_closed_live_display_draws_nothing():
    display, clock, stream = live()
    replay(display, clock, streams.good())
    display.close()
    before = stream.getvalue()

    display.tick()

    assert stream.getvalue() == before


def test_events_of_an_unknown_class_are_ignored():
    for display, _, stream in (plain(), live()):
        heard(display, streams.good()[0].event, CriterionStarted(ONE.id))
        before = text_of(stream).splitlines()[0]
        heard(display, object())
        display.close()

        assert text_of(stream).splitlines()[0] == before


def test_no_color_is_respected():
    for color, coloured in ((True, True), (False, False)):
        display, clock, stream = live(color)
        replay(display, clock, streams.failed_action())
        display.close()

        assert bool(re.search(r"\x1b\[[0-9;]*3[1-6]m", stream.getvalue())) is coloured


def test_foreign_output_cannot_move_the_cursor():
    for display, clock, stream in (plain(), live()):
        replay(display, clock, streams.hostile())
        display.close()

        assert "\x1b[2J" not in stream.getvalue()
        assert "\x1b]0;" not in stream.getvalue()
        assert "\x07" not in stream.getvalue()


@pytest.mark.parametrize(
    ("encoding", "signs"),
    [("utf-8", UNICODE), ("latin-1", ASCII), ("ascii", ASCII), (None, ASCII), ("no-such", ASCII)],
)
def test_signs_fit_the_encoding(encoding, signs):
    assert glyphs_for(encoding) is signs


@pytest.mark.parametrize(
    ("stream", "terminal", "kind"),
    [
        (Terminal, "xterm", LiveDisplay),
        (Terminal, "dumb", PlainDisplay),
        (Terminal, "", PlainDisplay),
        (io.StringIO, "xterm", PlainDisplay),
    ],
)
def test_only_a_terminal_that_can_be_redrawn_gets_the_live_display(stream, terminal, kind):
    assert type(choose_display(stream(), StillClock(), {"TERM": terminal})) is kind


def test_the_ticker_stops_with_its_block_even_if_the_block_raises():
    ticked = threading.Event()

    class Ticked(PlainDisplay):
        tick_s = 0.001

        def tick(self) -> None:
            ticked.set()

    screen = Screen(Ticked(io.StringIO(), StillClock()))

    def run() -> None:
        with screen.running():
            assert ticked.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()

    assert "firstlight-display" not in [thread.name for thread in threading.enumerate()]


def test_the_last_lines_are_written_once():
    stream = io.StringIO()
    screen = Screen(PlainDisplay(stream, StillClock()))
    screen.close([Line("plain", "the end")])
    screen.close([Line("plain", "the end")])
    screen.hear(streams.good()[0])

    assert stream.getvalue() == "the end\n"


def test_a_ticker_that_never_started_can_be_stopped():
    Ticker(lambda: None, 1.0).stop()
