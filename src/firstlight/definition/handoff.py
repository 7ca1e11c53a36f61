"""Rules for the hand-off: what helmfile installs must be the very releases that Flux knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.definition.helmfile import ORDER
from firstlight.definition.shape import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.helmfile import Helmfile, HelmfileRelease
    from firstlight.definition.findings import Findings
    from firstlight.definition.model import Release


def match_releases(helmfile: Helmfile, known: Mapping[str, Release], findings: Findings) -> tuple[Release, ...]:
    """Return the releases in the order in which helmfile installs them; what does not match is noted."""
    matched = []
    for entry in helmfile.apps:
        release = known.get(entry.name)
        if release is None:
            _note_unknown(entry, known, findings)
        elif release.namespace != entry.namespace:
            _note_namespace(entry, release, findings)
        else:
            matched.append(release)
    return tuple(matched)


def _note_unknown(entry: HelmfileRelease, known: Mapping[str, Release], findings: Findings) -> None:
    # A name of the story is right by itself, so a near one on Flux's side is the mistake.
    others = [name for name in known if name not in ORDER]
    near = did_you_mean(entry.name, others if entry.name in ORDER else [*known])
    findings.add(
        entry.path,
        f"{entry.field}.name",
        entry.name,
        rule="release-without-helmrelease",
        message="Flux has no HelmRelease of that name, so it would never take this release over",
        fix=f"did you mean {near} ({known[near].path})?" if near else "add its HelmRelease, or mend the one that cannot be read",
    )


def _note_namespace(entry: HelmfileRelease, release: Release, findings: Findings) -> None:
    findings.add(
        entry.path,
        f"{entry.field}.namespace",
        entry.namespace,
        rule="release-namespace-differs",
        message=f"{release.path} has {entry.name} in {release.namespace or 'no namespace'}, so Flux would install it a second time",
        fix=f"write `namespace: {release.namespace}`, or move the HelmRelease" if release.namespace else "give the HelmRelease a namespace",
    )
