"""Step 4, plan: folds, as fixed row numbers. Outer and inner splits, sharing, groups and strata.

With ``inner_cv="shared"`` the inner folds of an outer fold are the other outer folds, so that a fit without folds i and
j serves the studies of both. Whatever makes that impossible, or a score dishonest, is refused here, before anything runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.utils.multiclass import type_of_target

from foldwise.data import Dataset
from foldwise.errors import FoldsError, Setting
from foldwise.inputs.checks import is_integer
from foldwise.keys import digest_rows
from foldwise.plan.row_set import Range, RowSet, Without, describe_folds
from foldwise.plan.splitters import inner_splitter, outer_splitter
from foldwise.process.exclusive import ignored_warnings

Requested: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What splitters request beside groups, by the loop that they split for."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to learn from and rows to be judged on.

    Parameters
    ----------
    train, held_out : RowSet
        Rows of the whole data, in the splitter's order.
    """

    train: RowSet
    held_out: RowSet


@dataclass(frozen=True)
class NestedFolds:
    """The outer folds, for each of them the inner folds within its train rows, and those of all rows.

    Parameters
    ----------
    outer : tuple of Fold
        In the splitter's order.
    inner : tuple of tuple of Fold
        One tuple per outer fold.
    final : tuple of Fold
        The folds by which the final study chooses: the inner splitter's of all rows or, where inner folds are shared, the
        outer folds. So the final model comes from the procedure that was judged.
    shared : bool
        Whether the inner folds are the other outer folds.
    """

    outer: tuple[Fold, ...]
    inner: tuple[tuple[Fold, ...], ...]
    final: tuple[Fold, ...]
    shared: bool

    @property
    def are_time_ordered(self) -> bool:
        """Whether every fold is judged on rows that come after those it learned from."""
        return are_time_ordered(self.outer)

    @property
    def choosing(self) -> tuple[Fold, ...]:
        """All folds by which some study chooses."""
        return (*(fold for study in self.inner for fold in study), *self.final)


def are_time_ordered(folds: Sequence[Fold]) -> bool:
    """Tell whether every fold is judged on rows that come after those it learned from."""
    return all(fold.train.numbers().max() < fold.held_out.numbers().min() for fold in folds)


def nested_folds(
    dataset: Dataset,
    outer_cv: Any,
    inner_cv: Any,
    *,
    classifier: bool,
    seed: int,
    repeats: int = 1,
    requested: Requested | None = None,
) -> NestedFolds:
    """Split a dataset for nested cross-validation.

    Parameters
    ----------
    dataset : Dataset
        Its y gives strata and its groups hold in both loops.
    outer_cv : int, splitter or iterable of (train, held-out)
        As scikit-learn's ``cv``; with groups an int means a group splitter.
    inner_cv : "shared", int or splitter
        The inner loop's.
    classifier : bool
        Whether an int means stratified folds, and every train set must hold every class.
    seed : int
        Seeds a splitter whose ``random_state`` is None.
    repeats : int, default=1
        How often an int ``outer_cv`` is repeated, shuffled anew.
    requested : mapping, optional
        What the splitters request beside groups, by ``"outer_cv"`` and ``"inner_cv"``.

    Returns
    -------
    NestedFolds
        Row numbers of all folds.

    Raises
    ------
    FoldsError
        If the folds cannot be made, overlap, split a group, lack a class, or cannot be shared.
    """
    stratify = classifier and dataset.y is not None and type_of_target(dataset.y) in {"binary", "multiclass"}
    if stratify:
        _check_classes(dataset)
    requested = requested or {}
    folds = _nest(dataset, outer_cv, inner_cv, stratify, seed, repeats, requested)
    if stratify:
        _check_every_class(dataset, folds, outer_cv, inner_cv, seed, repeats, requested)
    return folds


def _nest(
    dataset: Dataset, outer_cv: Any, inner_cv: Any, stratify: bool, seed: int, repeats: int, requested: Requested
) -> NestedFolds:
    splitter = outer_splitter(dataset, outer_cv, stratify, seed, repeats)
    whole = Range(0, dataset.n_rows)
    outer = _split(dataset, splitter, whole, "outer_cv", requested)
    if isinstance(inner_cv, str):
        if inner_cv != "shared":
            raise FoldsError("inner_cv", f"expected 'shared', a number of folds or a splitter, got {inner_cv!r}")
        return NestedFolds(outer, _shared(outer, dataset.n_rows), outer, shared=True)

    def split(rows: RowSet) -> tuple[Fold, ...]:
        splitter = inner_splitter(dataset, inner_cv, stratify, seed, rows.numbers())
        return _split(dataset, splitter, rows, "inner_cv", requested)

    inner = tuple(split(fold.train) for fold in outer)
    return NestedFolds(outer, inner, split(whole), shared=False)


# --- splitting ------------------------------------------------------------------------------------------------------------


def _split(dataset: Dataset, splitter: Any, within: RowSet, place: str, requested: Requested) -> tuple[Fold, ...]:
    rows = within.numbers()
    whole = len(rows) == dataset.n_rows and bool((rows == np.arange(len(rows))).all())
    try:
        # That groups do not straddle is checked below, whatever the splitter knows of them.
        with ignored_warnings("The groups parameter is ignored", UserWarning):
            parts = dataset.splits(splitter, None if whole else rows, requested.get(place))
            pairs = [(np.asarray(a), np.asarray(b)) for a, b in parts]
    except FoldsError:
        raise
    except Exception as error:  # a splitter says in words of its own what it cannot do
        raise FoldsError(place, f"expected folds from {splitter!r}, got {type(error).__name__}: {error}") from error
    if not pairs:
        raise FoldsError(place, f"expected at least one fold, got none from {splitter!r}")
    pairs = [(_rows_of(rows, train, place), _rows_of(rows, held_out, place)) for train, held_out in pairs]
    for number, (train, held_out) in enumerate(pairs):
        _check_fold(dataset, train, held_out, f"{place}: fold {number}")
    return tuple(Fold(train, held_out) for train, held_out in describe_folds(pairs, within, dataset.n_rows))


def _rows_of(rows: np.ndarray, positions: np.ndarray, place: str) -> np.ndarray:
    if positions.dtype == bool and positions.shape == rows.shape:
        positions = np.flatnonzero(positions)
    if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
        raise FoldsError(place, f"expected row numbers, got an array of {positions.dtype} and shape {positions.shape}")
    if positions.size and not (positions.min() >= 0 and positions.max() < len(rows)):
        raise FoldsError(place, f"expected row numbers from 0 to {len(rows) - 1}, got {positions.min()} to {positions.max()}")
    chosen: np.ndarray = rows[positions.astype(np.int64)].astype(np.int64)
    return chosen


def _check_fold(dataset: Dataset, train: np.ndarray, held_out: np.ndarray, place: str) -> None:
    if not len(train) or not len(held_out):
        raise FoldsError(place, f"expected rows on both sides, got {len(train)} to train and {len(held_out)} held out")
    is_trained = np.zeros(dataset.n_rows, dtype=bool)
    is_trained[train] = True
    if is_trained[held_out].any():
        both = np.unique(held_out[is_trained[held_out]])
        raise FoldsError(
            place, f"expected held-out rows that are not learned from, got {len(both)} on both sides, first row {both[0]}"
        )
    if dataset.groups is not None:
        straddling = np.intersect1d(dataset.groups[train], dataset.groups[held_out])
        if len(straddling):
            raise FoldsError(
                place,
                f"expected each group on one side, got group {straddling.tolist()[0]!r} on both; use a number of folds, "
                "GroupKFold or another splitter that takes groups",
            )


# --- sharing ----------------------------------------------------------------------------------------------------------


def _shared(outer: Sequence[Fold], n_rows: int) -> tuple[tuple[Fold, ...], ...]:
    """Take the other folds of its repeat as each outer fold's inner folds."""
    inner: list[tuple[Fold, ...]] = []
    for repeat in _repeats(outer, n_rows):
        without: dict[frozenset[int], Without] = {}  # the rows without two folds, once for both
        for number, fold in enumerate(repeat):
            folds = []
            for other, judging in enumerate(repeat):
                if other != number:
                    train = fold.train.without(judging.held_out, n_rows)
                    known = without.setdefault(frozenset((number, other)), train)
                    folds.append(Fold(known if known.whole is train.whole else train, judging.held_out))
            inner.append(tuple(folds))
    return tuple(inner)


def _repeats(outer: Sequence[Fold], n_rows: int) -> list[list[Fold]]:
    """Part the outer folds into runs whose held-out rows do not overlap, and check that each can be shared."""
    ordered = are_time_ordered(outer)
    other = Setting("inner_cv", "TimeSeriesSplit(...)" if ordered else "5")
    fix = ("use ", other, " for the inner loop") if ordered else ("use ", other, " or a splitter for the inner loop")
    runs: list[list[Fold]] = []
    taken = np.zeros(n_rows, dtype=bool)
    for number, fold in enumerate(outer):
        if len(fold.train) + len(fold.held_out) != n_rows or _repeats_a_row(fold.train, n_rows):
            raise FoldsError(
                "inner_cv",
                f"expected outer folds that train on all other rows to share them, got outer fold {number} with "
                f"{len(fold.train)} train and {len(fold.held_out)} held-out rows of {n_rows}",
                fix=fix,
            )
        held_out = fold.held_out.numbers()
        if not runs or taken[held_out].any():
            runs.append([])
            taken[:] = False
        runs[-1].append(fold)
        taken[held_out] = True
    sizes = {len(run) for run in runs}
    parts = {digest_rows(np.sort(np.concatenate([fold.held_out.numbers() for fold in run]))) for run in runs}
    if len(parts) > 1:
        raise FoldsError(
            "inner_cv",
            "expected outer folds that part the rows to share them, got held-out sets that overlap",
            fix=fix,
        )
    if len(sizes) > 1:
        counts = ", ".join(str(len(run)) for run in runs)
        raise FoldsError(
            "outer_cv",
            f"expected repeats of equal numbers of folds to share them, got {counts}",
            fix=("use a Repeated* splitter, or ", *fix),
        )
    if sizes.pop() < 3:
        raise FoldsError(
            "inner_cv",
            f"expected at least 3 outer folds to share them, got {len(runs[0])}",
            fix=("use ", Setting("outer_cv", "3"), " or more, or ", *fix),
        )
    return runs


def _repeats_a_row(rows: RowSet, n_rows: int) -> bool:
    marks = np.zeros(n_rows, dtype=bool)
    rows.mark(marks)
    return bool(np.count_nonzero(marks) != len(rows))


# --- classes ----------------------------------------------------------------------------------------------------------


def _labels(dataset: Dataset) -> np.ndarray:
    return np.unique(np.asarray(dataset.y).ravel(), return_inverse=True)[1]


def _check_classes(dataset: Dataset) -> None:
    classes = np.unique(np.asarray(dataset.y).ravel())
    if len(classes) < 2:
        raise FoldsError(
            "y", f"expected at least two classes, got 1 class, {classes.tolist()[0]!r}, in all {dataset.n_rows} rows"
        )


def _check_every_class(
    dataset: Dataset, folds: NestedFolds, outer_cv: Any, inner_cv: Any, seed: int, repeats: int, requested: Requested
) -> None:
    labels = _labels(dataset)
    lacking, place = _lacking_class(labels, folds.outer), "outer_cv"
    if lacking is None:
        lacking, place = _lacking_class(labels, folds.choosing), "outer_cv" if folds.shared else "inner_cv"
    if lacking is None:
        return
    label = np.unique(np.asarray(dataset.y).ravel()).tolist()[lacking]
    count = int((labels == lacking).sum())

    def holds_every_class(cv: Any) -> bool:
        outer, inner = (cv, inner_cv) if place == "outer_cv" else (outer_cv, cv)
        try:
            tried = _nest(dataset, outer, inner, True, seed, repeats, requested)
        except FoldsError:
            return False
        return _lacking_class(labels, (*tried.outer, *tried.choosing)) is None

    raise FoldsError(
        place,
        f"expected every train set to hold every class, got one without class {label!r}, which has {count} of "
        f"{dataset.n_rows} rows; {_advice(outer_cv if place == 'outer_cv' else inner_cv, holds_every_class)}",
    )


def _lacking_class(labels: np.ndarray, folds: Sequence[Fold]) -> int | None:
    n_classes = labels.max() + 1
    for fold in folds:
        counts = np.bincount(labels[fold.train.numbers()], minlength=n_classes)
        if not counts.all():
            return int(np.argmin(counts))
    return None


def _advice(cv: Any, works: Callable[[Any], bool]) -> str:
    """Look for fewer folds, of the kind that was asked for, with which no train set lacks a class."""
    n_folds = cv if is_integer(cv) else getattr(cv, "n_splits", None)
    if not is_integer(n_folds):
        return "use a stratified splitter with fewer folds, or merge or drop the class"
    for fewer in range(int(n_folds) - 1, 1, -1):
        smaller: Any = fewer
        if not is_integer(cv):
            smaller = copy.deepcopy(cv)
            smaller.n_splits = fewer
        with ignored_warnings():
            if works(smaller):
                return f"the largest number of folds that works is {fewer}"
    return "no smaller number of folds works: use a stratified splitter, or merge or drop the class"
