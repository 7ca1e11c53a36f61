"""Helm's records: every release, and its history."""

from __future__ import annotations

from firstlight.diagnostics.archive import Entries, output_of
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure
from firstlight.tools.helm import parse_releases
from firstlight.tools.reading import Unreadable


def releases(failure: Failure, deadline: Deadline) -> Entries:
    """Yield the list of releases and the history of each, but no values, which may be secret."""
    listing = ("list", "--all-namespaces", "--all")
    yield output_of("helm/releases.txt", *failure.helm(*listing))
    answer = deadline.run(failure.helm(*listing, "--output", "json"))
    try:
        found = parse_releases(answer.stdout) if answer.ok else []
    except Unreadable:
        found = []
    # Failed releases come first, in case time runs out.
    for release in sorted(found, key=lambda release: release.status == "deployed"):
        yield output_of(
            f"helm/history-{release.namespace}-{release.name}.txt",
            *failure.helm("history", release.name, "--namespace", release.namespace),
        )
        if release.status != "deployed":
            words = ("status", release.name, "--namespace", release.namespace, "--show-resources")
            yield output_of(
                f"helm/status-{release.namespace}-{release.name}.txt", *failure.helm(*words)
            )
