"""The one flat queue: fits of all studies, equal fits once, in chunks that travel to a worker together.

A chunk holds fits on the same train rows, since these share rows and pipeline prefixes. It aims at a fraction of a second
of work, as fits measured so far go, and shrinks as the queue drains, so that no worker waits while another holds much.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from foldwise.trial import Fit, FitResult

Waiter = Callable[[FitResult], None]

_SECONDS_PER_CHUNK = 0.5
_MOST_FITS = 500
_NEW = 0.2
"""Weight of a new measurement in the running mean of seconds per fit."""


class FitQueue:
    """Fits that wait for a worker, and those that are with one.

    A fit that is asked for again while it waits or runs is not queued again: its result goes to all who asked.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fit]] = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._running: dict[str, Fit] = {}
        self._n_waiting = 0
        self._n_chunks = 0
        self._chunks: dict[str, list[int]] = {}
        self._aside: list[Fit] = []
        self._seconds: float | None = None

    def __len__(self) -> int:
        return self._n_waiting

    @property
    def n_aside(self) -> int:
        """Fits that were put aside."""
        return len(self._aside)

    @property
    def n_chunks(self) -> int:
        """Chunks that are with a worker."""
        return self._n_chunks

    @property
    def chunk_size(self) -> int:
        """Fits that make a chunk, while there are many."""
        if self._seconds is None:
            return 1
        return max(1, min(_MOST_FITS, int(_SECONDS_PER_CHUNK / max(self._seconds, 1e-6))))

    def add(self, fit: Fit, waiter: Waiter) -> bool:
        """Queue a fit; returns False if an equal one waits or runs already."""
        waiters = self._waiters.setdefault(fit.key, [])
        waiters.append(waiter)
        if len(waiters) > 1:
            return False
        self._wait(fit)
        return True

    def next_chunk(self, n_slots: int) -> tuple[Fit, ...]:
        """Take the next chunk: of the train rows that wait longest, and never more than a slot's share of all that waits."""
        train, fits = next(iter(self._waiting.items()))
        size = min(self.chunk_size, len(fits), math.ceil(self._n_waiting / (2 * n_slots)))
        chunk = tuple(fits.popleft() for _ in range(size))
        if not fits:
            del self._waiting[train]
        self._n_waiting -= size
        self._n_chunks += 1
        left = [size]  # shared by the chunk's fits: how many of them are still to come
        for fit in chunk:
            self._running[fit.key] = fit
            self._chunks[fit.key] = left
        return chunk

    def put_aside(self, fits: Iterable[Fit]) -> None:
        """Take fits out of their chunk, since another process is at them, until `take_up`."""
        for fit in fits:
            self._release(fit.key)
            self._aside.append(fit)

    def take_up(self) -> None:
        """Let the fits that were put aside wait again, behind the others."""
        for fit in self._aside:
            self._wait(fit)
        self._aside.clear()

    def running(self, key: str) -> Fit:
        """Return a fit that is with a worker."""
        return self._running[key]

    def settle(self, result: FitResult) -> list[Waiter]:
        """Take a finished fit out, and return who waits for it."""
        if result.key in self._running:
            self._release(result.key)
            self._measure(result)
        return self._waiters.pop(result.key, [])

    def clear(self) -> tuple[str, ...]:
        """Forget all that waits, and return the keys of what runs."""
        self._waiting.clear()
        self._aside.clear()
        self._n_waiting = 0
        return tuple(self._running)

    def _wait(self, fit: Fit) -> None:
        self._waiting.setdefault(fit.train, deque()).append(fit)
        self._n_waiting += 1

    def _release(self, key: str) -> None:
        del self._running[key]
        left = self._chunks.pop(key)
        left[0] -= 1
        self._n_chunks -= left[0] == 0

    def _measure(self, result: FitResult) -> None:
        seconds = result.fit_seconds + sum(result.score_seconds.values())
        self._seconds = seconds if self._seconds is None else (1 - _NEW) * self._seconds + _NEW * seconds
