"""Bring the pinned command-line tools: find them, or have them installed, or build them from their Go modules.

What is pinned stands in tools/versions.toml. The result is `.tools/bin/`, a link per tool, and `.tools/charts/`.
This package never talks to a cluster, never imports pytest and installs nothing outside the checkout and the
user's cache.
"""

from firstlight.toolbox.check import Checked, check, versions
from firstlight.toolbox.paths import Places
from firstlight.toolbox.pins import Pins, Tool, load_pins
from firstlight.toolbox.resolve import Origin, Resolved
from firstlight.toolbox.setup import set_up

__all__ = [
    "Checked",
    "Origin",
    "Pins",
    "Places",
    "Resolved",
    "Tool",
    "check",
    "load_pins",
    "set_up",
    "versions",
]
