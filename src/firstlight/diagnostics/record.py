"""What the run and the lab wrote down: errors, journal, versions, and the logs of the lab's own processes."""

from __future__ import annotations

from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Found, reading, saying
from firstlight.toolbox import versions

LOGS_MAX = 12


def of_the_run(failure: Failure, _looking: Looking) -> Found:
    """Yield what failed, in its own words, and the journal."""
    errors = "\n\n".join(f"{one.title} ({one.id})\n{one.said}" for one in failure.criteria)
    yield saying("errors.txt", errors)
    if failure.journal.exists():
        yield reading("journal.jsonl", failure.journal)
    else:
        yield Absent("journal.jsonl", "there is no journal")
    yield saying(
        "versions.txt", "\n".join(f"{name} {version}" for name, version in versions().items())
    )


def of_the_lab(failure: Failure, _looking: Looking) -> Found:
    """Yield the ends of the lab's logs; on real machines there is no lab."""
    state = failure.target.state
    # An engine of the lab's own keeps its machines' logs below the state folder too: those are asked of Talos.
    places = (
        [folder for folder in state.iterdir() if folder.is_dir() and folder.name != "engine"]
        if state.is_dir()
        else []
    )
    logs = sorted(path for folder in places for path in folder.rglob("*.log") if path.is_file())
    for path in logs[:LOGS_MAX]:
        yield reading(f"lab/{'-'.join(path.relative_to(state).parts)}", path)
    for path in logs[LOGS_MAX:]:
        yield Absent(f"lab/{path.name}", f"only {LOGS_MAX} logs are kept")
