"""What Flux is told to reconcile: the GitRepository and the Kustomization of bootstrap/<name>/resources/."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firstlight.definition import document
from firstlight.definition.apiversion import check_api_version
from firstlight.definition.model import FluxSync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings

BRANCH = "main"
"""The story's branch: what is merged is what runs."""

_SSH_URL = re.compile(r"ssh://[^@/\s]+@[^/\s]+/\S+")
_SCP_URL = re.compile(r"(?P<user>[^@/\s]+)@(?P<host>[^:/\s]+):(?P<path>[^/\s]\S*)")


def read_sync(root: Path, folder: Path, name: str, findings: Findings) -> FluxSync | None:
    """Return what Flux reconciles, or nothing where it cannot be understood; what is wrong is noted."""
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
        check_api_version(found, findings)
    git, flux = _mapping(repository.mapping, "spec"), _mapping(kustomization.mapping, "spec")
    _check_url(repository, git.get("url"), findings)
    _check_branch(repository, git.get("ref"), findings)
    secret = _secret(repository, git, findings)
    _check_path(kustomization, flux.get("path"), f"./clusters/{name}/flux", findings)
    _check_source(kustomization, flux, repository, findings)
    decryption = _decryption(kustomization, flux, findings)
    if findings.count > known:
        return None
    return FluxSync(
        url=git["url"],
        branch=git["ref"]["branch"],
        path=flux["path"],
        repository=_name(repository),
        kustomization=_name(kustomization),
        secret=secret,
        namespace=_namespace(kustomization),
        decryption_secret=decryption,
    )


def _only(objects: list[Document], kind: str, path: Path, findings: Findings) -> Document | None:
    found = [part for part in objects if part.mapping.get("kind") == kind and _name(part)]
    if len(found) == 1:
        return found[0]
    findings.add(
        found[1].path if found else path,
        "",
        f"{len(found)} of them" if found else None,
        rule="sync-object-missing" if not found else "sync-object-twice",
        message=f"the folder must hold exactly one {kind} with a name",
        fix=f"write one {kind} in {path.name}" if not found else f"keep the one in {found[0].path}",
    )
    return None


def _check_url(repository: Document, url: object, findings: Findings) -> None:
    if isinstance(url, str) and _SSH_URL.fullmatch(url):
        return
    scp = _SCP_URL.fullmatch(url) if isinstance(url, str) else None
    findings.add(
        repository.path,
        "spec.url",
        _without_password(url),
        rule="git-url-not-ssh",
        message="the address is no ssh:// URL, and a deploy key works over SSH only",
        fix=f"write ssh://{scp['user']}@{scp['host']}/{scp['path']}"
        if scp
        else "write it like ssh://git@github.com/owner/name.git",
    )


def _without_password(url: object) -> object:
    # https://user:token@host is a common mistake, and the token must not end up in a report.
    return re.sub(r"//[^@/]*@", "//***@", url) if isinstance(url, str) else url


def _check_branch(repository: Document, ref: object, findings: Findings) -> None:
    branch = ref.get("branch") if isinstance(ref, dict) else None
    if branch is None:
        findings.add(
            repository.path,
            "spec.ref.branch",
            None,
            rule="git-branch-missing",
            message="the GitRepository follows no branch",
            fix=f"add `ref: {{branch: {BRANCH}}}`",
        )
    elif branch != BRANCH:
        findings.add(
            repository.path,
            "spec.ref.branch",
            branch,
            rule="git-branch-differs",
            message=f"the GitRepository follows another branch than {BRANCH}",
            fix=f"write `branch: {BRANCH}`",
        )


def _secret(repository: Document, git: Mapping[str, Any], findings: Findings) -> str:
    secret = _mapping(git, "secretRef").get("name")
    if not isinstance(secret, str):
        findings.add(
            repository.path,
            "spec.secretRef.name",
            secret,
            rule="git-secret-missing",
            message="the GitRepository names no Secret, so Flux has no deploy key",
            fix="add `secretRef: {name: flux-system}`",
        )
        return ""
    return secret


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
    reference = _mapping(flux, "sourceRef")
    seen = (
        reference.get("kind"),
        reference.get("namespace", _namespace(kustomization)),
        reference.get("name"),
    )
    wanted = ("GitRepository", _namespace(repository), _name(repository))
    if seen != wanted:
        findings.add(
            kustomization.path,
            "spec.sourceRef",
            "/".join(str(part) for part in seen),
            rule="kustomization-source",
            message="the Kustomization does not take its files from the GitRepository beside it",
            fix=f"write `sourceRef: {{kind: GitRepository, name: {_name(repository)}}}`, in namespace {_namespace(repository)}",
        )


def _decryption(kustomization: Document, flux: Mapping[str, Any], findings: Findings) -> str:
    decryption = _mapping(flux, "decryption")
    secret = _mapping(decryption, "secretRef").get("name")
    if decryption.get("provider") != "sops" or not isinstance(secret, str):
        findings.add(
            kustomization.path,
            "spec.decryption",
            decryption.get("provider"),
            rule="decryption-missing",
            message="the Kustomization cannot decrypt the *.sops.yaml files",
            fix="add `decryption: {provider: sops, secretRef: {name: sops-age}}`",
        )
        return ""
    return secret


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _name(found: Document) -> str:
    name = _mapping(found.mapping, "metadata").get("name")
    return name if isinstance(name, str) else ""


def _namespace(found: Document) -> str:
    return str(_mapping(found.mapping, "metadata").get("namespace", "default"))
