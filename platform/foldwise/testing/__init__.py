"""For tests, ours and yours.

Estimators that fail or remember on purpose, executors that finish out of order or judge trials in this process, and the
suites that every search and every executor passes.
"""

from foldwise.testing.conformance import check_executor, check_search, small_plan
from foldwise.testing.estimators import FaultyEstimator, RecordingEstimator
from foldwise.testing.scheduled import SerialScheduledExecutor
from foldwise.testing.scheduled_conformance import check_scheduled_executor, scheduled_plan
from foldwise.testing.shuffled import ShuffledExecutor

__all__ = [
    "FaultyEstimator", "RecordingEstimator", "SerialScheduledExecutor", "ShuffledExecutor", "check_executor",
    "check_scheduled_executor", "check_search", "scheduled_plan", "small_plan",
]  # fmt: skip
