"""For tests, ours and yours.

Estimators that fail or remember on purpose, an executor that finishes out of order, and the suites that every search and
every executor passes.
"""

from foldwise.testing.conformance import check_executor, check_search, small_plan
from foldwise.testing.estimators import FaultyEstimator, RecordingEstimator
from foldwise.testing.shuffled import ShuffledExecutor

__all__ = [
    "FaultyEstimator", "RecordingEstimator", "ShuffledExecutor", "check_executor", "check_search", "small_plan",
]  # fmt: skip
