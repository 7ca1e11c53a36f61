"""Read what Flux applies: the objects of clusters/<name>/flux/ and the sync that points at them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstlight.definition import document, schema
from firstlight.definition.document import mapping_at
from firstlight.definition.model import FluxSync
from firstlight.definition.object_schemas import KUSTOMIZE, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings

BRANCH = "main"
"""The required branch: what is merged is what runs."""

_KUSTOMIZATION = "kustomization.yaml"
_KUSTOMIZE_TYPE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_RENAMING = frozenset(
    ("components", "configurations", "namePrefix", "nameSuffix", "namespace", "transformers")
)
_SSH_URL = re.compile(r"ssh://[^@/\s]+@[^/\s]+/\S+")
_SCP_URL = re.compile(r"(?P<user>[^@/\s]+)@(?P<host>[^:/\s]+):(?P<path>[^/\s]\S*)")

# The versions that Flux 2.7 stores; older ones are deprecated or removed.
_API_VERSIONS: Mapping[str, str] = {
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "Namespace": "v1",
}


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
    """Return the objects that the kustomization of a folder applies, and add problems."""
    applied, renames = _applied_files(root, folder, findings)
    complete = True
    objects: dict[tuple[str, str, str], Document] = {}
    for path in document.yaml_files(root, folder, findings):
        if path.name == _KUSTOMIZATION:
            continue
        known = findings.count
        documents = document.read_documents(root, path, findings)
        complete &= findings.count == known
        for found in documents:
            if not found.kind or not found.name:
                findings.add(
                    path,
                    "",
                    None,
                    rule="no-object",
                    message="a document in the file has no kind or no metadata.name, so it is "
                    "not a Kubernetes object",
                    fix="write an object, or move the file out of the Flux folder",
                )
                continue
            if path not in applied:
                findings.add(
                    path,
                    "",
                    None,
                    rule="not-in-kustomization",
                    message="no kustomization.yaml lists the file, so Flux never applies it",
                    fix=f"add it to `resources` in {path.parent / _KUSTOMIZATION}, which "
                    f"{folder / _KUSTOMIZATION} must reach",
                )
            _check_object(found, findings)
            other = objects.setdefault((found.kind, found.namespace, found.name), found)
            if other is not found and not renames and _group(other) == _group(found):
                findings.add(
                    path,
                    "metadata.name",
                    found.name,
                    rule="object-twice",
                    message=f"{other.path} has the same {found.kind}, so kustomize refuses the "
                    "folder",
                    fix="keep one of them, or rename one",
                )
    return FluxTree(objects, complete)


def _applied_files(root: Path, folder: Path, findings: Findings) -> tuple[set[Path], bool]:
    """Return the files that the folder's kustomization reaches, kustomizations included.

    The second value tells whether one of these changes names or namespaces: then kustomize may use
    the same object twice.
    """
    applied: set[Path] = set()
    listed: dict[Path, Path] = {}
    again: list[tuple[Path, str, object, Path]] = []
    renames = False
    waiting = [folder / _KUSTOMIZATION]
    while waiting:
        path = waiting.pop()
        if path in applied:
            continue
        applied.add(path)
        found = document.read_document(root, path, findings)
        if found is None:
            continue
        _check_kustomization(found, findings)
        renames |= not _RENAMING.isdisjoint(found.mapping)
        for index, name in enumerate(document.list_at(found.mapping, "resources")):
            resource = document.resolve(path, str(name))
            if resource in listed:
                again.append((path, f"resources[{index}]", name, resource))
            listed.setdefault(resource, path)
            if (root / resource).is_dir():
                waiting.append(resource / _KUSTOMIZATION)
            elif (root / resource).is_file():
                applied.add(resource)
            else:
                findings.missing_file(
                    path,
                    field=f"resources[{index}]",
                    value=name,
                    message=f"{resource} does not exist",
                    fix="create the file, or remove the entry",
                )
    for path, field, name, resource in again:
        if path == listed[resource] or not renames:
            findings.add(
                path,
                field,
                name,
                rule="resource-twice",
                message=f"{listed[resource]} lists it already, so kustomize refuses the folder",
                fix="remove one of the entries",
            )
    return applied, renames


def _check_kustomization(found: Document, findings: Findings) -> None:
    schema.check(found.path, found.mapping, KUSTOMIZE, findings)
    for key, wanted in _KUSTOMIZE_TYPE.items():
        # kustomize fills in what is missing.
        if (seen := found.mapping.get(key) or wanted) != wanted:
            findings.add(
                found.path,
                key,
                seen,
                rule="kustomization-type",
                message="kustomize reads the file only as a Kustomization",
                fix=f"write `{key}: {wanted}`",
            )


def _check_object(found: Document, findings: Findings) -> None:
    # The API server would reject it only at the hand-off, after everything else is installed.
    seen, wanted = found.mapping.get("apiVersion"), _API_VERSIONS.get(found.kind)
    if wanted is not None and seen != wanted:
        findings.add(
            found.path,
            "apiVersion",
            seen,
            rule="api-version-differs",
            message=f"Flux 2.7 and Kubernetes 1.35 use another version of {found.kind}",
            fix=f"write `apiVersion: {wanted}`",
        )
    elif found.kind in OBJECTS:
        schema.check(found.path, found.mapping, OBJECTS[found.kind], findings)


def read_sync(root: Path, folder: Path, name: str, findings: Findings) -> FluxSync | None:
    """Return what Flux reconciles, or `None` if it is not valid, and add problems."""
    known = findings.count
    objects = [
        found
        for path in document.yaml_files(root, folder, findings)
        for found in document.read_documents(root, path, findings)
    ]
    repository = _only(objects, "GitRepository", folder / "gitrepository.yaml", findings)
    kustomization = _only(
        objects, "Kustomization", folder / "flux-system-kustomization.yaml", findings
    )
    if repository is None or kustomization is None:
        return None
    for found in (repository, kustomization):
        _check_object(found, findings)
    git, flux = mapping_at(repository.mapping, "spec"), mapping_at(kustomization.mapping, "spec")
    _check_url(repository, git.get("url"), findings)
    _check_branch(repository, git.get("ref"), findings)
    secret = _secret(repository, git, findings)
    _check_path(kustomization, flux.get("path"), f"./clusters/{name}/flux", findings)
    _check_source(kustomization, flux, repository, findings)
    decryption_secret = _decryption_secret(kustomization, flux, findings)
    if findings.count > known:
        return None
    return FluxSync(
        url=git["url"],
        branch=git["ref"]["branch"],
        path=flux["path"],
        repository=repository.name,
        kustomization=kustomization.name,
        secret=secret,
        namespace=_namespace(kustomization),
        decryption_secret=decryption_secret,
    )


def _only(objects: list[Document], kind: str, path: Path, findings: Findings) -> Document | None:
    found = [part for part in objects if part.kind == kind and part.name]
    if len(found) == 1:
        return found[0]
    findings.add(
        found[1].path if found else path,
        "",
        f"{len(found)} of them" if found else None,
        rule="sync-object-missing" if not found else "sync-object-twice",
        message=f"the folder must hold exactly one {kind} with a name",
        fix=f"write one {kind} in {path.name}"
        if not found
        else f"keep only the one in {found[0].path}",
    )
    return None


def _check_url(repository: Document, url: object, findings: Findings) -> None:
    if isinstance(url, str) and _SSH_URL.fullmatch(url):
        return
    scp = _SCP_URL.fullmatch(url) if isinstance(url, str) else None
    findings.add(
        repository.path,
        "spec.url",
        # https://user:token@host is a common mistake; keep the token out of reports.
        re.sub(r"//[^@/]*@", "//***@", url) if isinstance(url, str) else url,
        rule="git-url-not-ssh",
        message="the URL does not start with ssh://, and a deploy key works only over SSH",
        fix=f"write ssh://{scp['user']}@{scp['host']}/{scp['path']}"
        if scp
        else "write it like ssh://git@github.com/owner/name.git",
    )


def _check_branch(repository: Document, ref: object, findings: Findings) -> None:
    branch = document.value_at(ref, "branch")
    if branch is None:
        findings.add(
            repository.path,
            "spec.ref.branch",
            None,
            rule="git-branch-missing",
            message="the GitRepository does not name a branch",
            fix=f"add `ref: {{branch: {BRANCH}}}`",
        )
    elif branch != BRANCH:
        findings.add(
            repository.path,
            "spec.ref.branch",
            branch,
            rule="git-branch-differs",
            message=f"the GitRepository does not follow {BRANCH}",
            fix=f"write `branch: {BRANCH}`",
        )


def _secret(repository: Document, git: Mapping[str, Any], findings: Findings) -> str:
    secret = document.value_at(git, "secretRef", "name")
    if isinstance(secret, str):
        return secret
    findings.add(
        repository.path,
        "spec.secretRef.name",
        secret,
        rule="git-secret-missing",
        message="the GitRepository names no Secret, so Flux has no deploy key",
        fix="add `secretRef: {name: flux-system}`",
    )
    return ""


def _check_path(kustomization: Document, path: object, wanted: str, findings: Findings) -> None:
    if path != wanted:
        findings.add(
            kustomization.path,
            "spec.path",
            path,
            rule="kustomization-path",
            message="the Kustomization does not apply this cluster's Flux folder",
            fix=f"write `path: {wanted}`",
        )


def _check_source(
    kustomization: Document, flux: Mapping[str, Any], repository: Document, findings: Findings
) -> None:
    reference = mapping_at(flux, "sourceRef")
    namespace = reference.get("namespace", _namespace(kustomization))
    seen = (reference.get("kind"), namespace, reference.get("name"))
    wanted = ("GitRepository", _namespace(repository), repository.name)
    if seen != wanted:
        findings.add(
            kustomization.path,
            "spec.sourceRef",
            "/".join(str(part) for part in seen),
            rule="kustomization-source",
            message="the source of the Kustomization is not the GitRepository in this folder",
            fix=f"write `sourceRef: {{kind: GitRepository, name: {repository.name}}}`, in "
            f"namespace {_namespace(repository)}",
        )


def _decryption_secret(kustomization: Document, flux: Mapping[str, Any], findings: Findings) -> str:
    decryption = mapping_at(flux, "decryption")
    secret = document.value_at(decryption, "secretRef", "name")
    if decryption.get("provider") == "sops" and isinstance(secret, str):
        return secret
    findings.add(
        kustomization.path,
        "spec.decryption",
        decryption.get("provider"),
        rule="decryption-missing",
        message="the Kustomization cannot decrypt the *.sops.yaml files",
        fix="add `decryption: {provider: sops, secretRef: {name: sops-age}}`",
    )
    return ""


def _group(found: Document) -> str:
    return str(found.mapping.get("apiVersion")).rpartition("/")[0]


def _namespace(found: Document) -> str:
    return found.namespace or "default"
