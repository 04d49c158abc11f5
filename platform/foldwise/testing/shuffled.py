"""An executor that finishes out of order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from foldwise.executors import Executor
from foldwise.plan.plan import Plan
from foldwise.trial import Fit, FitResult
from foldwise.worker.fit import FitContext


class ShuffledExecutor(Executor):
    """Runs fits in this process, and hands results over in a random order.

    Parameters
    ----------
    seed : int
        Of the order.
    n_slots : int, default=7
        Chunks in flight.
    """

    def __init__(self, seed: int, n_slots: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._n_slots = n_slots
        self._waiting: list[tuple[Fit, ...]] = []
        self._context: FitContext | None = None

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        self._context = FitContext.of(plan)

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return 1

    @property
    def slots(self) -> int:  # noqa: D102
        return self._n_slots

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._waiting.append(tuple(chunk))

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        assert self._context is not None
        if not self._waiting:
            return []
        chosen = self._waiting.pop(int(self._random.integers(len(self._waiting))))
        results = self._context.run(chosen)
        self._random.shuffle(results)
        return results

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        self._waiting = [chunk for chunk in self._waiting if not all(fit.key in keys for fit in chunk)]

    def close(self) -> None:  # noqa: D102
        self._waiting.clear()
        self._context = None
