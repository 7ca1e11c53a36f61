"""Records on this computer: errors, journal, tool versions, and the logs of the lab."""

from __future__ import annotations

from firstlight.diagnostics.archive import Entries, Omitted, tail_of, text_entry
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure
from firstlight.toolbox import versions

LOGS_MAX = 12


def of_the_run(failure: Failure, _deadline: Deadline) -> Entries:
    """Yield the errors of the failed criteria, the journal and the tools' versions."""
    errors = "\n\n".join(f"{one.title} ({one.id})\n{one.error}" for one in failure.criteria)
    yield text_entry("errors.txt", errors)
    if failure.journal.exists():
        yield tail_of("journal.jsonl", failure.journal)
    else:
        yield Omitted("journal.jsonl", "there is no journal")
    tools = "\n".join(f"{name} {version}" for name, version in versions().items())
    yield text_entry("versions.txt", tools)


def of_the_lab(failure: Failure, _deadline: Deadline) -> Entries:
    """Yield the ends of the lab's logs; real machines have no lab."""
    state = failure.target.state
    # A lab's own container engine keeps its machines' logs here too; Talos is asked for those.
    folders = (
        [folder for folder in state.iterdir() if folder.is_dir() and folder.name != "engine"]
        if state.is_dir()
        else []
    )
    logs = sorted(path for folder in folders for path in folder.rglob("*.log") if path.is_file())
    for path in logs[:LOGS_MAX]:
        yield tail_of(f"lab/{'-'.join(path.relative_to(state).parts)}", path)
    for path in logs[LOGS_MAX:]:
        yield Omitted(f"lab/{path.name}", f"only {LOGS_MAX} logs are kept")
