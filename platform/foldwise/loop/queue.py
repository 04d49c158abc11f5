"""The one flat queue: fits of all studies, equal fits once, in chunks that travel to a worker together.

Fits on the same train rows wait in one lane, since they share rows and pipeline prefixes; a chunk is taken from one lane,
neighbours first. It aims at a second of work, as fits measured so far go, and shrinks as the queue drains, so
that no worker waits while another holds much; but it is not cut so small that workers mostly repeat what fits share.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from foldwise.trial import Fit, FitResult, Params


class Waiter(NamedTuple):
    """Who waits for a fit.

    Parameters
    ----------
    owner : str
        To whom the answer goes.
    study : str
        For which study.
    ticket : object
        What the owner knows the answer by.
    """

    owner: str
    study: str
    ticket: Any


_SECONDS_PER_CHUNK = 1.0
_LEAST_SECONDS = 0.02
"""Work below which a chunk mostly costs its journey."""
_MOST_FITS = 500
_NEW = 0.2
"""Weight of a new measurement in a running mean."""
_CHUNKS_LEFT = 4
"""Chunks per worker that what waits is always cut into, so that the last ones are small."""
_LOOK_AHEAD = 64
"""Lanes that are compared when the next chunk is taken."""


@dataclass
class _Lane:
    """Fits on the same train rows that wait for a worker, and the studies that wait for them."""

    waiting: deque[Fit] = field(default_factory=deque)
    studies: set[str] = field(default_factory=set)
    is_sorted: bool = True


@dataclass
class _Chunk:
    """A chunk that is with a worker: how much of it is still to come, and how long what is there took."""

    train: str
    left: int
    shared_seconds: float = 0.0


class FitQueue:
    """Fits that wait for a worker, and those that are with one.

    A fit that is asked for again while it waits or runs is not queued again: its result goes to all who asked.

    Parameters
    ----------
    order_of : callable, optional
        Params -> what to sort a lane by, so that fits with equal pipeline prefixes are neighbours.
    """

    def __init__(self, order_of: Callable[[Params], Any] | None = None) -> None:
        self._order_of = order_of
        self._lanes: dict[str, _Lane] = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._running: dict[str, tuple[Fit, _Chunk]] = {}
        self._wanted: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._n_waiting = self._n_chunks = 0
        self._aside: list[Fit] = []
        self._seconds: float | None = None
        self._shared_seconds: float | None = None

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
    def is_measured(self) -> bool:
        """Whether it is known how long fits take; until then there is no use in sending more than are run at once."""
        return self._seconds is not None

    @property
    def chunk_size(self) -> int:
        """Fits that make a chunk, while there are many."""
        if self._seconds is None:
            return 1
        return max(1, min(_MOST_FITS, math.ceil(_SECONDS_PER_CHUNK / max(self._seconds, 1e-6))))

    def add(self, fit: Fit, waiter: Waiter) -> bool:
        """Queue a fit that somebody waits for; returns False if an equal one waits or runs already."""
        self._wanted[waiter.study] += 1
        waiters = self._waiters.setdefault(fit.key, [])
        waiters.append(waiter)
        if len(waiters) > 1:
            if fit.train in self._lanes:
                self._lanes[fit.train].studies.add(waiter.study)
            return False
        self._wait(fit)
        return True

    def withdraw(self, fit: Fit, waiter: Waiter) -> None:
        """Take back that somebody waits for a fit; if nobody else does and no worker has it, it leaves the queue."""
        waiters = self._waiters.get(fit.key, [])
        if waiter not in waiters:
            return
        waiters.remove(waiter)
        self._wanted[waiter.study] -= 1
        if waiters or fit.key in self._running:
            return
        del self._waiters[fit.key]
        lane = self._lanes.get(fit.train)
        kept = deque(one for one in lane.waiting if one.key != fit.key) if lane is not None else deque()
        if lane is not None and len(kept) < len(lane.waiting):
            lane.waiting = kept
            self._n_waiting -= 1
            if not kept:
                del self._lanes[fit.train]
        self._aside = [one for one in self._aside if one.key != fit.key]

    def next_chunk(self, n_workers: int) -> tuple[Fit, ...]:
        """Take the next chunk, from the lane that comes next; so many fits run at once."""
        train = self._next_lane()
        lane = self._lanes[train]
        if not lane.is_sorted and self._order_of is not None:
            order_of = self._order_of
            lane.waiting = deque(sorted(lane.waiting, key=lambda fit: order_of(fit.params)))
            lane.is_sorted = True
        fits = tuple(lane.waiting.popleft() for _ in range(self._size(len(lane.waiting), n_workers)))
        if not lane.waiting:
            del self._lanes[train]
        self._n_waiting -= len(fits)
        self._n_chunks += 1
        self._busy[train] += 1
        chunk = _Chunk(train, len(fits))
        self._running.update((fit.key, (fit, chunk)) for fit in fits)
        return fits

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
        return self._running[key][0]

    def settle(self, result: FitResult) -> list[Waiter]:
        """Take a finished fit out, and return who waits for it."""
        if result.key in self._running:
            _, chunk = self._running[result.key]
            self._measure(result, chunk)
            self._release(result.key)
        waiters = self._waiters.pop(result.key, [])
        self._wanted.subtract(waiter.study for waiter in waiters)
        return waiters

    def clear(self) -> frozenset[str]:
        """Forget all that waits, and return the keys of what runs."""
        self._lanes.clear()
        self._aside.clear()
        self._n_waiting = 0
        return frozenset(self._running)

    def _wait(self, fit: Fit) -> None:
        lane = self._lanes.setdefault(fit.train, _Lane())
        lane.studies.update(waiter.study for waiter in self._waiters[fit.key])
        lane.waiting.append(fit)
        lane.is_sorted = self._order_of is None
        self._n_waiting += 1

    def _release(self, key: str) -> None:
        _, chunk = self._running.pop(key)
        chunk.left -= 1
        if not chunk.left:
            self._busy[chunk.train] -= 1
            self._n_chunks -= 1

    def _next_lane(self) -> str:
        """Choose among the lanes that wait longest.

        First one that no worker is busy with, so that workers do not make the same prefix at once; of these the one whose
        fits a study waits for that wants the fewest, so that it can choose, ask again, or be judged.
        """

        def rank(train: str) -> tuple[bool, int]:
            return self._busy[train] > 0, min(self._wanted[study] for study in self._lanes[train].studies)

        return min(islice(self._lanes, _LOOK_AHEAD), key=rank)

    def _size(self, n_in_lane: int, n_workers: int) -> int:
        """Count the fits of a chunk: by time, at most a fraction of what waits, at least what repays its cost."""
        if self._seconds is None:
            return 1
        share = math.ceil(self._n_waiting / n_workers)
        repays = math.ceil(max(self._shared_seconds or 0.0, _LEAST_SECONDS) / max(self._seconds, 1e-6))
        least = min(repays, share, _MOST_FITS)
        size = max(min(self.chunk_size, math.ceil(share / _CHUNKS_LEFT)), least)
        leaves_too_few = n_in_lane - size < least and n_in_lane <= share
        return n_in_lane if leaves_too_few else min(size, n_in_lane)

    def _measure(self, result: FitResult, chunk: _Chunk) -> None:
        """Keep running means of a fit's own seconds and of the seconds that a chunk puts into what its fits share."""
        seconds = result.fit_seconds + sum(result.score_seconds.values()) - result.shared_seconds
        self._seconds = _mean(self._seconds, seconds)
        chunk.shared_seconds += result.shared_seconds
        if chunk.left == 1 and chunk.shared_seconds:  # none: its worker had it all already
            self._shared_seconds = _mean(self._shared_seconds, chunk.shared_seconds)


def _mean(so_far: float | None, new: float) -> float:
    return new if so_far is None else (1 - _NEW) * so_far + _NEW * new
