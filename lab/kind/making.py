"""Making the kind cluster once: a half made one is made anew, one that was made otherwise is left for its owner to decide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from firstlight.errors import TargetError
from lab.kind.cli import Kind
from lab.simulated.paths import LabPaths, write_atomic


def make(kind: Kind, config: str, paths: LabPaths, say: Callable[[str], None]) -> bool:
    """Have the cluster, made from exactly this configuration; report whether it had to be made.

    Raises:
        TargetError: It is there and was made from another one.
        ToolFailed: kind cannot make it.
    """
    # kind itself cannot tell a whole cluster from one whose making was killed: this file is written when it came back.
    made, wanted = paths.state / "kind.made", hashlib.sha256(config.encode()).hexdigest()
    exists = kind.exists()
    if exists and made.exists():
        if made.read_text(encoding="ascii") != wanted:
            raise TargetError(
                f"cannot use the kind cluster {kind.name}: it was made from another definition",
                next_step=f"./task kind:down CLUSTER={paths.cluster}, then again",
            )
        return False
    if exists:
        say(f"kind: {kind.name} was left half made, so it is made anew")
        kind.delete()
    made.unlink(missing_ok=True)
    file = paths.state / "kind.yaml"
    write_atomic(file, config)
    say(f"kind: making {kind.name}")
    kind.create(file, say)
    write_atomic(made, wanted)
    return True
