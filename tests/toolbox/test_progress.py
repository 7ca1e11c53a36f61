"""A log gets a bounded number of plain lines; a terminal gets a bar."""

import io
import re

from firstlight.toolbox.progress import LiveDisplay, PlainDisplay, _Steps, display_for, seconds


class Hand:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_thousand_packages_are_a_few_lines():
    shown, clock = io.StringIO(), Hand()
    display = PlainDisplay(shown, clock=clock, every_s=15)

    display.begin("building 11 tools", 480)
    for number in range(1000):
        clock.now += 0.0625
        display.update(number + 1, 4649, f"packages, example.com/p{number}")
    display.end("1000 packages compiled")

    lines = shown.getvalue().splitlines()
    assert lines == [
        "tools: building 11 tools (about 8 m 00 s)",
        "tools: building 11 tools: 240 of 4649 packages, example.com/p239, 15 s of about 8 m 00 s",
        "tools: building 11 tools: 480 of 4649 packages, example.com/p479, 30 s of about 8 m 00 s",
        "tools: building 11 tools: 720 of 4649 packages, example.com/p719, 45 s of about 8 m 00 s",
        "tools: building 11 tools: 960 of 4649 packages, example.com/p959, 1 m 00 s of about 8 m 00 s",  # noqa: E501
        "tools: building 11 tools: 1000 packages compiled in 1 m 02 s",
    ]


def test_a_silent_step_still_shows_that_time_passes():
    shown, clock = io.StringIO(), Hand()
    display = PlainDisplay(shown, clock=clock, every_s=15)
    display.begin("linking", 0)
    clock.now += 14
    display.tick()
    clock.now += 2
    display.tick()

    assert shown.getvalue().splitlines() == ["tools: linking", "tools: linking: 16 s"]


def test_a_stream_that_is_not_a_terminal_gets_plain_lines():
    assert isinstance(display_for(io.StringIO()), PlainDisplay)


def test_durations_are_in_whole_seconds():
    assert [seconds(value) for value in (0.4, 59, 60, 479.6)] == [
        "0 s",
        "59 s",
        "1 m 00 s",
        "8 m 00 s",
    ]


def test_a_terminal_shows_a_bar_that_one_line_replaces():
    shown, clock = io.StringIO(), Hand()
    display = LiveDisplay(shown, clock=clock)
    display.begin("building 11 tools", 480)
    display.update(240, 4649, "packages, example.com/p239")
    clock.now += 60
    display.tick()
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    display.end("4649 packages compiled")

    assert "240 of 4649 packages, " in drawn
    assert "1 m 00 s of about 8 m 00 s" in drawn
    assert shown.getvalue().endswith("building 11 tools: 4649 packages compiled in 1 m 00 s\n")


def test_planned_steps_share_one_bar_and_tell_the_time_left():
    shown, clock = io.StringIO(), Hand()
    display = PlainDisplay(shown, clock=clock, every_s=15)
    display.plan(400)
    display.begin("sources", 100)
    clock.now += 20  # of 100 s expected: this network is fast
    display.end("downloaded")
    display.begin("building", 300)
    clock.now += 30
    display.update(20, 100, "packages, example.com/p")

    # Expected are 300 - 60 s; 50 s went by where 160 s were expected, and 40 s are taken on trust.
    assert shown.getvalue().splitlines()[-1] == (
        "tools: building: 20 of 100 packages, example.com/p, about 1 m 48 s left"
    )


def test_the_bar_of_planned_steps_never_goes_back():
    clock = Hand()
    steps = _Steps(clock)
    steps.plan(400)
    seen = []
    for name, expected_s in (("sources", 100), ("building", 300)):
        steps.begin(name, expected_s)
        for done in range(11):
            steps.step.done, steps.step.total = done, 10
            clock.now += 50  # much slower than expected
            seen.append(steps.whole.fraction(steps.step, clock.now))
        steps.end()

    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_a_slow_step_without_a_count_is_not_shown_as_finished():
    clock = Hand()
    steps = _Steps(clock)
    steps.plan(100)
    steps.begin("charts", 100)
    clock.now += 1000

    assert steps.whole.fraction(steps.step, clock.now) < 1
