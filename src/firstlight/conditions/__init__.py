"""What must become true of machines, Kubernetes, releases and Flux.

Every condition is a function that returns a `Condition`. This package never changes anything.
"""

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet

__all__ = ["Condition", "Observation", "holds", "never", "not_yet"]
