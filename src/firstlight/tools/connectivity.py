"""The output of `cilium connectivity test --verbose`: the result of each scenario and of the whole.

The CLI's JUnit file contains only tests, without their scenarios, and is written at the very end.
The output comes from two writers at once: a line may begin with progress dots of the other one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

_TEST = re.compile(
    r"\[=\] \[[^\]]+\] (?P<skipped>Skipping test|Test) \[(?P<name>[^\]]+)\] "
    r"\[\d+/(?P<all>\d+)\](?: \((?P<why>.*)\))?"
)
_SCENARIO = re.compile(
    r"\[-\] (?P<skipped>Skipping Scenario|Scenario) \[(?P<name>[^\]]+)\](?: \((?P<why>.*)\))?"
)
_FAILURE = re.compile(r"(?:❌|🟥)[ .]*(?P<words>\S.*)")
_REPORT = re.compile(r"📋 Test Report")
_FAILED_TEST = re.compile(r"^Test \[(?P<name>[^\]]+)\]:$")
_END = re.compile(r"All \d+ tests \(.*\) successful|❌ \d+/\d+ tests failed \(")

_WORDS_MAX = 300
"""Kept of a failure, from both ends: it starts with a curl command and ends with an exit code."""


class Result(StrEnum):
    """The result of a scenario, in the CLI's terms."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, or a whole test that was skipped or that failed outside its scenarios.

    Attributes:
        name: `test/scenario`, or `test`.
        result: Its result.
        words: Its first failure, or why it was skipped, in the CLI's words.
    """

    name: str
    result: Result
    words: str = ""


@dataclass(frozen=True, slots=True)
class Connectivity:
    """The results of a connectivity test.

    Attributes:
        scenarios: All scenarios, in order.
        tests: The number of tests, run or skipped.
        reached: The number of tests that were started or skipped.
        ended: Whether it ran to its end.
    """

    scenarios: tuple[Scenario, ...]
    tests: int
    reached: int
    ended: bool

    @property
    def failed(self) -> tuple[Scenario, ...]:
        """The failed scenarios."""
        return tuple(one for one in self.scenarios if one.result is Result.FAILED)

    @property
    def passed(self) -> tuple[Scenario, ...]:
        """The passed scenarios."""
        return tuple(one for one in self.scenarios if one.result is Result.PASSED)


def parse_connectivity(text: str) -> Connectivity:
    """Read the output of the connectivity test, even if it is cut off."""
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line)
    return reader.result()


@dataclass
class _Reader:
    """Reads the output line by line."""

    found: dict[str, Scenario] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    """The first failure of each scenario or test."""

    failed_tests: list[str] = field(default_factory=list)
    tests: int = 0
    test: str = ""
    running: str = ""
    in_report: bool = False
    ended: bool = False

    def read(self, line: str) -> None:
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
            self.failures.setdefault(self.running or self.test, _shortened(found["words"].strip()))

    def result(self) -> Connectivity:
        """Return the results; the report at the end, if present, decides which tests failed."""
        failed = {
            name for name in self.failures if not self.ended or _test_of(name) in self.failed_tests
        }
        # A test can fail before or after its scenarios.
        failed |= {
            test for test in self.failed_tests if not any(_test_of(name) == test for name in failed)
        }
        if self.running and not self.ended:
            self.failures.setdefault(self.running, "did not finish")
            failed.add(self.running)
        for name in sorted(failed):
            self.found[name] = Scenario(
                name, Result.FAILED, self.failures.get(name, "failed outside its scenarios")
            )
        return Connectivity(tuple(self.found.values()), self.tests, len(self.reached), self.ended)

    def _begin_test(self, found: re.Match[str]) -> None:
        name = found["name"]
        self.tests = int(found["all"])
        self.reached.add(name)
        # The lines of a test and of its first scenario may be swapped.
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
        # Two scenarios of a test may share a name, and then a result; one failure is enough.
        self.found[name] = Scenario(name, Result.PASSED)


def _test_of(name: str) -> str:
    return name.partition("/")[0]


def _shortened(words: str) -> str:
    half = _WORDS_MAX // 2
    return words if len(words) <= _WORDS_MAX else f"{words[:half]} … {words[-half:]}"
