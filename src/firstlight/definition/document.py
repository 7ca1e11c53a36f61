"""Read YAML files: their documents, the line of each field, and problems of the file itself."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.model import GENERATED_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.findings import Findings

TEMPLATE_WORD = "TEMPLATE"
"""Replaces a template action in text that is read without rendering it."""

_DEPTH_MAX = 60
"""None of our files nests deeper than twenty levels; a deeper one is damaged or hostile."""
_ENTRIES_MAX = 100_000
"""Aliases of aliases grow exponentially; even a whole CRD bundle has fewer values than this."""
_NESTING_MARKS_MAX = 5_000
"""A tenth of what overflows a typical stack; our longest file has two hundred."""
_TEMPLATE_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_TEXT_KEY_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "merge", "value"))
_YAML_SUFFIX = ".yaml"


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        path: Its file, relative to the root of the definition.
        data: Its content as plain Python data.
        lines: The line of each field, counted from 1, by dotted name.
    """

    path: Path
    data: Any
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The content if it is a mapping, otherwise an empty mapping."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def kind(self) -> str:
        """The Kubernetes kind; empty if the document has none."""
        return _text(self.mapping.get("kind"))

    @property
    def name(self) -> str:
        """The Kubernetes name; empty if the document has none."""
        return _text(value_at(self.mapping, "metadata", "name"))

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace; empty if the document has none."""
        return _text(value_at(self.mapping, "metadata", "namespace"))

    def line(self, name: str) -> int:
        """Return the line of a field, 0 if the document does not have it."""
        return self.lines.get(name, 0)


def value_at(data: Any, *keys: str) -> Any:
    """Return a nested value, `None` where a key is missing or its parent is not a mapping."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def mapping_at(data: Any, *keys: str) -> Mapping[str, Any]:
    """Return a nested mapping, or an empty one if it is missing."""
    value = value_at(data, *keys)
    return value if isinstance(value, dict) else {}


def list_at(data: Any, *keys: str) -> list[Any]:
    """Return a nested list, or an empty one if it is missing."""
    value = value_at(data, *keys)
    return value if isinstance(value, list) else []


def leaves(data: Any, name: str) -> list[tuple[str, Any]]:
    """Return each leaf of nested data with its dotted name."""
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


def read_text(root: Path, path: Path, findings: Findings) -> str | None:
    """Return the text of a file, or `None` after adding the problem."""
    if not (root / path).is_file():
        findings.missing_file(path, fix="create it; copy another cluster's file as a start")
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
            fix="make it readable and save it as UTF-8",
        )
        return None


def read_documents(root: Path, path: Path, findings: Findings) -> tuple[Document, ...]:
    """Return the YAML documents of a file without the empty ones, and add its problems."""
    text = read_text(root, path, findings)
    return () if text is None else parse_documents(path, text, findings)


def read_document(root: Path, path: Path, findings: Findings) -> Document | None:
    """Return the only YAML document of a file, or `None` after adding the problem."""
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
    """Return the YAML documents of a text, and add its problems."""
    documents: list[Document] = []
    constructor = yaml.SafeLoader("")
    try:
        for node in _nodes(text):
            scan = _Scan(path, findings)
            scan.visit(node)
            if scan.broken:
                break
            data = constructor.construct_document(node)
            if data is not None:
                documents.append(Document(path, data, scan.lines))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML raises a bare ValueError for an impossible date or number.
        _add_not_yaml(path, error, findings)
    return tuple(documents)


def without_templates(text: str) -> str:
    """Return a Go template as text that YAML can read, with the same line numbers.

    A line that holds only template actions becomes empty; elsewhere an action becomes a word.
    """
    lines = []
    for line in _TEMPLATE_ACTION.sub(_placeholder, text).splitlines():
        bare = line.replace(TEMPLATE_WORD, "").strip()
        lines.append("" if not bare and TEMPLATE_WORD in line else line)
    return "\n".join(lines) + "\n"


def files_below(root: Path, folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted and relative to the root, without generated ones."""
    for file in sorted((root / folder).rglob("*")):
        path = file.relative_to(root)
        if GENERATED_FOLDER not in path.parts and file.is_file():
            yield path


def yaml_files(root: Path, folder: Path, findings: Findings) -> Iterator[Path]:
    """Yield the YAML files below a folder, sorted, and add a problem for each `.yml` file."""
    for path in files_below(root, folder):
        if path.suffix == ".yml":
            findings.add(
                path,
                "",
                None,
                rule="yml-file-name",
                message="the file name ends in .yml",
                fix=f"rename it to {path.with_suffix(_YAML_SUFFIX).name}",
            )
        elif path.suffix == _YAML_SUFFIX:
            yield path


def resolve(path: Path, name: str) -> Path:
    """Return the path that a file means by a relative name; it never leaves the root."""
    parts: list[str] = list(path.parent.parts)
    for part in Path(name).parts:
        if part == "..":
            parts = parts[:-1]
        elif part not in {".", "/"}:
            parts.append(part)
    return Path(*parts)


@dataclass(slots=True)
class _Scan:
    """Walk the nodes of one document: record lines, find duplicate keys, limit the size.

    Attributes:
        path: The document's file.
        findings: Receives the problems.
        lines: The line of each field, counted from 1, by dotted name.
        entries: How many values were visited.
        broken: Whether the document cannot become data.
    """

    path: Path
    findings: Findings
    lines: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    broken: bool = False

    def visit(self, node: yaml.Node, name: str = "", depth: int = 0) -> None:
        """Visit a node and everything below it."""
        self.entries += 1
        if depth > _DEPTH_MAX or self.entries > _ENTRIES_MAX:
            self._add_too_deep(name)
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
                    message=f"the key appears twice, on lines {first_lines[text]} and {line}",
                    fix="keep one of them: YAML silently uses the last",
                )
            first_lines.setdefault(text, line)
            # Unquoted, YAML reads a key such as `on` or `1` as a boolean or a number.
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXT_KEY_TAGS:
                self._add_key_not_text(name, line)
            self.visit(value, dotted, depth + 1)
            self.lines[dotted] = line

    def _add_key_not_text(self, name: str, line: int) -> None:
        self.broken = True
        self.findings.add(
            self.path,
            name,
            None,
            rule="key-not-text",
            message=f"the key on line {line} is not a string",
            fix="quote the key",
        )

    def _add_too_deep(self, name: str) -> None:
        if self.broken:
            return
        self.broken = True
        self.findings.add(
            self.path,
            re.split(r"[.\[]", name)[0],
            None,
            rule="too-deep",
            message="the file nests too deeply, or an alias contains itself",
            fix="write the values out instead of using aliases",
        )


def _nodes(text: str) -> list[yaml.Node]:
    """Return the root node of each document.

    libyaml is ten times faster than PyYAML's own parser, which is used only when libyaml fails: its
    errors read the same on every machine. libyaml recurses on the C stack, so text that may nest
    very deeply goes to PyYAML directly, which gives up in time.
    """
    if max(text.count(mark) for mark in "[{-") <= _NESTING_MARKS_MAX:
        with suppress(yaml.YAMLError):
            return _composed(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return _composed(text, yaml.SafeLoader)


def _composed(text: str, loader: type[yaml.SafeLoader]) -> list[yaml.Node]:
    return [node for node in yaml.compose_all(text, Loader=loader) if node is not None]


def _add_not_yaml(path: Path, error: Exception, findings: Findings) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    findings.add(
        path,
        "",
        f"{where}{_reason(error)}",
        rule="not-yaml",
        message="the file is not valid YAML",
        fix="correct it there (often the indentation, a quote or a tab)",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, RecursionError):
        return "nesting is too deep"
    if isinstance(error, ValueError):
        return "a date or number is impossible"
    # Only the problem: PyYAML's full text quotes lines of the file, which may hold a secret.
    return str(getattr(error, "problem", None) or type(error).__name__)


def _placeholder(action: re.Match[str]) -> str:
    return TEMPLATE_WORD + "\n" * action.group().count("\n")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
