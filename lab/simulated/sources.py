"""Flux's source objects, pointed at the lab: only the values that must differ are replaced, every other character stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from lab.simulated.addresses import Endpoints

_KINDS = ("GitRepository", "HelmRepository", "OCIRepository")


def point_at_lab(text: str, lab: Endpoints, git_urls: frozenset[str]) -> str:
    """Return a YAML text whose sources are the lab's.

    Args:
        text: The file as the checkout has it.
        lab: Where the lab's services are.
        git_urls: Remotes that the lab plays; other repositories keep their address.
    """
    if not any(f"kind: {kind}" in text for kind in _KINDS):
        return text
    edits = sorted(_edits(text, lab, git_urls), reverse=True)
    for start, end, new in edits:
        text = text[:start] + new + text[end:]
    return text


def git_urls(texts: Iterator[str]) -> frozenset[str]:
    """Return the addresses of every GitRepository in these YAML texts."""
    found = set()
    for text in texts:
        if "kind: GitRepository" in text:
            for kind, spec in _sources(text):
                url = _value(spec, "url")
                if kind == "GitRepository" and url is not None:
                    found.add(str(url.value))
    return frozenset(found)


def chart_name(url: str) -> str:
    """Return the chart that an OCI address ends with."""
    return url.rstrip("/").rpartition("/")[2]


def lab_url(kind: str, url: str, lab: Endpoints) -> str:
    """Return the lab's counterpart of a chart source's address."""
    if kind == "OCIRepository":
        return f"{lab.registry}/{chart_name(url)}"
    return lab.registry if url.startswith("oci://") else lab.charts_url


def is_yaml(path: Path) -> bool:
    """Whether a file holds YAML as it stands; templates do not."""
    return path.suffix == ".yaml"


def _edits(text: str, lab: Endpoints, git_urls: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    for kind, spec in _sources(text):
        url = _value(spec, "url")
        if url is None:
            continue
        if kind == "GitRepository":
            if url.value in git_urls:
                yield url.start_mark.index, url.end_mark.index, lab.git_url
            continue
        if not lab.serves_charts:
            continue
        new = lab_url(kind, url.value, lab)
        # Only OCI knows the field; a Helm repository says by http:// that it has no TLS.
        needs_insecure = new.startswith("oci://")
        insecure = _value(spec, "insecure")
        if needs_insecure and insecure is not None:
            yield insecure.start_mark.index, insecure.end_mark.index, "true"
        elif needs_insecure:
            new += "\n" + " " * _column(spec, "url") + "insecure: true"
        yield url.start_mark.index, url.end_mark.index, new


def _sources(text: str) -> Iterator[tuple[str, yaml.MappingNode]]:
    for document in yaml.compose_all(text, yaml.SafeLoader):
        if not isinstance(document, yaml.MappingNode):
            continue
        kind = _value(document, "kind")
        spec = next((value for key, value in document.value if key.value == "spec"), None)
        if kind is not None and kind.value in _KINDS and isinstance(spec, yaml.MappingNode):
            yield str(kind.value), spec


def _value(mapping: yaml.MappingNode, name: str) -> yaml.ScalarNode | None:
    found = next((value for key, value in mapping.value if key.value == name), None)
    return found if isinstance(found, yaml.ScalarNode) else None


def _column(mapping: yaml.MappingNode, name: str) -> int:
    return next(int(key.start_mark.column) for key, _ in mapping.value if key.value == name)
