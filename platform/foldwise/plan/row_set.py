"""Step 4, plan: which rows, in which order, in as few bytes as describe it. Row numbers are made where they are needed.

A splitter's held-out sets are kept once: as one label per row, or in the splitter's order where that is another one. What
a fit learns from is described by what it leaves out of them. So all row sets of a plan take O(n) bytes together.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from foldwise.keys import digest_rows

_MOST_BYTES_MADE = 2 * 2**20  # of row numbers that a worker keeps; larger sets are made in less time than rows are sliced
_INT32_ROWS = 2**31


class RowSet(ABC):
    """Rows of a dataset, in an order."""

    @abstractmethod
    def numbers(self) -> np.ndarray:
        """Return the row numbers, an array of int64 of shape (n,)."""

    @abstractmethod
    def __len__(self) -> int: ...

    @cached_property
    def key(self) -> str:
        """Content key: that of the row numbers in their order."""
        return digest_rows(self.numbers())

    def mark(self, marks: np.ndarray) -> None:
        """Set an array of bool, one per row of the dataset, to True at these rows."""
        marks[self.numbers()] = True

    def without(self, rows: RowSet, n_rows: int) -> Without:
        """Describe these rows without some others, in the same order.

        Parameters
        ----------
        rows : RowSet
            What to leave out.
        n_rows : int
            Rows of the dataset.
        """
        return Without(self, (rows,), n_rows)


@dataclass(frozen=True, eq=False)
class Range(RowSet):
    """Rows that follow each other.

    Parameters
    ----------
    start, stop : int
        The first row, and the one after the last.
    """

    start: int
    stop: int

    def numbers(self) -> np.ndarray:  # noqa: D102
        return np.arange(self.start, self.stop, dtype=np.int64)

    def __len__(self) -> int:
        return self.stop - self.start

    def mark(self, marks: np.ndarray) -> None:  # noqa: D102
        marks[self.start : self.stop] = True


@dataclass(frozen=True, eq=False)
class Listed(RowSet):
    """Rows one by one.

    Parameters
    ----------
    rows : array of int32 or int64, shape (n,)
        Their numbers.
    """

    rows: np.ndarray

    def numbers(self) -> np.ndarray:  # noqa: D102
        return self.rows.astype(np.int64)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Labelled(RowSet):
    """The rows that have a label, in ascending order.

    Parameters
    ----------
    labels : array of unsigned int, shape (n_rows,)
        One label per row of the dataset; several sets hold the same array.
    label : int
        Theirs.
    n : int
        How many they are.
    """

    labels: np.ndarray
    label: int
    n: int

    def numbers(self) -> np.ndarray:  # noqa: D102
        return np.flatnonzero(self.labels == self.label).astype(np.int64, copy=False)

    def __len__(self) -> int:
        return self.n

    def mark(self, marks: np.ndarray) -> None:  # noqa: D102
        marks |= self.labels == self.label


@dataclass(frozen=True, eq=False)
class Joined(RowSet):
    """Several sets, one after the other.

    Parameters
    ----------
    sets : tuple of RowSet
        In this order.
    """

    sets: tuple[RowSet, ...]

    def numbers(self) -> np.ndarray:  # noqa: D102
        return np.concatenate([one.numbers() for one in self.sets])

    def __len__(self) -> int:
        return sum(map(len, self.sets))


@dataclass(frozen=True, eq=False)
class Without(RowSet):
    """The rows of a set that are in none of some others.

    Parameters
    ----------
    whole : RowSet
        The set, whose order stays.
    left_out : tuple of RowSet
        The others.
    n_rows : int
        Rows of the dataset.
    """

    whole: RowSet
    left_out: tuple[RowSet, ...]
    n_rows: int

    def numbers(self) -> np.ndarray:  # noqa: D102
        is_out = np.zeros(self.n_rows, dtype=bool)
        for one in self.left_out:
            one.mark(is_out)
        if isinstance(self.whole, Range):
            stays = np.flatnonzero(~is_out[self.whole.start : self.whole.stop])
            return (stays + self.whole.start if self.whole.start else stays).astype(np.int64, copy=False)
        rows = self.whole.numbers()
        left: np.ndarray = rows[~is_out[rows]]
        return left

    def __len__(self) -> int:
        return self._n

    @cached_property
    def _n(self) -> int:
        return len(self.numbers())

    def without(self, rows: RowSet, n_rows: int) -> Without:  # noqa: D102
        return Without(self.whole, (*self.left_out, rows), n_rows)


# --- describing -------------------------------------------------------------------------------------------------------


def describe_folds(pairs: Sequence[tuple[np.ndarray, np.ndarray]], within: RowSet, n_rows: int) -> list[tuple[RowSet, RowSet]]:
    """Describe the folds of a splitter.

    Parameters
    ----------
    pairs : sequence of (train, held-out) arrays of int64
        Row numbers of the dataset, in the splitter's order.
    within : RowSet
        The rows that were split.
    n_rows : int
        Rows of the dataset.

    Returns
    -------
    list of (RowSet, RowSet)
        Sets of the same rows in the same order.
    """
    described: list[tuple[RowSet, RowSet]] = []
    for run in _disjoint_runs([held_out for _, held_out in pairs], n_rows):
        sets = _describe_disjoint(run, n_rows)
        wholes = (within, Joined(tuple(sets)))
        for held_out in sets:
            train, _ = pairs[len(described)]
            described.append((_describe_train(train, held_out, wholes, n_rows), held_out))
    return described


def _disjoint_runs(sets: Sequence[np.ndarray], n_rows: int) -> Iterator[list[np.ndarray]]:
    """Part sets into runs in which no row is twice; a repeated splitter gives one per repeat."""
    run: list[np.ndarray] = []
    taken = np.zeros(n_rows, dtype=bool)
    for rows in sets:
        if run and taken[rows].any():
            yield run
            run = []
            taken[:] = False
        run.append(rows)
        taken[rows] = True
    if run:
        yield run


def _describe_disjoint(sets: Sequence[np.ndarray], n_rows: int) -> list[RowSet]:
    """Describe sets that have no row in common: by a label per row where that takes fewer bytes than to list them."""
    ascending = [number for number, rows in enumerate(sets) if _ascends(rows) and _range_of(rows) is None]
    dtype = np.min_scalar_type(len(ascending))
    listed_bytes = _list_rows(np.arange(0), n_rows).rows.itemsize * sum(len(sets[number]) for number in ascending)
    if n_rows * dtype.itemsize >= listed_bytes:
        ascending = []
    labels = np.zeros(n_rows if ascending else 0, dtype=dtype)
    by_label: dict[int, RowSet] = {}
    for label, number in enumerate(ascending, start=1):
        labels[sets[number]] = label
        by_label[number] = Labelled(labels, label, len(sets[number]))
    return [by_label.get(number) or _range_of(rows) or _list_rows(rows, n_rows) for number, rows in enumerate(sets)]


def _describe_train(train: np.ndarray, held_out: RowSet, wholes: Sequence[RowSet], n_rows: int) -> RowSet:
    """Describe train rows as all others of one of some sets, as a range or, failing these, one by one."""
    for whole in wholes:
        if len(train) == len(whole) - len(held_out):
            others = whole.without(held_out, n_rows)
            if np.array_equal(others.numbers(), train):
                return others
    return _range_of(train) or _list_rows(train, n_rows)


def _list_rows(rows: np.ndarray, n_rows: int) -> Listed:
    return Listed(rows.astype(np.int32 if n_rows < _INT32_ROWS else np.int64))


def _range_of(rows: np.ndarray) -> Range | None:
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
        return Range(int(rows[0]), int(rows[-1]) + 1)
    return None


def _ascends(rows: np.ndarray) -> bool:
    return bool((np.diff(rows) > 0).all())


# --- by key -----------------------------------------------------------------------------------------------------------


class RowSets(Mapping[str, np.ndarray]):
    """Row sets by key. Gives row numbers, which are made when asked for; the last ones are kept, and not to be written into.

    Parameters
    ----------
    sets : mapping of str to RowSet, optional
        Several keys may have the same set.
    """

    def __init__(self, sets: Mapping[str, RowSet] | None = None) -> None:
        self._sets = dict(sets or {})
        self._made: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> np.ndarray:
        with self._lock:
            rows = self._made.pop(key, None)
            if rows is None:
                rows = self._sets[key].numbers()
                rows.flags.writeable = False
            self._made[key] = rows
            while self._made and sum(one.nbytes for one in self._made.values()) > _MOST_BYTES_MADE:
                del self._made[next(iter(self._made))]
        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __contains__(self, key: object) -> bool:
        return key in self._sets

    def size(self, key: str) -> int:
        """Return how many rows a set has."""
        return len(self._sets[key])

    def are_same(self, one: str, other: str) -> bool:
        """Tell whether two keys have the same set."""
        return self._sets[one] is self._sets[other]

    def __reduce__(self) -> tuple[Any, ...]:
        return RowSets, (self._sets,)
