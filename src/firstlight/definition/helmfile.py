"""What helmfile installs before Flux: the releases of 00-crds.yaml and 01-apps.yaml, and their order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from firstlight.definition import document
from firstlight.definition.shape import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

ORDER = ("cilium", "coredns", "spegel", "cert-manager", "flux")
"""The order of the story: no pod runs without the CNI, no name resolves without DNS, and Flux takes over at the end."""

_CRDS = "00-crds.yaml"
_APPS = "01-apps.yaml"


@dataclass(frozen=True, slots=True)
class HelmfileRelease:
    """One entry under `releases:`.

    Attributes:
        name: The release's name.
        namespace: The release's namespace.
        needs: What must be installed before, as `namespace/name`.
        field: Its dotted name in the file.
        path: The file.
    """

    name: str
    namespace: str
    needs: tuple[str, ...]
    field: str
    path: Path

    @property
    def identity(self) -> str:
        """The release as `needs` names it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Helmfile:
    """The releases of the two phases, in the order of the files."""

    crds: tuple[HelmfileRelease, ...]
    apps: tuple[HelmfileRelease, ...]


def read_helmfile(root: Path, folder: Path, findings: Findings) -> Helmfile:
    """Return the releases of a bootstrap folder; what is wrong is noted."""
    _check_phases(root, folder / "helmfile.yaml", findings)
    crds = _read(root, folder / "helmfile.d" / _CRDS, findings)
    apps_path = folder / "helmfile.d" / _APPS
    apps = _read(root, apps_path, findings)
    if apps is not None:
        _check_complete(apps_path, apps, findings)
        _check_order(apps_path, apps, findings)
    return Helmfile(crds or (), apps or ())


def _read(root: Path, path: Path, findings: Findings) -> tuple[HelmfileRelease, ...] | None:
    text = document.read_text(root, path, findings)
    if text is None:
        return None
    # helmfile accepts Go templates anywhere in its files; names, namespaces and needs must be readable without them.
    known = findings.count
    documents = document.parse_documents(path, document.without_templates(text), findings)
    entries: Any = [entry for found in documents for entry in _list_of(found, "releases")]
    if findings.count > known:
        return None
    if not entries:
        findings.add(
            path,
            "releases",
            None,
            rule="no-releases",
            message="the file lists no releases",
            fix="write `releases:` as plain YAML, outside of template actions",
        )
        return None
    releases = [
        _release(path, f"releases[{index}]", entry, findings) for index, entry in enumerate(entries)
    ]
    whole = tuple(release for release in releases if release is not None)
    # With a release missing, the order of the others would be found wrong as well.
    return whole if len(whole) == len(releases) else None


def _list_of(found: document.Document, key: str) -> list[Any]:
    entries = found.mapping.get(key)
    return entries if isinstance(entries, list) else []


def _release(path: Path, field: str, entry: object, findings: Findings) -> HelmfileRelease | None:
    data: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    for key in ("name", "namespace"):
        value = data.get(key)
        if not isinstance(value, str) or document.TEMPLATE_WORD in value:
            findings.add(
                path,
                f"{field}.{key}",
                None if value is None else "a template" if isinstance(value, str) else value,
                rule="release-unreadable",
                message=f"the release's {key} is not written out",
                fix=f"write `{key}:` as plain text",
            )
            return None
    needs = data.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        findings.add(
            path,
            f"{field}.needs",
            needs,
            rule="wrong-type",
            message="the value must be a list of namespace/name",
            fix="write it as a list, like `- kube-system/cilium`",
        )
        # Taken as it was meant, so that the order is not found wrong as well.
        needs = [needs] if isinstance(needs, str) else []
    return HelmfileRelease(data["name"], data["namespace"], tuple(needs), field, path)


def _check_complete(path: Path, apps: tuple[HelmfileRelease, ...], findings: Findings) -> None:
    names = [release.name for release in apps]
    for name in ORDER:
        if name not in names:
            near = did_you_mean(name, [other for other in names if other not in ORDER])
            findings.add(
                path,
                "releases",
                near or None,
                rule="release-missing",
                message=f"the release {name} is missing",
                fix=f"rename {near} to {name}"
                if near
                else f"add it, after {_predecessor(name) or 'nothing'}",
            )
    identities = {release.identity for release in apps}
    for release in apps:
        for index, need in enumerate(release.needs):
            if need not in identities:
                namesakes = [
                    identity
                    for identity in sorted(identities)
                    if identity.endswith(f"/{need.rsplit('/', 1)[-1]}")
                ]
                near = did_you_mean(need, namesakes or sorted(identities))
                findings.add(
                    path,
                    f"{release.field}.needs[{index}]",
                    need,
                    rule="unknown-need",
                    message=f"{release.name} needs a release that the file does not have",
                    fix=f"did you mean {near}?"
                    if near
                    else "write namespace/name of a release above",
                )


def _check_order(path: Path, apps: tuple[HelmfileRelease, ...], findings: Findings) -> None:
    by_name = {release.name: release for release in apps}
    for name in ORDER[1:]:
        release, before = by_name.get(name), by_name.get(_predecessor(name))
        if release is None or before is None:
            continue
        if before.identity not in _all_needs(release, apps):
            findings.add(
                path,
                f"{release.field}.needs",
                ", ".join(release.needs) or None,
                rule="release-order",
                message=f"{name} does not wait for {before.name}; the order is {' → '.join(ORDER)}",
                fix=f"add `- {before.identity}` to its `needs`",
            )
        elif apps.index(release) < apps.index(before):
            findings.add(
                path,
                release.field,
                name,
                rule="release-order",
                message=f"{name} stands before {before.name}, which it waits for",
                fix=f"move it below {before.name}, so that the file reads in the order of installation",
            )


def _all_needs(release: HelmfileRelease, apps: tuple[HelmfileRelease, ...]) -> set[str]:
    by_identity = {other.identity: other for other in apps}
    needs: set[str] = set()
    waiting = list(release.needs)
    while waiting:
        need = waiting.pop()
        if need not in needs:
            needs.add(need)
            waiting += by_identity[need].needs if need in by_identity else ()
    return needs


def _predecessor(name: str) -> str:
    place = ORDER.index(name)
    return ORDER[place - 1] if place else ""


def _check_phases(root: Path, path: Path, findings: Findings) -> None:
    text = document.read_text(root, path, findings)
    if text is None:
        return
    documents = document.parse_documents(path, document.without_templates(text), findings)
    listed = [entry for found in documents for entry in _list_of(found, "helmfiles")]
    paths = [entry.get("path", "") if isinstance(entry, dict) else entry for entry in listed]
    names = [PurePosixPath(str(entry)).name for entry in paths]
    for name in (_CRDS, _APPS):
        if name not in names:
            findings.add(
                path,
                "helmfiles",
                None,
                rule="phase-missing",
                message=f"helmfile.d/{name} is not listed",
                fix=f"add `- path: helmfile.d/{name}`",
            )
    if _CRDS in names and _APPS in names and names.index(_CRDS) > names.index(_APPS):
        findings.add(
            path,
            "helmfiles",
            ", ".join(names),
            rule="crds-not-first",
            message="the CRDs come after the applications, which then find no kind of theirs",
            fix=f"list helmfile.d/{_CRDS} first",
        )
