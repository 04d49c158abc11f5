"""Tracebacks of the first failures: each kind once, also of those that the ledger held."""

from foldwise.errors import Failure
from foldwise.events import Counts, FitEnded
from foldwise.executors import SerialExecutor
from foldwise.ledger import MemoryLedger
from foldwise.loop.run import Run
from foldwise.report.tracebacks import FirstTracebacks
from foldwise.testing import FaultyEstimator, small_plan
from foldwise.trial import FitResult


def said(ledger, space):
    heard = []
    Run(small_plan(FaultyEstimator(), space), SerialExecutor(), ledger, listeners=[FirstTracebacks(heard.append)]).execute()
    return heard


def test_each_failure_is_told_once_and_again_by_the_next_run_that_finds_it():
    ledger, space = MemoryLedger(), {"fault": ["none", "raise"]}
    first = said(ledger, space)
    assert len(first) == len(set(first)) > 0
    assert all(text.startswith("a fit failed: ValueError: fault asked for") for text in first)
    assert all("Traceback" in text and "raise ValueError" in text for text in first)
    assert len(said(ledger, space)) > 0


def test_no_more_than_a_few_are_told():
    heard = []
    listener = FirstTracebacks(heard.append)
    for number in range(9):
        error = Failure("ValueError", f"number {number}", "Traceback ...")
        listener(FitEnded(FitResult("key", {}, 0.0, error=error), {}, Counts()))
    assert len(heard) == 5
