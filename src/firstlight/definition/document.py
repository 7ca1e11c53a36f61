"""Reading YAML files of a definition: every document with its line numbers, and what is wrong with the file itself."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_NESTING_MARKS_MAX = 5_000
"""A tenth of what overflows a usual stack; our longest file has two hundred."""
_TEMPLATE_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_YAML_SUFFIX = ".yaml"

TEMPLATE_WORD = "TEMPLATE"
"""What stands for a template action in text that is read without it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        path: Its file, relative to the root of the definition.
        data: Its content as plain Python data.
        lines: The line, counted from 1, on which each field stands, by its dotted name.
    """

    path: Path
    data: Any
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The content if it is a mapping, else an empty one."""
        return self.data if isinstance(self.data, dict) else {}

    def line(self, name: str) -> int:
        """Return the line of a field, 0 if it is not there."""
        return self.lines.get(name, 0)


def read_text(root: Path, path: Path, findings: Findings) -> str | None:
    """Return the text of a file, or nothing with the reason noted."""
    if not (root / path).is_file():
        findings.add(
            path,
            "",
            None,
            rule="missing-file",
            message="the file is missing",
            fix="write it; another cluster's may serve as a pattern",
        )
        return None
    try:
        return (root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        findings.add(
            path,
            "",
            _reason(error),
            rule="unreadable",
            message="the file cannot be read as UTF-8 text",
            fix="mend the file",
        )
        return None


def read_documents(root: Path, path: Path, findings: Findings) -> tuple[Document, ...]:
    """Return the YAML documents of a file; empty documents are left out, and what is wrong is noted."""
    text = read_text(root, path, findings)
    return () if text is None else parse_documents(path, text, findings)


def read_document(root: Path, path: Path, findings: Findings) -> Document | None:
    """Return the only YAML document of a file, or nothing with the reason noted."""
    known = findings.count
    documents = read_documents(root, path, findings)
    if len(documents) == 1:
        return documents[0]
    if findings.count == known:
        findings.add(
            path,
            "",
            f"{len(documents)} documents",
            rule="one-document",
            message="the file must hold exactly one YAML document",
            fix="write one document, without further `---` lines",
        )
    return None


def parse_documents(path: Path, text: str, findings: Findings) -> tuple[Document, ...]:
    """Return the YAML documents of a text; what is wrong with it is noted."""
    documents: list[Document] = []
    constructor = yaml.SafeLoader("")
    try:
        for node in _nodes(text):
            scan = Scan(path, findings)
            scan.visit(node)
            if scan.broken:
                break
            data = constructor.construct_document(node)
            if data is not None:
                documents.append(Document(path, data, scan.lines))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML answers an impossible date or number with a bare ValueError, and deep nesting with RecursionError.
        _note_not_yaml(path, error, findings)
    return tuple(documents)


def _nodes(text: str) -> list[yaml.Node]:
    """Return the nodes of each document: by libyaml, which is ten times faster, and by PyYAML itself where that fails.

    Thus an error always reads the same, whether the machine's PyYAML has libyaml or not. libyaml's binding recurses on
    the C stack, so a text that could nest very deeply is left to PyYAML, which gives up in time.
    """
    if max(text.count(mark) for mark in "[{-") <= _NESTING_MARKS_MAX:
        with suppress(yaml.YAMLError):
            return _composed(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return _composed(text, yaml.SafeLoader)


def _composed(text: str, loader: type[yaml.SafeLoader]) -> list[yaml.Node]:
    return [node for node in yaml.compose_all(text, Loader=loader) if node is not None]


def without_templates(text: str) -> str:
    """Return a Go template as text that YAML can read.

    A line that holds nothing but template actions goes away; inside other lines an action becomes a word. Line
    numbers stay what they were.
    """
    lines = []
    for line in _TEMPLATE_ACTION.sub(_placeholder, text).splitlines():
        bare = line.replace(TEMPLATE_WORD, "").strip()
        lines.append("" if not bare and TEMPLATE_WORD in line else line)
    return "\n".join(lines) + "\n"


def leaves(data: Any, name: str) -> list[tuple[str, Any]]:
    """Return every leaf of nested data with its dotted name."""
    if isinstance(data, dict):
        return [
            leaf
            for key, value in data.items()
            for leaf in leaves(value, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(data, list):
        return [
            leaf for index, value in enumerate(data) for leaf in leaves(value, f"{name}[{index}]")
        ]
    return [(name, data)]


def yaml_files(root: Path, folder: Path, findings: Findings) -> Iterator[Path]:
    """Yield the YAML files below a folder, sorted, relative to the root; a `.yml` file is noted."""
    for file in sorted((root / folder).rglob("*")):
        path = file.relative_to(root)
        # clusterconfig/ holds generated machine configs, which Git ignores.
        if "clusterconfig" in path.parts or not file.is_file():
            continue
        if file.suffix == ".yml":
            findings.add(
                path,
                "",
                None,
                rule="yml-file-name",
                message="the file name ends in .yml",
                fix=f"rename it to {path.with_suffix(_YAML_SUFFIX).name}",
            )
        elif file.suffix == _YAML_SUFFIX:
            yield path


def _note_not_yaml(path: Path, error: Exception, findings: Findings) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    findings.add(
        path,
        "",
        f"{where}{_reason(error)}",
        rule="not-yaml",
        message="the file is not valid YAML",
        fix="mend it there (often an indent, a quote or a tab)",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is no UTF-8"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    if isinstance(error, ValueError):
        return "a date or a number in it is impossible"
    # The problem alone: PyYAML's full text repeats lines of the file, which may hold a secret.
    return str(getattr(error, "problem", None) or type(error).__name__)


def _placeholder(action: re.Match[str]) -> str:
    return TEMPLATE_WORD + "\n" * action.group().count("\n")
