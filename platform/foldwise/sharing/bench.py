"""Bench: the rows that fits on the same train rows work on, and the memory that they share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from sklearn.pipeline import Pipeline

from foldwise.data import Dataset
from foldwise.sharing.arrays import untouchable
from foldwise.sharing.composites import lend, release
from foldwise.sharing.memory import PrefixMemory

Rows: TypeAlias = tuple[Any, Any, dict[str, Any]]
"""X, y and fit params."""


class Bench:
    """The rows that fits on the same train rows work on, sliced once, and the memory that they share.

    Parameters
    ----------
    dataset : Dataset
        The data.
    rows : mapping of str to array of int
        The plan's row sets.
    train : str
        Key of the train rows.
    """

    def __init__(self, dataset: Dataset, rows: Mapping[str, np.ndarray], train: str) -> None:
        self.train = train
        self.memory = PrefixMemory()
        self._dataset, self._rows = dataset, rows
        self._sliced: dict[tuple[str, bool], Rows] = {}
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Time that went into what later fits on these rows find made."""
        return self._seconds + self.memory.seconds

    def take(self, key: str, *, pairwise: bool) -> Rows:
        """Return rows, sliced once and not to be written into; ``pairwise`` cuts a precomputed kernel to the train columns."""
        if (key, pairwise) not in self._sliced:
            clock = time.perf_counter()
            self._sliced[key, pairwise] = self.fresh(key, pairwise=pairwise)
            self._seconds += time.perf_counter() - clock
        X, y, fit_params = self._sliced[key, pairwise]
        lent_y = None if y is None else self.memory.lend(y, f"{key}-y")
        return self.memory.lend(X, f"{key}-{pairwise}"), lent_y, {n: untouchable(v) for n, v in fit_params.items()}

    def fresh(self, key: str, *, pairwise: bool) -> Rows:
        """Return rows of the caller's own."""
        return self._dataset.take(self._rows[key], self._rows[self.train] if pairwise else None)

    @contextmanager
    def lending(self, model: Any) -> Iterator[None]:
        """Let the parts of a model share, as long as this lasts."""
        lend(model, self.memory)
        try:
            yield
        finally:
            release(model)
            self.memory.forget_lent()

    def before_last_step(self, model: Pipeline, key: str) -> tuple[Any, Any, Any]:
        """Return the last step of a fitted pipeline, however deep, and X and y of held-out rows as it gets them."""
        X, y, _ = self.take(key, pairwise=False)
        last: Any = model
        while type(last) is Pipeline:
            for _, step in last.steps[:-1]:
                if step is not None and step != "passthrough":
                    X = self.memory.transform(step, X)
            last = last.steps[-1][1]
        return last, X, y
