"""Helm's own records: every release, and the history of those that are not deployed."""

from __future__ import annotations

from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Found, asking
from firstlight.tools.helm import parse_releases
from firstlight.tools.reading import Unreadable


def releases(failure: Failure, looking: Looking) -> Found:
    """Yield the list of releases, and the history of each; a record's values may hold secrets, and are never asked for."""
    listing = ("list", "--all-namespaces", "--all")
    yield asking("helm/releases.txt", *failure.helm(*listing))
    answer = looking.ask(failure.helm(*listing, "--output", "json"))
    try:
        found = parse_releases(answer.stdout) if answer.ok else []
    except Unreadable:
        found = []
    # What failed is of most worth, should the time be short.
    for release in sorted(found, key=lambda release: release.status == "deployed"):
        yield asking(
            f"helm/history-{release.namespace}-{release.name}.txt",
            *failure.helm("history", release.name, "--namespace", release.namespace),
        )
        if release.status != "deployed":
            words = ("status", release.name, "--namespace", release.namespace, "--show-resources")
            yield asking(
                f"helm/status-{release.namespace}-{release.name}.txt", *failure.helm(*words)
            )
