"""Parsers and tables of failures, each tried on what the real tools printed: see `captured/`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.tools.classification import Rule, classify
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
        "FL-007": "on loopback a machine that is down refuses at once",
        "FL-009": "apply-config is not ours to call",
        "FL-011": "machine configs and machines are of one version here",
        "FL-018": "certificates are made and used within the hour",
        "FL-025": "a connection that breaks within a call comes by chance alone",
    },
    "helm": {
        "FL-030": "the registry of the simulated target has no limit",
        "FL-047": "it is in the rehearsal of what is broken",
        "FL-053": "no webhook runs on the simulated target",
        "FL-054": "it takes as long as Helm waits",
    },
    "kubectl": {"FL-053": "no webhook runs on the simulated target"},
    "op": {"FL-029": "the stand-in has no limit"},
}
"""Rows of the tables that no captured failure shows, and why; the texts of the failure catalogue show them."""


def rules_of(tool: str) -> tuple[Rule, ...]:
    """Return the table beside a tool; helmfile passes on what helm says."""
    rules: tuple[Rule, ...] = import_module(
        f"firstlight.tools.{'helm' if tool == 'helmfile' else tool}"
    ).RULES
    return rules


@pytest.mark.parametrize("entry", READINGS, ids=lambda entry: f"{entry['reads']}-{entry['name']}")
def test_what_a_tool_printed_is_read(entry: dict[str, Any]):
    stream = "stderr" if entry["reads"] in READ_FROM_STDERR else "stdout"

    assert PARSERS[entry["reads"]](entry[stream]) == entry["expected"]


@pytest.mark.parametrize(
    ("tool", "entry"), FAILURES, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_a_failure_is_classified(tool: str, entry: dict[str, Any]):
    rule = classify(rules_of(tool), entry["stderr"] or entry["stdout"])

    assert (rule and {"meaning": str(rule.meaning), "row": rule.row}) == entry["rule"]


def test_every_parser_has_read_something_real():
    unread = set(PARSERS) - {entry["reads"] for entry in READINGS}

    # Neither is run on the simulated target.
    assert unread == {"connectivity", "getent"}


@pytest.mark.parametrize("tool", ["talosctl", "helm", "flux", "kubectl", "op", "sops", "git"])
def test_every_row_of_a_table_was_seen_or_says_why_not(tool: str):
    failures = [
        entry for name, entry in FAILURES if name == tool or (tool, name) == ("helm", "helmfile")
    ]
    seen = {entry["rule"]["row"] for entry in failures if entry["rule"]}

    assert {rule.row for rule in rules_of(tool) if rule.row} - seen == set(UNSEEN.get(tool, {}))


ABOUT_THEIR_EXIT_CODE = {"version-node-down", "git-push-writable"}
"""A version that cannot be read, though the client's is; a push that went through, where a refusal was asked for."""


@pytest.mark.parametrize(
    ("tool", "entry"),
    [(tool, entry) for tool, entries in CAPTURED.items() for entry in entries],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_an_answer_comes_from_a_tool_that_went_well_and_a_failure_from_one_that_failed(
    tool: str, entry: dict[str, Any]
):
    assert entry["command"].split()[0] == tool
    if entry["name"] not in ABOUT_THEIR_EXIT_CODE and entry.get("reads") not in READ_FROM_STDERR:
        assert (entry["exit_code"] == 0) is ("reads" in entry)
