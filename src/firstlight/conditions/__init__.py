"""Conditions: what must be true of machines, Kubernetes, releases and Flux; functions that return a `Condition`.

This package never changes anything.
"""

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet

__all__ = ["Condition", "Observation", "holds", "never", "not_yet"]
