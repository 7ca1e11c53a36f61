"""Diagnostics: evidence about a failed stage, so that it can be understood without the cluster.

This package only reads, within a bounded time and size. It never fails a run, and masks its output.
"""

from firstlight.diagnostics.collect import Collected, collect
from firstlight.diagnostics.failure import FailedCriterion, Failure

__all__ = ["Collected", "FailedCriterion", "Failure", "collect"]
