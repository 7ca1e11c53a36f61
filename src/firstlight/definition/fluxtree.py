"""Every object below clusters/<name>/flux/ that Flux applies, as its kustomization.yaml files say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstlight.definition import document
from firstlight.definition.apiversion import check_api_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings


@dataclass(frozen=True, slots=True)
class FluxTree:
    """Every object that Flux applies.

    Attributes:
        objects: The objects by kind, namespace and name.
        complete: Whether every file could be read.
    """

    objects: Mapping[tuple[str, str, str], Document]
    complete: bool

    def of_kind(self, kind: str) -> tuple[Document, ...]:
        """Return the objects of a kind, in the order of the files."""
        return tuple(found for (of, _, _), found in self.objects.items() if of == kind)


def read_tree(root: Path, folder: Path, findings: Findings) -> FluxTree:
    """Return what the kustomization of a folder applies; what is wrong with its files is noted."""
    applied = _applied_files(root, folder, findings)
    complete = True
    objects: dict[tuple[str, str, str], Document] = {}
    for path in document.yaml_files(root, folder, findings):
        if path.name == "kustomization.yaml":
            continue
        known = findings.count
        documents = document.read_documents(root, path, findings)
        complete &= findings.count == known
        for found in documents:
            kind, metadata = found.mapping.get("kind"), found.mapping.get("metadata")
            if (
                not isinstance(kind, str)
                or not isinstance(metadata, dict)
                or not isinstance(metadata.get("name"), str)
            ):
                _note_no_object(path, findings)
                continue
            if path not in applied:
                _note_not_applied(path, folder, findings)
            check_api_version(found, findings)
            objects[kind, str(metadata.get("namespace", "")), metadata["name"]] = found
    return FluxTree(objects, complete)


def _applied_files(root: Path, folder: Path, findings: Findings) -> set[Path]:
    """Return the files that the folder's kustomization reaches, itself and its like included."""
    applied: set[Path] = set()
    waiting = [folder / "kustomization.yaml"]
    while waiting:
        path = waiting.pop()
        if path in applied:
            continue
        applied.add(path)
        found = document.read_document(root, path, findings)
        resources = found.mapping.get("resources", []) if found else []
        for index, name in enumerate(resources if isinstance(resources, list) else []):
            resource = path.parent / str(name)
            if (root / resource).is_dir():
                waiting.append(resource / "kustomization.yaml")
            elif (root / resource).is_file():
                applied.add(resource)
            else:
                findings.add(
                    path,
                    f"resources[{index}]",
                    name,
                    rule="missing-file",
                    message=f"{resource} does not exist",
                    fix="write the file, or remove the entry",
                )
    return applied


def _note_no_object(path: Path, findings: Findings) -> None:
    findings.add(
        path,
        "",
        None,
        rule="no-object",
        message="a document in it is no Kubernetes object with a kind and a metadata.name",
        fix="write one, or move the file out of the Flux folder",
    )


def _note_not_applied(path: Path, folder: Path, findings: Findings) -> None:
    findings.add(
        path,
        "",
        None,
        rule="not-in-kustomization",
        message="no kustomization.yaml lists the file, so Flux never applies it",
        fix=f"add it to `resources` in {path.parent / 'kustomization.yaml'}, reachable from {folder / 'kustomization.yaml'}",
    )
