"""The one flat queue: fits of all studies, in the order asked, equal fits once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from foldwise.trial import Fit, FitResult

Waiter = Callable[[FitResult], None]


class FitQueue:
    """Fits that wait for a worker, and those that are with one.

    A fit that is asked for again while it waits or runs is not queued again: its result goes to all who asked.
    """

    def __init__(self) -> None:
        self._waiting: deque[Fit] = deque()
        self._waiters: dict[str, list[Waiter]] = {}
        self._running: dict[str, Fit] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """Fits that are with a worker."""
        return len(self._running)

    def add(self, fit: Fit, waiter: Waiter) -> bool:
        """Queue a fit; returns False if an equal one waits or runs already."""
        waiters = self._waiters.setdefault(fit.key, [])
        waiters.append(waiter)
        if len(waiters) > 1:
            return False
        self._waiting.append(fit)
        return True

    def next_chunk(self) -> tuple[Fit, ...]:
        """Take the fits that travel to a worker together."""
        fit = self._waiting.popleft()
        self._running[fit.key] = fit
        return (fit,)

    def running(self, key: str) -> Fit:
        """Return a fit that is with a worker."""
        return self._running[key]

    def settle(self, result: FitResult) -> list[Waiter]:
        """Take a finished fit out, and return who waits for it."""
        self._running.pop(result.key, None)
        return self._waiters.pop(result.key, [])

    def clear(self) -> tuple[str, ...]:
        """Forget all that waits, and return the keys of what runs."""
        self._waiting.clear()
        return tuple(self._running)
