"""Actions: what the bootstrap changes, each checked first and safe to repeat.

This package never waits for readiness (conditions do), and it never resets or deletes anything that
it did not create.
"""

from firstlight.actions.action import Action

__all__ = ["Action"]
