"""Actions: what the bootstrap does, each probed before it is done, each safe to do again.

This package never waits for readiness (conditions do), and never resets or deletes what it did not make.
"""

from firstlight.actions.action import Action

__all__ = ["Action"]
