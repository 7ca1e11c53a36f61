"""Rules for the hand-off: what helmfile installs must be the very releases that Flux knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.definition.helmfile import ORDER
from firstlight.definition.shape import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.findings import Findings
    from firstlight.definition.helmfile import Helmfile, HelmfileRelease
    from firstlight.definition.model import Release


def match_releases(
    helmfile: Helmfile, known: Mapping[str, Release | None], findings: Findings, *, complete: bool
) -> tuple[Release, ...]:
    """Return the releases in the order in which helmfile installs them; what does not match is noted.

    Args:
        helmfile: What helmfile installs.
        known: The HelmReleases by name.
        findings: Takes what is wrong.
        complete: Whether all of Flux's files could be read, so that a missing HelmRelease really is missing.
    """
    matched = []
    names = [entry.name for entry in helmfile.apps]
    for entry in helmfile.apps:
        release = known.get(entry.name)
        if entry.name not in known:
            near = _near(entry.name, known)
            # A mistyped name of the story was noted as a missing release.
            if complete and (near not in ORDER or near in names):
                _note_unknown(entry, near, findings)
        elif release is None:
            # Why it cannot be understood was noted where it stands.
            continue
        elif release.namespace != entry.namespace:
            _note_namespace(entry, release, findings)
        else:
            matched.append(release)
    return tuple(matched)


def _near(name: str, known: Mapping[str, Release | None]) -> str:
    # A name of the story is right by itself, so a near one on Flux's side is the mistake.
    return did_you_mean(name, [other for other in known if name not in ORDER or other not in ORDER])


def _note_unknown(entry: HelmfileRelease, near: str, findings: Findings) -> None:
    findings.add(
        entry.path,
        f"{entry.field}.name",
        entry.name,
        rule="release-without-helmrelease",
        message="Flux has no HelmRelease of that name, so it would never take this release over",
        fix=f"did you mean {near}?" if near else "add its HelmRelease",
    )


def _note_namespace(entry: HelmfileRelease, release: Release, findings: Findings) -> None:
    findings.add(
        entry.path,
        f"{entry.field}.namespace",
        entry.namespace,
        rule="release-namespace-differs",
        message=f"{release.path} has {entry.name} in {release.namespace or 'no namespace'}, so Flux would install it a second time",
        fix=f"write `namespace: {release.namespace}`, or move the HelmRelease"
        if release.namespace
        else "give the HelmRelease a namespace",
    )
