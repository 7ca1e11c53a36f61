"""What `cilium connectivity test --verbose` prints: each scenario, how it went, and how the whole ended.

The CLI's own JUnit file knows tests alone, of which a scenario is a part, and is written only when the last test is over. Its words
come from two writers at once, so a line may begin with the dots of the other one, and nothing here counts on where it begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

_TEST = re.compile(
    r"\[=\] \[[^\]]+\] (?P<skipped>Skipping test|Test) \[(?P<name>[^\]]+)\] \[\d+/(?P<all>\d+)\](?: \((?P<why>.*)\))?"
)
_SCENARIO = re.compile(
    r"\[-\] (?P<skipped>Skipping Scenario|Scenario) \[(?P<name>[^\]]+)\](?: \((?P<why>.*)\))?"
)
_FAILURE = re.compile(r"(?:❌|🟥)[ .]*(?P<words>\S.*)")
_REPORT = re.compile(r"📋 Test Report")
_FAILED_TEST = re.compile(r"^Test \[(?P<name>[^\]]+)\]:$")
_END = re.compile(r"All \d+ tests \(.*\) successful|❌ \d+/\d+ tests failed \(")

_WORDS_MAX = 300
"""How much of a failure's words is kept, from both ends: a curl command line stands first, its exit code last."""


class Result(StrEnum):
    """How a scenario went, in the CLI's own terms."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, or a whole test that was skipped or that failed outside its scenarios.

    Attributes:
        name: `test/scenario`, or `test`.
        result: How it went.
        words: The CLI's words about it: its first failure, or why it was skipped.
    """

    name: str
    result: Result
    words: str = ""


@dataclass(frozen=True, slots=True)
class Connectivity:
    """What a run of the connectivity test found.

    Attributes:
        scenarios: In the order in which the CLI came to them.
        tests: How many tests it knows, run or skipped.
        reached: How many of them it came to.
        ended: Whether it came to its own end.
    """

    scenarios: tuple[Scenario, ...]
    tests: int
    reached: int
    ended: bool

    @property
    def failed(self) -> tuple[Scenario, ...]:
        """Those that failed."""
        return tuple(one for one in self.scenarios if one.result is Result.FAILED)

    @property
    def passed(self) -> tuple[Scenario, ...]:
        """Those that passed."""
        return tuple(one for one in self.scenarios if one.result is Result.PASSED)


def parse_connectivity(text: str) -> Connectivity:
    """Read what the connectivity test printed, also when it was cut off."""
    reader = _Reader()
    for line in text.splitlines():
        reader.hear(line)
    return reader.result()


@dataclass
class _Reader:
    """Hears the lines one by one."""

    found: dict[str, Scenario] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    """The first failure that was said while this scenario, or this test, was running."""

    failed_tests: list[str] = field(default_factory=list)
    tests: int = 0
    test: str = ""
    running: str = ""
    in_report: bool = False
    ended: bool = False

    def hear(self, line: str) -> None:
        if _REPORT.search(line):
            self.in_report = True
        self.ended = self.ended or _END.search(line) is not None
        if self.in_report:
            if found := _FAILED_TEST.search(line):
                self.failed_tests.append(found["name"])
        elif found := _TEST.search(line):
            self._begin_test(found)
        elif found := _SCENARIO.search(line):
            self._begin_scenario(found)
        elif (found := _FAILURE.search(line)) and self.test:
            self.said.setdefault(self.running or self.test, _shortened(found["words"].strip()))

    def result(self) -> Connectivity:
        """Return what was heard; a test's own verdict comes from the report at the end, if there is one."""
        failed = {
            name for name in self.said if not self.ended or _test_of(name) in self.failed_tests
        }
        # A test can fail before or after its scenarios.
        failed |= {
            test for test in self.failed_tests if not any(_test_of(name) == test for name in failed)
        }
        if self.running and not self.ended:
            self.said.setdefault(self.running, "did not come to its end")
            failed.add(self.running)
        for name in sorted(failed):
            self.found[name] = Scenario(
                name, Result.FAILED, self.said.get(name, "failed outside its scenarios")
            )
        return Connectivity(tuple(self.found.values()), self.tests, len(self.reached), self.ended)

    def _begin_test(self, found: re.Match[str]) -> None:
        name = found["name"]
        self.tests = int(found["all"])
        self.reached.add(name)
        # The two writers may swap the lines of a test and of its first scenario.
        self.test, self.running = name, self.running if _test_of(self.running) == name else ""
        if found["skipped"] != "Test":
            self.test = ""
            self.found[name] = Scenario(name, Result.SKIPPED, found["why"] or "")

    def _begin_scenario(self, found: re.Match[str]) -> None:
        name = found["name"]
        if found["skipped"] != "Scenario":
            self.found.setdefault(name, Scenario(name, Result.SKIPPED, found["why"] or ""))
            return
        self.running = name
        # Two scenarios of a test may have one name: they share a line, and one failure is enough.
        self.found[name] = Scenario(name, Result.PASSED)


def _test_of(name: str) -> str:
    return name.partition("/")[0]


def _shortened(words: str) -> str:
    half = _WORDS_MAX // 2
    return words if len(words) <= _WORDS_MAX else f"{words[:half]} … {words[-half:]}"
