"""Reading YAML files of a definition: every document with its line numbers, and what is wrong with the file itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_DEPTH_MAX = 60
"""No file of ours nests deeper than twenty; a deeper one is damaged or hostile."""
_ENTRIES_MAX = 100_000
"""Aliases of aliases grow exponentially; a whole CRD bundle stays below this number."""
_TEMPLATE_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_YAML_SUFFIX = ".yaml"


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
            path, "", None, rule="missing-file", message="the file is missing", fix=f"write {path} (the README shows its place)"
        )
        return None
    try:
        return (root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        findings.add(
            path, "", _reason(error), rule="unreadable", message="the file cannot be read as UTF-8 text", fix="mend the file"
        )
        return None


def read_documents(root: Path, path: Path, findings: Findings) -> tuple[Document, ...]:
    """Return the YAML documents of a file; empty documents are left out, and what is wrong is noted."""
    text = read_text(root, path, findings)
    return () if text is None else parse_documents(path, text, findings)


def read_document(root: Path, path: Path, findings: Findings) -> Document | None:
    """Return the only YAML document of a file, or nothing with the reason noted."""
    found = findings.problems
    documents = read_documents(root, path, findings)
    if len(documents) == 1:
        return documents[0]
    if findings.problems == found:
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
    loader = yaml.SafeLoader(text) if _loadable(path, text, findings) else None
    documents: list[Document] = []
    try:
        while loader is not None and loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            scan = _Scan(path, findings)
            scan.visit(node, "", 0)
            if scan.broken:
                return tuple(documents)
            data = loader.construct_document(node)
            if data is not None:
                documents.append(Document(path, data, scan.lines))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML answers an impossible date or number with a bare ValueError, and deep nesting with RecursionError.
        _note_not_yaml(path, error, findings)
    finally:
        if loader is not None:
            loader.dispose()
    return tuple(documents)


def without_templates(text: str) -> str:
    """Return a Go template as text that YAML can read.

    A line that holds nothing but template actions goes away; inside other lines an action becomes a word. Line
    numbers stay what they were.
    """
    lines = []
    for line in _TEMPLATE_ACTION.sub(_placeholder, text).splitlines():
        bare = line.replace("TEMPLATE", "").strip()
        lines.append("" if not bare and "TEMPLATE" in line else line)
    return "\n".join(lines) + "\n"


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


@dataclass(slots=True)
class _Scan:
    """One walk over a document's nodes, before it becomes data: lines, duplicate keys, size."""

    path: Path
    findings: Findings
    lines: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    broken: bool = False

    def visit(self, node: yaml.Node, name: str, depth: int) -> None:
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
            name.split(".", 1)[0],
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


def _loadable(path: Path, text: str, findings: Findings) -> bool:
    try:
        yaml.SafeLoader(text).dispose()
    except yaml.YAMLError as error:
        _note_not_yaml(path, error, findings)
        return False
    return True


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
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # The problem alone: PyYAML's full text repeats lines of the file, which may hold a secret.
    return str(getattr(error, "problem", None) or type(error).__name__)


def _placeholder(action: re.Match[str]) -> str:
    return "TEMPLATE" + "\n" * action.group().count("\n")
