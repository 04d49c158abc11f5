"""Tracebacks of a run's first failures, for those who cannot look at the worker."""

from __future__ import annotations

from collections.abc import Callable

from foldwise.events import Event, FitEnded

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
        """Hear of an event."""
        if not isinstance(event, FitEnded) or len(self._seen) >= _MOST:
            return
        failure = event.result.failure_on(*event.result.score_errors)
        if failure is None or (failure.kind, failure.message) in self._seen:
            return
        self._seen.add((failure.kind, failure.message))
        self._say(f"a fit failed: {failure}\n{failure.traceback}".rstrip())
