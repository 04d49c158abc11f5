"""Tracebacks of a run's first failures, for those who cannot look at the worker."""

from __future__ import annotations

from collections.abc import Callable

from foldwise.errors import Failure
from foldwise.events import Event, FitEnded, TrialEnded

_MOST = 5


class FirstTracebacks:
    """Says the traceback of a failure when one of its kind and words comes for the first time, of a few at most.

    Parameters
    ----------
    say : callable
        Told each, in one text.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Hear of an event: of fits that ran, and of trials, since the fits of these may have failed in an earlier run."""
        failure: Failure | None = None
        if isinstance(event, FitEnded):
            failure = event.result.failure_on(*event.result.score_errors)
        elif isinstance(event, TrialEnded):
            failure = event.trial.error
        if failure is None or len(self._seen) >= _MOST or (failure.kind, failure.message) in self._seen:
            return
        self._seen.add((failure.kind, failure.message))
        self._say(f"a fit failed: {failure}\n{failure.traceback}".rstrip())
