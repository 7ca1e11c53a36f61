"""Normalise what may differ between two sets of machines: addresses, times, random numbers.

Each rule has a pattern, its replacement and the reason. Everything else must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A part of the output that is always written the same way."""

    pattern: str
    written: str
    why: str


RULES = (
    Rule(
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "<uuid>",
        "drawn at random",
    ),
    Rule(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>", "the time of day"),
    Rule(r"\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\b", "<time>", "the time of day"),
    Rule(r"\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|s) ago", "<some time> ago", "the age of an event"),
    Rule(r"\bPID \d+", "PID <n>", "a process id"),
    Rule(r"\}:\d{5}->", "}:<port>->", "the caller's port"),
    Rule(
        r"\b[0-9a-f]{16} +[\d.]+ [kM]?B +[\d.]+ [kM]?B \([\d.]+%\) +[0-9a-f]{16} +\d+ +\d+ +\d+ ",
        "<id> <size> <size> <leader> <index> <term> <index> ",
        "the amount of data in etcd",
    ),
    Rule(r"\b[0-9a-f]{16}\b", "<id>", "a random id of an etcd member"),
    Rule(
        r"(?m)^(\S* +[a-z0-9-]+ +[A-Z][A-Za-z]+ +\S+) +\d+\b",
        r"\1 <version>",
        "how often a resource has changed",
    ),
    Rule(r"(?m)^( +version:) \d+$", r"\1 <version>", "how often a resource has changed"),
    Rule(
        r"(?m)^(\s*(?:SHA|Built|Go version|OS/Arch):).*$", r"\1 <build>", "how a program was built"
    ),
    Rule(r"[ \t]{2,}|\t", " ", "columns as wide as an address"),
    Rule(r"(?m)^ | $", "", "columns as wide as an address"),
)


def normalise(text: str, places: Mapping[str, str]) -> str:
    """Return a text with addresses replaced by their names, and random values by placeholders."""
    # Longest first, because one address may be a prefix of another.
    for name, value in sorted(places.items(), key=lambda place: -len(place[1])):
        text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\d|\.\d)", f"{{{name}}}", text)
    for rule in RULES:
        text = re.sub(rule.pattern, rule.written, text)
    # Lists of machines follow the order of etcd's member ids, which are random.
    return re.sub(
        r'\["[^\]]*"\]', lambda listed: "[" + " ".join(sorted(listed[0][1:-1].split())) + "]", text
    )
