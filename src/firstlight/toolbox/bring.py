"""Bring single tools: what set-up leaves alone, for those who need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.lock import locked
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.setup import point, provide, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Pins
    from firstlight.toolbox.progress import Display


def bring(
    names: Sequence[str], pins: Pins, places: Places, environ: Mapping[str, str], display: Display
) -> None:
    """Have these tools in `.tools/bin`, from where set-up has its own: PATH, mise, or a build.

    Raises:
        FirstlightError: There is no such tool, or it cannot be had.
    """
    unknown = [name for name in names if name not in pins.tools]
    if unknown:
        extra = sorted(pins.tools.keys() - pins.usual().tools.keys())
        raise FirstlightError(
            f"cannot bring {', '.join(unknown)}: versions.toml pins no such tool\n  beyond set-up  {', '.join(extra)}"
        )
    with locked(
        places.root / ".tools" / "setup.lock",
        doing="setting up the tools",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ):
        found, failures = provide(pins, places, environ, display, names=names)
        require(found, failures)
        for name, entry in found.items():
            point(places.bin / name, entry.path)
