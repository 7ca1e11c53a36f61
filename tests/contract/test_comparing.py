"""What counts as the same answer, and what does not."""

from __future__ import annotations

import pytest

from lab.contract.answers import Answer
from lab.contract.calls import Call, states
from lab.contract.compare import Difference, compare, differences, not_captured
from lab.contract.normalise import RULES, normalise

REFUSED = Answer(
    1,
    ("FailedPrecondition",),
    "",
    "error: rpc error: code = FailedPrecondition desc = bootstrap is not available yet\n",
)

SAME = {
    "an address": ("dial tcp 10.6.0.11:50000", "dial tcp 127.27.3.11:50000"),
    "the width of a column": ("10.6.0.11    a   b", "127.27.3.11 a      b"),
    "the age of an event": ("Running pre state (5m10s ago)", "Running pre state (2s ago)"),
    "a process": ("Started task apid (PID 77) for", "Started task apid (PID 1201) for"),
    "a time": ("created: 2026-11-25T10:33:20Z", "created: 2027-01-02T03:04:05.678Z"),
    "a member": ("10.6.0.11 0f1e2d3c4b5a6978 x", "127.27.3.11 aaaaaaaaaaaaaaaa x"),
    "the caller's port": (
        "read tcp 10.6.0.11:43210->10.6.0.11:50000",
        "read tcp 127.27.3.11:59999->127.27.3.11:50000",
    ),
    "what etcd has written": (
        "0f1e2d3c4b5a6978   21 MB   8.4 MB (40.00%)   0f1e2d3c4b5a6978   162   2   162   false   3.6.6",  # noqa: E501 - a line that talosctl printed
        "0f1e2d3c4b5a6970   900 kB   80 B (0.01%)   0f1e2d3c4b5a6971   1   12   1   false   3.6.6",
    ),
    "how often a resource has changed": (
        "10.6.0.11 runtime MachineStatus machine 8 booting",
        "127.27.3.11 runtime MachineStatus machine 12 booting",
    ),
    "how a program was built": ("\tSHA:  undefined", "\tSHA:  simulated"),
}

DIFFERENT = {
    "another machine's address": ("dial tcp 10.6.0.11:50000", "dial tcp 127.27.3.12:50000"),
    "an address that begins like another": (
        "dial tcp 10.6.0.11:50000",
        "dial tcp 127.27.3.119:50000",
    ),
    "a status code": ("code = Unavailable desc", "code = Unimplemented desc"),
    "a port": ("dial tcp 10.6.0.11:50000", "dial tcp 127.27.3.11:6443"),
    "a version": ("Tag: v1.12.0", "Tag: v1.12.1"),
    "a number of errors": ("1 error occurred", "2 errors occurred"),
    "a number of members": ("etcd 3 members", "etcd 2 members"),
    "a word": ("STATE Preparing", "STATE Waiting"),
    "an empty line": ("a\n\nb", "a\nb"),
}


def both(pair: tuple[str, str]) -> list[str]:
    places = (
        {"cp-1": "10.6.0.11", "cp-2": "10.6.0.12"},
        {"cp-1": "127.27.3.11", "cp-2": "127.27.3.12"},
    )
    return [normalise(text, place) for text, place in zip(pair, places, strict=True)]


@pytest.mark.parametrize("what", SAME)
def test_what_may_differ_between_two_sets_of_machines_is_the_same(what: str):
    real, simulated = both(SAME[what])

    assert real == simulated


@pytest.mark.parametrize("what", DIFFERENT)
def test_everything_else_is_a_difference(what: str):
    real, simulated = both(DIFFERENT[what])

    assert real != simulated


def test_every_rule_says_why():
    assert [rule.pattern for rule in RULES if len(rule.why.split()) < 3] == []


@pytest.mark.parametrize(
    "other",
    [
        Answer(0, REFUSED.codes, REFUSED.stdout, REFUSED.stderr),
        Answer(1, ("Unavailable",), REFUSED.stdout, REFUSED.stderr),
        Answer(1, REFUSED.codes, "more", REFUSED.stderr),
        Answer(1, REFUSED.codes, REFUSED.stdout, "other words"),
        Answer(None, (), "", ""),
    ],
    ids=["exit code", "status code", "standard output", "standard error", "no end"],
)
def test_answers_that_differ_in_anything_are_unlike(other: Answer):
    assert compare("a/b", REFUSED, other).unexplained
    assert not compare("a/b", REFUSED, REFUSED).unexplained


def test_a_listed_difference_covers_its_own_lines_in_its_own_calls_only():
    listed = (
        Difference(
            "words",
            ("booting/*",),
            (r"stderr: .* is not available yet",),
            (r"stderr: not yet",),
            "they say so",
        ),
    )
    other = Answer(1, REFUSED.codes, "", "not yet\n")

    assert not compare("booting/bootstrap", REFUSED, other, listed).unexplained
    assert compare("booting/bootstrap", REFUSED, other, listed).used == {"words"}
    assert compare("configured/bootstrap", REFUSED, other, listed).unexplained
    assert compare("booting/bootstrap", other, REFUSED, listed).unexplained
    assert compare(
        "booting/bootstrap", REFUSED, Answer(0, (), "", "not yet\n"), listed
    ).unexplained == (
        "- exit 1",
        "+ exit 0",
        "- codes FailedPrecondition",
        "+ codes none",
    )


def test_every_listed_difference_has_a_reason():
    for name, reason in {
        **{each.name: each.reason for each in differences()},
        **not_captured(),
    }.items():
        assert len(reason.split()) > 8, name


def test_several_machines_answer_in_any_order():
    assert Call("a", ("--nodes", "{cp-1},{cp-2}", "version")).answers_in_any_order
    assert not Call(
        "a", ("--nodes", "{cp-1}", "health", "--control-plane-nodes", "{cp-1},{cp-2}")
    ).answers_in_any_order


def test_a_bootstrap_is_asked_for_in_every_state_in_which_it_is_refused():
    asked = {
        f"{state.name}/{call.name}"
        for state in states()
        for call in state.calls
        if "bootstrap" in call.words
    }

    assert asked >= {
        "maintenance/bootstrap",
        "booting/bootstrap",
        "configured/bootstrap-of-two",
        "configured/bootstrap-as-stranger",
        "bootstrapped/bootstrap-again",
        "bootstrapped/bootstrap-of-another",
        "bootstrapped/bootstrap-of-worker",
    }
