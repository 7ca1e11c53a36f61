"""The pinned command-line tools: find them on PATH, install them, or build them from Go modules.

`tools/versions.toml` pins the versions. The result is `.tools/bin/`, with one link per tool, and
`.tools/charts/`. This package never talks to a cluster and writes only to the checkout and to the
user's cache.
"""

from firstlight.toolbox.check import Checked, check, versions
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import Pins, Tool, load_pins
from firstlight.toolbox.resolve import Origin, Resolved
from firstlight.toolbox.setup import set_up

__all__ = [
    "Checked",
    "Origin",
    "Pins",
    "Resolved",
    "Tool",
    "ToolboxPaths",
    "check",
    "load_pins",
    "set_up",
    "versions",
]
