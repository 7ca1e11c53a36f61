"""Parsers and the failure catalogue read the real output in `captured/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.failures import classify
from firstlight.failures.catalogue import ORDER
from tests.tools.reading_captured import PARSERS, READ_FROM_STDERR

CAPTURED: dict[str, list[dict[str, Any]]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((Path(__file__).parent / "captured").glob("*.yaml"))
}
READINGS = [entry for entries in CAPTURED.values() for entry in entries if "reads" in entry]
FAILURES = [
    (tool, entry) for tool, entries in CAPTURED.items() for entry in entries if "rule" in entry
]

UNSEEN = {
    "talosctl": {
        "FL-007": "on loopback, a machine that is down refuses at once",
        "FL-009": "the suite never calls apply-config",
        "FL-011": "machine configs and machines have the same version here",
        "FL-018": "certificates are used within an hour of their creation",
        "FL-221": "certificates are used within an hour of their creation",
        "FL-025": "a connection breaks within a call only by chance",
    },
    "helm": {
        "FL-030": "the registry of the simulated target has no limit",
        "FL-047": "tests/with_tools/rehearsal covers it",
        "FL-053": "no webhook runs on the simulated target",
        "FL-054": "it takes as long as Helm waits",
        "FL-241": "it takes as long as Helm waits",
    },
    "kubectl": {"FL-053": "no webhook runs on the simulated target"},
    "git": {"FL-244": "the stand-in's connections do not break"},
    "op": {"FL-029": "the stand-in has no limit"},
}
"""Rows without a captured failure, and why; their evidence is in tests/failures."""


@pytest.mark.parametrize("entry", READINGS, ids=lambda entry: f"{entry['reads']}-{entry['name']}")
def test_captured_output_is_parsed(entry: dict[str, Any]):
    stream = "stderr" if entry["reads"] in READ_FROM_STDERR else "stdout"

    assert PARSERS[entry["reads"]](entry[stream]) == entry["expected"]


@pytest.mark.parametrize(
    ("tool", "entry"), FAILURES, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_a_captured_failure_is_classified(tool: str, entry: dict[str, Any]):
    row = classify(tool, entry["stderr"] or entry["stdout"])

    assert (row and {"meaning": str(row.failure_class), "row": row.id}) == entry["rule"]


def test_every_parser_has_captured_output():
    unread = set(PARSERS) - {entry["reads"] for entry in READINGS}

    # Neither runs on the simulated target.
    assert unread == {"connectivity", "getent"}


@pytest.mark.parametrize("tool", sorted(ORDER))
def test_every_row_of_a_tool_is_captured_or_has_a_reason(tool: str):
    failures = [
        entry for name, entry in FAILURES if name == tool or (tool, name) == ("helm", "helmfile")
    ]
    seen = {entry["rule"]["row"] for entry in failures if entry["rule"]}

    assert set(ORDER[tool]) - seen == set(UNSEEN.get(tool, {}))


ABOUT_THEIR_EXIT_CODE = {"version-node-down", "git-push-writable"}
"""Only the client's version can be read; a push succeeded where a refusal was expected."""


@pytest.mark.parametrize(
    ("tool", "entry"),
    [(tool, entry) for tool, entries in CAPTURED.items() for entry in entries],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_answers_come_from_successful_commands_and_failures_from_failed_ones(
    tool: str, entry: dict[str, Any]
):
    assert entry["command"].split()[0] == tool
    if entry["name"] not in ABOUT_THEIR_EXIT_CODE and entry.get("reads") not in READ_FROM_STDERR:
        assert (entry["exit_code"] == 0) is ("reads" in entry)
