"""One walk over a YAML document before it becomes data: the line of each field, duplicate keys, and a limit to its size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from firstlight.definition.findings import Findings

_DEPTH_MAX = 60
"""No file of ours nests deeper than twenty; a deeper one is damaged or hostile."""
_ENTRIES_MAX = 100_000
"""Aliases of aliases grow exponentially; a whole CRD bundle stays below this number."""


@dataclass(slots=True)
class Scan:
    """One walk over one document.

    Attributes:
        path: The document's file.
        findings: Takes what is wrong.
        lines: The line, counted from 1, on which each field stands, by its dotted name.
        entries: How many values were visited.
        broken: Whether the document cannot be made into data.
    """

    path: Path
    findings: Findings
    lines: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    broken: bool = False

    def visit(self, node: yaml.Node, name: str = "", depth: int = 0) -> None:
        """Visit a node and all below it."""
        self.entries += 1
        if depth > _DEPTH_MAX or self.entries > _ENTRIES_MAX:
            self._note_size(name)
            return
        self.lines.setdefault(name, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, name, depth)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                if self.broken:
                    return
                self.visit(item, f"{name}[{index}]", depth + 1)

    def _visit_mapping(self, node: yaml.MappingNode, name: str, depth: int) -> None:
        first_lines: dict[str, int] = {}
        for key, value in node.value:
            if self.broken:
                return
            text = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            line = key.start_mark.line + 1
            dotted = f"{name}.{text}" if name else text
            if text in first_lines:
                self.findings.add(
                    self.path,
                    dotted,
                    None,
                    rule="duplicate-key",
                    message=f"the key stands twice, on line {first_lines[text]} and on line {line}",
                    fix="keep one of them: YAML silently takes the last",
                )
            first_lines.setdefault(text, line)
            if not isinstance(key, yaml.ScalarNode) or not isinstance(_key(key), str):
                self._note_key(name, line)
            self.visit(value, dotted, depth + 1)
            self.lines[dotted] = line

    def _note_key(self, name: str, line: int) -> None:
        self.broken = True
        self.findings.add(
            self.path,
            name,
            None,
            rule="key-not-text",
            message=f"the key on line {line} is not text",
            fix="put the key in quotes",
        )

    def _note_size(self, name: str) -> None:
        if self.broken:
            return
        self.broken = True
        self.findings.add(
            self.path,
            re.split(r"[.\[]", name)[0],
            None,
            rule="too-deep",
            message="the file nests too deeply, or an alias holds itself",
            fix="write the values out",
        )


def _key(node: yaml.ScalarNode) -> object:
    if node.tag in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}:
        return node.value
    # A key such as `on` or `1` is legal for Kubernetes data only in quotes; unquoted, YAML makes it a flag or a number.
    return None
