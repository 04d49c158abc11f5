"""SharedRows: the rows that fits on the same train rows work on, and the memory that they share; and a cache of these."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from foldwise.data import Dataset, Slice
from foldwise.plan.row_set import RowSets
from foldwise.plan.steps import is_pipeline, steps_of, transforming_steps
from foldwise.worker.sharing.arrays import is_shareable, n_bytes, own_copy, untouchable
from foldwise.worker.sharing.composites import lend, release
from foldwise.worker.sharing.memory import PrefixMemory

_MOST_SETS = 4
_QUICKLY_COPIED = 2**23  # bytes of data of which a worker keeps slices to be copied
_MOST_BYTES = 256 * 2**20


class SharedRows:
    """The rows that fits on the same train rows work on, sliced once, and the memory that they share.

    Parameters
    ----------
    dataset : Dataset
        The data.
    rows : RowSets
        The plan's row sets.
    handed : mapping of str to mapping
        Of row sets: what the scorer is handed with them.
    train : str
        Key of the train rows.
    memory : PrefixMemory
        What fits share through.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: RowSets,
        handed: Mapping[str, Mapping[str, Any]],
        train: str,
        memory: PrefixMemory,
    ) -> None:
        self.train, self.memory = train, memory
        self._dataset, self._rows, self._handed = dataset, rows, handed
        self._sliced: dict[tuple[str, bool], Slice] = {}
        self._is_shareable: dict[tuple[str, bool], bool] = {}
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Time that went into what later fits on these rows find made."""
        return self._seconds + self.memory.seconds

    def take(self, key: str, *, pairwise: bool) -> Slice:
        """Return rows, sliced once and not to be written into; ``pairwise`` cuts a precomputed kernel to the train columns.

        What cannot be shared safely is sliced anew, and has no name by which transformers fitted to it are found.
        """
        X, y, fit_params = self._slices(key, pairwise=pairwise)
        if not self._is_shareable[key, pairwise]:
            fresh_X, fresh_y, fresh_params = self._sliced_anew(key, pairwise=pairwise)
            X = self.memory.lend(X, f"{key}-{pairwise}") if is_shareable(X) else fresh_X
            return X, self.memory.lend(y, f"{key}-y") if is_shareable(y) else fresh_y, fresh_params
        lent_y = None if y is None else self.memory.lend(y, f"{key}-y")
        return self.memory.lend(X, f"{key}-{pairwise}"), lent_y, self._each(untouchable, fit_params)

    def fresh(self, key: str, *, pairwise: bool) -> Slice:
        """Return rows of the caller's own; small ones are copied, which is quicker than slicing them again."""
        if n_bytes(self._dataset.X) > _QUICKLY_COPIED:
            return self._sliced_anew(key, pairwise=pairwise)
        X, y, fit_params = self._slices(key, pairwise=pairwise)
        if not self._is_shareable[key, pairwise]:
            return self._sliced_anew(key, pairwise=pairwise)
        return own_copy(X), None if y is None else own_copy(y), self._each(own_copy, fit_params)

    def handed(self, key: str) -> dict[str, Any]:
        """Return what a scorer is handed with some rows."""
        return self._dataset.take_of(self._handed[key], self._rows[key]) if key in self._handed else {}

    def _slices(self, key: str, *, pairwise: bool) -> Slice:
        """Return rows that are sliced once; nobody is handed these."""
        if (key, pairwise) not in self._sliced:
            clock = time.perf_counter()
            X, y, fit_params = self._sliced[key, pairwise] = self._sliced_anew(key, pairwise=pairwise)
            parts = [X, *([] if y is None else [y]), *self._by_row(fit_params).values()]
            self._is_shareable[key, pairwise] = all(is_shareable(part) for part in parts)
            self._seconds += time.perf_counter() - clock
        return self._sliced[key, pairwise]

    def _sliced_anew(self, key: str, *, pairwise: bool) -> Slice:
        return self._dataset.take(self._rows[key], self._rows[self.train] if pairwise else None)

    def _by_row(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in params.items() if value is not self._dataset.fit_params[name]}

    def _each(self, change: Callable[[Any], Any], params: Mapping[str, Any]) -> dict[str, Any]:
        return {**params, **{name: change(value) for name, value in self._by_row(params).items()}} if params else {}

    @property
    def n_bytes(self) -> int:
        """Size of the rows that it holds, in bytes."""
        return sum(n_bytes(X) + n_bytes(y) for X, y, _ in self._sliced.values())

    @contextmanager
    def lending(self, model: Any) -> Iterator[None]:
        """Let the parts of a model share, as long as this lasts."""
        lend(model, self.memory)
        try:
            yield
        finally:
            release(model)
            self.memory.forget_lent()

    def before_last_step(self, model: Any, key: str) -> tuple[Any, Any, Any]:
        """Return the last step of a fitted pipeline, however deep, and X and y of held-out rows as it gets them."""
        X, y, _ = self.take(key, pairwise=False)
        last: Any = model
        while is_pipeline(last):
            for step in transforming_steps(last):
                X = self.memory.transform(step, X)
            last = steps_of(last)[-1][1]
        return last, X, y


class SharedRowsCache:
    """The `SharedRows` that a worker used last, with one memory: fits on the same train rows may come in several chunks.

    Parameters
    ----------
    dataset : Dataset
        The data.
    rows : RowSets
        The plan's row sets.
    handed : mapping of str to mapping
        Of row sets: what the scorer is handed with them.
    """

    def __init__(self, dataset: Dataset, rows: RowSets, handed: Mapping[str, Mapping[str, Any]]) -> None:
        self._dataset, self._rows, self._handed = dataset, rows, handed
        self._memory = PrefixMemory()
        self._kept: OrderedDict[str, SharedRows] = OrderedDict()

    def of(self, train: str) -> SharedRows:
        """Return the `SharedRows` of some train rows; the rows of others are kept as far as they are few."""
        if train not in self._kept:
            self._kept[train] = SharedRows(self._dataset, self._rows, self._handed, train, self._memory)
            while len(self._kept) > 1 and (len(self._kept) > _MOST_SETS or self._n_bytes > _MOST_BYTES):
                self._kept.popitem(last=False)
        self._kept.move_to_end(train)
        return self._kept[train]

    @property
    def _n_bytes(self) -> int:
        return sum(shared_rows.n_bytes for shared_rows in self._kept.values())
