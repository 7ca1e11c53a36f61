"""Diagnostics: what is collected when a criterion failed, so that the failure can be understood without the cluster at hand.

This package only looks, never for long and never at much; it never fails a run, and what it hands out is masked.
"""

from firstlight.diagnostics.collect import Collected, collect
from firstlight.diagnostics.failure import FailedCriterion, Failure

__all__ = ["Collected", "FailedCriterion", "Failure", "collect"]
